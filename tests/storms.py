"""Viewers who follow links whatever happens to the server, a server to kill, and what to compare."""

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.server import free_port
from tests.site import PHONE, Site

CLIENTS = 16
LINKS = 4  # for each client: nobody else asks for them, so they number the requests
# A machine that does much else needs long to start a server.
ENDED_S = 120
LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)", re.IGNORECASE)
# In the data folder: everything that the server said.
LOG = "server.log"


def codes_of(client: int, links: int = LINKS) -> list[str]:
    return [f"c{client:02}x{number:04}" for number in range(links)]


def all_codes(clients: int = CLIENTS, links: int = LINKS) -> list[str]:
    return [code for client in range(clients) for code in codes_of(client, links)]


@contextlib.asynccontextmanager
async def at_work(
    jobs: Iterable[Coroutine[Any, Any, None]], end: Callable[[], None]
) -> AsyncIterator[None]:
    """All of them at once, while the block lasts; then each is to end by itself."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        end()
        _, late = await asyncio.wait(tasks, timeout=ENDED_S)
        for task in late:
            task.cancel()
    assert not late, "somebody was never answered"
    await asyncio.gather(*tasks)


async def until(is_so: Callable[[], bool], look_s: float = 0.005) -> None:
    """Wait for what others do."""
    async with asyncio.timeout(ENDED_S):
        while not is_so():  # noqa: ASYNC110 - others count
            await asyncio.sleep(look_s)


@dataclass
class Storm:
    """Viewers who follow links as fast as they are answered, whatever happens to the server."""

    port: int
    clients: int = CLIENTS
    links: int = LINKS
    # How long each viewer waits before the next.
    pause_s: float = 0
    sent: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    # Answers that are no redirect; and requests that got none.
    wrong: list[bytes] = field(default_factory=list)
    broken: int = 0
    # When each answered request was sent, and how long its answer took.
    took: list[tuple[float, float]] = field(default_factory=list)
    _is_over: bool = False

    @contextlib.asynccontextmanager
    async def blowing(self) -> AsyncIterator[None]:
        """At the end each viewer waits for the last answer."""
        self._is_over = False
        async with at_work(map(self._client, range(self.clients)), self._end):
            yield

    def _end(self) -> None:
        self._is_over = True

    async def more(self, count: int) -> None:
        """Wait until so many more redirects have been sent."""
        goal = self.answered.total() + count
        await until(lambda: self.answered.total() >= goal)

    def p99_s(self, moments: Sequence[tuple[float, float]]) -> float:
        """The slowest but one in a hundred of those that were on their way in one of these."""
        found = sorted(
            took
            for at, took in self.took
            if any(at <= ended and at + took >= began for began, ended in moments)
        )
        assert len(found) >= 100, "too few to say"
        return found[len(found) * 99 // 100]

    async def _client(self, number: int) -> None:
        rng = random.Random(number)  # noqa: S311 - test data
        codes = codes_of(number, self.links)
        while not self._is_over:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    while not self._is_over:
                        await self.click(rng.choice(codes), reader, writer)
                        if self.pause_s:
                            await asyncio.sleep(self.pause_s)
                finally:
                    writer.close()
            await asyncio.sleep(0.01)

    async def click(
        self, code: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Follow a link, count that, and return the answer's head. Raises when it breaks off."""
        self.sent[code] += 1
        began = time.perf_counter()
        try:
            writer.write(f"GET /{code} HTTP/1.1\r\nHost: x\r\nUser-Agent: {PHONE}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if length := LENGTH.search(head):
                await reader.readexactly(int(length[1]))
        except (OSError, asyncio.IncompleteReadError):
            self.broken += 1
            raise
        self.took.append((began, time.perf_counter() - began))
        if head.startswith(b"HTTP/1.1 302"):
            self.answered[code] += 1
        else:
            self.wrong.append(head)
        return head


class Server:
    """Real processes, in a group of their own: the click path alone, or all of `tracklinks serve`."""

    def __init__(
        self,
        site: Site,
        workers: int,
        *,
        is_whole: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self._command = (
            ["app", "serve", "--port", str(self.port), "--workers", str(workers)]
            if is_whole
            else ["tests.clicks.server", str(self.port), str(workers)]
        )
        chosen = site.environment() | {"TRACKLINKS_METRICS": "true"} | dict(environment or {})
        self._environment = os.environ | chosen
        self._log = site.data_dir / LOG
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of its leader, which alone answers where there is one worker."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", *self._command],
                env=self._environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """All of it: supervisor, workers, recorder."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def strikes(
        self, rng: random.Random, *, kills: int, single_kills: int
    ) -> list[Callable[[], None]]:
        """In any order: all of it killed and started again, or one of its processes killed."""
        strikes = [self._start_again] * kills + [partial(self.kill_one, rng)] * single_kills
        rng.shuffle(strikes)
        return strikes

    def _start_again(self) -> None:
        self.kill()
        self.start()

    def kill_one(self, rng: random.Random) -> None:
        """A worker or the recorder. Who is left goes on, and starts another."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(list(_family(self.pid))), signal.SIGKILL)

    def kill_recorder(self) -> None:
        """It alone, as soon as there is one."""
        for each in self.recorders():  # two, while their lock decides which one stays
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def recorders(self) -> list[int]:
        """As soon as there is one."""
        deadline = time.monotonic() + 30
        while not (found := list(_family(self.pid, b"app.clicks.recorder"))):
            assert time.monotonic() < deadline, "no recorder"
            time.sleep(0.01)
        return found

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)

    def kill_if_running(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def _family(leader: int, running: bytes = b"") -> Iterator[int]:
    """The processes of a group, without its leader and multiprocessing's own helper; those whose
    command has this in it."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
            command = (folder / "cmdline").read_bytes()
            if b"resource_tracker" in command or running not in command:
                continue
            if group == leader != int(folder.name):
                yield int(folder.name)


async def compare(site: Site, storm: Storm) -> None:
    """Of each link as many clicks are stored as were answered, and no more than were sent."""
    rows = await site.rows(
        "SELECT code, count(*) FROM click JOIN tracking_link ON tracking_link.id = link_id "
        "GROUP BY code"
    )
    stored = Counter(dict(map(tuple, rows)))
    lost = {
        code: count - stored[code] for code, count in storm.answered.items() if stored[code] < count
    }
    doubled = {
        code: stored[code] - count for code, count in storm.sent.items() if stored[code] > count
    }
    assert (lost, doubled) == ({}, {})
    assert storm.answered.total() > 0
    await check(site)


async def check(site: Site) -> None:
    """All is recorded, the sums are those of the clicks, and the file is sound."""
    await site.check_sums()
    assert list((site.data_dir / "journal").iterdir()) == []
    if site.url.startswith("sqlite"):
        assert await site.rows("PRAGMA integrity_check") == [("ok",)]


async def stored_clicks(site: Site) -> int:
    ((stored,),) = await site.rows("SELECT count(*) FROM click")
    return int(stored)
