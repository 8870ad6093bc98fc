"""Counts a program's day rows anew, when its days become those of another time zone.

DESIGN
------
Counts and reasons are in quarters of an hour for good, what clicks brought is in the raw ones.
Rows from `ProgramDays.clicks_ms` on are deleted and counted again from these; older ones stay
days of the zone that they were counted in, all of them alike, so that parts and wholes still
agree. The moment moves on to the next midnight of the new zone, since the day that it cuts now
holds some of both.

A program with more hits than a request has time for keeps its old days until
`tracklinks rebuild`, which has the time: until then reports in the new zone are answered from
quarters, and say of what clicks brought that it is not there yet.
"""

from collections.abc import Iterator

from sqlalchemy import TextClause, func, text
from sqlmodel import col, select

from app.database import Database, WriteSession
from app.days import QUARTER_MS, day_of_quarter, midnight_from, sql_of_day
from app.models import Campaign, CampaignDay, Detail, Program, ProgramDays

# About a second's work.
AT_ONCE = 100_000

OWNERS = {"link": "click.link_id", "campaign": "tracking_link.campaign_id"}
QUARTER_AT = f"(CAST(click.quarter AS BIGINT) * {QUARTER_MS})"
VALUES = {
    Detail.DESTINATION: "CAST(click.destination_version AS VARCHAR(11))",
    Detail.REFERRER: "click.referrer_host",
    Detail.COUNTRY: "click.country",
    Detail.DEVICE: "click.device",
    Detail.BROWSER: "click.browser",
    Detail.OS: "click.os",
    Detail.IN_APP: "click.in_app",
}
DELETE = """
    DELETE FROM {table} WHERE day >= :day
    AND {owner}_id IN (SELECT id FROM {holder} WHERE program_id = :program)
"""
# The day that the moment cuts may have a row already: that is added to.
DAYS = """
    INSERT INTO {owner}_day ({owner}_id, day, clicks, unique_clicks, suspect_clicks, excluded_hits,
                             hits_after_archive)
    SELECT {key}, {day}, sum(clicks), sum(unique_clicks), sum(suspect_clicks), sum(excluded_hits),
        sum(hits_after_archive)
    FROM click_quarter AS click JOIN tracking_link ON tracking_link.id = click.link_id
    WHERE tracking_link.program_id = :program AND quarter >= :quarter GROUP BY 1, 2
    ON CONFLICT ({owner}_id, day) DO UPDATE SET
        clicks = {owner}_day.clicks + excluded.clicks,
        unique_clicks = {owner}_day.unique_clicks + excluded.unique_clicks,
        suspect_clicks = {owner}_day.suspect_clicks + excluded.suspect_clicks,
        excluded_hits = {owner}_day.excluded_hits + excluded.excluded_hits,
        hits_after_archive = {owner}_day.hits_after_archive + excluded.hits_after_archive
"""
REASONS = """
    INSERT INTO {owner}_part ({owner}_id, detail, day, value, hits, unique_hits)
    SELECT {key}, {detail}, {day}, reason, sum(hits), 0
    FROM excluded_quarter AS click JOIN tracking_link ON tracking_link.id = click.link_id
    WHERE tracking_link.program_id = :program AND quarter >= :quarter GROUP BY 1, 3, 4
    ON CONFLICT ({owner}_id, detail, day, value) DO UPDATE SET
        hits = {owner}_part.hits + excluded.hits,
        unique_hits = {owner}_part.unique_hits + excluded.unique_hits
"""
PARTS = """
    INSERT INTO {owner}_part ({owner}_id, detail, day, value, hits, unique_hits)
    SELECT {key}, {detail}, {day}, {value}, count(*), sum(CASE WHEN is_unique THEN 1 ELSE 0 END)
    FROM click JOIN tracking_link ON tracking_link.id = click.link_id
    WHERE tracking_link.program_id = :program AND verdict = 0 AND at_ms >= :since_ms GROUP BY 1, 3, 4
    ON CONFLICT ({owner}_id, detail, day, value) DO UPDATE SET
        hits = {owner}_part.hits + excluded.hits,
        unique_hits = {owner}_part.unique_hits + excluded.unique_hits
"""


