"""A full disk under load, the database's and then the journal's: viewers go on, each loss is counted.

Real disks where they can be mounted, by root; and everywhere what does without: a limit of what
the processes may write, and a PostgreSQL that says of itself that its disk is full.
"""

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from app.clicks.recorder import record
from tests.disks import filled, limited, small_disk
from tests.postgres import run_sql
from tests.selling import Shop
from tests.server import request
from tests.site import Site, ask
from tests.storms import Server, Storm, all_codes, check, stored_clicks
from tests.world import World

RECOVERED_S = 10
# The recorder looks four times a second, and says when it has nothing left.
STANDS_STILL_S = 3
FIGURE = re.compile(r"^tracklinks_([a-z_]+?)(?:_total)?(?:\{.*\})? ([0-9.e+]+)$", re.MULTILINE)
IS_FULL = """
    CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
    END $$"""


@dataclass
class Places:
    """Where the database and the journal lie, and what makes them full while a block lasts."""

    site: Site
    database_full: Callable[[Server], AbstractContextManager[None]]
    journal_full: Callable[[Server], AbstractContextManager[None]]


@pytest.fixture(params=["limits", "disks"])
def places(request: pytest.FixtureRequest, engine_url: str, tmp_path: Path) -> Iterator[Places]:
    with (_limits if request.param == "limits" else _disks)(engine_url, tmp_path) as places:
        yield places


@contextlib.contextmanager
def _limits(url: str, data_dir: Path) -> Iterator[Places]:
    """No disk is full, and what is written fails all the same."""

    @contextlib.contextmanager
    def database_full(server: Server) -> Iterator[None]:
        if url.startswith("sqlite"):
            (recorder,) = server.recorders()
            with limited(recorder, 65_536):  # more than it says in the log
                yield
            return
        trigger = "TRIGGER is_full BEFORE INSERT ON click EXECUTE FUNCTION is_full()"
        with ThreadPoolExecutor() as thread:  # which has no loop of its own that runs
            thread.submit(run_sql, make_url(url), IS_FULL, f"CREATE {trigger}").result()
            yield
            thread.submit(run_sql, make_url(url), "DROP FUNCTION is_full CASCADE").result()

    # Less than a click takes: each goes in by half.
    yield Places(Site(url, data_dir), database_full, lambda server: limited(server.pid, 100))


@contextlib.contextmanager
def _disks(url: str, folder: Path) -> Iterator[Places]:
    """Two disks of their own."""
    journal = folder / "journal"
    at = _sqlite_on_a_disk if url.startswith("sqlite") else _postgres_on_a_disk
    with small_disk(journal, 3), at(url, folder) as (site, disk):
        if site.data_dir != folder:
            (site.data_dir / "journal").symlink_to(journal)
        yield Places(site, lambda _: filled(disk), lambda _: filled(journal))


@contextlib.contextmanager
def _sqlite_on_a_disk(url: str, folder: Path) -> Iterator[tuple[Site, Path]]:
    """Of 32 megabytes: what was written since the last checkpoint takes up to 16."""
    disk = folder / "data"
    with small_disk(disk, 32):
        database = shutil.copy(url.removeprefix("sqlite:///"), disk)
        yield Site(f"sqlite:///{database}", disk), disk


@contextlib.contextmanager
def _postgres_on_a_disk(url: str, data_dir: Path) -> Iterator[tuple[Site, Path]]:
    """Moves the database there; not the server's own log of what it has yet to write."""
    if "TEST_DATABASE_URL" in os.environ:
        pytest.skip("a server that we don't start may see another disk")
    database = make_url(url)
    server = database.set(database="postgres")
    folder = Path(tempfile.mkdtemp(prefix="tracklinks-disk-", dir="/dev/shm"))
    folder.chmod(0o755)
    disk = folder / "disk"
    try:
        with small_disk(disk, 64, owner=pwd.getpwnam("nobody").pw_uid):
            move = f'ALTER DATABASE "{database.database}" SET TABLESPACE'
            run_sql(server, f"CREATE TABLESPACE small LOCATION '{disk}'", f"{move} small")
            yield Site(url, data_dir), disk
            run_sql(server, f"{move} pg_default", "DROP TABLESPACE small")
    finally:
        shutil.rmtree(folder)


