"""From a number to the hits behind it: all of them, in order, each with its verdict."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.auth import OPERATOR, Viewer
from app.clicks.classifier import SELF_TEST_AGENT
from app.database import Database
from app.models import Role, Verdict
from app.resolvers.hits import Filter, listed
from app.resolvers.pages import page_args
from app.resolvers.stats import Period, Scope
from tests.reports import PROGRAM, add_hits, add_program, dice_of, raw_hits
from tests.world import World, codes

PERIODS = [
    Period(None, date(2027, 12, 31), ZoneInfo("UTC")),
    Period(date(2026, 3, 1), date(2026, 4, 5), ZoneInfo("Australia/Lord_Howe")),
]
FILTERS = [
    Filter(),
    Filter(verdict=Verdict.COUNTED),
    Filter(verdict=Verdict.AFTER_ARCHIVE),
    Filter(reason="head"),
]


Asked = tuple[Viewer, Scope, int, Period, Filter]


async def all_pages(
    database: Database, asked: Asked, *, size: int, is_backward: bool
) -> list[bytes]:
    """The ids of all hits, newest first, read page by page."""
    found: list[bytes] = []
    cursor: str | None = None
    while True:
        args = page_args(last=size, before=cursor) if is_backward else page_args(size, cursor)
        async with database.reading() as session:
            page = await listed(session, *asked, args)
        ids = [row.id for row in page.rows]
        found = ids + found if is_backward else found + ids
        if not (page.has_previous if is_backward else page.has_next):
            return found
        assert len(ids) == size
        cursor = page.cursors[0 if is_backward else -1]


@pytest.mark.parametrize("zone", ["UTC", "America/Santiago"])
async def test_pages_hold_each_hit_once_and_newest_first(database: Database, zone: str) -> None:
    links = await add_program(database, zone=zone)
    await add_hits(database, links, dice_of(3), 400)
    raw = await raw_hits(database, links)
    link = links[0]
    for period in PERIODS:
        for scope in Scope:
            key = getattr(link, scope.value) or 11
            for only in FILTERS:
                expected = [
                    hit.click.id
                    for hit in sorted(raw, key=lambda h: (h.click.at_ms, h.click.id), reverse=True)
                    if getattr(hit.link, scope.value) == key
                    and (period.first or date.min) <= hit.local(period.zone).date() <= period.last
                    and only.verdict in {None, hit.click.verdict}
                    and only.reason in {None, hit.click.reason}
                    and (only.reason is None or hit.click.verdict is Verdict.EXCLUDED)
                ]
                for is_backward in (False, True):
                    size = 100 if len(expected) > 40 else 3
                    asked = (OPERATOR, scope, key, period, only)
                    found = await all_pages(database, asked, size=size, is_backward=is_backward)
                    assert found == expected, (scope, only, is_backward)


async def test_a_key_of_one_campaign_sees_the_hits_of_that_campaign_only(
    database: Database,
) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(3), 200)
    viewer = Viewer(Role.ANALYST, PROGRAM, campaign_ids=frozenset({2}))
    own = {hit.click.id for hit in await raw_hits(database, links) if hit.link.campaign_id == 2}
    asked = (viewer, Scope.PROGRAM, PROGRAM, PERIODS[0], Filter())
    assert set(await all_pages(database, asked, size=30, is_backward=False)) == own != set()


HITS = """query($id: ID!, $filter: HitFilterInput, $after: String, $first: Int) { node(id: $id) {
  ... on Measurable { stats {
    reconciliation { hits excluded afterArchive clicks uniqueClicks conversions }
    hits(first: $first, after: $after, filter: $filter) { clicksKeptSince
      pageInfo { hasNextPage endCursor } edges { cursor }
      nodes { at verdict reason isUnique device trackingLink { code } } } } } } }"""


@pytest.fixture
def link(world: World) -> dict[str, Any]:
    """A click, a look by a bot, a look for the head, and a click after the archive."""
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    world.click(link["code"])
    world.click(link["code"], user_agent="Twitterbot/1.0")
    world.click(link["code"], method="HEAD", ip="203.0.113.8")
    world.do("archiveTrackingLink", "trackingLink { id }", id=link["id"])
    world.click(link["code"], ip="203.0.113.9")
    world.drain()
    return link


def test_a_number_is_explained_by_its_hits(world: World, link: dict[str, Any]) -> None:
    stats = world.ask(HITS, id=link["id"])["node"]["stats"]
    assert stats["reconciliation"] == {
        "hits": 4,
        "excluded": 2,
        "afterArchive": 1,
        "clicks": 1,
        "uniqueClicks": 1,
        "conversions": None,
    }
    hits = stats["hits"]
    verdicts = [hit["verdict"] for hit in hits["nodes"]]
    assert verdicts == ["AFTER_ARCHIVE", "EXCLUDED", "EXCLUDED", "COUNTED"]
    *_, head, bot, click = hits["nodes"]
    assert (head["reason"], click["reason"], click["device"]) == ("head", None, "mobile")
    assert bot["reason"].startswith("bot")
    assert all(hit["trackingLink"]["code"] == link["code"] for hit in hits["nodes"])
    assert hits["clicksKeptSince"] is None

    only = world.ask(HITS, id=link["id"], filter={"reason": "head"})["node"]["stats"]["hits"]
    assert only["nodes"] == [head]


def test_a_tests_hit_is_behind_no_number_and_listed_only_if_asked_for(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    world.click(link["code"], user_agent=SELF_TEST_AGENT)
    world.drain()
    stats = world.ask(HITS, id=link["id"])["node"]["stats"]
    assert (stats["reconciliation"]["hits"], stats["hits"]["nodes"]) == (0, [])
    tests = world.ask(HITS, id=link["id"], filter={"verdict": "TEST"})["node"]["stats"]["hits"]
    assert [hit["verdict"] for hit in tests["nodes"]] == ["TEST"]


def test_what_is_no_cursor_is_refused(world: World, link: dict[str, Any]) -> None:
    for after in ("x", "WzEsMl0", "WyJhIiwiYiJd"):
        assert codes(world.errors(HITS, id=link["id"], after=after)) == ["BAD_USER_INPUT"]


def test_single_hits_are_not_for_partners(world: World, link: dict[str, Any]) -> None:
    values = {"programId": world.program_id, "name": "Agency", "role": "PARTNER"}
    key = world.do("createApiKey", "text", **values)["text"]
    assert codes(world.errors(HITS, key=key, id=link["id"])) == ["FORBIDDEN"]
