"""Whose a conversion is, case by case (CV-5): what was claimed, and who is credited."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.models import Verdict
from tests.selling import Shop
from tests.world import World

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
MS = timedelta(milliseconds=1)
ANA, BEN, ARCHIVED = 0, 1, 2
RULES = {"windowDays": 28, "model": "LAST_CLICK", "couponPrecedence": "CLICK"}

Credited = tuple[str, str | None, int | None]  # status, reason, whose link
NO_CLICK: Credited = ("UNATTRIBUTED", "no_click", None)
UNKNOWN: Credited = ("UNATTRIBUTED", "unknown_click", None)
FILTERED: Credited = ("UNATTRIBUTED", "filtered_click", None)
TOO_LATE: Credited = ("OUT_OF_WINDOW", "out_of_window", None)


def to(link: int) -> Credited:
    return ("ATTRIBUTED", None, link)


class Case:
    """A shop with the links of two creators, and an archived one; and what somebody reports."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.links = [shop.a_link() for _ in range(3)]
        world = shop.world
        for link, code in ((ANA, "ana10"), (BEN, "ben10")):
            world.do("createCoupon", "coupon { id }",
                     trackingLinkId=self.links[link]["id"], code=code)  # fmt: skip
        old = world.do("createCoupon", "coupon { id }",
                       trackingLinkId=self.links[ANA]["id"], code="old10")  # fmt: skip
        world.do("archiveCoupon", "coupon { id }", id=old["coupon"]["id"])
        self.before_archive = self.click(ARCHIVED, HOUR)
        world.do("archiveTrackingLink", "trackingLink { id }", id=self.links[ARCHIVED]["id"])

    def click(self, link: int, ago: timedelta, **values: Any) -> str:
        return self.shop.past_click(self.links[link], ago, **values)

    def bot(self, link: int, ago: timedelta) -> str:
        return self.click(link, ago, verdict=Verdict.EXCLUDED, reason="bot:word")

    def code(self, link: int) -> str:
        return str(self.links[link]["code"])


def after(click_id: str, passed: timedelta) -> dict[str, Any]:
    """Bought so long after a click, to the millisecond."""
    clicked = datetime.fromtimestamp(int(click_id[:12], 16) / 1000, UTC)
    at = (clicked + passed).isoformat(timespec="milliseconds")
    return {"clickId": click_id, "occurredAt": at}


def ago(passed: timedelta) -> str:
    return (datetime.now(UTC) - passed).isoformat()


@dataclass(frozen=True)
class Claim:
    report: Callable[[Case], dict[str, Any]]
    credited: Credited
    rules: dict[str, Any] = field(default_factory=dict)