async def test_a_full_disk_stops_no_viewer_and_every_loss_is_counted(places: Places) -> None:
    site = places.site
    await site.add_links(*all_codes())
    server = Server(site, 1, is_whole=True)
    storm = Storm(server.port, pause_s=0.05)
    server.start()
    try:
        async with storm.blowing():
            await storm.more(100)
            storm.broken = 0  # before the server was there
            await _fill_the_database(places, server, storm)
            await _fill_the_journal(places, server, storm)
        found = await _figures(server)
        server.stop()
    finally:
        server.kill_if_running()
    answered = storm.answered.total()
    assert (storm.wrong, storm.broken) == ([], 0)
    assert answered == storm.sent.total()
    assert found["clicks_journaled"] + found["clicks_lost"] == answered
    assert found["redirects"] == answered
    await site.drain()
    assert await stored_clicks(site) == found["clicks_journaled"]
    await check(site)


async def _fill_the_database(places: Places, server: Server, storm: Storm) -> None:
    """Clicks wait in the journal, and none of them is lost."""
    site = places.site
    with places.database_full(server):
        async with asyncio.timeout(30):
            while (await _figures(server))["recorder_lag_seconds"] < STANDS_STILL_S:
                await storm.more(10)
        stored = await stored_clicks(site)
        await storm.more(300)
        assert await stored_clicks(site) == stored, "the disk was not full"
        answered = storm.answered.total()
        assert answered >= stored + 300
    # There is room again.
    async with asyncio.timeout(RECOVERED_S):
        while await stored_clicks(site) < answered:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(0.05)
    assert (await _figures(server))["clicks_lost"] == 0


async def _fill_the_journal(places: Places, server: Server, storm: Storm) -> None:
    """Clicks are lost, and each is counted; what was kept is recorded."""
    with places.journal_full(server):
        async with asyncio.timeout(30):
            while (await _figures(server))["clicks_lost"] < 200:
                await storm.more(10)
    kept = (await _figures(server))["clicks_journaled"]
    async with asyncio.timeout(RECOVERED_S):
        while (await _figures(server))["clicks_journaled"] == kept:
            await storm.more(1)
    lost = (await _figures(server))["clicks_lost"]
    await storm.more(200)
    assert (await _figures(server))["clicks_lost"] == lost


async def _figures(server: Server) -> dict[str, float]:
    """What a monitor sees."""
    address = f"http://127.0.0.1:{server.port}"
    _, body = await asyncio.to_thread(request, address, "GET", "/metrics")
    found: dict[str, float] = {}
    for name, value in FIGURE.findall(body.decode()):
        found[name] = found.get(name, 0) + float(value)
    return found


async def test_a_full_disk_is_freed_by_the_recorder_alone(
    sqlite_site: Site, tmp_path: Path
) -> None:
    site = sqlite_site
    await site.add_links("abcdefgh")
    with small_disk(tmp_path / "journal", 3):
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
        assert await stored_clicks(site) == journal.appended


def test_a_shop_is_told_to_report_again_when_there_is_room(world: World) -> None:
    shop = Shop(world)
    reports = [{"orderId": f"{n}", "amount": "1.00", "currency": "EUR"} for n in range(300)]
    with _no_room(world):
        answer = shop.post(reports)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert [error["code"] for error in answer.json()["errors"]] == ["UNAVAILABLE"]
        assert shop.listed() == []
    results = shop.post(reports).json()["results"]
    assert {(each["status"], each["duplicate"]) for each in results} == {(200, False)}


@contextlib.contextmanager
def _no_room(world: World) -> Iterator[None]:
    """The database takes no more pages."""
    url = world.database.url
    if url.get_backend_name() != "sqlite":
        trigger = "TRIGGER is_full BEFORE INSERT ON conversion EXECUTE FUNCTION is_full()"
        run_sql(url, IS_FULL, f"CREATE {trigger}")
        yield
        run_sql(url, "DROP FUNCTION is_full CASCADE")
        return

    async def limit(pages: int) -> None:
        # The writer is one connection, and this is its own affair.
        async with world.database.writing() as session:
            connection = await session.connection()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    assert world.client.portal is not None
    world.client.portal.call(limit, 1)
    yield
    world.client.portal.call(limit, 2**31)
