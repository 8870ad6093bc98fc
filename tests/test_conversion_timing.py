"""How long a refusal takes says nothing of what exists: programs, secrets, parts of a signature."""

import statistics
import time
from itertools import combinations
from typing import Any

import pytest
from starlette.types import Message, Scope

from app.conversions import sign
from tests.reports import dice_of
from tests.selling import Shop
from tests.world import World

RAW = b'{"orderId": "1001", "amount": "49.90", "currency": "EUR"}'
SEPARABLE_US = 20


def _headers(shop: Shop) -> dict[str, tuple[str, bytes]]:
    """What is asked of which program, and how it is signed. All are refused."""
    now, program = int(time.time()), shop.world.program_id
    right = sign(RAW, shop.secret, at_s=now)
    # Of the 64 digits, all but the last are right.
    nearly = right[:-1] + ("0" if right[-1] != "0" else "1")
    wrong = sign(RAW, "tlcs_wrong", at_s=now)
    return {
        "an unknown program": ("prg_0000000000001", wrong.encode()),
        "a wrong secret": (program, wrong.encode()),
        "a signature that begins right": (program, nearly.encode()),
    }


async def _took_us(application: Any, program: str, signature: bytes) -> float:
    scope: Scope = {
        "type": "http", "method": "POST", "path": "/conversions", "raw_path": b"/conversions",
        "query_string": f"program={program}".encode(), "root_path": "", "scheme": "http",
        "headers": [(b"x-signature", signature)], "client": ("127.0.0.1", 1), "server": None,
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": RAW, "more_body": False}

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    began = time.perf_counter_ns()
    await application(scope, receive, send)
    took = time.perf_counter_ns() - began
    assert statuses[0] == 401
    return took / 1000


def _spread(times: list[float]) -> float:
    """The standard error of their median, from the middle half: a few are slow beyond measure."""
    low, _, high = statistics.quantiles(times, n=4)
    return 1.2533 * (high - low) / 1.349 / len(times) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("secrets", [1, 5])
def test_time_tells_nothing_of_secrets_and_programs(world: World, secrets: int) -> None:
    """ST-4: 20,000 calls of each kind, interleaved."""
    shop = Shop(world)
    for number in range(1, secrets):
        world.do("createConversionSecret", "text", programId=world.program_id, name=f"{number}")
    times: dict[str, list[float]] = {kind: [] for kind in _headers(shop)}

    async def measure() -> None:
        dice, kinds = dice_of(1), list(times)
        for round_ in range(20_000):
            if round_ % 2_000 == 0:
                headers = _headers(shop)  # before they are too old
            dice.shuffle(kinds)
            for kind in kinds:
                times[kind].append(await _took_us(world.client.app, *headers[kind]))

    shop.call(measure)
    for one, other in combinations(times.values(), 2):
        apart = abs(statistics.median(one) - statistics.median(other))
        assert apart <= max(3 * (_spread(one) ** 2 + _spread(other) ** 2) ** 0.5, SEPARABLE_US)
