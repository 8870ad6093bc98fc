"""Clicks split by what tells them apart: the parts are counted rightly and add up."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from app.auth import OPERATOR, Viewer
from app.database import Database
from app.models import Role
from app.resolvers.breakdowns import Breakdown, Dimension, Part, Split, breakdowns
from app.resolvers.stats import FIRST_DAY, Period, Scope
from tests.reports import (
    DETAILS,
    LAPTOP,
    PROGRAM,
    VALUES,
    ZONES,
    Hit,
    add_hits,
    add_program,
    count,
    dice_of,
    raw_hits,
)
from tests.world import World, codes

LABELS = ((), ("story",), ("story", "reel"))
PERIODS = [Period(date(2026, 3, 8), date(2026, 3, 29), ZoneInfo(zone)) for zone in ZONES] + [
    Period(None, date(2027, 12, 31), ZoneInfo("Asia/Kathmandu"))
]


def within(hit: Hit, period: Period) -> bool:
    day = hit.local(period.zone).date()
    return (period.first or FIRST_DAY) <= day <= period.last


async def check(
    database: Database,
    hits: Sequence[Hit],
    period: Period,
    values: Mapping[Dimension, Callable[[Hit], Hashable]],
) -> None:
    """Each breakdown at each level is what counting the hits one by one gives."""
    inside = [hit for hit in hits if within(hit, period)]
    for by, value in values.items():
        for scope in Scope:
            expected: dict[int, dict[Hashable, list[Hit]]] = defaultdict(lambda: defaultdict(list))
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
                shown = found.get(owner, Breakdown())
                assert {part.value: (part.clicks, part.unique_clicks) for part in shown.parts} == {
                    v: (c.clicks, c.unique_clicks) for v, c in counted.items() if c.clicks
                }
                assert shown.other == Part(None, 0, 0)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
async def test_parts_are_what_counting_the_raw_clicks_gives(database: Database, zone: str) -> None:
    links = await add_program(database, zone=zone)
    await add_hits(database, links, dice_of(5), 2000)
    hits = await raw_hits(database, links)
    for period in PERIODS:
        await check(database, hits, period, VALUES)


@pytest.mark.parametrize("zone", ZONES)
async def test_what_clicks_brought_is_counted_by_days_of_the_program(
    database: Database, zone: str
) -> None:
    links = await add_program(database, zone=zone)
    await add_hits(database, links, dice_of(4), 600)
    hits = await raw_hits(database, links)
    for first, last in (
        (date(2026, 3, 8), date(2026, 3, 29)),
        (date(2026, 4, 5), date(2026, 4, 5)),
        (date(2026, 9, 6), date(2026, 11, 1)),
    ):
        await check(database, hits, Period(first, last, ZoneInfo(zone)), DETAILS)
    await check(database, hits, Period(None, date(2027, 12, 31), ZoneInfo(zone)), DETAILS)


async def test_rows_and_the_rest_add_up_to_the_whole(database: Database) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(6), 500)
    whole = count(await raw_hits(database, links))
    period = Period(None, date(2027, 12, 31), ZoneInfo("UTC"))
    for by in VALUES | DETAILS:
        async with database.reading() as session:
            found = await breakdowns(
                session, OPERATOR, Scope.PROGRAM, [PROGRAM], period, Split(by, 1)
            )
        breakdown = found[PROGRAM]
        (largest,) = breakdown.parts
        assert largest.clicks + breakdown.other.clicks == whole.clicks
        assert largest.unique_clicks + breakdown.other.unique_clicks == whole.unique_clicks
        assert (breakdown.other.clicks > 0) == (by not in {Dimension.UTM_MEDIUM, Dimension.IN_APP})


async def test_a_key_of_one_campaign_sees_the_parts_of_that_campaign_only(
    database: Database,
) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(8), 300)
    viewer = Viewer(Role.PARTNER, PROGRAM, campaign_ids=frozenset({2}))
    own = [hit for hit in await raw_hits(database, links) if hit.link.campaign_id == 2]
    period = Period(None, date(2027, 12, 31), ZoneInfo("UTC"))
    for by in Dimension:
        async with database.reading() as session:
            found = await breakdowns(
                session, viewer, Scope.PROGRAM, [PROGRAM], period, Split(by, 100)
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


def test_what_clicks_bring_is_shown_by_its_words(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    link = world.a_link(ana, destinationUrl="brand.example/?utm_source=tiktok")
    for person in range(2):
        world.click(link["code"], ip=f"203.0.113.{person}")
    laptop = {"user_agent": LAPTOP, "referer": "https://t.example/x"}
    world.click(link["code"], ip="203.0.113.8", **laptop)
    key = link["id"]
    assert split(world, key, "DEVICE") == (3, [("mobile", 2), ("desktop", 1)], 0)
    assert split(world, key, "REFERRER") == (3, [(None, 2), ("t.example", 1)], 0)
    assert split(world, key, "UTM_SOURCE") == (3, [("tiktok", 3)], 0)
    assert split(world, key, "UTM_MEDIUM") == (3, [(None, 3)], 0)

    youtube = "brand.example/?utm_source=youtube"
    world.do("updateTrackingLink", "trackingLink { id }", id=key, destinationUrl=youtube)
    world.click(link["code"], ip="203.0.113.9")
    assert split(world, key, "UTM_SOURCE") == (4, [("tiktok", 3), ("youtube", 1)], 0)


def test_days_of_another_zone_are_refused_for_what_clicks_bring(
    world: World, campaign: str
) -> None:
    query = """query($id: ID!) { node(id: $id) { ... on Campaign {
      stats(timeZone: "Asia/Kathmandu") { breakdown(by: DEVICE) { rows { key } } } } } }"""
    (error,) = world.errors(query, id=campaign)
    assert codes([error]) == ["BAD_USER_INPUT"]
    assert "DEVICE is counted by days of UTC" in error["message"]
    assert world.ask(query.replace("DEVICE", "CREATOR"), id=campaign)


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
