"""One sale, reported by everyone at once to real server processes, is one sale (CV-1)."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.conversions import sign
from app.settings import Settings
from tests.selling import Shop
from tests.server import request, serving
from tests.world import World


def _storm(world: World, settings: Settings, *, reports: int, workers: int) -> None:
    shop = Shop(world)
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    body = {"orderId": "1001", "amount": "49.90", "currency": "EUR", "clickId": click_id}
    raw = json.dumps(body)
    signature = sign(raw.encode(), shop.secret, at_s=int(time.time()))
    with serving(settings, "--workers", str(workers)) as address, ThreadPoolExecutor(64) as pool:

        def report(_: int) -> tuple[int, Any]:
            path = f"/conversions?program={world.program_id}"
            status, answer = request(address, "POST", path, raw, x_signature=signature)
            return status, json.loads(answer)

        answers = list(pool.map(report, range(reports)))
    assert {status for status, _ in answers} == {200}
    assert sorted(answer.pop("duplicate") for _, answer in answers) == [False] + [True] * (
        reports - 1
    )
    assert len({json.dumps(answer) for _, answer in answers}) == 1
    assert len(shop.listed()) == 1
    assert shop.figures(link["id"]) == {
        "conversions": 1,
        "unverifiedConversions": 0,
        "conversionRate": 1.0,
        "revenue": {"EUR": ("49.90", "0.00", "49.90", "49.90")},
    }


def test_one_report_sent_by_64_clients_at_once_is_one_sale(
    world: World, settings: Settings
) -> None:
    _storm(world, settings, reports=128, workers=2)


@pytest.mark.slow
def test_one_report_sent_a_thousand_times_to_four_workers_is_one_sale(
    world: World, settings: Settings
) -> None:
    _storm(world, settings, reports=1_000, workers=4)


def test_many_sales_at_once_are_all_counted(world: World, settings: Settings) -> None:
    shop = Shop(world)
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    with serving(settings, "--workers", "2") as address, ThreadPoolExecutor(16) as pool:

        def report(number: int) -> int:
            raw = json.dumps(
                {"orderId": f"{number}", "amount": "1.00", "currency": "EUR", "clickId": click_id}
            )
            signature = sign(raw.encode(), shop.secret, at_s=int(time.time()))
            path = f"/conversions?program={world.program_id}"
            return request(address, "POST", path, raw, x_signature=signature)[0]

        # Each of them twice, side by side.
        statuses = list(pool.map(report, [number // 2 for number in range(200)]))
    assert set(statuses) == {200}
    figures = shop.figures(link["id"])
    assert figures["conversions"] == 100
    assert figures["revenue"] == {"EUR": ("100.00", "0.00", "100.00", "100.00")}
