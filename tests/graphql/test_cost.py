"""What a request costs, by its page sizes and variables, and that too dear ones do not run."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from tests.graphql.toy import KEY, World, application


def ask(client: TestClient, query: str, **variables: Any) -> Any:
    return client.post("/graphql", json={"query": query, "variables": variables}).json()


@pytest.mark.parametrize(
    ("query", "requested", "charged"),
    [
        pytest.param("{ viewer }", 0, 0, id="a scalar is free"),
        pytest.param("{ thing { name } }", 1, 1, id="an object costs 1"),
        pytest.param("{ thing { report } }", 11, 11, id="a field may say otherwise"),
        pytest.param("{ things(first: 5) { nodes { name } } }", 6, 2, id="a page, and its items"),
        pytest.param(
            "{ things(first: 5) { edges { node { name } } } }", 6, 2, id="edges are items"
        ),
        pytest.param("{ things(last: 5) { nodes { name } } }", 6, 2, id="from the end"),
        pytest.param("{ things { nodes { name } } }", 21, 2, id="a page without a size has 20"),
        pytest.param("{ things(first: 0) { nodes { name } } }", 1, 1, id="an empty page"),
        pytest.param("{ things(first: 100) { totalCount } }", 1, 1, id="only counted"),
        pytest.param(
            "{ things(first: 5) { owner { report } nodes { name } } }",
            1 + (1 + 10) + 5,
            1 + (1 + 10) + 1,
            id="what is beside the items counts once",
        ),
        pytest.param(
            "{ things(first: 5) { nodes { things(first: 3) { nodes { report } } } } }",
            1 + 5 * (1 + 1 + 3 * (1 + 10)),
            1 + (1 + 1 + (1 + 10)),
            id="pages in pages",
        ),
        pytest.param(
            "{ t: thing { a: things(first: 5) { b: edges { c: node {"
            " d: parent { e: things(first: 3) { f: nodes { report } } } } } } } }",
            1 + 1 + 5 * (1 + 1 + 1 + 3 * (1 + 10)),
            1 + 1 + (1 + 1 + 1 + (1 + 10)),
            id="by other names",
        ),
        pytest.param('{ thing { byIds(ids: ["a", "b", "c"]) { report } } }', 32, 32, id="by ids"),
        pytest.param('{ thing { byIds(ids: "a") { report } } }', 12, 12, id="by one id"),
        pytest.param(
            '{ thing { byIds(ids: ["a", "b"]) { things(first: 5) { nodes { name } } } } }',
            1 + 1 + 2 * (1 + 5),
            1 + 1 + 2 * (1 + 1),
            id="pages of ids",
        ),
        pytest.param(
            "{ ...Q } fragment Q on Query { a: thing { ...T } b: thing { ... { ...T } } }"
            "fragment T on Thing { report }",
            22,
            22,
            id="through fragments",
        ),
        pytest.param(
            "{ thing { name } things(first: 5) @skip(if: true) { nodes { name } } }",
            1 + 1 + 5,
            1 + 1,
            id="left out",
        ),
    ],
)
def test_a_query_costs_what_it_asks_for_and_is_charged_for_what_there_is(
    client: TestClient, query: str, requested: int, charged: int
) -> None:
    answer = ask(client, query)

    assert "errors" not in answer
    cost = {"requested": requested, "charged": charged, "max": 10_000}
    assert answer["extensions"]["cost"] == cost


def test_an_answer_with_errors_is_charged_as_it_was_asked_for(client: TestClient) -> None:
    answer = ask(client, "{ things(first: 5) { nodes { name } } broken }")

    assert answer["errors"]
    assert answer["extensions"]["cost"] == {"requested": 6, "charged": 6, "max": 10_000}


def test_variables_and_their_defaults_are_reckoned_with_at_each_request(
    client: TestClient,
) -> None:
    query = (
        "query ($n: Int = 7, $ids: [ID!]!)"
        "{ things(first: $n) { nodes { byIds(ids: $ids) { name } } } }"
    )

    def cost(**variables: Any) -> int:
        return ask(client, query, **variables)["extensions"]["cost"]["requested"]

    assert cost(ids=[]) == 1 + 7 * (1 + 1)
    assert cost(ids=["a", "b"], n=3) == 1 + 3 * (1 + 1)
    assert cost(ids=["a"], n=None) == 1 + 20 * (1 + 1)


@pytest.mark.parametrize(
    ("query", "variables", "limit"),
    [
        ("{ things(first: 101) { totalCount } }", {}, "pageSize"),
        ("{ things(last: 101) { totalCount } }", {}, "pageSize"),
        ("{ things(first: -1) { totalCount } }", {}, "pageSize"),
        ("query ($n: Int) { things(first: $n) { totalCount } }", {"n": 2**31 - 1}, "pageSize"),
        ("query ($n: Int = 101) { things(last: $n) { totalCount } }", {}, "pageSize"),
        ("query ($i: [ID!]!) { thing { byIds(ids: $i) { name } } }", {"i": ["a"] * 101}, "ids"),
        (
            "{ things(first: 5) { nodes { things(first: 101) { totalCount } } } }",
            {},
            "pageSize",
        ),
        (
            "{ things(first: 0) { nodes { things(first: 101) { totalCount } } } }",
            {},
            "pageSize",
        ),
    ],
)
def test_pages_larger_than_100_are_refused(
    client: TestClient, query: str, variables: dict[str, Any], limit: str
) -> None:
    (error,) = ask(client, query, **variables)["errors"]

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["limit"] == {"name": limit, "max": 100}


def test_a_query_too_dear_reads_what_it_would_cost(client: TestClient) -> None:
    query = "{ things(first: 100) { nodes { things(first: 100) { nodes { name } } } } }"

    answer = ask(client, query)

    assert "data" not in answer
    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "BAD_USER_INPUT"
    assert extensions["limit"] == {"name": "cost", "max": 10_000}
    assert extensions["cost"] == {"requested": 10_201, "max": 10_000}


def test_the_maximum_is_a_setting() -> None:
    settings = Settings(graphql_max_cost=10, graphql_max_page_size=5)
    client = TestClient(application(World(), settings), headers={"Authorization": f"Bearer {KEY}"})

    assert "data" in ask(client, "{ things(first: 5) { nodes { name } } }")
    assert "data" not in ask(client, "{ things(first: 6) { totalCount } }")
    assert "data" not in ask(client, "{ thing { report } }")
