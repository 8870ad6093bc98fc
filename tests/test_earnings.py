"""Conversions add up: in every step and part, at every level, to what one by one they are."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.auth import OPERATOR, Viewer
from app.database import Database
from app.models import ConversionSettings, Role, TrackingLink
from app.money import text
from app.resolvers import conversions, earnings, refunds, stats
from app.resolvers.breakdowns import Dimension, Split
from app.resolvers.change import Change
from app.resolvers.conversion_reports import Report
from app.resolvers.earnings import NOTHING, Earned, Revenue
from app.resolvers.stats import Granularity, Period, Scope
from tests.reports import CHANGES, PROGRAM, ZONES, add_hits, add_program, dice_of
from tests.selling import Shop
from tests.world import World

CURRENCIES = ("EUR", "JPY", None)
PERIODS = [Period(date(2026, 3, 8), date(2026, 3, 29), ZoneInfo(zone)) for zone in ZONES] + [
    Period(date(2026, 1, 1), date(2026, 12, 31), ZoneInfo("Australia/Lord_Howe"))
]
VALUES: dict[Dimension, Callable[[TrackingLink], Hashable]] = {
    Dimension.CAMPAIGN: lambda link: link.campaign_id,
    Dimension.CREATOR: lambda link: link.creator_id,
    Dimension.CAMPAIGN_LINK: lambda link: link.campaign_link_id,
    Dimension.TRACKING_LINK: lambda link: link.id,
}


@dataclass(frozen=True)
class Sale:
    at: datetime
    link: TrackingLink
    currency: str | None
    amount: int
    refunded: int
    is_verified: bool


async def add_sales(
    database: Database, links: Sequence[TrackingLink], dice: Random, count: int
) -> list[Sale]:
    """Sales all over 2026, thickest where some clock is changed, some of them refunded in part."""
    sales = []
    for _ in range(count):
        day = datetime.fromisoformat(f"2026-{dice.choice(CHANGES)}T00:00+00:00")
        spread = dice.choice((1, 1, 5, 120))
        amount, is_verified = dice.randrange(1, 10_000), dice.random() < 0.7
        currency = dice.choice(CURRENCIES)
        refunded = dice.randrange(amount) if currency and dice.random() < 0.4 else 0
        at = day + timedelta(days=dice.uniform(-spread, spread))
        amount = amount if currency else 0
        sales.append(Sale(at, dice.choice(links), currency, amount, refunded, is_verified))
    async with database.writing() as session:
        session.add(ConversionSettings(program_id=PROGRAM, is_on=True))
        await session.flush()
        for number, sale in enumerate(sales):
            change = Change(session, OPERATOR, sale.at, check_destination=str)
            worth = text(sale.amount, sale.currency) if sale.currency else None
            report = Report(
                order_id=str(number),
                link_code=sale.link.code,
                amount=worth,
                currency=sale.currency,
            )
            done = await conversions.record(change, PROGRAM, report, is_verified=sale.is_verified)
            if sale.refunded and sale.currency:
                asked = refunds.Refund(
                    amount=text(sale.refunded, sale.currency),
                    reason="Returned",
                    idempotency_key=str(number),
                )
                await refunds.refund(change, done.conversion.id, asked)
    return sales


def earned(sales: Sequence[Sale]) -> Earned:
    """One at a time, without any of the product's own adding up."""
    worth: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for sale in sales:
        if sale.currency is not None:
            sums = worth[sale.currency]
            sums[0] += sale.amount
            sums[1] += sale.refunded
            sums[2] += sale.amount - sale.refunded if sale.is_verified else 0
    return Earned(
        len(sales),
        sum(not sale.is_verified for sale in sales),
        tuple((c, Revenue(*sums)) for c, sums in sorted(worth.items(), key=lambda e: -e[1][0])),
    )


def within(sale: Sale, period: Period) -> bool:
    assert period.first is not None
    return period.first <= sale.at.astimezone(period.zone).date() <= period.last


def owned(sales: Sequence[Sale], scope: Scope) -> dict[int, list[Sale]]:
    found: dict[int, list[Sale]] = defaultdict(list)
    for sale in sales:
        if (key := getattr(sale.link, scope.value)) is not None:
            found[key].append(sale)
    return found