FIRST = {"model": "FIRST_CLICK"}
COUPON = {"couponPrecedence": "COUPON"}
CLAIMS = {
    # The window, with its last moment.
    "a second before 28 days": Claim(
        lambda c: after(c.click(ANA, 30 * DAY), 28 * DAY - SECOND), to(ANA)
    ),
    "28 days exactly": Claim(lambda c: after(c.click(ANA, 30 * DAY), 28 * DAY), to(ANA)),
    "a millisecond after": Claim(lambda c: after(c.click(ANA, 30 * DAY), 28 * DAY + MS), TOO_LATE),
    "a second after": Claim(lambda c: after(c.click(ANA, 30 * DAY), 28 * DAY + SECOND), TOO_LATE),
    "1 day exactly": Claim(lambda c: after(c.click(ANA, 3 * DAY), DAY), to(ANA), {"windowDays": 1}),
    "a second after 1 day": Claim(
        lambda c: after(c.click(ANA, 3 * DAY), DAY + SECOND), TOO_LATE, {"windowDays": 1}
    ),
    "365 days exactly": Claim(
        lambda c: after(c.click(ANA, 366 * DAY), 365 * DAY), to(ANA), {"windowDays": 365}
    ),
    "a second after 365 days": Claim(
        lambda c: after(c.click(ANA, 366 * DAY), 365 * DAY + SECOND), TOO_LATE, {"windowDays": 365}
    ),
    "28 days exactly, of a link archived since": Claim(
        lambda c: after(c.click(ARCHIVED, 30 * DAY), 28 * DAY), to(ARCHIVED)
    ),
    "a second after, of a link archived since": Claim(
        lambda c: after(c.click(ARCHIVED, 30 * DAY), 28 * DAY + SECOND), TOO_LATE
    ),
    # Two creators.
    "the last of two": Claim(
        lambda c: {"clickIds": [c.click(ANA, 2 * DAY), c.click(BEN, DAY)]}, to(BEN)
    ),
    "the last of two, said first": Claim(
        lambda c: {"clickIds": [c.click(BEN, DAY), c.click(ANA, 2 * DAY)]}, to(BEN)
    ),
    "the first of two": Claim(
        lambda c: {"clickIds": [c.click(ANA, 2 * DAY), c.click(BEN, DAY)]}, to(ANA), FIRST
    ),
    "the first in the window": Claim(
        lambda c: {"clickIds": [c.click(ANA, 29 * DAY), c.click(BEN, DAY)]}, to(BEN), FIRST
    ),
    "the last of two is a bot's": Claim(
        lambda c: {"clickIds": [c.click(ANA, 2 * DAY), c.bot(BEN, DAY)]}, to(ANA)
    ),
    "the last of two is unknown": Claim(
        lambda c: {"clickIds": [c.click(ANA, 2 * DAY), "f" * 32]}, to(ANA)
    ),
    "one before the purchase and one after it": Claim(
        lambda c: {
            "clickIds": [c.click(ANA, 5 * HOUR), c.click(BEN, HOUR)],
            "occurredAt": ago(2 * HOUR),
        },
        to(ANA),
    ),
    # The clocks of shops.
    "only a click after the purchase": Claim(
        lambda c: {"clickId": c.click(ANA, HOUR), "occurredAt": ago(2 * HOUR)}, to(ANA)
    ),
    "in the future": Claim(
        lambda c: {"clickId": c.click(ANA, 28 * DAY - HOUR), "occurredAt": ago(-2 * HOUR)}, to(ANA)
    ),
    "a little ahead": Claim(
        lambda c: {
            "clickId": c.click(ANA, 28 * DAY - 100 * SECOND),
            "occurredAt": ago(-200 * SECOND),
        },
        TOO_LATE,
    ),
    # What is no person's click, or not this program's.
    "a bot's click": Claim(lambda c: {"clickId": c.bot(ANA, HOUR)}, FILTERED),
    "a click on an archived link": Claim(
        lambda c: {"clickId": c.click(ARCHIVED, HOUR, verdict=Verdict.AFTER_ARCHIVE)}, FILTERED
    ),
    "a click before the archive": Claim(lambda c: {"clickId": c.before_archive}, to(ARCHIVED)),
    "a second tap": Claim(
        lambda c: {"clickId": c.click(ANA, HOUR, verdict=Verdict.EXCLUDED, reason="duplicate")},
        to(ANA),
    ),
    "an unknown click": Claim(lambda _: {"clickId": "f" * 32}, UNKNOWN),
    "an unfilled placeholder": Claim(lambda _: {"clickId": "{{click}}"}, NO_CLICK),
    "nothing": Claim(lambda _: {}, NO_CLICK),
    # Coupons and codes.
    "a coupon": Claim(lambda _: {"coupon": "ANA10"}, to(ANA)),
    "an unknown coupon": Claim(lambda _: {"coupon": "NOPE"}, NO_CLICK),
    "an archived coupon": Claim(lambda _: {"coupon": "OLD10"}, NO_CLICK),
    "a coupon and a click": Claim(
        lambda c: {"coupon": "ana10", "clickId": c.click(BEN, HOUR)}, to(BEN)
    ),
    "a coupon and a click, coupons first": Claim(
        lambda c: {"coupon": "ana10", "clickId": c.click(BEN, HOUR)}, to(ANA), COUPON
    ),
    "an unknown coupon and a click, coupons first": Claim(
        lambda c: {"coupon": "nope", "clickId": c.click(BEN, HOUR)}, to(BEN), COUPON
    ),
    "a coupon and a click too old": Claim(
        lambda c: {"coupon": "ana10", "clickId": c.click(BEN, 29 * DAY)}, to(ANA)
    ),
    "a coupon and a bot's click": Claim(
        lambda c: {"coupon": "ana10", "clickId": c.bot(BEN, HOUR)}, to(ANA)
    ),
    "a coupon and another link's code": Claim(
        lambda c: {"coupon": "ana10", "linkCode": c.code(BEN)}, to(ANA)
    ),
    "a link's code": Claim(lambda c: {"linkCode": c.code(BEN).upper()}, to(BEN)),
    "a link's code and a click": Claim(
        lambda c: {"linkCode": c.code(ANA), "clickId": c.click(BEN, HOUR)}, to(BEN)
    ),
    "a link's code and a click, coupons first": Claim(
        lambda c: {"linkCode": c.code(ANA), "clickId": c.click(BEN, HOUR)}, to(BEN), COUPON
    ),
    "a link's code and a click too old": Claim(
        lambda c: {"linkCode": c.code(ANA), "clickId": c.click(BEN, 29 * DAY)}, to(ANA)
    ),
}


@pytest.fixture
def case(world: World) -> Case:
    return Case(Shop(world))


def test_each_conversion_is_credited_as_the_rules_say(case: Case) -> None:
    assert len(CLAIMS) >= 30
    found: dict[str, Credited] = {}
    for name, claim in CLAIMS.items():
        case.shop.configure(**{**RULES, **claim.rules})
        sale = case.shop.sell(orderId=name, **claim.report(case))
        link = sale["trackingLink"] and [each["id"] for each in case.links].index(
            sale["trackingLink"]["id"]
        )
        found[name] = (sale["status"], sale["reason"], link)
    assert found == {name: claim.credited for name, claim in CLAIMS.items()}


def test_another_programs_click_is_as_good_as_none(
    case: Case, world: World, operator_key: str
) -> None:
    mine, key = world.program_id, world.key
    world.key = operator_key
    world.program_id = world.a_program()
    theirs = case.shop.past_click(case.shop.a_link(), HOUR)
    world.program_id, world.key = mine, key
    alone = case.shop.sell(orderId="1", clickId=theirs)
    assert (alone["status"], alone["reason"], alone["trackingLink"]) == UNKNOWN
    own = case.shop.sell(orderId="2", clickIds=[case.click(ANA, DAY), theirs])
    assert own["trackingLink"] == {"id": case.links[ANA]["id"]}


@pytest.mark.parametrize("header", ["sec_gpc", "dnt"])
def test_who_is_not_to_be_tracked_is_credited_by_a_coupon_alone(
    case: Case, world: World, header: str
) -> None:
    answer = world.click(case.code(ANA), **{header: "1"})
    assert "tlid" not in answer.headers["location"]
    world.drain()
    sale = case.shop.sell(orderId="1")
    assert (sale["status"], sale["reason"], sale["trackingLink"]) == NO_CLICK
    sale = case.shop.sell(orderId="2", coupon="ana10")
    assert sale["trackingLink"] == {"id": case.links[ANA]["id"]}
    assert case.shop.figures(case.links[ANA]["id"])["conversions"] == 1
