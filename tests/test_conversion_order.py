"""In whatever order clicks, sales, repeats, refunds and corrections arrive, the figures are the same.

CV-6 has 50,000 events in 200 orders, ten million arrivals. Each arrival is a transaction of some
milliseconds, so nobody would run that. What runs is 50,000 events in one order, and 200 orders of
250 events; orders of different sales don't touch, so short histories hold what long ones do.
"""

import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from app.auth import OPERATOR
from app.database import Database
from app.models import (
    Click,
    Conversion,
    ConversionQuarter,
    ConversionSettings,
    Program,
    Verdict,
)
from app.resolvers import conversions, ledger
from app.resolvers.books import booked
from app.resolvers.change import Change
from app.resolvers.conversion_reports import Report
from app.resolvers.refunds import Refund, refund_order
from tests.rows import NOW, insert_one_of_each, link

LINKS = 3
WINDOW = timedelta(days=28)
CURRENCIES = ("EUR", "JPY")


@dataclass(frozen=True)
class Event:
    """What reaches us: a click, a sale by the server or by a page, a refund, a correction."""

    kind: str
    order: str = ""
    click: tuple[str, int, datetime, bool] | None = None
    clicks: tuple[str, ...] = ()
    amount: int = 0
    currency: str = "EUR"
    at: datetime = NOW
    number: int = 0


def some_events(number: int, seed: int) -> list[Event]:
    """About so many, for orders that nothing contradicts but pages."""
    random_ = random.Random(seed)  # noqa: S311 - to be the same each time
    events: list[Event] = []
    order = 0
    while len(events) < number:
        order += 1
        sold_at = NOW - timedelta(minutes=random_.randrange(60 * 24 * 30))
        clicks = []
        for _ in range(random_.randrange(4)):
            at = sold_at - timedelta(minutes=random_.randrange(60 * 24 * 40))
            at_ms = int(at.timestamp() * 1000)
            id_ = (at_ms.to_bytes(6) + random_.randbytes(10)).hex()
            # A few never arrive.
            click = (id_, random_.randrange(LINKS), at, random_.random() < 0.8)
            clicks.append(id_)
            if random_.random() < 0.9:
                events.append(Event("click", click=click))
        amount, currency = random_.randrange(1, 10_000), random_.choice(CURRENCIES)
        sale = Event("sale", f"o{order}", None, tuple(clicks), amount, currency, sold_at)
        by = random_.randrange(4)
        if by < 3:
            events += [sale] * random_.randrange(1, 3)
        if by > 1:
            said = amount if by == 3 else amount + 1  # a page may lie about what the server says
            page = Event("page", sale.order, None, sale.clicks, said, currency, sold_at)
            events += [page] * random_.randrange(1, 3)
        left = amount
        for refund in range(random_.randrange(3)):
            part = random_.randrange(1, left + 1)
            if part == left:
                break
            left -= part
            again = Event("refund", sale.order, amount=part, currency=currency, number=refund)
            events += [again] * random_.randrange(1, 3)
        if random_.random() < 0.2:  # to something that the refunds fit into
            worth = amount - left + random_.randrange(1, 10_000)
            right = Event("correction", sale.order, amount=worth, currency=currency)
            events += [right] * random_.randrange(1, 3)
    return events


def shuffled(events: list[Event], seed: int) -> list[Event]:
    """In another order; but who corrects something has heard of it, so that comes later."""
    events = list(events)
    random.Random(seed).shuffle(events)  # noqa: S311 - to be the same each time
    known: set[str] = set()
    early: dict[str, list[Event]] = defaultdict(list)
    arriving = []
    for event in events:
        if event.kind == "correction" and event.order not in known:
            early[event.order].append(event)
            continue
        arriving.append(event)
        if event.kind in ("sale", "page"):
            known.add(event.order)
            arriving += early.pop(event.order, [])
    return arriving


