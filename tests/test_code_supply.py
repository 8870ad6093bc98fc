"""Codes as they are handed out: each once, and the last one before a link is refused."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import codes as short_codes
from tests.world import DESTINATION, World, codes

DIGITS = "0123456789"
ALL = sorted(f"{number:02}" for number in range(100))


@pytest.fixture
def hundred_codes(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two digits in place of eight letters of 28. How they are drawn stays as it is."""
    fair = 250
    letters = bytes(ord(DIGITS[value % 10]) for value in range(256))
    for name, value in {
        "ALPHABET": DIGITS,
        "LENGTH": 2,
        "_LETTERS": letters,
        "_UNFAIR": bytes(range(fair, 256)),
    }.items():
        monkeypatch.setattr(short_codes, name, value)
    return world


def test_every_code_is_given_out_before_a_link_is_refused_at_once(hundred_codes: World) -> None:
    world = hundred_codes
    campaign = world.a_campaign()
    for _ in range(3):
        world.a_campaign_link(campaign)
    moved = world.promote(*world.enroll(campaign, world.creators(20)))
    made = [link["code"] for result in moved for link in result["links"]]
    assert len(made) == 60
    ana = world.an_enrollment(world.a_campaign())
    made += [world.a_link(ana)["code"] for _ in range(40)]
    assert sorted(made) == ALL

    began = time.monotonic()
    payload = world.change("createTrackingLink", "", enrollmentId=ana, destinationUrl=DESTINATION)
    took_s = time.monotonic() - began
    print(f"the 101st was refused in {took_s * 1000:.0f} ms")  # noqa: T201 - the figure
    assert codes(payload["userErrors"]) == ["TAKEN"]
    assert took_s <= 1
    assert len(world.links_of(ana)) == 40
    assert world.a_link(ana, code="my-own-code")


def test_links_that_are_made_at_once_never_share_a_code(hundred_codes: World) -> None:
    """Both draw one that is free, as each other's is not committed yet."""
    world = hundred_codes
    enrollments = world.enroll(world.a_campaign(), world.creators(10))
    with ThreadPoolExecutor(10) as pool:
        made = pool.map(lambda each: [world.a_link(each)["code"] for _ in range(9)], enrollments)
        given = [code for links in made for code in links]
    assert len(set(given)) == len(given) == 90
    stored = [link["code"] for each in enrollments for link in world.links_of(each)]
    assert sorted(stored) == sorted(given)
