"""People who follow links over sockets, many at a time, at whatever moment a test wants."""

import asyncio
import time
from collections.abc import Iterable, Sequence

import pytest
from uuid_utils import UUID, uuid7

from tests.site import PHONE

CONNECTIONS = 8


def request_of(path: str, **headers: str) -> bytes:
    """By a phone, unless the headers say otherwise."""
    sent = {"host": "go.brand.example", "user-agent": PHONE}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"GET /{path} HTTP/1.1\r\n{lines}\r\n".encode()


async def heads_of(port: int, requests: Sequence[bytes]) -> list[bytes]:
    """The heads of the answers, in the order of the requests."""
    found = [b""] * len(requests)

    async def client(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(first, len(requests), CONNECTIONS):
            writer.write(requests[number])
            found[number] = head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(client(first) for first in range(CONNECTIONS)))
    return found


def statuses(heads: Iterable[bytes]) -> list[int]:
    return [int(head.split(b" ", 2)[1]) for head in heads]


def locations(heads: Iterable[bytes]) -> list[str]:
    """Where they lead, each of them a 302."""
    found = []
    for head in heads:
        assert head.startswith(b"HTTP/1.1 302 ")
        found.append(head.partition(b"location: ")[2].partition(b"\r\n")[0].decode())
    return found


class Clock:
    """What time it is for a server in this process, and for its recorder."""

    def __init__(self, now_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ms = now_ms
        monkeypatch.setattr(time, "time_ns", self._ns)
        # It asks the system past Python.
        monkeypatch.setattr("app.redirect.uuid7", self._uuid7)

    def _ns(self) -> int:
        return self.now_ms * 1_000_000

    def _uuid7(self) -> UUID:
        return uuid7(nanoseconds=self._ns())
