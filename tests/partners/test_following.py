"""A partner's kept links are the server's, with no more asked than what has changed."""

import asyncio
import csv
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update

from app.database import Database
from app.models import TrackingLink
from app.settings import Settings
from tests.partners.client import Client, Done, a_door
from tests.partners.conftest import MANY, a_key
from tests.server import serving
from tests.world import World

COLUMNS = ["creator", "external id", "link", "short URL", "destination URL"]
SET, REST, CHANGES = "PartnerLinkSet", "PartnerLinksOfCreator", "PartnerLinkChanges"
SHOWN_WITHIN_S = 60

LINKS = """query($campaign: ID!, $after: String) {
  trackingLinks(first: 100, after: $after, filter: {campaignIds: [$campaign]}) {
    nodes { id code destinationUrl labels campaignLink { name } creator { handle externalId } }
    pageInfo { hasNextPage endCursor } } }"""


def test_a_client_that_keeps_links_asks_next_time_only_for_what_has_changed(
    world: World, settings: Settings, campaign: str, client: Client, tmp_path: Path
) -> None:
    made_long_ago(settings)
    key, file = a_key(world, "PARTNER", campaign), tmp_path / "links"
    with serving(settings) as address, a_door(address) as door:
        before = client(door.url, campaign, key, keep=file)
        assert kept(before) == live(world, campaign)
        asked = [each.operation for each in door.asked]
        assert sorted(asked) == [CHANGES, SET, SET, REST]
        assert asked[-1] == CHANGES

        edited, archived = of_one_creator(world, campaign)[:2]
        world.do("archiveTrackingLink", "trackingLink { id }", id=archived)
        world.move("DELIVERABLES", *world.enroll(campaign, world.creators(MANY)))
        edit(world, edited)
        door.asked.clear()
        door.is_busy = True
        after = client(door.url, campaign, key, keep=file)
    assert kept(after) == live(world, campaign)
    assert len(kept(after)) == len(kept(before)) + 2 * MANY - 1
    assert [(each.operation, each.status) for each in door.asked] == [
        (CHANGES, 429),
        (CHANGES, 200),
        (CHANGES, 200),
    ]


def test_a_client_that_is_cut_anywhere_goes_on_from_there(
    world: World, settings: Settings, campaign: str, client: Client, tmp_path: Path
) -> None:
    key, file = a_key(world, "PARTNER", campaign), tmp_path / "links"
    edit(world, of_one_creator(world, campaign)[0])
    with serving(settings) as address, a_door(address) as door:
        door.lets_pass = 0
        cut = client(door.url, campaign, key, keep=file, door=door)
        assert cut.returncode < 0
        for _ in range(10):
            door.lets_pass = 2  # a page, and the rest of the links of one of its creators
            done = client(door.url, campaign, key, keep=file, door=door)
            if done.returncode == 0:
                break
        assert kept(done) == live(world, campaign)
        assert [each.after for each in door.asked if each.operation == SET].count(None) == 1

        forgetful = file.read_bytes()
        file.write_bytes(forgetful[:-9])  # cut in the middle of a line
        door.lets_pass = None
        again = client(door.url, campaign, key, keep=file)
    assert kept(again) == live(world, campaign)
    assert door.asked[-1].operation == CHANGES


def test_a_client_whose_cursor_is_refused_reads_everything_again(
    world: World, settings: Settings, campaign: str, client: Client, tmp_path: Path
) -> None:
    made_long_ago(settings)
    key, file = a_key(world, "PARTNER", campaign), tmp_path / "links"
    with serving(settings) as address, a_door(address) as door:
        client(door.url, campaign, key, keep=file)
        for place in ("changes_after", "creators_after"):
            page = json.loads(file.read_text().splitlines()[-1])
            page[place] = "of another version"
            page["is_complete"] = place == "changes_after"
            page["rows"] = {"lnk_1": ["gone"] * len(COLUMNS)}
            file.write_text(json.dumps(page) + "\n")
            door.asked.clear()
            done = client(door.url, campaign, key, keep=file)
            assert kept(done) == live(world, campaign)
            assert [each.after for each in door.asked][:2] == ["of another version", None]
            assert door.asked[1].operation == SET


def test_a_client_leaves_a_file_alone_that_is_not_of_its_campaign(
    world: World, settings: Settings, campaign: str, client: Client, tmp_path: Path
) -> None:
    key, file, letter = a_key(world, "PARTNER", campaign), tmp_path / "links", tmp_path / "letter"
    letter.write_text("Dear Ana,\n")
    with serving(settings) as address:
        client(address, campaign, key, keep=file)
        text = file.read_text()
        other = client(address, world.a_campaign(), key, keep=file)
        foreign = client(address, campaign, key, keep=letter)
    said = f"{file} keeps the links of another campaign, {campaign}."
    assert (other.returncode, other.stderr.strip()) == (1, said)
    assert (foreign.returncode, foreign.stderr.strip()) == (
        1,
        f"{letter} is not a file of kept links.",
    )
    assert (file.read_text(), letter.read_text()) == (text, "Dear Ana,\n")


def kept(done: Done) -> set[tuple[str, ...]]:
    """What a client printed, with codes in place of short URLs. No link comes twice."""
    assert done.returncode == 0, done.stderr
    first, *rows = csv.reader(done.stdout.splitlines())
    assert first == COLUMNS
    found = {(*row[:3], row[3].rpartition("/")[2], row[4]) for row in rows}
    assert len(found) == len(rows)
    return found


def live(world: World, campaign: str) -> set[tuple[str, ...]]:
    """The same, of the server's live links."""
    return {
        (
            link["creator"]["handle"],
            link["creator"]["externalId"] or "",
            link["campaignLink"]["name"] if link["campaignLink"] else "+".join(link["labels"]),
            link["code"],
            link["destinationUrl"],
        )
        for link in links(world, campaign)
    }


def links(world: World, campaign: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = world.ask(LINKS, campaign=campaign, after=after)["trackingLinks"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def of_one_creator(world: World, campaign: str) -> list[str]:
    return [link["id"] for link in links(world, campaign) if link["labels"]]


def made_long_ago(settings: Settings) -> None:
    """Everything so far: its changes show at once."""

    async def age() -> None:
        database = Database(settings.database)
        minute_ago = datetime.now(UTC) - timedelta(minutes=1)
        async with database.writing() as session:
            await session.exec(update(TrackingLink).values(changed_at=minute_ago))
        await database.close()

    asyncio.run(age())


def edit(world: World, link: str) -> None:
    """Change a link, and wait until that shows: all older changes show as well then."""
    world.do("updateTrackingLink", "trackingLink { id }", id=link, destinationUrl="b.example")
    newest = "{ trackingLinkChanges(last: 1) { nodes { id } } }"
    deadline = time.monotonic() + SHOWN_WITHIN_S
    while world.ask(newest)["trackingLinkChanges"]["nodes"] != [{"id": link}]:
        assert time.monotonic() < deadline, "the change does not show"
        time.sleep(0.2)
