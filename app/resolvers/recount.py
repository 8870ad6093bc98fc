"""Rollups against the raw clicks they were added up from: compare them, and restore them.

DESIGN
------
A rollup is counted again in batches of the column that it is batched by, in the database, and
held against what is stored. Comparing reads one consistent view, so a recorder at work makes
no difference. Restoring takes a transaction for each batch, which the recorder waits for: on
SQLite there is one writer, and on PostgreSQL the raw clicks are locked against writes, which
are the first thing that the recorder writes.

What is older than the raw clicks that are kept can't be counted again: it is believed, and
left alone (`ProgramDays`).
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select, text

from app.database import Database, ReadSession, WriteSession
from app.days import QUARTER_MS, date_of
from app.models import Detail
from app.resolvers import day_rows
from app.resolvers.link_totals import TOTALS
from app.resolvers.rollups import ROLLUPS, Key, Rollup, Sums

BATCH = 200
# In this order: totals are counted from quarters, too.
COUNTED = (*ROLLUPS, TOTALS)
# PostgreSQL takes 32,767 values in a statement.
ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of a rollup that is not what its raw clicks add up to. None: there is no row."""

    rollup: Rollup
    key: Key
    stored: Sums | None
    counted: Sums | None

    def __str__(self) -> str:
        where = ", ".join(
            f"{name} {_words(name, value)}"
            for name, value in zip(self.rollup.keys, self.key, strict=True)
        )
        zeros = (0,) * len(self.rollup.sums)
        wrong = "; ".join(
            f"{name} is {stored}, should be {counted}"
            for name, stored, counted in zip(
                self.rollup.sums, self.stored or zeros, self.counted or zeros, strict=True
            )
            if stored != counted
        )
        return f"{self.rollup.name}: {where}: {wrong or 'a row of zeros'}"


def _words(name: str, value: Any) -> str:
    if name == "quarter":
        return f"{datetime.fromtimestamp(value * QUARTER_MS / 1000, UTC):%Y-%m-%d %H:%M}"
    if name == "day":
        return str(date_of(value))
    if name == "detail":
        return Detail(value).name
    return str(value) or "(unknown)"


async def verify(database: Database) -> AsyncIterator[Difference]:
    """Every row of a rollup that is not what its raw clicks add up to."""
    async with database.reading() as session:
        for rollup in COUNTED:
            async for batch in _batches(session, rollup):
                for difference in await _differences(session, rollup, batch):
                    yield difference


async def rebuild(database: Database) -> int:
    """Make every rollup what its raw clicks add up to. Returns how many rows were not.

    May be stopped and started again at any moment, with a recorder at work or without.
    """
    restored = await day_rows.move_zones(database)
    for rollup in COUNTED:
        async with database.reading() as session:
            batches = [batch async for batch in _batches(session, rollup)]
        for batch in batches:
            async with database.writing() as session:
                if not database.is_sqlite:
                    await _lock(session)
                wrong = await _differences(session, rollup, batch)
                await _restore(session, rollup, wrong)
            restored += len(wrong)
    return restored


async def _lock(session: WriteSession) -> None:
    connection = await session.connection()
    await connection.execute(text("LOCK TABLE click IN SHARE MODE"))
    await connection.execute(text("SELECT id FROM program ORDER BY id FOR KEY SHARE"))


async def _restore(session: ReadSession, rollup: Rollup, wrong: Sequence[Difference]) -> None:
    connection = await session.connection()
    for difference in wrong:
        if difference.stored is not None:
            named = zip(rollup.keys, difference.key, strict=True)
            await connection.execute(
                delete(rollup.model).where(
                    *(getattr(rollup.model, name) == value for name, value in named)
                )
            )
    rows = [
        dict(zip(rollup.keys + rollup.sums, each.key + each.counted, strict=True))
        for each in wrong
        if each.counted is not None
    ]
    for start in range(0, len(rows), ROWS):
        await connection.execute(insert(rollup.model), rows[start : start + ROWS])


async def _batches(session: ReadSession, rollup: Rollup) -> AsyncIterator[list[int]]:
    """All that the rollup or the raw clicks know of, in batches."""
    after = -1
    connection = await session.connection()
    while True:
        known: set[int] = set()
        for key in (rollup.clicked, rollup.batched_by):
            following = select(key).distinct().where(key > after).order_by(key).limit(BATCH)
            known.update((await connection.execute(following)).scalars())
        if not known:
            return
        batch = sorted(known)[:BATCH]
        yield batch
        after = batch[-1]


async def _differences(
    session: ReadSession, rollup: Rollup, batch: Sequence[int]
) -> list[Difference]:
    calendars = await rollup.calendars(session, batch)
    members: dict[str, list[int]] = defaultdict(list)
    for owner in batch:
        members[calendars[owner].zone].append(owner)
    counted: dict[Key, Sums] = {}
    for zone, own in members.items():
        counted |= await rollup.recount(session, own, zone)
    columns = [getattr(rollup.model, name) for name in rollup.keys + rollup.sums]
    chosen = select(*columns).where(rollup.batched_by.in_(batch))
    width = len(rollup.keys)
    rows = await (await session.connection()).execute(chosen)
    stored = {tuple(row[:width]): tuple(row[width:]) for row in rows}
    differences = []
    for key in sorted(stored.keys() | counted.keys()):
        before = stored.get(key)
        after = rollup.believed(calendars[key[0]], key, before, counted.get(key))
        if before != after:
            differences.append(Difference(rollup, key, before, after))
    return differences
