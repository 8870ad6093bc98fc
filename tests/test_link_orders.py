"""Links by clicks and by their last click: the right order, its cursors, and when a click was."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.clicks.classifier import SELF_TEST_AGENT
from app.ids import decode
from tests.statements import count_statements
from tests.world import World, codes

ORDERS = ("CREATED_AT", "CODE", "CLICKS", "LAST_CLICKED_AT")
LINKS = """query($order: TrackingLinkOrderInput, $first: Int, $after: String, $last: Int,
    $before: String) { trackingLinks(orderBy: $order, first: $first, after: $after, last: $last,
    before: $before) { edges { cursor node { id } } pageInfo { endCursor hasNextPage }
    nodes { id code lastClickedAt stats { clicks } } } }"""
BIG = 1 << 63


def make_links(world: World, times: tuple[int, ...] = (2, 0, 3, 0, 2)) -> list[dict[str, Any]]:
    """Links in the order in which they were clicked, so often each."""
    enrollment = world.an_enrollment(world.a_campaign())
    links = [world.a_link(enrollment) for _ in times]
    for link, number in zip(links, times, strict=True):
        for place in range(number):
            world.click(link["code"], ip=f"203.0.113.{place}")
    world.drain()
    return links


def listed(world: World, field: str, direction: str = "DESC", **page: Any) -> Any:
    order = {"field": field, "direction": direction}
    return world.ask(LINKS, order=order, **page)["trackingLinks"]


def forged(field: str, value: Any, key: Any = 5) -> str:
    text = json.dumps([field, True, value, key])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_links_are_listed_by_clicks_and_by_their_last_click(world: World) -> None:
    links = make_links(world)
    ids, keys = [link["id"] for link in links], [decode("lnk", link["id"]) for link in links]
    ranks = {"CLICKS": (2, 0, 3, 0, 2), "LAST_CLICKED_AT": (1, 0, 2, 0, 3)}
    for field, rank in ranks.items():
        places = sorted(range(5), key=lambda place: (rank[place], keys[place]))
        upward = [node["id"] for node in listed(world, field, "ASC")["nodes"]]
        assert upward == [ids[place] for place in places]
        downward = [node["id"] for node in listed(world, field)["nodes"]]
        assert downward == upward[::-1]


def test_many_parents_get_the_pages_that_each_would_get_alone(world: World) -> None:
    campaign = world.a_campaign()
    enrolled = world.enroll(campaign, world.creators(3))
    for place, enrollment in enumerate(enrolled):
        for number in range(4):
            link = world.a_link(enrollment)
            for visitor in range((place + number) % 3):
                world.click(link["code"], ip=f"203.0.113.{visitor}")
    world.drain()
    page = """trackingLinks(%s, orderBy: {field: %s}) { nodes { id }
        edges { cursor } pageInfo { hasNextPage hasPreviousPage } }"""
    for field in ORDERS:
        for size in ("first: 3", "last: 3"):
            asked = page % (size, field)
            query = f"query($id: ID!) {{ campaign(id: $id) {{ enrollments {{ nodes {{ id {asked} }} }} }} }}"
            together = world.ask(query, id=campaign)["campaign"]["enrollments"]["nodes"]
            assert len(together) == 3
            for node in together:
                query = f"query($id: ID!) {{ enrollment(id: $id) {{ id {asked} }} }}"
                assert world.ask(query, id=node["id"])["enrollment"] == node
                assert len(node["trackingLinks"]["nodes"]) == 3


def test_a_link_that_is_clicked_during_a_walk_moves_and_no_other_is_lost(world: World) -> None:
    links = make_links(world, (1, 2, 3, 4, 5))
    first = listed(world, "CLICKS", first=2)
    for place in range(9):
        world.click(links[0]["code"], ip=f"203.0.113.{100 + place}")
    world.drain()
    rest = listed(world, "CLICKS", after=first["pageInfo"]["endCursor"])
    seen = [node["id"] for node in first["nodes"] + rest["nodes"]]
    assert seen == [link["id"] for link in links[:0:-1]]
    assert listed(world, "CLICKS", first=1)["nodes"][0]["id"] == links[0]["id"]


@pytest.mark.parametrize("field", ORDERS)
def test_a_cursor_is_of_one_order_of_links_in_one_direction(world: World, field: str) -> None:
    make_links(world)
    cursor = listed(world, field)["edges"][0]["cursor"]
    for other in ORDERS:
        for direction in ("ASC", "DESC"):
            order = {"field": other, "direction": direction}
            for page in ({"after": cursor}, {"before": cursor}):
                if (other, direction) == (field, "DESC"):
                    world.ask(LINKS, order=order, **page)
                else:
                    (error,) = world.errors(LINKS, order=order, **page)
                    assert "is not a cursor of this list and order" in error["message"]
                    assert codes([error]) == ["BAD_USER_INPUT"]


FORGED: dict[str, list[tuple[Any, Any]]] = {
    "CLICKS": [(1, key) for key in (-1, BIG, 2.0, True, None, "5", [5])],
    "CODE": [(value, 5) for value in (7, None, ["a"], "a\0", "\ud800")],
    "CREATED_AT": [
        (value, 5) for value in (7, None, "now", "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59")
    ],
    "LAST_CLICKED_AT": [
        (value, 5)
        for value in (-1, BIG, 10**400, 1.0, float("nan"), True, None, "7", [7], {"a": 7})
    ],
}


@pytest.mark.parametrize("field", FORGED)
def test_a_forged_cursor_is_refused(world: World, field: str) -> None:
    make_links(world, (1,))
    for value, key in FORGED[field]:
        cursor = forged(field, value, key)
        for page in ({"after": cursor}, {"before": cursor}):
            (error,) = world.errors(LINKS, order={"field": field, "direction": "DESC"}, **page)
            assert "is not a cursor of this list and order" in error["message"], (value, key)
            assert codes([error]) == ["BAD_USER_INPUT"]


def test_a_forged_cursor_may_stand_anywhere(world: World) -> None:
    """What could be a place in the list is one: nothing is shown that is not the caller's."""
    (link, *_) = make_links(world, (1,))
    for field in ("CLICKS", "LAST_CLICKED_AT"):
        for value, key, found in ((BIG - 1, BIG - 1, [link["id"]]), (0, 0, [])):
            nodes = listed(world, field, after=forged(field, value, key))["nodes"]
            assert [node["id"] for node in nodes] == found


