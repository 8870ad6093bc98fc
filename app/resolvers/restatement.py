"""Judges stored hits anew by their reason, when a rule turns out to have been wrong.

DESIGN
------
User agents are not kept, so a rule can't be run again; but each hit keeps the reason that it
was excluded for. `restate` moves the hits of one reason between excluded and counted, and
their counters with them. The reason stays on the hit, so that it can be moved back.

It goes in batches, each a transaction of its own with its own audit entries: the recorder
waits for a batch at most, and a run that was interrupted is finished by starting it again.
What is unique stays as it was judged: an excluded hit never was.

What was moved is written down by link and quarter of an hour, so that every report over any of
it can say so, for as long as there are reports: `app.resolvers.stats.restated`.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import TextClause, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.auth import Viewer
from app.database import Database, WriteSession
from app.days import QUARTER_MS, day_of_quarter
from app.errors import UserErrorCode, not_found, refuse
from app.models import Click, Detail, Program, ProgramDays, TrackingLink, Verdict
from app.resolvers import link_totals
from app.resolvers.change import Change

BATCH = 2_000

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
NOTE_MOVED = text("""
    INSERT INTO restated_quarter (link_id, quarter, at_ms, reason, classifier, verdict, hits)
    VALUES (:link, :quarter, :at_ms, :reason, :classifier, :verdict, :hits)
    ON CONFLICT (link_id, quarter, at_ms, reason, classifier, verdict) DO UPDATE SET
        hits = restated_quarter.hits + excluded.hits
""")
MOVE_DAYS = """
    UPDATE {owner}_day SET clicks = clicks + :clicks, excluded_hits = excluded_hits + :hits
    WHERE {owner}_id = :key AND day = :day
"""
MOVE_PARTS = """
    INSERT INTO {owner}_part ({owner}_id, detail, day, value, hits, unique_hits)
    VALUES (:key, :detail, :day, :value, :hits, 0)
    ON CONFLICT ({owner}_id, detail, day, value) DO UPDATE SET
        hits = {owner}_part.hits + excluded.hits
"""
DROP_EMPTY_PARTS = """
    DELETE FROM {owner}_part
    WHERE {owner}_id = :key AND detail = :detail AND day = :day AND value = :value AND hits = 0
