"""When the database or the disk is in trouble, viewers go on and nothing is lost unseen."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.clicks.journal import Journal
from app.clicks.recorder import Leadership, Recorder, caught_up_at, lead, open_store, record
from app.clicks.sqlite_store import SqliteStore
from tests.clicks.hits import hit
from tests.site import Site, ask
from tests.test_crash import Server, Storm, all_codes, compare

SLOWEST_P99_S = 0.075
RECOVERED_S = 10


@contextlib.asynccontextmanager
async def locked(site: Site) -> AsyncIterator[None]:
    """Another writer holds what the recorder needs: all of SQLite, the clicks of PostgreSQL."""
    async with site.database() as database, database.writing() as session:
        connection = await session.connection()
        if not database.is_sqlite:
            await connection.execute(text("LOCK TABLE click IN EXCLUSIVE MODE"))
        yield


async def _storm_against_locks(site: Site, *seconds: float) -> Storm:
    await site.add_links(*all_codes())
    server = Server(site, 1)
    storm = Storm(server.port, pause_s=0.05)
    server.start()
    try:
        async with storm.blowing():
            await storm.more(100)
            storm.seconds.clear()
            for lasting in seconds:
                async with locked(site):
                    before = (await site.rows("SELECT count(*) FROM click"))[0][0]
                    answered = storm.answered.total()
                    await asyncio.sleep(lasting)  # the trouble itself
                    assert storm.answered.total() > answered
                    after = (await site.rows("SELECT count(*) FROM click"))[0][0]
                    assert after == before, "it was not locked"
        server.stop()
    finally:
        server.kill_if_running()
    assert storm.wrong == []
    await site.drain()
    await compare(site, storm)
    return storm


async def test_a_locked_database_stops_no_viewer_and_loses_no_click(site: Site) -> None:
    # On SQLite also longer than the recorder has patience.
    await _storm_against_locks(site, 0.1, 7 if site.url.startswith("sqlite") else 2)


@pytest.mark.slow
async def test_a_minute_without_a_database_loses_no_click_and_slows_nobody(site: Site) -> None:
    storm = await _storm_against_locks(site, 0.1, 2, 7, 60)
    p99 = sorted(storm.seconds)[len(storm.seconds) * 99 // 100]
    print(f"{len(storm.seconds)} redirects, p99 {p99 * 1000:.1f} ms")  # noqa: T201 - the figure
    assert p99 <= SLOWEST_P99_S


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes."""
    folder = tmp_path / "journal"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)  # noqa: S603 - our own
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("only root may mount a disk; a file size limit stands in: test_journal")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607 - our own


async def test_a_full_disk_stops_no_viewer_and_every_loss_is_counted(
    sqlite_site: Site, small_disk: Path
) -> None:
    site = sqlite_site
    await site.add_links("abcdefgh")
    async with site.redirecting() as redirect:
        journal = redirect.journal

        async def click(number: int) -> None:
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            assert (await ask(redirect, "/abcdefgh", address=address)).status == 302

        answered = 0
        journal.append(hit(link_id=1000))
        (small_disk / "other").write_bytes(bytes(2_700_000))  # somebody else's
        while journal.lost < 200:
            await click(answered)
            answered += 1
        assert journal.appended + journal.lost == answered + 1
        assert journal.appended > 100
        # There is room again: the next clicks must be kept within ten seconds.
        (small_disk / "other").unlink()
        lost, since = journal.lost, time.monotonic()
        kept = journal.appended
        while journal.appended == kept:
            assert time.monotonic() - since < RECOVERED_S
            await click(answered)
            answered += 1
        for _ in range(50):
            await click(answered)
            answered += 1
        assert journal.lost - lost < answered
        assert journal.appended + journal.lost == answered + 1
    assert await site.drain() == journal.appended
    numbers = await site.numbers()
    assert numbers["clicks"] == journal.appended


async def test_a_full_disk_is_freed_by_the_recorder_alone(
    sqlite_site: Site, small_disk: Path
) -> None:
    site = sqlite_site
    await site.add_links("abcdefgh")
    async with site.redirecting() as redirect:
        journal = redirect.journal
        number = 0
        while not journal.lost:
            number += 1
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            assert (await ask(redirect, "/abcdefgh", address=address)).status == 302
        task = asyncio.create_task(record(site.settings))
        kept = journal.appended
        async with asyncio.timeout(RECOVERED_S):
            while journal.appended == kept:
                assert (await ask(redirect, "/abcdefgh")).status == 302
                await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await site.drain()
    rows = await site.rows("SELECT count(*) FROM click")
    assert rows[0][0] == journal.appended


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
