"""The sums of reports never disagree: random hits, zones and ranges, against counting by hand.

The days are those on which some clock is changed, the hits close to their midnights; the
program moves to another zone on the way. Whatever is asked, at whichever level, is what
counting the raw clicks gives, and parts are the whole.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.auth import OPERATOR
from app.clicks.records import Record
from app.database import Database
from app.models import TrackingLink, Verdict
from app.resolvers import programs, stats
from app.resolvers.breakdowns import Breakdown, Dimension, Split, breakdowns
from app.resolvers.change import Change
from app.resolvers.recount import verify
from app.resolvers.stats import NOTHING, Counts, Granularity, Period, Scope
from tests.clicks.hits import record
from tests.reports import (
    AGENTS,
    COUNTRIES,
    DETAILS,
    PROGRAM,
    REFERRERS,
    VALUES,
    ZONES,
    Hit,
    add_program,
    add_records,
    count,
    raw_hits,
)

# Each is the day of a change of the clock in one of the zones, or next to it.
DAYS = [
    date(2026, month, day)
    for month, day in ((3, 8), (3, 29), (3, 30), (4, 5), (9, 6), (10, 4), (10, 25), (11, 1))
]
TABLES = (
    "click",
    "click_quarter",
    "excluded_quarter",
    "link_day",
    "link_part",
    "campaign_day",
    "campaign_part",
    "link_total",
    "program_days",
    "visitor_link",
)
STEPS: dict[Granularity, Callable[[datetime], Hashable]] = {
    Granularity.DAY: lambda local: local.date(),
    Granularity.WEEK: lambda local: local.isocalendar()[:2],
    Granularity.MONTH: lambda local: (local.year, local.month),
}
zones = st.sampled_from(ZONES)
# Within two days of a day's beginning, and often within an hour.
near = st.one_of(st.integers(-60, 60), st.integers(-2880, 2880))


@st.composite
def records(draw: st.DrawFn, links: int = 18) -> list[tuple[datetime, int, dict[str, Any]]]:
    """When, which link, and what else a hit has."""
    hits = []
    for _ in range(draw(st.integers(1, 40))):
        day, zone = draw(st.sampled_from(DAYS)), ZoneInfo(draw(zones))
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        values = {
            "destination_version": draw(st.sampled_from((1, 2))),
            "visitor": draw(st.sampled_from((None, bytes(16), (1).to_bytes(16)))),
            "is_archived": draw(st.integers(0, 9)) == 0,
            "user_agent": draw(st.sampled_from(AGENTS)),
            "referrer": draw(st.sampled_from(REFERRERS)),
            "country": draw(st.sampled_from(COUNTRIES)),
        }
        at = midnight + timedelta(minutes=draw(near), milliseconds=draw(st.integers(0, 59_999)))
        hits.append((at, draw(st.integers(0, links - 1)), values))
    return sorted(hits, key=lambda hit: hit[0])


def made(
    hits: Sequence[tuple[datetime, int, dict[str, Any]]], links: Sequence[TrackingLink]
) -> list[Record]:
    return [
        record(at_ms=int(at.timestamp() * 1000), link_id=links[place].id, **values)
        for at, place, values in hits
    ]


@pytest.fixture
async def links(database: Database) -> list[TrackingLink]:
    return await add_program(database)


async def empty(database: Database, zone: str) -> None:
    async with database.writing() as session:
        connection = await session.connection()
        for table in TABLES:
            await connection.execute(text(f"DELETE FROM {table}"))
        await connection.execute(text("UPDATE program SET time_zone = :zone"), {"zone": zone})


async def move(database: Database, zone: str) -> None:
    """As the mutation does."""
    async with database.writing() as session:
        change = Change(session, OPERATOR, datetime.now(UTC), check_destination=str)
        await programs.update(change, PROGRAM, {"time_zone": zone})


@given(
    first_hits=records(),
    more_hits=records(),
    zone_of_program=zones,
    next_zone=zones,
    asked_zone=zones,
    first=st.sampled_from(DAYS),
    length=st.integers(0, 60),
    scope=st.sampled_from(Scope),
    limit=st.integers(1, 4),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # To make a failing example smaller takes minutes, and what it prints is clear enough.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
async def test_whatever_is_asked_is_what_counting_by_hand_gives(
    database: Database,
    links: list[TrackingLink],
    *,
    first_hits: list[Any],
    more_hits: list[Any],
    zone_of_program: str,
    next_zone: str,
    asked_zone: str,
    first: date,
    length: int,
    scope: Scope,
    limit: int,
) -> None:
    await empty(database, zone_of_program)
    await add_records(database, made(first_hits, links))
    await move(database, next_zone)
    await add_records(database, made(more_hits, links))
    assert [str(each) async for each in verify(database)] == []

    hits = await raw_hits(database, links)
    assert len(hits) == len(first_hits) + len(more_hits)
    for zone in {next_zone, asked_zone}:
        period = Period(first, first + timedelta(days=length), ZoneInfo(zone))
        await check(database, hits, period, scope, limit, is_own=zone == next_zone)
    ever = Period(None, date(2027, 12, 31), ZoneInfo(next_zone))
    await check(database, hits, ever, scope, limit, is_own=True)


async def check(
    database: Database,
    hits: Sequence[Hit],
    period: Period,
    scope: Scope,
    limit: int,
    *,
    is_own: bool,
) -> None:
    inside = [
        hit
        for hit in hits
        if (period.first or date.min) <= hit.local(period.zone).date() <= period.last
    ]
    owners: dict[int, list[Hit]] = defaultdict(list)
    for hit in inside:
        key = getattr(hit.link, scope.value)
        if key is not None:
            owners[key].append(hit)
    keys = list(owners)
    async with database.reading() as session:
        totals = await stats.totals(session, OPERATOR, scope, keys, period)
        reasons = await stats.excluded(session, OPERATOR, scope, keys, period)
        assert totals == {key: count(own) for key, own in owners.items()}
        for key, own in owners.items():
            assert reasons.get(key, {}) == excluded(own)
            assert sum(reasons.get(key, {}).values()) == totals[key].excluded_hits
            whole = totals[key]
            assert whole.clicks + whole.excluded_hits + whole.hits_after_archive == len(own)
        for granularity, step_of in STEPS.items():
            series = await stats.series(session, OPERATOR, scope, keys, period, granularity)
            for key, own in owners.items():
                assert sum((step.counts for step in series[key]), NOTHING) == count(own)
                for step in series[key]:
                    name = step_of(step.start.astimezone(period.zone))
                    same = [each for each in own if step_of(each.local(period.zone)) == name]
                    assert step.counts == count(same)
        for by in Dimension:
            if by in VALUES or by is Dimension.LABEL or is_own:
                found = await breakdowns(session, OPERATOR, scope, keys, period, Split(by, limit))
                for key, own in owners.items():
                    check_parts(found.get(key, Breakdown()), by, own, limit)


def excluded(hits: Sequence[Hit]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for hit in hits:
        if hit.click.verdict is Verdict.EXCLUDED:
            found[hit.click.reason] += 1
    return dict(found)


def check_parts(found: Breakdown, by: Dimension, hits: Sequence[Hit], limit: int) -> None:
    """The largest parts are right, and with the rest they are the whole."""
    whole = count(hits)
    if by is Dimension.LABEL:  # a link with two labels is in two parts
        assert sum(part.clicks for part in found.parts) + found.other.clicks >= whole.clicks
        return
    parts: dict[Hashable, Counts] = defaultdict(Counts)
    for hit in hits:
        parts[(VALUES | DETAILS)[by](hit)] += count([hit])
    largest = sorted((each.clicks for each in parts.values() if each.clicks), reverse=True)
    assert [part.clicks for part in found.parts] == largest[:limit]
    for part in found.parts:
        of_value = parts[part.value]
        assert (part.clicks, part.unique_clicks) == (of_value.clicks, of_value.unique_clicks)
    assert sum(part.clicks for part in found.parts) + found.other.clicks == whole.clicks
    unique = sum(part.unique_clicks for part in found.parts) + found.other.unique_clicks
    assert unique == whole.unique_clicks