"""
# What a click says of itself, in the order of `Detail`.
DETAILS = (
    col(Click.referrer_host),
    col(Click.country),
    col(Click.device),
    col(Click.browser),
    col(Click.os),
    col(Click.in_app),
)
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


class _Owner(NamedTuple):
    program_id: int
    campaign_id: int


class _Hit(NamedTuple):
    id: bytes
    link_id: int
    quarter: int
    classifier: int
    # From `Detail.DESTINATION` on.
    details: tuple[str, ...]


# A link or campaign, detail, day and value.
_Part = tuple[int, int, int, str]


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


async def _find(database: Database, what: Restatement, after: bytes) -> dict[bytes, _Owner]:
    """The next batch of hits to move, and whose they are. Read before anything is locked."""
    find = (
        select(col(Click.id), col(TrackingLink.program_id), col(TrackingLink.campaign_id))
        .join(TrackingLink, col(TrackingLink.id) == col(Click.link_id))
        .outerjoin(ProgramDays, col(ProgramDays.program_id) == col(TrackingLink.program_id))
        .where(
            # Of what is older some may be gone, and its days are left alone.
            col(Click.at_ms) >= func.coalesce(col(ProgramDays.clicks_ms), 0),
            col(Click.at_ms) >= func.coalesce(col(ProgramDays.excluded_ms), 0),
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
        return {row[0]: _Owner(row[1], row[2]) for row in await connection.execute(find)}


async def _move(change: Change, what: Restatement, found: dict[bytes, _Owner]) -> Counter[int]:
    zones = await _zones(change.session, {owner.program_id for owner in found.values()})
    hits = await _lock(change.session, what, found.keys())
    connection = await change.session.connection()
    is_among = col(Click.id).in_([hit.id for hit in hits])
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
        for (link, quarter), count in sorted(Counter((h.link_id, h.quarter) for h in hits).items())
    ]
    for statement in (MOVE_CLICKS, MOVE_REASONS, DROP_EMPTY) if steps else ():
        await _execute(connection, statement, steps)
    await _note(connection, what, hits, at_ms=int(change.now.timestamp() * 1000))
    links, campaigns = Counter[_Part](), Counter[_Part]()
    for hit in hits:
        owner = found[hit.id]
        day = day_of_quarter(hit.quarter, zones[owner.program_id])
        for detail, value in enumerate((what.reason, *hit.details)):
            moved_by = -sign if detail == Detail.REASON else sign
            links[hit.link_id, detail, day, value] += moved_by
            if detail != Detail.DESTINATION:
                campaigns[owner.campaign_id, detail, day, value] += moved_by
    for name, parts in (("link", links), ("campaign", campaigns)):
        await _move_days(connection, name, parts)
    await link_totals.move(
        connection, {link: sign * hits for link, hits in Counter(h.link_id for h in hits).items()}
    )
    moved = Counter(found[hit.id].program_id for hit in hits)
    for program, number in moved.items():
        await change.record("restate", "prg", program, {program: _told(what, number)})
    return moved


def _told(what: Restatement, hits: int) -> dict[str, Any]:
    """For the audit log: which hits were what, what they are now, and how many."""
    new = {"reason": what.reason, "was": what.was.name, "as": what.verdict.name, "hits": hits}
    days = {"first_day": what.first_day, "last_day": what.last_day}
    return new | {name: day for name, day in days.items() if day is not None}


async def _note(
    connection: AsyncConnection, what: Restatement, hits: Sequence[_Hit], *, at_ms: int
) -> None:
    moved = Counter((hit.link_id, hit.quarter, hit.classifier) for hit in hits)
    rows = [
        {
            "link": link,
            "quarter": quarter,
            "at_ms": at_ms,
            "reason": what.reason,
            "classifier": classifier,
            "verdict": int(what.verdict),
            "hits": count,
        }
        for (link, quarter, classifier), count in sorted(moved.items())
    ]
    if rows:
        await _execute(connection, NOTE_MOVED, rows)


async def _move_days(connection: AsyncConnection, owner: str, parts: Mapping[_Part, int]) -> None:
    days = [
        {"key": key, "day": day, "clicks": -hits, "hits": hits}
        for (key, detail, day, _), hits in sorted(parts.items())
        if detail == Detail.REASON
    ]
    rows = [
        {"key": key, "detail": detail, "day": day, "value": value, "hits": hits}
        for (key, detail, day, value), hits in sorted(parts.items())
    ]
    if rows:
        await _execute(connection, text(MOVE_DAYS.format(owner=owner)), days)
        await _execute(connection, text(MOVE_PARTS.format(owner=owner)), rows)
        await _execute(connection, text(DROP_EMPTY_PARTS.format(owner=owner)), rows)


async def _execute(
    connection: AsyncConnection, statement: TextClause, steps: Sequence[Mapping[str, Any]]
) -> None:
    names = statement.compile().params
    await connection.execute(statement, [{name: step[name] for name in names} for step in steps])


async def _zones(session: WriteSession, programs: Collection[int]) -> dict[int, str]:
    """Whose days the programs' rows are, locked as by the recorder: they stay so until the end."""
    connection = await session.connection()
    locked = select(col(Program.id)).where(col(Program.id).in_(programs)).order_by(col(Program.id))
    await connection.execute(locked.with_for_update(read=True, key_share=True))
    zone = func.coalesce(col(ProgramDays.zone), col(Program.time_zone))
    chosen = select(col(Program.id), zone).outerjoin(
        ProgramDays, col(ProgramDays.program_id) == col(Program.id)
    )
    rows = await connection.execute(chosen.where(col(Program.id).in_(programs)))
    return {row[0]: row[1] for row in rows}


async def _lock(session: WriteSession, what: Restatement, ids: Collection[bytes]) -> list[_Hit]:
    """Each hit that is still as it was found."""
    find = (
        select(
            col(Click.id),
            col(Click.link_id),
            col(Click.at_ms),
            col(Click.classifier),
            col(Click.destination_version),
            *DETAILS,
        )
        .where(
            col(Click.id).in_(ids),
            col(Click.verdict) == what.was,
            col(Click.reason) == what.reason,
        )
        .order_by(col(Click.id))
        .with_for_update()
    )
    rows = (await (await session.connection()).execute(find)).all()
    return [
        _Hit(id_, link, at_ms // QUARTER_MS, classifier, (str(version), *details))
        for id_, link, at_ms, classifier, version, *details in rows
    ]


def _begins_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000
