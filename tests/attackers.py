"""Clients that mean no good, in a process of their own: ``python -m tests.attackers KIND PORT SECONDS CODE``.

So many at once that in the process of a test they would slow down what it measures; and what they
compute should be little, since the server and the viewer share the cores with them. They say as
JSON what became of them.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

HALF_OPEN = 2_000
SLOW_BODIES = 100  # for each place that takes one
AT_ONCE = 20  # of all that is not slow
LARGE_HEADS = 10
TARGET_BYTES = 65_536
HEADER_BYTES = 16 * 1024  # and a little more, with its name
PIPELINED = 1_000
HEADER = b"X-Filler: " + b"y" * 1_000 + b"\r\n"
# 200 MB of them in all.
HEADERS_EACH = 200_000_000 // LARGE_HEADS // len(HEADER)
# Whose end a proxy before the server could see elsewhere.
TWO_ENDS = (
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    b"Transfer-Encoding : chunked\r\nContent-Length: 4\r\n",
    b"Transfer-Encoding: chunked, identity\r\nContent-Length: 4\r\n",
)


@dataclass
class Findings:
    """What the server did."""

    # Of each kind of client, how many the server has shown out, by the answers that they had got.
    ends: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    # The longest that one was kept, also of those that were there at the end.
    longest_s: float = 0
    # The most that were connected at once.
    connected: int = 0
    header_bytes: int = 0
    # Bytes that were sent one by one.
    trickled: int = 0


class Attack:
    def __init__(self, port: int, code: str, seconds: float) -> None:
        self._port = port
        self._ends_at = time.monotonic() + seconds
        self._connected = 0
        self._code = code
        self._get = f"GET /{code} HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0\r\n".encode()
        self.findings = Findings()

    async def run(self, kind: str) -> None:
        kinds: dict[str, Callable[[], Sequence[Awaitable[None]]]] = {
            "half-open": lambda: [
                self._again("half a head", self._get + b"X-Slow: ", is_slow=True)
                for _ in range(HALF_OPEN)
            ],
            "slow-bodies": self._slow_bodies,
            "large-heads": self._large_heads,
            "large-targets": lambda: [
                self._again(
                    "target", b"GET /" + b"a" * TARGET_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n"
                )
                for _ in range(AT_ONCE)
            ],
            "pipelines": lambda: [
                self._again("pipeline", (self._get + b"\r\n") * PIPELINED) for _ in range(AT_ONCE)
            ],
            "smuggling": self._smuggling,
        }
        await asyncio.gather(*kinds[kind]())

    def _slow_bodies(self) -> list[Awaitable[None]]:
        posts = {
            "POST /graphql": "Content-Type: application/json\r\n",
            "POST /conversions": "",
            f"POST /{self._code}": "",
            f"GET /{self._code}": "",
        }
        end = "Host: x\r\nContent-Length: 10000\r\n\r\n"
        return [
            self._again(what, f"{what} HTTP/1.1\r\n{fields}{end}".encode(), is_slow=True)
            for what, fields in posts.items()
            for _ in range(SLOW_BODIES)
        ]

    def _large_heads(self) -> list[Awaitable[None]]:
        large = self._get + b"X-Filler: " + b"y" * HEADER_BYTES + b"\r\n\r\n"
        return [
            *(self._large_head() for _ in range(LARGE_HEADS)),
            *(self._again("header", large) for _ in range(AT_ONCE)),
        ]

    def _smuggling(self) -> list[Awaitable[None]]:
        """The request that is hidden in a body must not be answered."""
        return [
            self._again(
                f"{method} {number}",
                f"{method} /{self._code} HTTP/1.1\r\nHost: x\r\n".encode()
                + fields
                + b"\r\n0\r\n\r\n"
                + self._get
                + b"\r\n",
            )
            for number, fields in enumerate(TWO_ENDS)
            for method in ("GET", "POST")
            for _ in range(AT_ONCE // 4)
        ]

    async def _again(self, what: str, sent: bytes, *, is_slow: bool = False) -> None:
        while time.monotonic() < self._ends_at:
            with contextlib.suppress(OSError):
                await self._attack(what, sent, is_slow=is_slow)
            await asyncio.sleep(0.5)

    async def _attack(self, what: str, sent: bytes, *, is_slow: bool) -> None:
        """All of this at once, then perhaps a byte each second, until the server has enough of it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        _, client = await loop.create_connection(
            lambda: _Client(sent, self.findings, is_slow=is_slow), "127.0.0.1", self._port
        )
        self._connected += 1
        self.findings.connected = max(self.findings.connected, self._connected)
        try:
            async with asyncio.timeout(self._ends_at - time.monotonic()):
                await client.ended
            self.findings.ends[what][" ".join(client.answers)] += 1
        except TimeoutError:
            client.transport.abort()
        self._connected -= 1
        self.findings.longest_s = max(self.findings.longest_s, loop.time() - began)

    async def _large_head(self) -> None:
        """Header after header, on a new connection each time that the server has had enough."""
        left = HEADERS_EACH
        while left > 0 and time.monotonic() < self._ends_at:
            answer = b""
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(self._get)
                try:
                    while left > 0 and not reader.at_eof():
                        writer.write(HEADER * 100)
                        left -= 100
                        self.findings.header_bytes += 100 * len(HEADER)
                        await writer.drain()
                    answer = await reader.read(4096)
                finally:
                    writer.transport.abort()
            self.findings.ends["headers"][" ".join(_statuses(answer))] += 1


def _statuses(piece: bytes) -> list[str]:
    return [each[:3].decode() for each in piece.split(b"HTTP/1.1 ")[1:]]


class _Client(asyncio.Protocol):
    """Sends the beginning at once, and then perhaps a byte each second."""

    transport: asyncio.Transport

    def __init__(self, beginning: bytes, findings: Findings, *, is_slow: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._beginning = beginning
        self._findings = findings
        self._is_slow = is_slow
        self._timer: asyncio.TimerHandle | None = None
        self.answers: list[str] = []
        # Done when the server has closed the connection.
        self.ended = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._beginning)
        if self._is_slow:
            # Nobody tells two thousand clients when to begin: in one process they would be in step.
            self._timer = self._loop.call_later(random.random(), self._send)  # noqa: S311 - no secret

    def _send(self) -> None:
        self.transport.write(b"z")
        self._findings.trickled += 1
        self._timer = self._loop.call_later(1, self._send)

    def data_received(self, data: bytes) -> None:
        self.answers += _statuses(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.ended.done():
            self.ended.set_result(None)


async def main(kind: str, port: int, seconds: float, code: str) -> None:
    attack = Attack(port, code, seconds)
    await attack.run(kind)
    print(json.dumps(vars(attack.findings)))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