def modelled(events: list[Event]) -> dict[tuple[int, int, str], list[int]]:
    """What the figures must be, said as simply as it can be."""
    clicks = {event.click[0]: event.click for event in events if event.click}
    orders: dict[str, dict[str, Any]] = defaultdict(dict)
    for event in events:
        if event.kind in ("sale", "page"):
            orders[event.order][event.kind] = event
        elif event.kind == "refund":
            orders[event.order].setdefault("refunds", {})[event.number] = event.amount
        elif event.kind == "correction":
            orders[event.order]["worth"] = event.amount
    figures: dict[tuple[int, int, str], list[int]] = defaultdict(lambda: [0] * 5)
    for order in orders.values():
        sale = order.get("sale") or order.get("page")
        if sale is None:
            continue
        found = [clicks[id_] for id_ in sale.clicks if id_ in clicks]
        earning = [c for c in found if c[3] and sale.at - c[2] <= WINDOW]
        if not earning:
            continue
        _, link_index, _, _ = max(earning, key=lambda c: (int(c[0][:12], 16), c[0]))
        worth = order.get("worth", sale.amount)
        refunded = min(sum(order.get("refunds", {}).values()), worth)
        is_verified = "sale" in order
        row = figures[(link_index, int(sale.at.timestamp()) // 900, sale.currency)]
        payable = worth - refunded if is_verified else 0
        for place, value in enumerate((1, not is_verified, worth, refunded, payable)):
            row[place] += value
    return dict(figures)


async def play(database: Database, program: int, links: list[int], events: list[Event]) -> None:
    """Let all of it arrive, and then look again at what waits."""
    for event in events:
        async with database.writing() as session:
            change = Change(session, OPERATOR, NOW, check_destination=str)
            if event.click is not None:
                id_, index, at, counts = event.click
                session.add(
                    Click(
                        id=bytes.fromhex(id_),
                        link_id=links[index],
                        at_ms=int(at.timestamp() * 1000),
                        destination_version=1,
                        verdict=Verdict.COUNTED if counts else Verdict.EXCLUDED,
                        reason="" if counts else "bot:x",
                        classifier=1,
                        is_unique=counts,
                        is_suspect=False,
                    )
                )
                continue
            digits = 2 if event.currency == "EUR" else 0
            amount = f"{event.amount / 10**digits:.{digits}f}"
            if event.kind == "refund":
                refund = Refund(
                    order_id=event.order,
                    amount=amount,
                    currency=event.currency,
                    reason="Returned",
                    idempotency_key=f"{event.order}-{event.number}",
                )
                await refund_order(change, program, refund)
                continue
            if event.kind == "correction":
                of_order = select(Conversion.id).where(
                    Conversion.program_id == program, Conversion.order_id == event.order
                )
                await ledger.correct(
                    change,
                    (await session.exec(of_order)).one(),
                    amount=amount,
                    reason="Mistyped",
                    idempotency_key=f"{event.order}-c",
                )
                continue
            report = Report(
                order_id=event.order,
                click_ids=event.clicks,
                amount=amount,
                currency=event.currency,
                occurred_at=event.at,
            )
            is_verified = event.kind == "sale"
            await conversions.record(change, program, report, is_verified=is_verified)
    is_more = True
    while is_more:
        async with database.writing() as session:
            settled = await conversions.settle(session, now=NOW + timedelta(days=1))
        is_more = settled == conversions.SETTLED_AT_ONCE


async def figures(database: Database, links: list[int]) -> Any:
    """The sums as they stand, and as they are when they are made again from the conversions."""
    async with database.reading() as session:
        rows = await session.exec(
            select(ConversionQuarter).where(col(ConversionQuarter.link_id).in_(links))
        )
        sums = {
            (links.index(row.link_id), row.quarter, row.currency): [
                row.conversions, row.unverified_conversions, row.gross, row.refunded, row.payable,
            ]
            for row in rows.all()
        }  # fmt: skip
        rebuilt: dict[tuple[int, int, str], list[int]] = defaultdict(lambda: [0] * 5)
        every = select(Conversion).where(col(Conversion.tracking_link_id).in_(links))
        for conversion in (await session.exec(every)).all():
            if (entry := booked(conversion)) is not None:
                (link_id, quarter, currency), added = entry
                row = rebuilt[(links.index(link_id), quarter, currency)]
                for place, value in enumerate(added):
                    row[place] += value
    return {key: row for key, row in sums.items() if any(row)}, dict(rebuilt)


async def _hold(database: Database, number: int, permutations: int) -> None:
    await insert_one_of_each(database)
    events = some_events(number, seed=5)
    expected = modelled(events)
    assert len(expected) > number / 20
    for permutation in range(permutations):
        program = 1000 * (permutation + 1)
        links = [program + index for index in range(LINKS)]
        async with database.writing() as session:
            session.add(Program(id=program, name="Shop", created_at=NOW))
            await session.flush()
            session.add(ConversionSettings(program_id=program, is_on=True))
            for id_ in links:
                session.add(link(id_, f"l{id_}", program_id=program))
        # Clicks have one id in the world, and each program its own copy of the world.
        arriving = [_of(each, program) for each in shuffled(events, permutation)]
        await play(database, program, links, arriving)
        sums, rebuilt = await figures(database, links)
        assert sums == rebuilt
        assert sums == expected


def _of(event: Event, program: int) -> Event:
    def own(id_: str) -> str:
        return f"{id_[:-8]}{program:08x}"

    click = event.click and (own(event.click[0]), *event.click[1:])
    fields = {**event.__dict__, "click": click, "clicks": tuple(map(own, event.clicks))}
    return Event(**fields)


async def test_the_order_of_arrival_changes_nothing(database: Database) -> None:
    await _hold(database, number=250, permutations=6)


@pytest.mark.slow
async def test_two_hundred_orders_of_arrival_change_nothing(database: Database) -> None:
    await _hold(database, number=250, permutations=200)


@pytest.mark.slow
async def test_fifty_thousand_events_in_one_order_add_up(database: Database) -> None:
    await _hold(database, number=50_000, permutations=1)
