"""Clients that mean no good, in a process of their own: ``python -m tests.attackers KIND PORT SECONDS CODE``.

So many at once that in the process of a test they would slow down what it measures. They say as
JSON what became of them.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

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
    answers: Counter[str] = field(default_factory=Counter)


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
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        began = time.monotonic()
        self._connected += 1
        self.findings.connected = max(self.findings.connected, self._connected)
        try:
            writer.write(beginning)
            while time.monotonic() < self._ends_at:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        while piece := await reader.read(4096):
                            self._note(piece)
                    self.findings.closed += 1
                    return
                writer.write(b"z")
        finally:
            self._connected -= 1
            taken_s = time.monotonic() - began
            self.findings.longest_s = max(self.findings.longest_s, taken_s)
            writer.close()

    async def _pipeline(self, request: bytes) -> None:
        """Asks a thousand times at once, and reads no answer until it is shown out."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request * 1_000)
            async with asyncio.timeout(CLOSED_S):
                answers = await reader.read(-1)
            self.findings.closed += 1
            self._note(answers[answers.rfind(b"HTTP/1.1 ") :])
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
                    self._note(await reader.read(4096))
                finally:
                    writer.transport.abort()

    def _note(self, piece: bytes) -> None:
        if piece.startswith(b"HTTP/1.1 "):
            self.findings.answers[piece[9:12].decode()] += 1


async def main(kind: str, port: int, seconds: float, code: str) -> None:
    attack = Attack(port, code, seconds)
    await attack.run(kind)
    print(json.dumps(vars(attack.findings)))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
