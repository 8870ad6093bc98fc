"""Several server processes over one database: what one does holds in the others at once."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.settings import Settings
from tests.server import request, serving
from tests.world import PHONE, World

MOVE = """mutation($ids: [ID!]!) { moveEnrollments(
  input: {enrollmentIds: $ids, stage: DELIVERABLES}) {
  results { generatedTrackingLinks { code } userErrors { code } } } }"""
COUNT_S = 15


class Caller:
    """Asks the server over connections of its own, so that both workers are met."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address
        self._key = key

    def ask(self, query: str, **variables: Any) -> Any:
        _, body = request(
            self._address,
            "POST",
            "/graphql",
            json.dumps({"query": query, "variables": variables}),
            authorization=f"Bearer {self._key}",
            content_type="application/json",
        )
        answer = json.loads(body)
        assert "errors" not in answer, answer
        return answer["data"]

    def click(self, code: str) -> int:
        return request(self._address, "GET", f"/{code}", user_agent=PHONE)[0]


@pytest.fixture
def campaign(world: World) -> str:
    """A campaign with three campaign links, made before the second server starts."""
    campaign = world.a_campaign()
    for _ in range(3):
        world.a_campaign_link(campaign)
    return campaign


def test_promotions_of_the_same_creators_at_once_make_each_link_once(
    world: World, settings: Settings, campaign: str
) -> None:
    enrolled = world.enroll(campaign, world.creators(40))
    with serving(settings, "--workers", "2") as address, ThreadPoolExecutor(8) as pool:
        caller = Caller(address, world.key)
        orders = [enrolled, enrolled[::-1]] * 4
        answers = list(pool.map(lambda ids: caller.ask(MOVE, ids=ids), orders))
    made = [
        link["code"]
        for answer in answers
        for result in answer["moveEnrollments"]["results"]
        for link in result["generatedTrackingLinks"]
    ]
    assert len(made) == len(set(made)) == 3 * len(enrolled)
    counted = world.ask(
        "query($id: ID!) { campaign(id: $id) { trackingLinks { totalCount } } }", id=campaign
    )
    assert counted["campaign"]["trackingLinks"]["totalCount"] == 3 * len(enrolled)


def test_promotions_and_generation_at_once_make_each_link_once(
    world: World, settings: Settings, campaign: str
) -> None:
    enrolled = world.enroll(campaign, world.creators(20))
    generate = """mutation($id: ID!) { generateMissingLinks(input: {campaignId: $id}) {
      generatedTrackingLinks { code } userErrors { code } } }"""
    with serving(settings, "--workers", "2") as address, ThreadPoolExecutor(6) as pool:
        caller = Caller(address, world.key)
        moves = [pool.submit(caller.ask, MOVE, ids=enrolled) for _ in range(3)]
        others = [pool.submit(caller.ask, generate, id=campaign) for _ in range(3)]
        for each in (*moves, *others):
            each.result()
        caller.ask(generate, id=campaign)
    found = world.ask(
        """query($id: ID!) { campaign(id: $id) { enrollments { nodes {
             trackingLinks(filter: {archived: ALL}) { totalCount } } } } }""",
        id=campaign,
    )
    totals = [
        each["trackingLinks"]["totalCount"] for each in found["campaign"]["enrollments"]["nodes"]
    ]
    assert totals == [3] * len(enrolled)


def test_an_archived_link_stops_in_both_workers_before_the_answer_is_read(
    world: World, settings: Settings
) -> None:
    ana = world.an_enrollment(world.a_campaign())
    archive = "mutation($id: ID!) { archiveTrackingLink(input: {id: $id}) { userErrors { code } } }"
    with serving(settings, "--workers", "2") as address:
        caller = Caller(address, world.key)
        for _ in range(10):
            link = world.a_link(ana)
            assert {caller.click(link["code"]) for _ in range(10)} == {302}
            caller.ask(archive, id=link["id"])
            assert {caller.click(link["code"]) for _ in range(10)} == {410}


def test_an_archive_by_another_server_holds_at_once(world: World, settings: Settings) -> None:
    """The first server archives; the second one, with other workers, must know."""
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    with serving(settings, "--workers", "2") as address:
        caller = Caller(address, world.key)
        assert {caller.click(link["code"]) for _ in range(6)} == {302}
        world.do("archiveTrackingLink", "trackingLink { id }", id=link["id"])
        assert {caller.click(link["code"]) for _ in range(6)} == {410}


def test_clicks_on_both_workers_are_counted_by_one_recorder(
    world: World, settings: Settings
) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    query = "query($id: ID!) { trackingLink(by: {id: $id}) { stats { clicks excludedClicks } } }"
    with serving(settings, "--workers", "2") as address:
        caller = Caller(address, world.key)
        for _ in range(30):
            assert caller.click(link["code"]) == 302
        deadline = time.monotonic() + COUNT_S
        while time.monotonic() < deadline:
            stats = caller.ask(query, id=link["id"])["trackingLink"]["stats"]
            if stats["clicks"] + stats["excludedClicks"] == 30:
                break
            time.sleep(0.1)
    # One person, thirty times in a moment: one click and its duplicates.
    assert stats == {"clicks": 1, "excludedClicks": 29}
