"""One key's haste is not another's wait."""

from typing import Any

from starlette.testclient import TestClient

from app.settings import Settings
from tests.graphql.toy import KEY, OTHER_KEY, World, application

THING = {"query": "{ thing { name } }"}


def asking(app: Any, key: str) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {key}"})


def test_a_key_that_asks_too_often_waits_and_others_do_not() -> None:
    app = application(World(), Settings(graphql_requests_per_minute=3))
    hasty, calm = asking(app, KEY), asking(app, OTHER_KEY)

    statuses = [hasty.post("/graphql", json=THING).status_code for _ in range(4)]
    refused = hasty.post(
        "/graphql", content=b"not even JSON", headers={"Content-Type": "application/json"}
    )

    assert statuses == [200, 200, 200, 429]
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert calm.post("/graphql", json=THING).status_code == 200


def test_a_key_that_asks_for_too_much_waits() -> None:
    app = application(World(), Settings(graphql_cost_per_minute=100))
    client = asking(app, KEY)
    query = {"query": "{ things(first: 59) { nodes { name } } }"}

    assert client.post("/graphql", json=query).status_code == 200
    refused = client.post("/graphql", json=query)

    assert refused.status_code == 429
    assert "100 units of cost" in refused.json()["errors"][0]["message"]
    assert client.post("/graphql", json={"query": "{ viewer }"}).status_code == 200, "free"


def test_an_address_that_tries_keys_is_turned_away_but_not_those_with_a_key() -> None:
    app = application(World(), Settings(graphql_auth_failures_per_minute=20))
    stranger, client = asking(app, "guess"), asking(app, KEY)

    statuses = [stranger.post("/graphql", json=THING).status_code for _ in range(21)]
    refused = stranger.post("/graphql", json=THING)

    assert statuses == [401] * 20 + [429]
    assert int(refused.headers["retry-after"]) >= 1
    assert client.post("/graphql", json=THING).status_code == 200