async def test_totals_and_steps_are_what_the_sales_one_by_one_give(database: Database) -> None:
    dice = dice_of(1)
    links = await add_program(database)
    sales = await add_sales(database, links, dice, 400)
    for period in PERIODS:
        inside = [sale for sale in sales if within(sale, period)]
        assert len(inside) > 40
        for scope in Scope:
            own = owned(inside, scope)
            async with database.reading() as session:
                found = await earnings.totals(session, OPERATOR, scope, list(own), period)
            assert found == {key: earned(each) for key, each in own.items()}
        scope = dice.choice(list(Scope))
        for granularity in Granularity:
            if (
                granularity is Granularity.HOUR
                and len(period.last.isoformat())
                and (period.last - (period.first or period.last)).days > 40
            ):
                continue
            await check_steps(database, period, scope, granularity, owned(inside, scope))


async def check_steps(
    database: Database,
    period: Period,
    scope: Scope,
    granularity: Granularity,
    own: dict[int, list[Sale]],
) -> None:
    """They are those of the clicks, hold the right sales, and add up to the total."""
    asked: Any = (OPERATOR, scope, list(own), period, granularity)
    async with database.reading() as session:
        clicked = await stats.series(session, *asked)
        found = await earnings.series(session, *asked)
    for key, steps in found.items():
        currencies = [currency for currency, _ in earned(own[key]).revenue]
        for step, counted in zip(clicked[key], steps, strict=True):
            here = earned([sale for sale in own[key] if step.start <= sale.at < step.end])
            assert (counted.conversions, counted.unverified) == (here.conversions, here.unverified)
            assert [currency for currency, _ in counted.revenue] == currencies
            worth = dict(here.revenue)
            assert dict(counted.revenue) == {c: worth.get(c, Revenue()) for c in currencies}
        assert sum(steps, NOTHING) == earned(own[key])


async def test_all_time_begins_with_a_sale_that_came_before_any_click(database: Database) -> None:
    links = await add_program(database)
    sales = await add_sales(database, links[:1], dice_of(2), 20)
    period = Period(None, date(2027, 12, 31), ZoneInfo("Asia/Kathmandu"))
    asked: Any = (OPERATOR, Scope.PROGRAM, [PROGRAM], period, Granularity.WEEK)
    async with database.reading() as session:
        (steps,) = (await stats.series(session, *asked)).values()
    first = min(sale.at for sale in sales).astimezone(period.zone).date()
    assert steps[0].start.astimezone(period.zone).date() == first


@pytest.mark.parametrize("limit", [2, 100])
async def test_parts_and_the_rest_add_up_to_all_that_was_earned(
    database: Database, limit: int
) -> None:
    links = await add_program(database)
    # Some have clicks only, some sales only, some both.
    await add_hits(database, links[:11], dice_of(3), 600)
    sales = await add_sales(database, links[7:], dice_of(3), 300)
    for period in PERIODS[:2] + PERIODS[-1:]:
        inside = [sale for sale in sales if within(sale, period)]
        for by, value in VALUES.items():
            for scope in Scope:
                own = owned(inside, scope)
                keys = [*own, *{getattr(link, scope.value) for link in links} - {*own, None}]
                split = Split(by, limit)
                async with database.reading() as session:
                    found = await earnings.parts(session, OPERATOR, scope, keys, period, split)
                assert found.keys() == set(keys)
                for key, each in found.items():
                    all_of_it = own.get(key, [])
                    for part, counted in zip(each.breakdown.parts, each.parts, strict=True):
                        of_part = [s for s in all_of_it if value(s.link) == part.value]
                        assert counted == earned(of_part)
                        assert part.clicks or counted.conversions
                    whole = earned(all_of_it)
                    shown = sum(each.parts, NOTHING)
                    assert shown + each.other == whole
                    if limit == 100:
                        assert each.other == NOTHING


async def test_a_link_with_two_labels_earns_under_both(database: Database) -> None:
    links = await add_program(database)
    sales = await add_sales(database, links, dice_of(4), 100)
    labels = {link.id: ("story", "reel")[: (link.creator_id + link.id % 10) % 3] for link in links}
    split, period = Split(Dimension.LABEL, 10), PERIODS[-1]
    async with database.reading() as session:
        found = await earnings.parts(session, OPERATOR, Scope.PROGRAM, [PROGRAM], period, split)
    inside = [sale for sale in sales if within(sale, period)]
    expected = {
        label: earned([s for s in inside if label in (labels[s.link.id] or (None,))])
        for label in ("story", "reel", None)
    }
    each = found[PROGRAM]
    assert {p.value: e for p, e in zip(each.breakdown.parts, each.parts, strict=True)} == expected


