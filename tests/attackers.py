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
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop

HALF_OPEN = 2_000
SLOW_BODIES = 100  # for each place that takes one
DEEP_PIPELINES = 20
LARGE_HEADS = 10
CLOSED_S = 15
HEADER = b"X-Filler: " + b"y" * 1_000 + b"\r\n"
# 200 MB of them in all.
HEADERS_EACH = 200_000_000 // LARGE_HEADS // len(HEADER)


@dataclass
class Findings:
    """What the server did."""

    # How long it took each slow client in, and how many of them had time to find out.
    longest_s: float = 0
    closed: int = 0
    # The most that were connected at once.
    connected: int = 0
    header_bytes: int = 0
    # Bytes that were sent one by one.
    trickled: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def note(self, piece: bytes) -> None:
        if piece.startswith(b"HTTP/1.1 "):
            self.answers[piece[9:12].decode()] += 1


class Attack:
    def __init__(self, port: int, code: str, seconds: float) -> None:
        self._port = port
        self._ends_at = time.monotonic() + seconds
        self._connected = 0
        self._get = f"GET /{code} HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0\r\n".encode()
        posts = (
            "POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\n",
            "POST /conversions HTTP/1.1\r\n",
            f"POST /{code} HTTP/1.1\r\n",
            f"GET /{code} HTTP/1.1\r\n",
        )
        self._bodies = [
            f"{post}Host: x\r\nContent-Length: 10000\r\n\r\n".encode() for post in posts
        ]
        self.findings = Findings()

    async def run(self, kind: str) -> None:
        clients = {
            "half-open": lambda: [
                self._again(self._trickle, self._get + b"X-Slow: ") for _ in range(HALF_OPEN)
            ],
            "slow-bodies": lambda: [
                self._again(self._trickle, each) for each in self._bodies * SLOW_BODIES
            ],
            "pipelines": lambda: [
                self._again(self._pipeline, self._get + b"\r\n") for _ in range(DEEP_PIPELINES)
            ],
            "large-heads": lambda: [self._large_head() for _ in range(LARGE_HEADS)],
        }[kind]()
        await asyncio.gather(*clients)

    async def _again(self, attack: Callable[[bytes], Awaitable[None]], sent: bytes) -> None:
        while time.monotonic() < self._ends_at:
            with contextlib.suppress(OSError):
                await attack(sent)
            await asyncio.sleep(0.5)

    async def _trickle(self, beginning: bytes) -> None:
        """A byte each second after the beginning, until the server has enough of it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        _, trickle = await loop.create_connection(
            lambda: _Trickle(beginning, self.findings), "127.0.0.1", self._port
        )
        self._connected += 1
        self.findings.connected = max(self.findings.connected, self._connected)
        try:
            async with asyncio.timeout(self._ends_at - time.monotonic()):
                await trickle.ended
            self.findings.closed += 1
        except TimeoutError:
            trickle.transport.abort()
        self._connected -= 1
        self.findings.longest_s = max(self.findings.longest_s, loop.time() - began)

    async def _pipeline(self, request: bytes) -> None:
        """Asks a thousand times at once, and reads no answer until it is shown out."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request * 1_000)
            async with asyncio.timeout(CLOSED_S):
                answers = await reader.read(-1)
            self.findings.closed += 1
            self.findings.note(answers[answers.rfind(b"HTTP/1.1 ") :])
        except TimeoutError:
            return
        finally:
            writer.transport.abort()

    async def _large_head(self) -> None:
        """Header after header, on a new connection each time that the server has had enough."""
        left = HEADERS_EACH
        while left > 0 and time.monotonic() < self._ends_at:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(self._get)
                try:
                    while left > 0 and not reader.at_eof():
                        writer.write(HEADER * 100)
                        left -= 100
                        self.findings.header_bytes += 100 * len(HEADER)
                        await writer.drain()
                    self.findings.note(await reader.read(4096))
                finally:
                    writer.transport.abort()


class _Trickle(asyncio.Protocol):
    """Sends the beginning at once, and then a byte each second."""

    transport: asyncio.Transport

    def __init__(self, beginning: bytes, findings: Findings) -> None:
        self._loop = asyncio.get_running_loop()
        self._beginning = beginning
        self._findings = findings
        # Done when the server has closed the connection.
        self.ended = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._beginning)
        # Nobody tells two thousand clients when to begin: in one process they would be in step.
        self._timer = self._loop.call_later(random.random(), self._send)  # noqa: S311 - no secret

    def _send(self) -> None:
        self.transport.write(b"z")
        self._findings.trickled += 1
        self._timer = self._loop.call_later(1, self._send)

    def data_received(self, data: bytes) -> None:
        self._findings.note(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if not self.ended.done():
            self.ended.set_result(None)


async def main(kind: str, port: int, seconds: float, code: str) -> None:
    attack = Attack(port, code, seconds)
    await attack.run(kind)
    print(json.dumps(vars(attack.findings)))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
