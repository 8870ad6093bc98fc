"""Rollups against the raw clicks they were added up from: compare them, and restore them.

DESIGN
------
A rollup is counted again in batches of the column that it is batched by, in the database, and
held against what is stored. Comparing reads one consistent view, so a recorder at work makes
no difference. Restoring takes a transaction for each batch, which the recorder waits for: on
SQLite there is one writer, and on PostgreSQL the raw clicks are locked against writes, which
are the first thing that the recorder writes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Integer, case, delete, func, insert, select, text
from sqlmodel import SQLModel, col

from app.database import Database, ReadSession
from app.models import Click, ClickQuarter, ExcludedQuarter, Verdict

BATCH = 200
# PostgreSQL takes 32,767 values in a statement.
ROWS = 2_000
QUARTER_MS = 900_000

Key = tuple[Any, ...]
Sums = tuple[int, ...]
Recount = Callable[[ReadSession, Sequence[int]], Awaitable[dict[Key, Sums]]]


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of sums. ``keys`` name a row, and the first of them is what it is batched by."""

    model: type[SQLModel]
    keys: tuple[str, ...]
    sums: tuple[str, ...]
    # The same of raw clicks.
    clicked: Any
    recount: Recount

    @property
    def name(self) -> str:
        return str(self.model.__tablename__)

    @property
    def batched_by(self) -> Any:
        return getattr(self.model, self.keys[0])


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
    return str(value) or "(unknown)"


async def verify(database: Database) -> AsyncIterator[Difference]:
    """Every row of a rollup that is not what its raw clicks add up to."""
    async with database.reading() as session:
        for rollup in ROLLUPS:
            async for batch in _batches(session, rollup):
                for difference in await _differences(session, rollup, batch):
                    yield difference


async def rebuild(database: Database) -> int:
    """Make every rollup what its raw clicks add up to. Returns how many rows were not.

    May be stopped and started again at any moment, with a recorder at work or without.
    """
    restored = 0
    for rollup in ROLLUPS:
        async with database.reading() as session:
            batches = [batch async for batch in _batches(session, rollup)]
        for batch in batches:
            async with database.writing() as session:
                if not database.is_sqlite:
                    await (await session.connection()).execute(
                        text("LOCK TABLE click IN SHARE MODE")
                    )
                wrong = await _differences(session, rollup, batch)
                await _restore(session, rollup, wrong)
            restored += len(wrong)
    return restored


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
    counted = await rollup.recount(session, batch)
    columns = [getattr(rollup.model, name) for name in rollup.keys + rollup.sums]
    chosen = select(*columns).where(rollup.batched_by.in_(batch))
    width = len(rollup.keys)
    rows = await (await session.connection()).execute(chosen)
    stored = {tuple(row[:width]): tuple(row[width:]) for row in rows}
    return [
        Difference(rollup, key, stored.get(key), counted.get(key))
        for key in sorted(stored.keys() | counted.keys())
        if stored.get(key) != counted.get(key)
    ]


async def counted(session: ReadSession, statement: Any, width: int) -> dict[Key, Sums]:
    """The rows of a statement whose first ``width`` columns name a row of sums."""
    rows = await (await session.connection()).execute(statement)
    return {tuple(row[:width]): tuple(map(int, row[width:])) for row in rows}


def number_of(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


QUARTER = (col(Click.at_ms) // QUARTER_MS).cast(Integer)
IS_COUNTED = col(Click.verdict) == Verdict.COUNTED
UNIQUE = number_of(IS_COUNTED & col(Click.is_unique))


async def _quarters(session: ReadSession, links: Sequence[int]) -> dict[Key, Sums]:
    link = col(Click.link_id)
    sums = (
        number_of(IS_COUNTED),
        UNIQUE,
        number_of(IS_COUNTED & col(Click.is_suspect)),
        number_of(col(Click.verdict) == Verdict.EXCLUDED),
        number_of(col(Click.verdict) == Verdict.AFTER_ARCHIVE),
    )
    is_no_test = col(Click.verdict) != Verdict.TEST
    chosen = select(link, QUARTER, *sums).where(link.in_(links), is_no_test)
    chosen = chosen.group_by(link, QUARTER)
    return await counted(session, chosen, 2)


async def _reasons(session: ReadSession, links: Sequence[int]) -> dict[Key, Sums]:
    link, reason = col(Click.link_id), col(Click.reason)
    chosen = (
        select(link, QUARTER, reason, func.count())
        .where(link.in_(links), col(Click.verdict) == Verdict.EXCLUDED)
        .group_by(link, QUARTER, reason)
    )
    return await counted(session, chosen, 3)


ROLLUPS = (
    Rollup(
        ClickQuarter,
        ("link_id", "quarter"),
        ("clicks", "unique_clicks", "suspect_clicks", "excluded_hits", "hits_after_archive"),
        col(Click.link_id),
        _quarters,
    ),
    Rollup(
        ExcludedQuarter,
        ("link_id", "quarter", "reason"),
        ("hits",),
        col(Click.link_id),
        _reasons,
    ),
)
