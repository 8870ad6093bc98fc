"""Conversions: what followed a click, counted once, credited to one link, in the right money."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import func, select

from app.ids import encode
from app.models import AuditEntry, Verdict
from tests.selling import FIGURES, Shop, wait_until
from tests.world import DESTINATION, World, codes

ORDER = {"orderId": "1001", "amount": "49.90", "currency": "EUR"}
EURO = {"amount": "49.90", "currencyCode": "EUR"}
NOTHING = {
    "conversions": None,
    "unverifiedConversions": None,
    "conversionRate": None,
    "revenue": None,
}


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


# On and off.


def test_figures_are_null_until_conversions_are_on_and_0_after(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    world.click(link["code"])
    assert world.numbers(link["id"], FIGURES) == NOTHING
    shop = Shop(world)
    assert shop.figures(link["id"]) == {
        "conversions": 0,
        "unverifiedConversions": 0,
        "conversionRate": 0.0,
        "revenue": {},
    }
    shop.sell(orderId="1", linkCode=link["code"], value=EURO)
    shop.configure(isOn=False)
    assert shop.figures(link["id"]) == NOTHING


def test_off_the_location_is_the_destination_exactly_and_on_it_carries_the_clicks_id(
    world: World,
) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    assert world.click(link["code"]).headers["location"] == DESTINATION
    shop = Shop(world)
    click_id = shop.visit(link)
    assert len(click_id) == 32
    assert world.click(link["code"]).headers["location"] != f"{DESTINATION}?tlid={click_id}"
    shop.configure(clickParameter="from_click")
    assert shop.visit(link, "from_click")
    shop.configure(isOn=False)
    assert world.click(link["code"]).headers["location"] == DESTINATION


@pytest.mark.parametrize(
    ("destination", "query", "location"),
    [
        ("https://b.example/a", "", "https://b.example/a?tlid={id}"),
        ("https://b.example/a?x=1#top", "", "https://b.example/a?x=1&tlid={id}#top"),
        ("https://b.example/a#top", "utm_source=tt", "https://b.example/a?utm_source=tt&tlid={id}#top"),
        ("https://b.example/a", "tlid=stale&y=2", "https://b.example/a?y=2&tlid={id}"),
        ("https://b.example/a", "TLID=other", "https://b.example/a?TLID=other&tlid={id}"),
        ("https://b.example/a?tlid=own", "", "https://b.example/a?tlid=own"),
        ("https://b.example/a?tlid=own", "y=2", "https://b.example/a?tlid=own&y=2"),
    ],
)  # fmt: skip
def test_the_clicks_id_joins_the_query_and_overrides_nothing_of_the_destination(
    world: World, destination: str, query: str, location: str
) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()), destinationUrl=destination)
    Shop(world)
    path = f"{link['code']}?{query}" if query else link["code"]
    found = world.click(path).headers["location"]
    before, _, after = location.partition("{id}")
    assert found.startswith(before)
    assert found.endswith(after)
    assert len(found) == len(location) + (28 if "{id}" in location else 0)


@pytest.mark.parametrize("header", ["sec_gpc", "dnt"])
def test_who_asks_not_to_be_tracked_takes_no_id_along(
    shop: Shop, world: World, header: str
) -> None:
    link = shop.a_link()
    assert shop.visit(link)
    assert world.click(link["code"], **{header: "1"}).headers["location"] == DESTINATION


# One sale.


def test_a_click_and_a_sale_are_one_conversion_at_every_level(shop: Shop, world: World) -> None:
    campaign = world.a_campaign()
    campaign_link = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    (made,) = world.promote(ana)[0]["links"]
    click_id = shop.visit(made)
    world.click(made["code"], ip="203.0.113.9")
    world.drain()
    sale = shop.sell(orderId="1001", clickId=click_id, value=EURO)
    assert (sale["status"], sale["trackingLink"]["id"]) == ("ATTRIBUTED", made["id"])
    assert sale["clickId"] == click_id
    for counted in (made["id"], ana, campaign_link["id"], campaign, world.program_id):
        assert shop.figures(counted) == {
            "conversions": 1,
            "unverifiedConversions": 0,
            "conversionRate": 0.5,
            "revenue": {"EUR": ("49.90", "0.00", "49.90", "49.90")},
        }


def test_an_order_reported_by_script_and_by_server_is_one_conversion(
    shop: Shop, world: World
) -> None:
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    shop.pixel(clickIds=click_id, **ORDER)
    assert shop.figures(link["id"])["unverifiedConversions"] == 1
    answer = shop.post({**ORDER, "clickId": click_id})
    assert (answer.status_code, answer.json()["duplicate"]) == (200, True)
    assert shop.figures(link["id"]) == {
        "conversions": 1,
        "unverifiedConversions": 0,
        "conversionRate": 1.0,
        "revenue": {"EUR": ("49.90", "0.00", "49.90", "49.90")},
    }


def test_without_an_order_id_a_click_earns_one_conversion_of_each_type(shop: Shop) -> None:
    click_id = shop.visit(shop.a_link())
    first = shop.sell(clickId=click_id, type="lead")
    assert shop.sell(clickId=click_id, type="lead")["id"] == first["id"]
    assert shop.sell(clickId=click_id, type="trial")["id"] != first["id"]
    payload = shop.record(type="lead")
    assert codes(payload["userErrors"]) == ["BLANK"]


def test_a_contradicting_repeat_is_turned_away_and_the_first_stands(
    shop: Shop, world: World
) -> None:
    """CV-2, over both keyed ways in."""
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    first = shop.post({**ORDER, "clickId": click_id}).json()["conversion"]
    for changed in ({"amount": "49.91"}, {"currency": "USD"}, {"clickId": "0" * 32}):
        answer = shop.post({**ORDER, "clickId": click_id, **changed})
        assert answer.status_code == 409
        assert answer.json()["conversion"] == first
        assert codes(answer.json()["errors"]) == ["CONFLICT"]
    payload = shop.record(orderId="1001", value={"amount": "1", "currencyCode": "EUR"})
    assert codes(payload["userErrors"]) == ["CONFLICT"]
    assert payload["conversion"]["value"] == EURO
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("49.90", "0.00", "49.90", "49.90")}

    async def audited() -> int:
        async with world.database.reading() as session:
            found = select(func.count()).where(AuditEntry.action == "conflictingConversion")
            return (await session.exec(found)).one()

    assert shop.call(audited) == 4


def test_a_page_cannot_spoil_what_the_shops_server_will_say(shop: Shop, world: World) -> None:
    """Whichever comes first, the server's word on money stands, and the page's click is kept."""
    for order, page_first in (("1", True), ("2", False)):
        link = shop.a_link()
        click_id = shop.visit(link)
        world.drain()

        def page() -> None:
            shop.pixel(orderId=order, amount="0.01", currency="USD", clickIds=click_id)  # noqa: B023

        if page_first:
            page()
        answer = shop.post({"orderId": order, "amount": "80.00", "currency": "EUR"})
        assert answer.status_code == 200
        page()
        assert shop.figures(link["id"]) == {
            "conversions": 1,
            "unverifiedConversions": 0,
            "conversionRate": 1.0,
            "revenue": {"EUR": ("80.00", "0.00", "80.00", "80.00")},
        }


# Attribution.

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("window", "ago", "status"),
    [
        (28, 28 * DAY - 5 * SECOND, "ATTRIBUTED"),
        (28, 28 * DAY + SECOND, "OUT_OF_WINDOW"),
        (28, 40 * DAY, "OUT_OF_WINDOW"),
        (1, DAY - 5 * SECOND, "ATTRIBUTED"),
        (1, DAY + SECOND, "OUT_OF_WINDOW"),
        (365, 365 * DAY - 5 * SECOND, "ATTRIBUTED"),
    ],
)
def test_a_click_earns_within_the_window_and_not_after_it(
    shop: Shop, window: int, ago: timedelta, status: str
) -> None:
    shop.configure(windowDays=window)
    link = shop.a_link()
    sale = shop.sell(orderId="1", clickId=shop.past_click(link, ago), value=EURO)
    assert sale["status"] == status
    assert sale["trackingLink"] == ({"id": link["id"]} if status == "ATTRIBUTED" else None)
    assert shop.figures(link["id"])["conversions"] == (1 if status == "ATTRIBUTED" else 0)


@pytest.mark.parametrize(("late", "status"), [(0, "ATTRIBUTED"), (1, "OUT_OF_WINDOW")])
def test_the_windows_last_moment_is_in_it(shop: Shop, late: int, status: str) -> None:
    link = shop.a_link()
    click_id = shop.past_click(link, 30 * DAY)
    at_ms = int(click_id[:12], 16) + 28 * 86_400_000 + late
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    assert shop.sell(orderId="1", clickId=click_id, occurredAt=at)["status"] == status


def test_a_click_before_the_archive_still_earns(shop: Shop, world: World) -> None:
    link = shop.a_link()
    click_id = shop.visit(link)
    world.do("archiveTrackingLink", "trackingLink { id }", id=link["id"])
    world.drain()
    assert shop.sell(orderId="1", clickId=click_id)["status"] == "ATTRIBUTED"
    assert shop.figures(link["id"])["conversions"] == 1


@pytest.mark.parametrize(("model", "winner"), [("LAST_CLICK", 1), ("FIRST_CLICK", 0)])
def test_of_two_creators_clicks_the_programs_model_says_which_earns(
    shop: Shop, model: str, winner: int
) -> None:
    shop.configure(model=model)
    links = [shop.a_link(), shop.a_link()]
    ids = [shop.past_click(links[0], 3 * DAY), shop.past_click(links[1], DAY)]
    too_old = shop.past_click(links[1 - winner], 29 * DAY)
    for number, given in enumerate([[*ids, too_old], [too_old, *reversed(ids)]]):
        sale = shop.sell(orderId=str(number), clickIds=given)
        assert sale["trackingLink"]["id"] == links[winner]["id"]


@pytest.mark.parametrize(
    ("verdict", "reason", "status", "why"),
    [
        (Verdict.EXCLUDED, "bot:twitter", "UNATTRIBUTED", "filtered_click"),
        (Verdict.AFTER_ARCHIVE, "", "UNATTRIBUTED", "filtered_click"),
        (Verdict.EXCLUDED, "duplicate", "ATTRIBUTED", None),
        (Verdict.COUNTED, "", "ATTRIBUTED", None),
    ],
)
def test_what_was_no_person_earns_nothing(
    shop: Shop, verdict: Verdict, reason: str, status: str, why: str | None
) -> None:
    click_id = shop.past_click(shop.a_link(), DAY, verdict=verdict, reason=reason)
    sale = shop.sell(orderId="1", clickId=click_id)
    assert (sale["status"], sale["reason"]) == (status, why)


def test_an_unknown_click_and_one_of_another_program_are_the_same(
    shop: Shop, world: World, operator_key: str
) -> None:
    mine, key = world.program_id, world.key
    world.key = operator_key
    world.program_id = world.a_program()
    world.do("updateConversionSettings", "conversionSettings { isOn }",
             programId=world.program_id, isOn=True)  # fmt: skip
    theirs = shop.past_click(shop.a_link(), DAY)
    world.program_id, world.key = mine, key
    for number, click_id in enumerate([theirs, "0" * 32, "f" * 32]):
        sale = shop.sell(orderId=str(number), clickId=click_id)
        assert (sale["status"], sale["reason"]) == ("UNATTRIBUTED", "unknown_click")
        assert sale["trackingLink"] is None
    assert len(shop.listed(statuses=["UNATTRIBUTED"])) == 3


def test_what_is_no_click_id_costs_no_sale(shop: Shop) -> None:
    sale = shop.sell(orderId="1", clickId="{{ url.tlid }}", value=EURO)
    assert (sale["status"], sale["reason"]) == ("UNATTRIBUTED", "no_click")


def test_a_sale_that_comes_before_its_click_is_credited_when_the_click_comes(
    shop: Shop, world: World
) -> None:
    link = shop.a_link()
    click_id = shop.visit(link)  # in the journal, and not yet drained
    sale = shop.sell(orderId="1", clickId=click_id, value=EURO)
    assert (sale["status"], sale["reason"]) == ("UNATTRIBUTED", "unknown_click")
    figures = shop.figures(link["id"])  # drains
    assert figures["conversions"] in (0, 1)
    wait_until(lambda: shop.settle() == 0 and shop.figures(link["id"])["conversions"] == 1)
    (found,) = shop.listed()
    assert (found["status"], found["clickId"]) == ("ATTRIBUTED", click_id)
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("49.90", "0.00", "49.90", "49.90")}


def test_a_second_tap_does_not_lose_the_sale(shop: Shop, world: World) -> None:
    link = shop.a_link()
    shop.visit(link)
    second = shop.visit(link)
    world.drain()
    assert shop.sell(orderId="1", clickId=second)["status"] == "ATTRIBUTED"
    assert shop.figures(link["id"])["conversionRate"] == 1.0


# Coupons.


def a_coupon(world: World, link: str, code: str) -> str:
    made = world.do("createCoupon", "coupon { id code }", trackingLinkId=link, code=code)
    return str(made["coupon"]["id"])


def test_a_coupon_credits_its_link_without_a_click(shop: Shop, world: World) -> None:
    link = shop.a_link()
    coupon = a_coupon(world, link["id"], "ANA10")
    sale = shop.sell(orderId="1", coupon="Ana10")
    assert (sale["status"], sale["trackingLink"]["id"]) == ("ATTRIBUTED", link["id"])
    assert codes(
        world.change("createCoupon", trackingLinkId=shop.a_link()["id"], code="ana10")["userErrors"]
    ) == ["TAKEN"]
    world.do("archiveCoupon", "coupon { archivedAt }", id=coupon)
    assert shop.sell(orderId="2", coupon="ANA10")["status"] == "UNATTRIBUTED"


@pytest.mark.parametrize(("precedence", "winner"), [("CLICK", 1), ("COUPON", 0)])
def test_the_precedence_says_whether_a_coupon_or_a_click_of_another_link_earns(
    shop: Shop, world: World, precedence: str, winner: int
) -> None:
    shop.configure(couponPrecedence=precedence)
    links = [shop.a_link(), shop.a_link()]
    a_coupon(world, links[0]["id"], "ana10")
    sale = shop.sell(orderId="1", coupon="ana10", clickId=shop.past_click(links[1], DAY))
    assert sale["trackingLink"]["id"] == links[winner]["id"]


def test_a_links_code_credits_it_where_no_click_is_known(shop: Shop) -> None:
    link = shop.a_link()
    assert shop.sell(orderId="1", linkCode=link["code"].upper())["status"] == "ATTRIBUTED"
    assert codes(shop.record(orderId="2", linkCode="nothing")["userErrors"]) == ["NOT_FOUND"]


def test_conversions_are_listed_by_the_links_and_campaigns_that_earned_them(
    shop: Shop, world: World
) -> None:
    campaign = world.a_campaign()
    first, second = (world.a_link(world.an_enrollment(campaign)) for _ in range(2))
    other = shop.a_link()
    sold = {
        link["id"]: shop.sell(orderId=link["code"], linkCode=link["code"], value=EURO)["id"]
        for link in (first, second, other)
    }
    shop.sell(orderId="of nobody", clickId="f" * 32, value=EURO)

    def listed(**filter: Any) -> set[str]:
        return {each["id"] for each in shop.listed(**filter)}

    assert listed(trackingLinkIds=[first["id"]]) == {sold[first["id"]]}
    assert listed(trackingLinkIds=[first["id"], other["id"]]) == {
        sold[first["id"]],
        sold[other["id"]],
    }
    assert listed(campaignIds=[campaign]) == {sold[first["id"]], sold[second["id"]]}
    assert listed(campaignIds=[campaign], trackingLinkIds=[other["id"]]) == set()
    assert listed(trackingLinkIds=["lnk_nonsense"]) == set()


# Refunds, corrections, credit by hand.


def test_refunds_reduce_net_and_never_more_than_there_is(shop: Shop) -> None:
    link = shop.a_link()
    sale = shop.sell(orderId="1", clickId=shop.past_click(link, DAY), value=EURO)
    by = {"id": sale["id"]}
    made = shop.refund(conversion=by, amount="9.90", idempotencyKey="r1")
    assert made["conversion"]["refunded"]["amount"] == "9.90"
    assert shop.refund(conversion=by, amount="9.90", idempotencyKey="r1")["isDuplicate"]
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("49.90", "9.90", "40.00", "40.00")}
    payload = shop.refund(conversion=by, amount="40.01", idempotencyKey="r2")
    assert codes(payload["userErrors"]) == ["REFUND_TOO_LARGE"]
    payload = shop.refund(conversion=by, amount="9.91", idempotencyKey="r1")
    assert codes(payload["userErrors"]) == ["CONFLICT"]
    shop.refund(conversion={"order": {"orderId": "1"}}, idempotencyKey="r3")
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("49.90", "49.90", "0.00", "0.00")}
    assert codes(shop.refund(conversion=by, idempotencyKey="r4")["userErrors"]) == ["INVALID"]
    (found,) = shop.listed()
    assert [(each["kind"], each["amount"]["amount"]) for each in found["entries"]] == [
        ("SALE", "49.90"), ("REFUND", "9.90"), ("REFUND", "40.00"),
    ]  # fmt: skip


def test_a_refund_that_comes_before_its_sale_waits_for_it(shop: Shop) -> None:
    link = shop.a_link()
    by = {"order": {"orderId": "1"}}
    payload = shop.refund(conversion=by, amount="9.90", currencyCode="EUR", idempotencyKey="r")
    assert (payload["conversion"], payload["userErrors"]) == (None, [])
    assert shop.listed() == []
    sale = shop.sell(orderId="1", clickId=shop.past_click(link, DAY), value=EURO)
    assert (sale["status"], sale["refunded"]["amount"]) == ("ATTRIBUTED", "9.90")
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("49.90", "9.90", "40.00", "40.00")}


def test_a_correction_is_an_entry_of_the_ledger(shop: Shop, world: World) -> None:
    link = shop.a_link()
    sale = shop.sell(orderId="1", clickId=shop.past_click(link, DAY), value=EURO)
    for _ in range(2):
        world.do("correctConversion", CONVERSION_ID, id=sale["id"], amount="40.00",
                 reason="Shipping was in it", idempotencyKey="c")  # fmt: skip
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("40.00", "0.00", "40.00", "40.00")}
    (found,) = shop.listed()
    assert [each["amount"]["amount"] for each in found["entries"]] == ["49.90", "-9.90"]
    again = shop.record(orderId="1", clickId=found["clickId"], value=EURO)
    assert (again["isDuplicate"], again["userErrors"]) == (True, [])


CONVERSION_ID = "conversion { id }"


def test_an_uncredited_conversion_is_credited_by_hand_once(shop: Shop, world: World) -> None:
    link, other = shop.a_link(), shop.a_link()
    sale = shop.sell(orderId="1", value=EURO)
    assert shop.listed(statuses=["UNATTRIBUTED"]) == [sale]
    for _ in range(2):
        done = world.do("creditConversion", "conversion { status isCreditedByHand }",
                        id=sale["id"], trackingLinkId=link["id"])  # fmt: skip
        assert done["conversion"] == {"status": "ATTRIBUTED", "isCreditedByHand": True}
    payload = world.change("creditConversion", id=sale["id"], trackingLinkId=other["id"])
    assert codes(payload["userErrors"]) == ["TAKEN"]
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("49.90", "0.00", "49.90", "49.90")}
    assert shop.figures(other["id"])["conversions"] == 0

    async def audited() -> list[Any]:
        async with world.database.reading() as session:
            found = select(AuditEntry).where(AuditEntry.action == "creditConversion")
            entries = (await session.exec(found)).all()
        return [(encode("cnv", each.subject_id or 0), each.changes) for each in entries]

    assert shop.call(audited) == [(sale["id"], {"tracking_link": link["code"]})]


# Money.


def test_currencies_are_reported_apart(shop: Shop) -> None:
    link = shop.a_link()
    for number, (amount, currency) in enumerate(
        [("10.00", "EUR"), ("2.50", "EUR"), ("1000", "JPY"), ("1.234", "KWD")]
    ):
        shop.sell(
            orderId=str(number),
            linkCode=link["code"],
            value={"amount": amount, "currencyCode": currency},
        )
    shop.sell(orderId="lead", linkCode=link["code"])
    figures = shop.figures(link["id"])
    assert figures["conversions"] == 5
    assert {currency: sums[0] for currency, sums in figures["revenue"].items()} == {
        "EUR": "12.50",
        "JPY": "1000",
        "KWD": "1.234",
    }


def test_a_fixed_value_is_that_of_what_says_nothing_and_only_listed_currencies_are_taken(
    shop: Shop,
) -> None:
    shop.configure(fixedValue={"amount": "5.00", "currencyCode": "EUR"}, currencies=["EUR", "USD"])
    assert shop.sell(orderId="1")["value"] == {"amount": "5.00", "currencyCode": "EUR"}
    assert shop.sell(orderId="2", value=EURO)["value"] == EURO
    payload = shop.record(orderId="3", value={"amount": "5", "currencyCode": "JPY"})
    assert codes(payload["userErrors"]) == ["INVALID"]


# Who may.


def test_a_conversions_key_reports_and_reads_nothing(shop: Shop, world: World) -> None:
    key = world.do("createApiKey", "text", name="Shop", role="CONVERSIONS",
                   programId=world.program_id)["text"]  # fmt: skip
    link = shop.a_link()
    made = world.do("recordConversion", CONVERSION_AND_LINK, key=key, orderId="1",
                    linkCode=link["code"])  # fmt: skip
    assert made["conversion"] == {"status": "ATTRIBUTED", "trackingLink": None}
    assert codes(world.errors("{ conversions { nodes { id } } }", key=key)) == ["FORBIDDEN"]
    payload = world.post('mutation { archiveCoupon(input: {id: "x"}) { userErrors { code } } }',
                         key=key).json()  # fmt: skip
    assert codes(payload["errors"]) == ["FORBIDDEN"]


CONVERSION_AND_LINK = "conversion { status trackingLink { id } }"


def test_a_key_of_some_campaigns_sees_their_conversions_only(shop: Shop, world: World) -> None:
    campaign = world.a_campaign()
    mine = world.a_link(world.an_enrollment(campaign))
    shop.sell(orderId="1", linkCode=mine["code"])
    shop.sell(orderId="2", linkCode=shop.a_link()["code"])
    shop.sell(orderId="3")
    key = world.do("createApiKey", "text", name="Agency", role="ANALYST",
                   programId=world.program_id, campaignIds=[campaign])["text"]  # fmt: skip
    seen = world.ask("{ conversions { nodes { orderId } totalCount } }", key=key)["conversions"]
    assert seen == {"nodes": [{"orderId": "1"}], "totalCount": 1}


def test_a_program_that_tracks_none_takes_none(world: World) -> None:
    payload = world.change("recordConversion", orderId="1")
    assert codes(payload["userErrors"]) == ["INVALID"]
    assert "Turn them on" in payload["userErrors"][0]["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("windowDays", 0),
        ("windowDays", 366),
        ("clickParameter", "id"),
        ("clickParameter", "a b"),
        ("currencies", ["EURO"]),
        ("sites", ["https://shop.example/"]),
        ("fixedValue", {"amount": "1.234", "currencyCode": "EUR"}),
    ],
)
def test_a_setting_that_cannot_be_is_refused(world: World, field: str, value: Any) -> None:
    payload = world.change("updateConversionSettings", programId=world.program_id, **{field: value})
    assert codes(payload["userErrors"]) == ["INVALID"]
    assert payload["userErrors"][0]["path"][:2] == ["input", field]
