"""A shop's backlog in one call: all of it is as though each report had come alone."""

import asyncio
import json
import random
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.conversions import LIST_MAX, sign
from app.resolvers.books import Books, Name
from app.settings import Settings
from tests.selling import Shop
from tests.server import request, serving
from tests.statements import count_statements
from tests.world import World, codes


def _order(number: int, **values: Any) -> dict[str, Any]:
    return {"orderId": f"{number}", "amount": "10.00", "currency": "EUR", **values}


def _refund(number: int, key: str, **values: Any) -> dict[str, Any]:
    return {
        "orderId": f"{number}",
        "amount": "1.00",
        "currency": "EUR",
        "reason": "Returned",
        "idempotencyKey": key,
        **values,
    }


class Twin:
    """A shop with two links, a click of each, and a coupon; the next is just the same."""

    def __init__(self, world: World, operator_key: str) -> None:
        self.world = replace(world, key=operator_key)
        self.world.program_id = self.world.a_program()
        self.world.key = self.world.do(
            "createApiKey", "text", name="Brand", role="ADMIN", programId=self.world.program_id
        )["text"]
        self.shop = Shop(self.world)
        self.links = (self.shop.a_link(), self.shop.a_link())
        self.clicks = [self.shop.past_click(each, timedelta(days=1)) for each in self.links]
        coupon = {"trackingLinkId": self.links[1]["id"], "code": "ANA10"}
        self.world.do("createCoupon", "coupon { id }", **coupon)

    def story(self) -> list[tuple[str, list[Any]]]:
        """All that can come of a report and of a refund, in lists that build on each other."""
        first, second = self.clicks
        early = [
            _refund(1, "r1"),
            _refund(1, "r1"),
            _refund(1, "r1", amount="2.00"),
            _refund(1, "r2"),
            _refund(8, "r9", reason=""),
            _refund(8, "r9", amount="0.00"),
            _refund(8, "r9", currency="eur"),
            {"orderId": "8", "reason": "Returned", "idempotencyKey": "r8"},  # and how much?
            _refund(9, "r9"),
            {"reason": "Returned", "idempotencyKey": "r8"},
            "r8",
        ]
        reports = [
            _order(1, clickId=first),  # its refunds came before it
            _order(2),
            _order(2),
            _order(2, amount="11.00"),
            _order(2, amount="12.00"),
            _order(2, clickId=second),  # what the first left out
            _order(3, coupon="ana10"),
            _order(4, linkCode=self.links[0]["code"], currency="JPY", amount="500"),
            _order(4, linkCode="nothing"),
            _order(5, amount=5),
            {"type": "lead", "clickId": first},
            {"type": "lead", "clickIds": [first]},
            _order(6, clickId="0" * 32),
            {"amount": "1.00", "currency": "EUR"},
            _order(1, type="trial"),
            {"order": "1"},
            None,
        ]
        late = [
            _refund(2, "r3", amount="9.00"),
            _refund(2, "r4", amount="2.00"),  # more than is left
            _refund(2, "r1"),  # the key of another order's
            _refund(2, "r5", currency="JPY"),
            {"orderId": "2", "reason": "Returned", "idempotencyKey": "r6"},
            {"orderId": "2", "reason": "Returned", "idempotencyKey": "r7"},  # nothing is left
        ]
        return [
            ("/conversions/refunds", early),
            ("/conversions", reports),
            ("/conversions/refunds", late),
            ("/conversions", reports),
        ]

    def state(self) -> Any:
        """All that is known of it in the end, without what is random."""
        self.shop.pixel(orderId="2", amount="99.00", currency="EUR")
        conflicts = """{ auditLog(first: 100, filter: {actions: ["conflictingConversion"]})
            { totalCount } }"""
        of = (self.world.program_id, *(each["id"] for each in self.links))
        return (
            sorted((_plain(each) for each in self.shop.listed()), key=json.dumps),
            [self.shop.figures(each) for each in of],
            self.world.ask(conflicts)["auditLog"]["totalCount"],
        )


def _plain(listed: dict[str, Any]) -> dict[str, Any]:
    random_ = ("id", "clickId", "occurredAt", "trackingLink")
    return {name: value for name, value in listed.items() if name not in random_}


