"""When the database is in trouble, viewers go on and nothing is lost unseen."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from sqlalchemy import func, text
from sqlmodel import select

from app.clicks.journal import Journal
from app.clicks.recorder import Leadership, Recorder, caught_up_at, lead, open_store
from app.clicks.sqlite_store import SqliteStore
from app.database import Database
from app.models import Click
from tests.clicks.hits import hit
from tests.site import Site
from tests.storms import Server, Storm, all_codes, compare

SLOWEST_P99_S = 0.075


@contextlib.asynccontextmanager
async def locked(database: Database) -> AsyncIterator[None]:
    """Another writer holds what the recorder needs: all of SQLite, the clicks of PostgreSQL."""
    async with database.writing() as session:
        connection = await session.connection()
        if not database.is_sqlite:
            await connection.execute(text("LOCK TABLE click IN EXCLUSIVE MODE"))
        yield


async def _storm_against_locks(
    site: Site, locks: Mapping[float, int], *, is_whole: bool = False
) -> dict[float, float]:
    """Locks of so many seconds, each so many times. Returns the slowest of all redirects but one
    in a hundred that were on their way during the locks of a length."""
    await site.add_links(*all_codes())
    server = Server(site, 1, is_whole=is_whole)
    storm = Storm(server.port, pause_s=0.05)
    times: dict[float, list[tuple[float, float]]] = {}
    server.start()
    try:
        async with storm.blowing(), site.database() as database:
            await storm.more(100)
            # What the server and we do once; and who was there before the server.
            await _lock(database, storm, 0.5)
            storm.took.clear()
            storm.broken = 0
            for lasting, count in locks.items():
                times[lasting] = [await _lock(database, storm, lasting) for _ in range(count)]
        server.stop()
    finally:
        server.kill_if_running()
    assert (storm.wrong, storm.broken) == ([], 0)
    await site.drain()
    await compare(site, storm)
    return {lasting: storm.p99_s(moments) for lasting, moments in times.items()}


async def _lock(database: Database, storm: Storm, lasting: float) -> tuple[float, float]:
    async with locked(database):
        began = time.perf_counter()
        before = await _stored(database)
        answered = storm.answered.total()
        await asyncio.sleep(lasting)  # the trouble itself
        assert storm.answered.total() > answered
        assert await _stored(database) == before, "it was not locked"
        return began, time.perf_counter()


async def _stored(database: Database) -> int:
    async with database.reading() as session:
        return (await session.exec(select(func.count()).select_from(Click))).one()


async def test_a_locked_database_stops_no_viewer_and_loses_no_click(site: Site) -> None:
    # On SQLite also longer than the recorder has patience.
    long = 7 if site.url.startswith("sqlite") else 2
    await _storm_against_locks(site, {0.1: 10, long: 1})


@pytest.mark.slow
async def test_a_minute_without_a_database_loses_no_click_and_slows_nobody(site: Site) -> None:
    p99_s = await _storm_against_locks(site, {0.1: 20, 2: 2, 7: 1, 60: 1}, is_whole=True)
    figures = ", ".join(f"{at:g} s: {p99 * 1000:.1f} ms" for at, p99 in p99_s.items())
    print(f"p99 during locks of {figures}")  # noqa: T201 - the figures
    assert {lasting: p99 for lasting, p99 in p99_s.items() if p99 > SLOWEST_P99_S} == {}


async def test_when_all_was_last_recorded_can_be_seen(sqlite_site: Site) -> None:
    journal = Journal(sqlite_site.data_dir / "journal")
    journal.open()
    store = open_store(sqlite_site.settings.database)
    stop = asyncio.Event()
    lock = sqlite_site.data_dir / "recorder.lock"
    lock.touch()
    began = time.time()
    os.utime(lock, (0, 0))
    assert caught_up_at(sqlite_site.data_dir) == 0
    task = asyncio.create_task(Recorder(sqlite_site.settings, store).run(stop))
    async with asyncio.timeout(10):
        while (caught_up_at(sqlite_site.data_dir) or 0) < began - 1:  # noqa: ASYNC110 - a file's time
            await asyncio.sleep(0.01)
    stop.set()
    await task
    await store.close()
    journal.close()


class StoreThatIsSlow(SqliteStore):
    """Something else happens while a batch is written."""

    meanwhile: list[Journal]

    async def add(self, *args: Any, **options: Any) -> bool:
        is_done = await super().add(*args, **options)
        while self.meanwhile:
            journal = self.meanwhile.pop()
            journal.append(hit(1))
            journal.close()
        return is_done


async def test_a_worker_that_ends_during_the_last_drain_leaves_nothing_behind(
    sqlite_site: Site,
) -> None:
    """It sees the lock taken, so it starts no recorder of its own."""
    first, second = (Journal(sqlite_site.data_dir / "journal") for _ in range(2))
    for journal in first, second:
        journal.open()
    first.append(hit(0))
    first.close()
    store = StoreThatIsSlow(sqlite_site.data_dir / "tracklinks.db")
    store.meanwhile = [second]
    stop = asyncio.Event()
    stop.set()
    leadership = Leadership(sqlite_site.data_dir)
    assert leadership.take()
    await lead(leadership, sqlite_site.settings, store, stop)
    await store.close()
    assert list((sqlite_site.data_dir / "journal").iterdir()) == []
    assert await sqlite_site.rows("SELECT count(*) FROM click") == [(2,)]
    assert leadership.take(), "another may lead now"
    leadership.leave()
