"""A client reads what it can mend; what is ours it reads as an id that is in the log."""

import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.graphql.errors import Code
from app.settings import Settings
from tests.graphql.toy import KEY, MARKER, World, application

SECRET = "creator@example.com"  # noqa: S105 - what a client might ask for


def ask(client: TestClient, query: str, **variables: Any) -> Any:
    return client.post("/graphql", json={"query": query, "variables": variables}).json()


@pytest.mark.parametrize(
    "field", ["broken", "unwritable", "careless"], ids=["raises", "has no JSON", "without a code"]
)
def test_a_failure_of_ours_is_an_id_that_is_also_in_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture, field: str
) -> None:
    query = (
        "query Report($text: String!) "
        f'{{ viewer echo(text: $text) {field} thing {{ parent(note: "{SECRET}") {{ name }} }} }}'
    )
    answer = ask(client, query, text=SECRET)

    (error,) = answer["errors"]
    assert answer["data"]["viewer"] == KEY, "the rest is answered"
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert error["path"] == [field]
    assert MARKER not in str(answer)
    (record,) = caplog.records
    logged = logging.Formatter().format(record)
    assert error["extensions"]["errorId"] in logged
    assert MARKER in logged
    assert "operation=Report" in logged
    assert SECRET not in logged, "neither query nor variables"


@pytest.mark.parametrize("where", ["authenticate", "context"])
def test_a_failure_around_the_query_is_masked_too(
    client: TestClient, world: World, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    world.fail_in = where

    answer = client.post("/graphql", json={"query": "{ viewer }"})

    assert answer.status_code == 500
    assert MARKER not in answer.text
    assert answer.json()["errors"][0]["extensions"]["errorId"] in caplog.text


def test_a_refusal_in_a_query_says_what_to_mend(client: TestClient) -> None:
    (error,) = ask(client, "{ refused }")["errors"]

    assert error["message"] == "100 IDs at most."
    assert error["extensions"] == {
        "code": "BAD_USER_INPUT",
        "userErrors": [{"code": "TOO_MANY", "message": "100 IDs at most.", "path": ["ids"]}],
    }


def test_an_error_with_a_code_of_the_list_keeps_it(client: TestClient) -> None:
    (error,) = ask(client, "{ forbidden }")["errors"]

    assert error["message"] == "Not for this role."
    assert error["extensions"] == {"code": "FORBIDDEN"}
    assert error["path"] == ["forbidden"]


def test_a_value_that_does_not_fit_its_argument_is_the_callers_fault(client: TestClient) -> None:
    query = 'query ($t: String = "x") { echo(text: $t) }'

    (error,) = ask(client, query, t=None)["errors"]

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "echo" in str(error["path"])


def test_an_operation_is_stopped_at_its_deadline() -> None:
    world = World()
    settings = Settings(graphql_deadline_s=0.05)
    client = TestClient(application(world, settings), headers={"Authorization": f"Bearer {KEY}"})

    answer = ask(client, "{ viewer slow }")

    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "TIMEOUT"
    assert "0.05 s" in error["message"]
    assert world.written == ["slow was stopped"]


def test_every_code_is_in_the_closed_list() -> None:
    assert {code.value for code in Code} == {
        "BAD_REQUEST",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "BAD_USER_INPUT",
        "OPERATION_RESOLUTION_FAILURE",
        "PERSISTED_QUERY_NOT_FOUND",
        "PERSISTED_QUERY_ONLY",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "RATE_LIMITED",
        "TIMEOUT",
        "INTERNAL_SERVER_ERROR",
    }