async def test_a_key_of_one_campaign_sees_what_that_campaign_earned_only(
    database: Database,
) -> None:
    links = await add_program(database)
    sales = await add_sales(database, links, dice_of(5), 100)
    viewer = Viewer(Role.ANALYST, PROGRAM, campaign_ids=frozenset({2}))
    period = PERIODS[-1]
    mine = [sale for sale in sales if within(sale, period) and sale.link.campaign_id == 2]
    keys = [PROGRAM]
    async with database.reading() as session:
        total = await earnings.totals(session, viewer, Scope.PROGRAM, keys, period)
        (steps,) = (
            await earnings.series(session, viewer, Scope.PROGRAM, keys, period, Granularity.MONTH)
        ).values()
        split = Split(Dimension.CAMPAIGN, 10)
        parts = await earnings.parts(session, viewer, Scope.PROGRAM, keys, period, split)
    assert total == {PROGRAM: earned(mine)}
    assert sum(steps, NOTHING) == earned(mine)
    assert [part.value for part in parts[PROGRAM].breakdown.parts] == [2]
    assert parts[PROGRAM].other == NOTHING


# In the graph.

WORTH = "revenue { gross { amount currencyCode } refunded { amount } net { amount } }"
FIGURES = f"conversions unverifiedConversions conversionRate {WORTH}"
SERIES = f"""query($id: ID!) {{ node(id: $id) {{ ... on Measurable {{ stats(range: {{lastDays: 3}}) {{
    {FIGURES} timeSeries(granularity: DAY) {{ start uniqueClicks {FIGURES} }} }} }} }} }}"""
PARTS = f"""query($id: ID!, $by: StatsDimension!) {{ node(id: $id) {{ ... on Measurable {{ stats {{
    breakdown(by: $by, limit: 2) {{ rows {{ key counts {{ clicks {FIGURES} }} }}
    other {{ clicks {FIGURES} }} }} }} }} }} }}"""


def test_steps_of_time_have_conversions_and_each_currency_of_all_of_them(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    world.click(link["code"])
    world.drain()
    step = world.ask(SERIES, id=link["id"])["node"]["stats"]["timeSeries"][-1]
    assert [step.pop(name) for name in ("conversions", "conversionRate", "revenue")] == [None] * 3
    shop = Shop(world)
    now = datetime.now(UTC)
    for days, amount, currency in ((0, "49.90", "EUR"), (0, "2.10", "EUR"), (2, "100", "JPY")):
        shop.sell(
            orderId=f"{days}-{amount}",
            linkCode=link["code"],
            value={"amount": amount, "currencyCode": currency},
            occurredAt=(now - timedelta(days=days)).isoformat(),
        )
    found = world.ask(SERIES, id=link["id"])["node"]["stats"]
    steps = found["timeSeries"]
    assert [step["conversions"] for step in steps] == [1, 0, 2]
    assert [step["conversionRate"] for step in steps] == [None, None, 2.0]
    assert found["conversions"] == 3
    gross = [[(e["gross"]["amount"], e["gross"]["currencyCode"]) for e in step["revenue"]]
             for step in steps]  # fmt: skip
    assert gross == [
        [("0.00", "EUR"), ("100", "JPY")],
        [("0.00", "EUR"), ("0", "JPY")],
        [("52.00", "EUR"), ("0", "JPY")],
    ]


def test_parts_have_what_they_earned_and_a_coupon_earns_without_a_click(world: World) -> None:
    campaign = world.a_campaign()
    links = [world.a_link(world.an_enrollment(campaign)) for _ in range(4)]
    world.click(links[0]["code"])
    world.drain()
    off = world.ask(PARTS, id=campaign, by="TRACKING_LINK")["node"]["stats"]["breakdown"]
    assert [row["counts"]["conversions"] for row in off["rows"]] == [None]
    assert off["other"]["revenue"] is None
    shop = Shop(world)
    for number, link in enumerate([links[0], links[1], links[2], links[2]]):
        shop.sell(
            orderId=str(number),
            linkCode=link["code"],
            value={"amount": "10.00", "currencyCode": "EUR"},
        )
    found = world.ask(PARTS, id=campaign, by="TRACKING_LINK")["node"]["stats"]["breakdown"]
    rows = [(row["key"], row["counts"]["clicks"], row["counts"]["conversions"])
            for row in found["rows"]]  # fmt: skip
    assert rows == [(links[0]["id"], 1, 1), (links[2]["id"], 0, 2)]
    assert found["rows"][0]["counts"]["conversionRate"] == 1.0
    assert found["other"]["conversions"] == 1
    assert found["other"]["revenue"][0]["net"] == {"amount": "10.00"}
