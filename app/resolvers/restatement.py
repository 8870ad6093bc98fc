"""Judges stored hits anew by their reason, when a rule turns out to have been wrong.

DESIGN
------
User agents are not kept, so a rule can't be run again; but each hit keeps the reason that it
was excluded for. `restate` moves the hits of one reason between excluded and counted, and
their counters with them. The reason stays on the hit, so that it can be moved back.

It goes in batches, each a transaction of its own with its own audit entries: the recorder
waits for a batch at most, and a run that was interrupted is finished by starting it again.
What is unique stays as it was judged: an excluded hit never was.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import select, text, update
from sqlmodel import col

from app.auth import Viewer
from app.database import Database, WriteSession
from app.errors import UserErrorCode, not_found, refuse
from app.models import Click, Program, TrackingLink, Verdict
from app.resolvers.change import Change

BATCH = 2_000
QUARTER_MS = 900_000

MOVE_CLICKS = text("""
    UPDATE click_quarter SET clicks = clicks + :clicks, excluded_hits = excluded_hits + :hits
    WHERE link_id = :link AND quarter = :quarter
""")
MOVE_REASONS = text("""
    INSERT INTO excluded_quarter (link_id, quarter, reason, hits)
    VALUES (:link, :quarter, :reason, :hits)
    ON CONFLICT (link_id, quarter, reason) DO UPDATE SET
        hits = excluded_quarter.hits + excluded.hits
""")
DROP_EMPTY = text("""
    DELETE FROM excluded_quarter
    WHERE link_id = :link AND quarter = :quarter AND reason = :reason AND hits = 0
""")


@dataclass(frozen=True, slots=True)
class Restatement:
    """Which stored hits are judged anew, and as what."""

    reason: str
    verdict: Verdict  # COUNTED or EXCLUDED
    program_id: int | None = None
    # Days of UTC, both included.
    first_day: date | None = None
    last_day: date | None = None

    @property
    def was(self) -> Verdict:
        return Verdict.EXCLUDED if self.verdict is Verdict.COUNTED else Verdict.COUNTED


async def restate(
    database: Database, viewer: Viewer, what: Restatement, *, now: datetime
) -> dict[int, int]:
    """Judge the hits anew. Returns how many were moved, by program; done twice, none."""
    if not what.reason:
        raise refuse(UserErrorCode.BLANK, "A reason is needed.", "reason")
    await _check_program(database, what.program_id)
    moved: Counter[int] = Counter()
    after = b""
    while True:
        found = await _find(database, what, after)
        if not found:
            return dict(moved)
        after = max(found)
        async with database.writing() as session:
            change = Change(session, viewer, now, check_destination=str)
            moved.update(await _move(change, what, found))


async def _check_program(database: Database, key: int | None) -> None:
    if key is not None:
        async with database.reading() as session:
            if await session.get(Program, key) is None:
                raise not_found("program", "program")


async def _find(database: Database, what: Restatement, after: bytes) -> dict[bytes, int]:
    """The next batch of hits to move, with their programs. Read before anything is locked."""
    find = (
        select(col(Click.id), col(TrackingLink.program_id))
        .join(TrackingLink, col(TrackingLink.id) == col(Click.link_id))
        .where(
            col(Click.verdict) == what.was,
            col(Click.reason) == what.reason,
            # Not above it: what was moved is no longer found, and nothing is left out.
            col(Click.id) >= after,
        )
        .order_by(col(Click.id))
        .limit(BATCH)
    )
    if what.program_id is not None:
        find = find.where(col(TrackingLink.program_id) == what.program_id)
    if what.first_day is not None:
        find = find.where(col(Click.at_ms) >= _begins_ms(what.first_day))
    if what.last_day is not None:
        find = find.where(col(Click.at_ms) < _begins_ms(what.last_day + timedelta(days=1)))
    async with database.reading() as session:
        connection = await session.connection()
        return {row[0]: row[1] for row in await connection.execute(find)}


async def _move(change: Change, what: Restatement, found: dict[bytes, int]) -> Counter[int]:
    ids = await _lock(change.session, what, found.keys())
    connection = await change.session.connection()
    is_among = col(Click.id).in_(list(ids))
    await connection.execute(update(Click).where(is_among).values(verdict=what.verdict))
    sign = 1 if what.verdict is Verdict.COUNTED else -1
    steps = [
        {
            "link": link,
            "quarter": quarter,
            "reason": what.reason,
            "clicks": sign * count,
            "hits": -sign * count,
        }
        # In the recorder's order: the two wait for each other, and never in a ring.
        for (link, quarter), count in sorted(Counter(ids.values()).items())
    ]
    for statement in (MOVE_CLICKS, MOVE_REASONS, DROP_EMPTY) if steps else ():
        names = statement.compile().params
        values = [{name: step[name] for name in names} for step in steps]
        await connection.execute(statement, values)
    moved = Counter(found[id_] for id_ in ids)
    for program, hits in moved.items():
        new = {"reason": what.reason, "as": what.verdict.name, "hits": hits}
        await change.record("restate", "prg", program, {program: new})
    return moved


async def _lock(
    session: WriteSession, what: Restatement, ids: Collection[bytes]
) -> dict[bytes, tuple[int, int]]:
    """The link and quarter of each hit that is still as it was found."""
    find = (
        select(col(Click.id), col(Click.link_id), col(Click.at_ms))
        .where(
            col(Click.id).in_(ids),
            col(Click.verdict) == what.was,
            col(Click.reason) == what.reason,
        )
        .order_by(col(Click.id))
        .with_for_update()
    )
    connection = await session.connection()
    rows = (await connection.execute(find)).all()
    return {row[0]: (row[1], row[2] // QUARTER_MS) for row in rows}


def _begins_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000