def test_a_link_says_when_a_person_last_clicked_it(world: World) -> None:
    link, never = make_links(world, (0, 0))
    query = "query($id: ID!) { node(id: $id) { ... on TrackingLink { lastClickedAt } } }"

    def last_clicked(id: str = link["id"]) -> Any:
        world.drain()
        return world.ask(query, id=id)["node"]["lastClickedAt"]

    def follow_as_nobody() -> None:
        world.click(link["code"], user_agent=SELF_TEST_AGENT)
        world.click(link["code"], user_agent="Twitterbot/1.0")
        world.click(link["code"], method="HEAD")

    follow_as_nobody()
    assert last_clicked() is None
    for place in range(2):
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        world.click(link["code"], ip=f"203.0.113.{place}")
        after = datetime.now(UTC)
        found = last_clicked()
        assert before <= datetime.fromisoformat(found) <= after
    follow_as_nobody()
    world.do("archiveTrackingLink", "trackingLink { id }", id=link["id"])
    assert world.click(link["code"], ip="203.0.113.9").status_code == 410
    assert last_clicked() == found
    assert last_clicked(never["id"]) is None


def test_what_a_list_by_clicks_costs_does_not_grow_with_it(world: World) -> None:
    campaign = world.a_campaign()
    world.promote(*world.enroll(campaign, world.creators(9)))
    for _ in range(3):
        world.a_campaign_link(campaign, generateForEnrolled=True)
    query = """query($id: ID!, $first: Int!) { campaign(id: $id) { enrollments(first: $first) {
        nodes { trackingLinks(first: 3, orderBy: {field: CLICKS}) {
        nodes { id lastClickedAt } } } } } }"""

    def cost(first: int) -> int:
        with count_statements(world.database) as counted:
            found = world.ask(query, id=campaign, first=first)["campaign"]["enrollments"]["nodes"]
        assert [len(each["trackingLinks"]["nodes"]) for each in found] == [3] * first
        return counted.count

    world.ask(query, id=campaign, first=1)  # the key's last use is kept once a minute
    assert cost(1) == cost(9) == 6
