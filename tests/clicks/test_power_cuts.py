"""Where no click may be lost to a power cut, an answer waits for the disk, and for that only."""

import asyncio
import errno
import logging
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from app.clicks.journal import Journal
from app.redirect import Redirect
from tests.clicks.hits import hit
from tests.site import Site, ask

CODE = "abcdefgh"
PATIENCE_S = 10


class Disk:
    """Takes what it is to keep as soon as a test lets it, and knows what that was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_ready = threading.Event()
        self.asked = 0
        self.kept = Counter[int]()  # bytes of each file
        self._keep = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self.keep)

    def keep(self, file: int) -> None:
        found = os.fstat(file)
        self.asked += 1
        assert self.is_ready.wait(PATIENCE_S)
        self._keep(file)
        self.kept[found.st_ino] = found.st_size

    def holds(self, sizes: dict[int, int]) -> bool:
        return all(self.kept[file] >= size for file, size in sizes.items())


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def until_appended(redirect: Redirect, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while redirect.journal.appended < count:  # noqa: ASYNC110 - the journal is asked
            await asyncio.sleep(0.001)


def sizes(folder: Path) -> dict[int, int]:
    return {found.st_ino: found.st_size for found in (path.stat() for path in folder.iterdir())}


async def test_nobody_is_sent_on_before_the_disk_has_the_click(
    sqlite_site: Site, disk: Disk
) -> None:
    await sqlite_site.add_links(CODE)
    viewers = 50
    async with sqlite_site.redirecting(journal_fsync="always") as redirect:
        clicks = [
            asyncio.create_task(ask(redirect, f"/{CODE}", address=f"192.0.2.{number}"))
            for number in range(viewers)
        ]
        await until_appended(redirect, viewers)
        # Who needs nothing of the disk is answered meanwhile: it is not the server that waits.
        assert (await ask(redirect, "/nosuchcode")).status == 404
        assert not any(click.done() for click in clicks)
        disk.is_ready.set()
        assert {(await click).status for click in clicks} == {302}
        # Those who came while the disk was busy with the first are one group.
        assert disk.asked <= 2
        assert disk.holds(sizes(redirect.journal.folder))


async def test_a_segment_that_is_full_meanwhile_is_kept_as_well(tmp_path: Path, disk: Disk) -> None:
    disk.is_ready.set()
    journal = Journal(tmp_path, fsync="always", segment_bytes=1_000)
    journal.open()

    async def viewer(number: int) -> None:
        for second in range(150):
            assert journal.append(hit(second, link_id=number))
            appended = sizes(tmp_path)
            await journal.forced()
            assert disk.holds(appended)

    await asyncio.gather(*(viewer(number) for number in range(8)))
    journal.close()
    assert len(sizes(tmp_path)) > 100
    assert disk.holds(sizes(tmp_path))


async def test_a_disk_that_refuses_stops_nobody_and_is_told_of_once(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await sqlite_site.add_links(CODE)

    def refuse(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with sqlite_site.redirecting(journal_fsync="always") as redirect:
        monkeypatch.setattr(os, "fdatasync", refuse)
        for _ in range(3):
            assert (await ask(redirect, f"/{CODE}")).status == 302
        monkeypatch.undo()
    assert caplog.text.count("can't be forced to the disk") == 1
    assert await sqlite_site.drain() == 3


async def test_a_viewer_who_goes_away_holds_up_nobody(sqlite_site: Site, disk: Disk) -> None:
    await sqlite_site.add_links(CODE)
    async with sqlite_site.redirecting(journal_fsync="always") as redirect:
        gone, stays = (asyncio.create_task(ask(redirect, f"/{CODE}")) for _ in range(2))
        await until_appended(redirect, 2)
        gone.cancel()
        disk.is_ready.set()
        assert (await stays).status == 302
    assert await sqlite_site.drain() == 2


async def test_a_server_that_stops_lets_go_who_waits(tmp_path: Path, disk: Disk) -> None:
    disk.is_ready.set()
    journal = Journal(tmp_path, fsync="always")
    journal.open()
    journal.append(hit())
    waiting = asyncio.create_task(journal.forced())
    await asyncio.sleep(0)
    journal.close()
    async with asyncio.timeout(PATIENCE_S):
        await waiting
        await journal.forced()
    assert disk.holds(sizes(tmp_path))
