"""Moves hits from the journal into the database, each exactly once.

DESIGN
------
One process for each machine, beside the workers and not inside one: a thread would take a
third of their speed. Who holds ``recorder.lock`` is the recorder. It reads every segment from
its position on, judges the hits, and in one transaction writes clicks, counters, visits and
the new positions, which the transaction has compared with the ones that were read from. So a
crash anywhere, or a second recorder, neither loses a hit nor counts one twice; and a database
that is locked or away only makes the journal longer.

A segment that is passed and that nobody appends to is deleted, and only then its position:
the other way round, a crash between the two would record it again.

What keeps visitors private is done here too, in small batches between the drains: visits are
forgotten after 24 hours, visitors' hashes and their day's key after 48. Raw hits that are no
longer kept are deleted likewise (`app.clicks.retention`).
"""

import argparse
import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import asyncpg

from app.clicks.kinds import judged
from app.clicks.postgres_store import PostgresStore
from app.clicks.retention import Kept, Retention
from app.clicks.rollups import VISIT_MS, VISITOR_MS
from app.clicks.segments import Segments
from app.clicks.sqlite_store import SqliteStore
from app.clicks.store import BATCH, Store
from app.clicks.visitors import DayKeys
from app.settings import Settings

log = logging.getLogger(__name__)

# Whoever has it locked is the recorder; its time is when the journal was last all recorded.
LOCK = "recorder.lock"
BATCH_HITS = 5_000
IDLE_S = 0.25
# A batch writes the counters of each link in it once, however many hits of it there are: where
# many come, it pays to let them gather. Numbers stay a second or two behind the clicks.
MANY_HITS = 1_000
BUSY_S = 1.0
AWAY_S = 1.0
HOUSEKEEPING_S = 60.0
REPORT_S = 10.0

STORE_ERRORS = (
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


class Recorder:
    def __init__(self, settings: Settings, store: Store) -> None:
        self._segments = Segments(settings.data_dir / "journal")
        self._keys = DayKeys(settings.data_dir / "day-keys")
        self._store = store
        self._duplicate_ms = settings.duplicate_window_s * 1000
        self._positions: dict[str, int] | None = None
        self._forgotten = b""
        kept = Kept(settings.keep_clicks_days, settings.keep_excluded_days)
        self._retention = Retention(store, kept)
        self._lock = settings.data_dir / LOCK
        self.recorded = 0

    async def drain_once(self, limit: int = BATCH_HITS) -> bool:
        """Record a batch. True when there is more to do. Raises STORE_ERRORS; nothing is lost."""
        if self._positions is None:
            self._positions = await self._store.positions()
        batch = self._segments.read(self._positions, limit)
        if batch.moves:
            try:
                is_done = await self._store.add(
                    [judged(record) for record in batch.records],
                    batch.moves,
                    duplicate_ms=self._duplicate_ms,
                    now_ms=_now_ms(),
                )
            except BaseException:
                self._positions = None  # it may have committed before it failed
                raise
            if not is_done:
                self._positions = None
                return True
            self._positions |= {move.segment: move.new for move in batch.moves}
            self.recorded += len(batch.records)
        if batch.finished:
            for segment in batch.finished:
                self._segments.delete(segment)
                self._positions.pop(segment, None)
            await self._store.forget_segments(batch.finished)
        return batch.has_more

    async def drain(self) -> int:
        """Record all that the journal holds. Returns how many hits that were."""
        before = self.recorded
        while await self.drain_once():
            pass
        return self.recorded - before

    async def keep_house(self) -> bool:
        """Forget a batch of what is too old to be kept. True when there may be more."""
        now_ms = _now_ms()
        self._keys.forget_old(now_ms)
        visits = await self._store.forget_visits(now_ms - VISIT_MS)
        last = await self._store.forget_visitors(self._forgotten, _first_id(now_ms - VISITOR_MS))
        if last is not None:
            self._forgotten = last
        is_deleting = await self._retention.step(now_ms)
        return visits == BATCH or last is not None or is_deleting

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until told to stop, then once more."""
        house_at = told_at = 0.0
        while True:
            last = stop.is_set()
            wait_s = IDLE_S
            try:
                if await self.drain() >= MANY_HITS:
                    wait_s = BUSY_S
                with contextlib.suppress(OSError):
                    os.utime(self._lock)
                if time.monotonic() >= house_at and not last:
                    more = await self.keep_house()
                    house_at = 0 if more else time.monotonic() + HOUSEKEEPING_S
            except STORE_ERRORS as error:
                wait_s = AWAY_S
                await self._store.close()
                if time.monotonic() - told_at >= REPORT_S:
                    told_at = time.monotonic()
                    log.warning("Clicks wait in the journal: %s", repr(error))
            if last:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stop.wait()


def open_store(database: str) -> Store:
    """The store of a database's address, as ``Settings.database`` gives it."""
    scheme, _, path = database.partition(":///")
    return SqliteStore(Path(path)) if scheme == "sqlite" else PostgresStore(database)


def caught_up_at(data_dir: Path) -> float | None:
    """When the recorder last had nothing left to record (seconds since 1970), if ever."""
    try:
        return (data_dir / LOCK).stat().st_mtime
    except OSError:
        return None


class Leadership:
    """The lock that makes one recorder of many."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK
        self._file = -1

    def take(self) -> bool:
        """True when nobody else has it. It is held until `leave`, or until this process ends."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def leave(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


async def record(settings: Settings, *, until_eof: int | None = None) -> bool:
    """Be the recorder until SIGTERM, or until a pipe's other end is closed. False: there is one."""
    leadership = Leadership(settings.data_dir)
    if not leadership.take():
        return False
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if until_eof is not None:
        loop.add_reader(until_eof, stop.set)  # nobody ever writes to it
    store = open_store(settings.database)
    try:
        await lead(leadership, settings, store, stop)
    finally:
        if until_eof is not None:
            loop.remove_reader(until_eof)
        await store.close()
    return True


async def lead(
    leadership: Leadership, settings: Settings, store: Store, stop: asyncio.Event
) -> None:
    """Be the recorder, and again if a worker ended behind the back of our last drain.

    Such a worker has found the lock taken and left its last clicks to us. It closed its segment
    before it looked, so whoever looks for closed segments after leaving the lock sees it. The
    lock is the caller's at the beginning, and nobody's at the end.
    """
    segments = Segments(settings.data_dir / "journal")
    tried: set[str] = set()
    while True:
        try:
            await Recorder(settings, store).run(stop)
        finally:
            leadership.leave()
        left = segments.closed() - tried
        if not left or not leadership.take():
            return
        tried |= left


def _first_id(at_ms: int) -> bytes:
    """The smallest UUIDv7 of a moment."""
    return max(at_ms, 0).to_bytes(6) + bytes(10)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Move clicks from the journal to the database.")
    parser.add_argument(
        "--until-eof", action="store_true", help="end when standard input does: with our parent"
    )
    is_child: bool = parser.parse_args().until_eof
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:     recorder: %(message)s")
    if is_child:
        # Ctrl-C reaches the whole group: the server ends first, and its last clicks are recorded.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A batch is thousands of objects, none of them in a cycle: looking for one is a tenth of the
    # work by default.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    until_eof = sys.stdin.fileno() if is_child else None
    if not asyncio.run(record(Settings(), until_eof=until_eof)):
        log.info("There is a recorder already.")


if __name__ == "__main__":
    main()
