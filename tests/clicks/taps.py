"""People at a server of several workers, each hit of theirs at a worker of the test's choice."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from tests.site import PHONE, Site
from tests.storms import Server

CONNECTIONS = 4  # to each worker
# A connection that nobody uses is asked something before the server closes it.
IDLE_S = 2
READY_S = 90
WHICH = b"GET /process/id HTTP/1.1\r\nHost: a\r\n\r\n"

GONE = (ConnectionError, asyncio.IncompleteReadError)

Job = tuple[bytes, "asyncio.Future[int]"]


class Taps:
    """Connections to each worker of a server, which are told apart."""

    def __init__(self, workers: int) -> None:
        self._queues: list[asyncio.Queue[Job]] = [asyncio.Queue() for _ in range(workers)]

    @contextlib.asynccontextmanager
    async def connected(self, port: int) -> AsyncIterator[None]:
        """Connections to all workers, for as long as the block lasts."""
        found: dict[int, int] = {}  # how many there are to each worker
        async with contextlib.AsyncExitStack() as opened:
            async with asyncio.timeout(READY_S):
                while list(found.values()) != [CONNECTIONS] * len(self._queues):
                    try:
                        connection = await _Connection.open(port)
                    except OSError:  # it is still starting
                        await asyncio.sleep(0.05)
                        continue
                    process = connection.process
                    if found.setdefault(process, 0) == CONNECTIONS:
                        connection.close()
                        continue
                    found[process] += 1
                    queue = self._queues[list(found).index(process)]
                    serving = asyncio.create_task(connection.serve(queue))
                    opened.callback(connection.close)
                    opened.callback(serving.cancel)
            yield

    async def hit(self, worker: int, target: str, address: str, *headers: str) -> int:
        """A person's request, from this address. Returns the answer's status."""
        lines = [
            f"GET {target} HTTP/1.1",
            "Host: go.brand.example",
            f"User-Agent: {PHONE}",
            f"X-Forwarded-For: {address}",
            *headers,
        ]
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queues[worker].put_nowait(("\r\n".join([*lines, "", ""]).encode(), answered))
        return await answered


class _Connection:
    def __init__(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer
        self.process = 0  # whose it is

    @classmethod
    async def open(cls, port: int) -> "_Connection":
        self = cls(port, *await asyncio.open_connection("127.0.0.1", port))
        await self._use()
        return self

    def close(self) -> None:
        self._writer.close()

    async def serve(self, queue: "asyncio.Queue[Job]") -> None:
        while True:
            try:
                request, answered = await asyncio.wait_for(queue.get(), IDLE_S)
            except TimeoutError:
                await self._stay()
                continue
            try:
                try:
                    status, _ = await self._ask(request)
                except GONE:  # closed as idle, just now
                    await self._reopen()
                    status, _ = await self._ask(request)
                answered.set_result(status)
            except Exception as error:
                answered.set_exception(error)
                raise

    async def _use(self) -> None:
        self.process = int((await self._ask(WHICH))[1])

    async def _stay(self) -> None:
        """Be used, so that the server keeps the connection."""
        try:
            await self._use()
        except GONE:  # we were too late
            await self._reopen()

    async def _reopen(self) -> None:
        """Another connection to the same worker."""
        worker, self.process = self.process, 0
        while self.process != worker:
            self.close()
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            await self._use()

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        self._writer.write(request)
        async with asyncio.timeout(20):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
            assert length is not None, head
            body = await self._reader.readexactly(int(length[1]))
        return int(head.split(b" ", 2)[1]), body


@contextlib.asynccontextmanager
async def tapping(site: Site, workers: int, **environment: str) -> AsyncIterator[Taps]:
    """The click path in so many processes, with its recorder. All has been recorded afterwards."""
    server, taps = Server(site, workers, environment=environment), Taps(workers)
    server.start()
    try:
        async with taps.connected(server.port):
            yield taps
        await asyncio.to_thread(server.stop)
    finally:
        server.kill_if_running()
    await site.drain()
