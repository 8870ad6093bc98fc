"""Following the changes of links: all of them, in order, none missed."""

from datetime import timedelta

import pytest

from app.resolvers import tracking_links
from app.settings import Settings
from tests.world import World

LAG = tracking_links.SETTLED

CHANGES = """query($after: String) { trackingLinkChanges(first: 2, after: $after) {
  nodes { id archivedAt destinationUrl labels changedAt }
  pageInfo { hasNextPage endCursor } } }"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test has no ten seconds to wait for."""
    monkeypatch.setattr(tracking_links, "SETTLED", timedelta(0))


def _read(world: World, cursor: str | None = None) -> tuple[list[str], str | None]:
    """What changed after the cursor, to the end, and where to go on next time."""
    seen: list[str] = []
    while True:
        page = world.ask(CHANGES, after=cursor)["trackingLinkChanges"]
        seen += [node["id"] for node in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"] or cursor
        if not page["pageInfo"]["hasNextPage"]:
            return seen, cursor


def test_each_change_comes_once_in_its_order_archived_links_too(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    links = [world.a_link(ana)["id"] for _ in range(5)]
    seen, cursor = _read(world)
    assert seen == links
    assert _read(world, cursor) == ([], cursor)

    world.do("updateTrackingLink", "trackingLink { id }", id=links[3], labels=["New"])
    world.do("updateTrackingLink", "trackingLink { id }", id=links[0], destinationUrl="b.example")
    world.do("archiveTrackingLink", "trackingLink { id }", id=links[1])
    seen, cursor = _read(world, cursor)
    assert seen == [links[3], links[0], links[1]]
    assert _read(world, cursor)[0] == []


def test_a_new_destination_of_a_campaign_link_changes_all_its_links(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    enrolled = world.enroll(campaign, world.creators(3))
    world.promote(*enrolled)
    seen, cursor = _read(world)
    assert len(seen) == 3
    world.do("updateCampaignLink", "campaignLink { id }", id=link["id"], name="Renamed")
    assert _read(world, cursor)[0] == []
    world.do("updateCampaignLink", "campaignLink { id }", id=link["id"], destinationUrl="b.example")
    assert set(_read(world, cursor)[0]) == set(seen)


def test_a_change_is_shown_only_when_every_older_one_must_be_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_links, "SETTLED", timedelta(minutes=1))
    world.a_link(world.an_enrollment(world.a_campaign()))
    assert _read(world)[0] == []


def test_the_lag_is_longer_than_any_mutation_may_take() -> None:
    limits = Settings.model_fields["graphql_deadline_s"].metadata
    longest_s = max(getattr(limit, "le", 0) for limit in limits)
    assert timedelta(seconds=longest_s) < LAG
