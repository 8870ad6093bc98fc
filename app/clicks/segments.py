"""The journal as the recorder sees it: all hits that are not counted yet, in order of time."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

from app.clicks.records import Frames, Record

log = logging.getLogger(__name__)

# About what a record takes: reading is by this much for each hit that is asked for.
RECORD_BYTES = 600
LEAST_READ = 65_536


@dataclass(frozen=True, slots=True)
class Move:
    """A segment's position before and after a batch."""

    segment: str
    old: int
    new: int


@dataclass(slots=True)
class _Part:
    """What was read of one segment."""

    name: str
    position: int
    records: list[Record]
    # Where each record's frame ends.
    ends: list[int]
    # Where the readable part ends, and whether the segment goes on behind it.
    end: int
    has_more: bool
    is_finished: bool


@dataclass(frozen=True, slots=True)
class Batch:
    records: list[Record]
    moves: list[Move]
    # Segments that nobody appends to and that hold nothing more once `moves` are made.
    finished: list[str]
    has_more: bool


class Segments:
    """Reads the segments of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, positions: Mapping[str, int], limit: int) -> Batch:
        """About ``limit`` hits from the given positions on, the oldest first.

        Across segments they are in order of time, also over a backlog: a hit is taken only
        when no segment can still hold an older one.
        """
        parts: list[_Part] = []
        horizon: int | None = None  # no unread hit is older
        more = False
        for path in sorted(self.folder.glob("*.jnl")):
            if horizon is not None and _began_ms(path.stem) > horizon:
                more = True
                break
            part = _read(path, positions.get(path.stem, 0), limit)
            if part is None:
                continue
            parts.append(part)
            more |= part.has_more
            if part.has_more and part.records:
                newest = max(record.at_ms for record in part.records)
                horizon = newest if horizon is None else min(horizon, newest)
        return _merge(parts, horizon, more=more)

    def closed(self) -> set[str]:
        """The segments that nobody appends to."""
        found = set()
        for path in self.folder.glob("*.jnl"):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if _is_closed(file.fileno()):
                    found.add(path.stem)
        return found

    def delete(self, segment: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.folder / f"{segment}.jnl").unlink()


def _began_ms(name: str) -> int:
    """When a segment was begun, from its name: none of its hits is older."""
    digits = name.partition("-")[0]
    return int(digits) // 1_000_000 if digits.isdigit() else 0


def _read(path: Path, position: int, limit: int) -> _Part | None:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        # Asked before reading: whatever is appended after the answer was not read either.
        is_closed = _is_closed(file)
        wanted = max(limit * RECORD_BYTES, LEAST_READ)
        data = os.pread(file, wanted, position)
    finally:
        os.close(file)
    frames = Frames(data)
    end = position + frames.end
    has_more = len(data) == wanted
    rest = len(data) - frames.end
    damaged = frames.damaged
    is_finished = is_closed and len(data) < wanted
    if is_finished and rest:
        # Never answered, or lost by the disk: nobody will complete it.
        damaged += rest
        end += rest
    elif has_more and not frames.records:
        # A desert wider than one reading: step over it, but not over a frame cut in half.
        step = wanted - LEAST_READ // 2
        damaged += step - frames.end if step > frames.end else 0
        end = position + max(step, frames.end)
    if damaged:
        log.warning("Skipped %d damaged bytes of journal segment %s", damaged, path.stem)
    ends = [position + place for place in frames.ends]
    return _Part(path.stem, position, frames.records, ends, end, has_more, is_finished)


def _is_closed(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _merge(parts: list[_Part], horizon: int | None, *, more: bool) -> Batch:
    taken: list[list[Record]] = []
    moves: list[Move] = []
    finished: list[str] = []
    for part in parts:
        records, end = part.records, part.end
        if horizon is not None:
            count = next(
                (n for n, record in enumerate(records) if record.at_ms > horizon),
                len(records),
            )
            if count < len(records):
                end = part.ends[count - 1] if count else part.position
                records = records[:count]
                more = True
        if end != part.position:
            moves.append(Move(part.name, part.position, end))
        if part.is_finished and end == part.end:
            finished.append(part.name)
        taken.append(records)
    return Batch(_in_order(taken), moves, finished, more)


def _in_order(taken: list[list[Record]]) -> list[Record]:
    """All of them by time. Within a segment the order is the order of writing, always."""
    if len(taken) == 1:
        return taken[0]
    timed: list[tuple[int, Record]] = []
    for records in taken:
        # A clock that was set back bends it: what comes after is taken to be no older.
        timed += zip(accumulate((record.at_ms for record in records), max), records, strict=True)
    timed.sort(key=itemgetter(0))
    return [record for _, record in timed]
