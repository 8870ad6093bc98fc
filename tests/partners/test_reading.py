"""The two clients that we give partners to start from, against a real server."""

import csv

from app.settings import Settings
from tests.partners.client import Client, a_door
from tests.partners.conftest import MANY, MORE_THAN_A_PAGE, a_key
from tests.server import serving
from tests.world import World


def test_a_partner_reads_all_links_of_all_creators_of_a_campaign(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    world.an_enrollment(world.a_campaign())  # somebody else's
    key = a_key(world, "PARTNER", campaign)
    with serving(settings) as address:
        done = client(address, campaign, key)
    assert done.returncode == 0, done.stderr
    first, *rows = csv.reader(done.stdout.splitlines())
    assert first == ["creator", "external id", "link", "short URL", "clicks", "unique clicks"]
    links = {row[3] for row in rows}
    assert len(links) == len(rows) == 2 * MANY + MORE_THAN_A_PAGE
    assert len({row[0] for row in rows}) == MANY
    assert [row[2] for row in rows].count("App, for phones") == MANY


def test_a_client_waits_as_long_as_the_server_asks_it_to(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    key = a_key(world, "PARTNER", campaign)
    with serving(settings) as address, a_door(address) as door:
        door.is_busy = True
        done = client(door.url, campaign, key)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 2 * MANY + MORE_THAN_A_PAGE
    assert [asked.status for asked in door.asked[:2]] == [429, 200]


def test_a_client_that_has_asked_too_much_says_for_how_long_it_should_wait(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    key = a_key(world, "PARTNER", campaign)
    with serving(settings, TRACKLINKS_GRAPHQL_REQUESTS_PER_MINUTE="1") as address:
        done = client(address, campaign, key, patience=0)
    assert done.returncode == 1
    assert "Asked too much: the server wants us to wait for" in done.stderr


def test_a_client_says_in_a_sentence_what_it_was_refused(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    manager, partner = a_key(world, "MANAGER", campaign), a_key(world, "PARTNER", campaign)
    with serving(settings) as address:
        unknown = client(address, "cmp_0000000000001", manager, complete=True)
        forbidden = client(address, campaign, partner, complete=True)
        completed = client(address, campaign, manager, complete=True)
        stranger = client(address, campaign, "nonsense")
    assert (unknown.returncode, unknown.stderr.strip()) == (1, "There is no such campaign.")
    assert forbidden.returncode == 1
    assert "may not use `generateMissingLinks`" in forbidden.stderr
    assert completed.returncode == 0, completed.stderr
    assert stranger.returncode == 1
    assert "Traceback" not in stranger.stderr
    assert "at async" not in stranger.stderr
    assert stranger.stderr.strip()
    nobody = client(address, campaign, partner)  # the server is gone
    assert nobody.returncode == 1
    assert nobody.stderr.startswith(f"No answer from {address}")
    assert len(nobody.stderr.splitlines()) == 1
