"""kill -9 in a storm of clicks: every redirect that was sent is counted, and counted once."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.site import PHONE, Site

CLIENTS = 16
LINKS = 4  # for each client: nobody else asks for them, so they number the requests
MANY_CLIENTS, MANY_LINKS = 64, 100


def codes_of(client: int, links: int = LINKS) -> list[str]:
    return [f"c{client:02}x{number:04}" for number in range(links)]


def all_codes(clients: int = CLIENTS, links: int = LINKS) -> list[str]:
    return [code for client in range(clients) for code in codes_of(client, links)]


@dataclass
class Storm:
    """Viewers who follow links as fast as they are answered, whatever happens to the server."""

    port: int
    clients: int = CLIENTS
    links: int = LINKS
    sent: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    wrong: list[bytes] = field(default_factory=list)
    # How long each answer took; and how long each viewer waits before the next.
    seconds: list[float] = field(default_factory=list)
    pause_s: float = 0

    @contextlib.asynccontextmanager
    async def blowing(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def more(self, count: int) -> None:
        """Wait until so many more redirects have been sent."""
        goal = self.answered.total() + count
        async with asyncio.timeout(30):
            while self.answered.total() < goal:  # noqa: ASYNC110 - others count
                await asyncio.sleep(0.005)

    async def _client(self, number: int) -> None:
        rng = random.Random(number)  # noqa: S311 - test data
        codes = codes_of(number, self.links)
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    while True:
                        await self._click(rng.choice(codes), reader, writer)
                finally:
                    writer.close()
            await asyncio.sleep(0.01)

    async def _click(
        self, code: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.sent[code] += 1
        began = time.perf_counter()
        writer.write(f"GET /{code} HTTP/1.1\r\nHost: x\r\nUser-Agent: {PHONE}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 302"):
            self.answered[code] += 1
            self.seconds.append(time.perf_counter() - began)
        else:
            self.wrong.append(head)
        if self.pause_s:
            await asyncio.sleep(self.pause_s)


class Server:
    """Real processes, in a group of their own."""

    def __init__(self, site: Site, workers: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._site = site
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.clicks.server", str(self.port), str(self._workers)],
            env=os.environ | self._site.environment(),
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """All of it: supervisor, workers, recorder."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_one(self, rng: random.Random) -> None:
        """A worker or the recorder. Who is left goes on, and starts another."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(list(_family(self._process.pid))), signal.SIGKILL)

    def kill_recorder(self) -> None:
        """It alone, as soon as there is one."""
        assert self._process is not None
        deadline = time.monotonic() + 10
        while not (found := list(_family(self._process.pid, b"app.clicks.recorder"))):
            assert time.monotonic() < deadline, "no recorder"
            time.sleep(0.01)
        for each in found:  # two, while their lock decides which one stays
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

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


async def _storm(
    site: Site,
    *,
    workers: int,
    kills: int,
    single_kills: int,
    clients: int = CLIENTS,
    links: int = LINKS,
) -> Storm:
    await site.add_links(*all_codes(clients, links))
    rng = random.Random(kills)  # noqa: S311 - test data
    server = Server(site, workers)
    storm = Storm(server.port, clients, links)
    server.start()
    plan = ["all"] * kills + ["one"] * single_kills
    rng.shuffle(plan)
    try:
        async with storm.blowing():
            for kill in plan:
                await storm.more(rng.randrange(50, 600))
                if kill == "all":
                    server.kill()
                    server.start()
                else:
                    server.kill_one(rng)
            await storm.more(500)
        server.stop()
    finally:
        server.kill_if_running()
    assert storm.wrong == []
    await site.drain()
    await compare(site, storm)
    return storm


async def compare(site: Site, storm: Storm) -> None:
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
    await site.check_sums()
    assert list((site.data_dir / "journal").iterdir()) == []
    if site.url.startswith("sqlite"):
        assert await site.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(("workers", "kills", "single_kills"), [(1, 8, 0), (2, 4, 8)])
async def test_killing_the_server_in_a_storm_loses_and_doubles_nothing(
    sqlite_site: Site, workers: int, kills: int, single_kills: int
) -> None:
    await _storm(sqlite_site, workers=workers, kills=kills, single_kills=single_kills)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills", "single_kills"), [(1, 70, 0), (4, 50, 80)])
async def test_two_hundred_kills_lose_and_double_nothing(
    site: Site, workers: int, kills: int, single_kills: int
) -> None:
    storm = await _storm(
        site,
        workers=workers,
        kills=kills,
        single_kills=single_kills,
        clients=MANY_CLIENTS,
        links=MANY_LINKS,
    )
    ((stored,),) = await site.rows("SELECT count(*) FROM click")
    sent, answered = storm.sent.total(), storm.answered.total()
    print(  # noqa: T201 - the figures
        f"{workers} workers, {kills} + {single_kills} kills: sent {sent}, answered {answered}, "
        f"stored {stored}; by link 0 lost, 0 doubled"
    )


async def test_a_recorder_that_is_killed_alone_is_replaced(site: Site) -> None:
    await site.add_links(*all_codes())
    server = Server(site, 2)
    storm = Storm(server.port)
    server.start()
    try:
        async with storm.blowing():
            for _ in range(3):
                await storm.more(300)
                await asyncio.to_thread(server.kill_recorder)
            await storm.more(300)
        # Not the stop's last drain: somebody else records by now.
        answered = storm.answered.total()
        async with asyncio.timeout(20):
            while await _stored(site) < answered:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.05)
        server.stop()
    finally:
        server.kill_if_running()
    assert storm.wrong == []
    await compare(site, storm)


async def _stored(site: Site) -> int:
    ((stored,),) = await site.rows("SELECT count(*) FROM click")
    return int(stored)


async def test_a_server_that_is_stopped_has_counted_everything(site: Site) -> None:
    await site.add_links(*all_codes())
    server = Server(site, 1)
    storm = Storm(server.port)
    server.start()
    try:
        async with storm.blowing():
            await storm.more(300)
        server.stop()
    finally:
        server.kill_if_running()
    await compare(site, storm)
