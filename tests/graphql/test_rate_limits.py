"""One key's haste is not another's wait."""

import asyncio
import time
from typing import Any

import anyio
import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.testclient import TestClient

from app.settings import Settings
from tests.graphql.toy import KEY, OTHER_KEY, World, application

THING = {"query": "{ thing { name } }"}


def asking(app: Any, key: str) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {key}"})


def test_a_key_that_asks_too_often_waits_and_others_do_not() -> None:
    world = World()
    app = application(world, Settings(graphql_requests_per_minute=3))
    hasty, calm = asking(app, KEY), asking(app, OTHER_KEY)

    statuses = [hasty.post("/graphql", json=THING).status_code for _ in range(4)]
    refused = hasty.post(
        "/graphql", content=b"not even JSON", headers={"Content-Type": "application/json"}
    )

    assert statuses == [200, 200, 200, 429]
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert world.asked_keys == [KEY] * 3, "who is refused anyway is not looked up"
    assert calm.post("/graphql", json=THING).status_code == 200


ONE_OF_25 = {"query": "{ things(first: 25) { nodes { name } } }"}  # requested 26, charged 2
DEAR = {"query": "{ a: thing { report } b: thing { report } }"}  # requested and charged 22


def test_a_key_that_asks_for_too_much_waits() -> None:
    app = application(World(), Settings(graphql_cost_per_minute=40))
    client = asking(app, KEY)

    assert client.post("/graphql", json=DEAR).status_code == 200
    refused = client.post("/graphql", json=DEAR)

    assert refused.status_code == 429
    assert "40 units of cost" in refused.json()["errors"][0]["message"]
    assert client.post("/graphql", json={"query": "{ viewer }"}).status_code == 200, "free"
    assert asking(app, OTHER_KEY).post("/graphql", json=DEAR).status_code == 200


def test_what_was_asked_for_and_was_not_there_is_given_back() -> None:
    client = asking(application(World(), Settings(graphql_cost_per_minute=30)), KEY)

    statuses = [client.post("/graphql", json=ONE_OF_25).status_code for _ in range(4)]

    assert statuses == [200, 200, 200, 429], "3 * 2 + 26 > 30"


async def test_what_is_running_is_reckoned_with_in_full() -> None:
    app = application(World(), Settings(graphql_cost_per_minute=30))
    running = {"query": "{ things(first: 25) { nodes { name } } slow }"}
    async with AsyncClient(
        transport=ASGITransport(app),
        base_url="http://testserver",
        headers={"Authorization": f"Bearer {KEY}"},
    ) as client:
        slow = asyncio.create_task(client.post("/graphql", json=running))
        with anyio.fail_after(20):
            while (await client.post("/graphql", json=ONE_OF_25)).status_code == 200:
                pass
        assert not slow.done()
        slow.cancel()


@pytest.mark.parametrize("second", [0, 1, 30, 59])
def test_retry_after_is_the_time_after_which_so_much_may_be_asked_for(
    second: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_800_000_000.0 + second]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    client = asking(application(World(), Settings(graphql_cost_per_minute=50)), KEY)

    for _ in range(6):
        while (answer := client.post("/graphql", json=DEAR)).status_code == 200:
            clock[0] += 0.5
        wait_s = int(answer.headers["retry-after"])
        clock[0] += wait_s - 1.001
        assert client.post("/graphql", json=DEAR).status_code == 429, "not a second too long"
        clock[0] += 1.001
        assert client.post("/graphql", json=DEAR).status_code == 200, "long enough"


def test_an_address_that_tries_keys_is_turned_away_but_not_those_with_a_key() -> None:
    app = application(World(), Settings(graphql_auth_failures_per_minute=20))
    stranger, client = asking(app, "guess"), asking(app, KEY)

    statuses = [stranger.post("/graphql", json=THING).status_code for _ in range(21)]
    refused = stranger.post("/graphql", json=THING)

    assert statuses == [401] * 20 + [429]
    assert int(refused.headers["retry-after"]) >= 1
    assert client.post("/graphql", json=THING).status_code == 200
