"""Reports add up: at every level, in every zone, on the days the clocks are changed too."""

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.auth import OPERATOR, Viewer
from app.database import Database
from app.models import Role
from app.resolvers import stats
from app.resolvers.stats import NOTHING, Counts, Granularity, Period, Scope
from tests.reports import (
    CHANGES,
    PROGRAM,
    ZONES,
    Hit,
    add_hits,
    add_program,
    count,
    dice_of,
    raw_hits,
)

KEYS: dict[Granularity, Callable[[datetime], Hashable]] = {
    Granularity.DAY: lambda local: local.date(),
    Granularity.WEEK: lambda local: local.isocalendar()[:2],
    Granularity.MONTH: lambda local: (local.year, local.month),
}


def owners(hits: Sequence[Hit], scope: Scope) -> dict[int, list[Hit]]:
    found: dict[int, list[Hit]] = defaultdict(list)
    for hit in hits:
        key = getattr(hit.link, scope.value)
        if key is not None:
            found[key].append(hit)
    return found


def add_up(counts: Sequence[Counts]) -> Counts:
    return sum(counts, NOTHING)


def a_period(dice: random.Random, zone: ZoneInfo) -> Period:
    """Often one that begins or ends on a day with 23 or 25 hours."""
    day = date.fromisoformat(f"2026-{dice.choice(CHANGES)}")
    first = day - timedelta(days=dice.choice((0, 0, 1, 3, 40)))
    return Period(first, day + timedelta(days=dice.choice((0, 0, 1, 3, 40))), zone)


@pytest.mark.parametrize("seed", range(2))
async def test_every_report_is_what_counting_the_raw_clicks_gives(
    database: Database, seed: int
) -> None:
    """Totals and series at every level; sums over parts are the whole, for any range and zone."""
    dice = dice_of(seed)
    links = await add_program(database)
    await add_hits(database, links, dice, 3000)
    hits = await raw_hits(database, links)
    all_counts = count(hits)
    assert min(all_counts.clicks, all_counts.excluded_hits, all_counts.hits_after_archive) > 50
    assert all_counts.unique_clicks < all_counts.clicks

    for name in ZONES:
        zone = ZoneInfo(name)
        for _ in range(3):
            period = a_period(dice, zone)
            assert period.first is not None
            inside = [h for h in hits if period.first <= h.local(zone).date() <= period.last]
            await _check_totals(database, period, inside, hits)
            await _check_series(database, period, inside, dice)


async def _check_totals(
    database: Database, period: Period, inside: Sequence[Hit], hits: Sequence[Hit]
) -> None:
    for scope in Scope:
        expected = {key: count(own) for key, own in owners(inside, scope).items()}
        keys = list(owners(hits, scope))
        async with database.reading() as session:
            found = await stats.totals(session, OPERATOR, scope, keys, period)
            reasons = await stats.excluded(session, OPERATOR, scope, keys, period)
        assert found == expected, (scope, period)
        by_reason = {key: sum(numbers.values()) for key, numbers in reasons.items()}
        assert by_reason == {k: c.excluded_hits for k, c in expected.items() if c.excluded_hits}
        if scope is not Scope.CAMPAIGN_LINK:  # creator-level links belong to none
            assert add_up(list(found.values())) == count(inside), (scope, period)


async def _check_series(
    database: Database, period: Period, inside: Sequence[Hit], dice: random.Random
) -> None:
    assert period.first is not None
    scope = dice.choice(list(Scope))
    own = owners(inside, scope)
    for granularity in Granularity:
        if granularity is Granularity.HOUR and (period.last - period.first).days > 40:
            continue
        async with database.reading() as session:
            found = await stats.series(session, OPERATOR, scope, list(own), period, granularity)
        assert found.keys() == own.keys()
        for key, steps in found.items():
            _check_steps(period, granularity, steps)
            assert add_up([step.counts for step in steps]) == count(own[key])
            for step in steps:
                local = step.start.astimezone(period.zone)
                if granularity is Granularity.HOUR:
                    expected = [hit for hit in own[key] if step.start <= hit.at < step.end]
                else:
                    name = KEYS[granularity]
                    expected = [h for h in own[key] if name(h.local(period.zone)) == name(local)]
                assert step.counts == count(expected), (scope, granularity, period, step)


def _check_steps(period: Period, granularity: Granularity, steps: Sequence[stats.Step]) -> None:
    """No gap, no overlap, and all of them within the days of the zone."""
    assert all(one.end == other.start for one, other in pairwise(steps))
    assert steps[0].start.astimezone(period.zone).date() == period.first
    assert (steps[0].start - timedelta(minutes=1)).astimezone(period.zone).date() != period.first
    assert steps[-1].end.astimezone(period.zone).date() == period.last + timedelta(days=1)
    if granularity is Granularity.DAY:
        assert period.first is not None
        assert len(steps) == (period.last - period.first).days + 1
    if granularity is Granularity.HOUR:
        assert all(step.start.astimezone(period.zone).minute == 0 for step in steps)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Asia/Kathmandu", date(2026, 3, 29), 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_show(zone: str, day: date, hours: float) -> None:
    (start, end) = stats.steps(day, day, ZoneInfo(zone), Granularity.DAY)
    assert (end - start) == timedelta(hours=hours)


async def test_all_time_adds_up_and_begins_with_the_first_hit(database: Database) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(7), 300)
    hits = await raw_hits(database, links)
    zone = ZoneInfo("Australia/Lord_Howe")
    period = Period(None, date(2027, 12, 31), zone)
    async with database.reading() as session:
        totals = await stats.totals(session, OPERATOR, Scope.PROGRAM, [PROGRAM], period)
        series = await stats.series(
            session, OPERATOR, Scope.PROGRAM, [PROGRAM], period, Granularity.DAY
        )
    assert totals == {PROGRAM: count(hits)}
    steps = series[PROGRAM]
    assert add_up([step.counts for step in steps]) == count(hits)
    first = min(hit.at for hit in hits).astimezone(zone).date()
    assert steps[0].start.astimezone(zone).date() == first


async def test_a_key_of_one_campaign_sees_that_campaigns_figures_only(database: Database) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(9), 400)
    hits = await raw_hits(database, links)
    viewer = Viewer(Role.PARTNER, PROGRAM, campaign_ids=frozenset({2}))
    period = Period(date(2025, 1, 1), date(2027, 12, 31), ZoneInfo("UTC"))
    async with database.reading() as session:
        program = await stats.totals(session, viewer, Scope.PROGRAM, [PROGRAM], period)
        creators = await stats.totals(session, viewer, Scope.CREATOR, [1, 2, 3], period)
    expected = count([hit for hit in hits if hit.link.campaign_id == 2])
    assert program == {PROGRAM: expected}
    assert add_up(list(creators.values())) == expected