async def count(session: WriteSession, program: Program, *, since_ms: int = 0) -> None:
    """Add up a program's hits from this moment on, by days of its time zone."""
    connection = await session.connection()
    values = {"program": program.id, "since_ms": since_ms, "quarter": since_ms // QUARTER_MS}
    for statement in _counting(program.time_zone):
        names = statement.compile().params
        await connection.execute(statement, {name: values[name] for name in names})


async def change_zone(session: WriteSession, program: Program, before: str) -> None:
    """The locked program's time zone is another one now: bring its days over, or leave a note."""
    days = await _days_of(session, program.id)
    counted_in = days.zone or before
    days.zone = None if counted_in == program.time_zone else counted_in
    if days.zone is not None and await _hits_of(session, program.id) <= AT_ONCE:
        await _count_anew(session, program, days)
    await session.flush()


async def move_zones(database: Database) -> int:
    """Bring over the days of all programs that have waited for it. Returns how many."""
    waiting = select(ProgramDays.program_id).where(col(ProgramDays.zone).is_not(None))
    async with database.reading() as session:
        programs = (await session.exec(waiting)).all()
    for key in programs:
        async with database.writing() as session:
            locked = select(Program).where(col(Program.id) == key).with_for_update()
            program = (await session.exec(locked)).one()
            days = await _days_of(session, key)
            if days.zone is not None:  # nobody else has meanwhile
                await _count_anew(session, program, days)
    return len(programs)


async def _days_of(session: WriteSession, program_id: int) -> ProgramDays:
    days = await session.get(ProgramDays, program_id)
    if days is None:
        days = ProgramDays(program_id=program_id)
        session.add(days)
        await session.flush()
    return days


async def _hits_of(session: WriteSession, program_id: int) -> int:
    hits = func.sum(col(CampaignDay.clicks) + col(CampaignDay.excluded_hits))
    chosen = (
        select(func.coalesce(hits, 0))
        .join(Campaign, col(Campaign.id) == col(CampaignDay.campaign_id))
        .where(col(Campaign.program_id) == program_id)
    )
    return int((await session.exec(chosen)).one())


async def _count_anew(session: WriteSession, program: Program, days: ProgramDays) -> None:
    connection = await session.connection()
    quarter = days.clicks_ms // QUARTER_MS
    first_day = 0 if days.clicks_ms == 0 else day_of_quarter(quarter, days.zone or "")
    for owner, holder in (("link", "tracking_link"), ("campaign", "campaign")):
        for table in (f"{owner}_day", f"{owner}_part"):
            emptied = DELETE.format(table=table, owner=owner, holder=holder)
            values = {"program": program.id, "day": first_day}
            await connection.execute(text(emptied), values)
    await count(session, program, since_ms=days.clicks_ms)
    days.zone = None
    if days.clicks_ms:
        days.clicks_ms = midnight_from(days.clicks_ms, program.time_zone)
        days.excluded_ms = midnight_from(days.excluded_ms, program.time_zone)


def _counting(zone: str) -> Iterator[TextClause]:
    of_click, of_quarter = sql_of_day("click.at_ms", zone), sql_of_day(QUARTER_AT, zone)
    for owner, key in OWNERS.items():
        named = {"owner": owner, "key": key}
        yield text(DAYS.format(**named, day=of_quarter))
        yield text(REASONS.format(**named, day=of_quarter, detail=int(Detail.REASON)))
        for detail, value in VALUES.items():
            if owner == "link" or detail is not Detail.DESTINATION:
                words = {"day": of_click, "detail": int(detail), "value": value}
                yield text(PARTS.format(**named, **words))