def test_a_list_does_what_its_reports_would_do_one_by_one(world: World, operator_key: str) -> None:
    one, other = Twin(world, operator_key), Twin(world, operator_key)
    alone = [one.shop.post(each, path=path) for path, bodies in one.story() for each in bodies]
    lists = [other.shop.post(bodies, path=path) for path, bodies in other.story()]
    together = [result for answer in lists for result in answer.json()["results"]]
    assert {answer.status_code for answer in lists} == {200}
    # Nothing that is no object is a report, alone or in a list.
    expected = [422 if each.status_code == 400 else each.status_code for each in alone]
    assert [result["status"] for result in together] == expected
    assert set(expected) == {200, 404, 409, 422}
    for name in ("duplicate", "errors"):
        said = [each.json().get(name) for each in alone if each.status_code != 400]
        assert [
            e.get(name) for e, a in zip(together, alone, strict=True) if a.status_code != 400
        ] == said
    assert other.state() == one.state()
    assert one.state()[2] == 4


def test_a_list_costs_as_many_statements_as_one_report(world: World) -> None:
    shop = Shop(world)
    click_id = shop.past_click(shop.a_link(), timedelta(days=1))

    def cost(path: str, bodies: list[Any]) -> int:
        with count_statements(world.database) as counted:
            results = shop.post(bodies, path=path).json()["results"]
        assert [result["status"] for result in results] == [200] * len(bodies)
        return counted.count

    def costs(first: int, number: int) -> tuple[int, ...]:
        several = range(first, first + number)
        awaited = range(first + 1000, first + 1000 + number // 2)
        new = [_order(each, clickId=click_id) for each in several]
        return (
            cost("/conversions/refunds", [_refund(each, f"a{each}") for each in awaited]),
            cost("/conversions", [_order(each, clickId=click_id) for each in awaited] + new),
            cost("/conversions", new),
            cost("/conversions/refunds", [_refund(each, f"b{each}") for each in several]),
        )

    assert costs(0, 2) == costs(100, 100) == (6, 9, 4, 7)


def test_a_list_that_is_too_long_or_empty_does_nothing(world: World) -> None:
    shop = Shop(world)
    for path in ("/conversions", "/conversions/refunds"):
        answer = shop.post([{}] * (LIST_MAX + 1), path=path)
        assert (answer.status_code, codes(answer.json()["errors"])) == (422, ["TOO_MANY"])
        assert shop.post([], path=path).json() == {"results": []}
    assert shop.listed() == []


def test_each_report_of_a_list_counts_for_the_limit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(world)
    application: Any = world.client.app
    monkeypatch.setattr(application.conversions._budget, "per_minute", 5)
    lists = [[_order(each) for each in numbers] for numbers in ((1, 2, 3), (4, 5), (6,))]
    assert [shop.post(each).status_code for each in lists] == [200, 200, 429]
    assert len(shop.listed()) == 5


def test_lists_of_the_same_sales_and_refunds_at_once_count_each_once(
    world: World, settings: Settings
) -> None:
    shop = Shop(world)
    link = shop.a_link()
    click_id = shop.past_click(link, timedelta(days=1))
    orders = [_order(number, clickId=click_id) for number in range(40)]
    refunds = [_refund(number, f"r{number}") for number in range(40)]
    with serving(settings, "--workers", "2") as address, ThreadPoolExecutor(8) as pool:

        def report(seed: int) -> list[int]:
            path, bodies = (
                ("/conversions", orders) if seed % 2 else ("/conversions/refunds", refunds)
            )
            shuffled = random.Random(seed).sample(bodies, len(bodies))  # noqa: S311 - no secret
            raw = json.dumps(shuffled)
            signature = sign(raw.encode(), shop.secret, at_s=int(time.time()))
            path = f"{path}?program={world.program_id}"
            status, answer = request(address, "POST", path, raw, x_signature=signature)
            assert status == 200, answer
            return [result["status"] for result in json.loads(answer)["results"]]

        statuses = [status for each in pool.map(report, range(16)) for status in each]
    assert statuses == [200] * 16 * 40
    figures = shop.figures(link["id"])
    assert figures["conversions"] == 40
    assert figures["revenue"] == {"EUR": ("400.00", "40.00", "360.00", "360.00")}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has one writer
def test_the_same_refund_while_its_order_is_looked_for_is_a_repetition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for one with the key of another order: 409."""
    shop = Shop(world)
    refund, path = _refund(1, "r1"), "/conversions/refunds"
    answers = []
    find = Books.find

    async def find_too_early(books: Books, program_id: int, names: Iterable[Name]) -> Any:
        found = await find(books, program_id, names)
        monkeypatch.setattr(Books, "find", find)
        answers.append(await asyncio.to_thread(shop.post, [refund], path=path))
        return found

    monkeypatch.setattr(Books, "find", find_too_early)
    answers.append(shop.post([refund], path=path))
    results = [answer.json()["results"][0] for answer in answers]
    assert [result["status"] for result in results] == [200, 200]
    assert [result["duplicate"] for result in results] == [False, True]
