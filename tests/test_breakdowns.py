"""Clicks split by what tells them apart: the parts are counted rightly and add up."""

from collections import defaultdict
from collections.abc import Callable, Hashable
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from app.auth import OPERATOR, Viewer
from app.database import Database
from app.models import Role
from app.resolvers.breakdowns import Dimension, Part, Split, breakdowns
from app.resolvers.stats import FIRST_DAY, Period, Scope
from tests.reports import PROGRAM, ZONES, Hit, add_hits, add_program, count, dice_of, raw_hits
from tests.world import World, codes

LABELS = ((), ("story",), ("story", "reel"))
VALUES: dict[Dimension, Callable[[Hit], Hashable]] = {
    Dimension.CAMPAIGN: lambda hit: hit.link.campaign_id,
    Dimension.CREATOR: lambda hit: hit.link.creator_id,
    Dimension.CAMPAIGN_LINK: lambda hit: hit.link.campaign_link_id,
    Dimension.TRACKING_LINK: lambda hit: hit.link.id,
}
PERIODS = [Period(date(2026, 3, 8), date(2026, 3, 29), ZoneInfo(zone)) for zone in ZONES] + [
    Period(None, date(2027, 12, 31), ZoneInfo("Asia/Kathmandu"))
]


def within(hit: Hit, period: Period) -> bool:
    day = hit.local(period.zone).date()
    return (period.first or FIRST_DAY) <= day <= period.last


async def test_parts_are_what_counting_the_raw_clicks_gives(database: Database) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(5), 2000)
    hits = await raw_hits(database, links)
    for period in PERIODS:
        inside = [hit for hit in hits if within(hit, period)]
        for by, value in VALUES.items():
            for scope in Scope:
                expected: dict[int, dict[Hashable, list[Hit]]] = defaultdict(
                    lambda: defaultdict(list)
                )
                for hit in inside:
                    owner = getattr(hit.link, scope.value)
                    if owner is not None:
                        expected[owner][value(hit)].append(hit)
                async with database.reading() as session:
                    found = await breakdowns(
                        session, OPERATOR, scope, list(expected), period, Split(by, 100)
                    )
                for owner, parts in expected.items():
                    counted = {v: count(own) for v, own in parts.items()}
                    assert {
                        part.value: (part.clicks, part.unique_clicks) for part in found[owner].parts
                    } == {v: (c.clicks, c.unique_clicks) for v, c in counted.items() if c.clicks}
                    assert found[owner].other == Part(None, 0, 0)


async def test_rows_and_the_rest_add_up_to_the_whole(database: Database) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(6), 500)
    whole = count(await raw_hits(database, links))
    period = PERIODS[-1]
    for by in VALUES:
        async with database.reading() as session:
            found = await breakdowns(
                session, OPERATOR, Scope.PROGRAM, [PROGRAM], period, Split(by, 1)
            )
        breakdown = found[PROGRAM]
        (largest,) = breakdown.parts
        assert largest.clicks + breakdown.other.clicks == whole.clicks
        assert largest.unique_clicks + breakdown.other.unique_clicks == whole.unique_clicks
        assert breakdown.other.clicks > 0


async def test_a_key_of_one_campaign_sees_the_parts_of_that_campaign_only(
    database: Database,
) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(8), 300)
    viewer = Viewer(Role.PARTNER, PROGRAM, campaign_ids=frozenset({2}))
    own = [hit for hit in await raw_hits(database, links) if hit.link.campaign_id == 2]
    for by in Dimension:
        async with database.reading() as session:
            found = await breakdowns(
                session, viewer, Scope.PROGRAM, [PROGRAM], PERIODS[-1], Split(by, 100)
            )
        if by is not Dimension.LABEL:
            assert sum(part.clicks for part in found[PROGRAM].parts) == count(own).clicks


SPLIT = """query($id: ID!, $by: StatsDimension!, $limit: Int! = 10) { node(id: $id) {
  ... on Measurable { stats { clicks breakdown(by: $by, limit: $limit) {
    by rows { key node { id ... on TrackingLink { code } } counts { clicks uniqueClicks } }
    other { clicks uniqueClicks } } } } } }"""


def split(
    world: World, id: str, by: str, limit: int = 10
) -> tuple[int, list[tuple[str | None, int]], int]:
    world.drain()
    stats = world.ask(SPLIT, id=id, by=by, limit=limit)["node"]["stats"]
    breakdown = stats["breakdown"]
    assert breakdown["by"] == by
    rows = [(row["key"], row["counts"]["clicks"]) for row in breakdown["rows"]]
    return stats["clicks"], rows, breakdown["other"]["clicks"]


@pytest.fixture
def campaign(world: World) -> str:
    """Three creators; a link of the first has two labels and three clicks, of the second one
    label and two, of the third no label and one."""
    campaign = world.a_campaign()
    for clicks, labels in ((3, ["story", "reel"]), (2, ["story"]), (1, [])):
        link = world.a_link(world.an_enrollment(campaign), labels=labels)
        for person in range(clicks):
            world.click(link["code"], ip=f"203.0.113.{person}")
    return campaign


def test_a_link_with_two_labels_stands_under_both(world: World, campaign: str) -> None:
    assert split(world, campaign, "LABEL") == (6, [("story", 5), ("reel", 3), (None, 1)], 0)
    assert split(world, campaign, "LABEL", limit=1) == (6, [("story", 5)], 4)


def test_objects_are_found_by_their_row(world: World, campaign: str) -> None:
    world.drain()
    found = world.ask(SPLIT, id=campaign, by="TRACKING_LINK", limit=2)["node"]["stats"]
    rows = found["breakdown"]["rows"]
    assert [row["counts"]["clicks"] for row in rows] == [3, 2]
    assert all(row["key"] == row["node"]["id"] and row["node"]["code"] for row in rows)
    assert found["breakdown"]["other"]["clicks"] == 1
    assert split(world, campaign, "CAMPAIGN_LINK") == (6, [(None, 6)], 0)
    assert split(world, campaign, "CAMPAIGN") == (6, [(campaign, 6)], 0)
    assert split(world, world.program_id, "CAMPAIGN") == (6, [(campaign, 6)], 0)


def test_something_without_clicks_has_no_parts(world: World) -> None:
    assert split(world, world.a_campaign(), "CREATOR") == (0, [], 0)


def test_a_breakdown_has_from_one_to_a_hundred_rows(world: World, campaign: str) -> None:
    for limit in (0, 101):
        assert codes(world.errors(SPLIT, id=campaign, by="CREATOR", limit=limit)) == [
            "BAD_USER_INPUT"
        ]


def test_the_days_before_are_there_to_compare_with(world: World, campaign: str) -> None:
    world.drain()
    query = """query($id: ID!) { node(id: $id) { ... on Campaign {
      week: stats(range: {lastDays: 7}) { from to clicks previous { from to clicks
        previous { from to } } }
      ever: stats { previous { clicks } } } } }"""
    found = world.ask(query, id=campaign)["node"]
    week, before = found["week"], found["week"]["previous"]
    assert (week["clicks"], before["clicks"]) == (6, 0)
    days = [date.fromisoformat(each) for each in (before["from"], before["to"], week["from"])]
    assert [(days[1] - days[0]).days, (days[2] - days[1]).days] == [6, 1]
    assert found["ever"]["previous"] is None
