"""Pages of a list: how long they are, what changes between two of them, and what is refused."""

import base64
import json
from typing import Any

import pytest

from tests.world import World, codes


def test_what_is_made_between_two_pages_neither_repeats_nor_hides_anything(world: World) -> None:
    creators = [world.a_creator() for _ in range(4)]
    query = """query($after: String) { creators(first: 2, after: $after,
        orderBy: {field: CREATED_AT, direction: ASC}) {
        nodes { id } pageInfo { endCursor hasNextPage } } }"""
    first = world.ask(query)["creators"]
    late = world.a_creator()
    second = world.ask(query, after=first["pageInfo"]["endCursor"])["creators"]
    third = world.ask(query, after=second["pageInfo"]["endCursor"])["creators"]
    seen = [node["id"] for page in (first, second, third) for node in page["nodes"]]
    assert seen == [*creators, late]
    assert not third["pageInfo"]["hasNextPage"]


def test_a_page_is_twenty_unless_said_otherwise_and_counts_when_asked(world: World) -> None:
    for _ in range(21):
        world.a_creator()
    page = world.ask("{ creators { nodes { id } totalCount pageInfo { hasNextPage } } }")[
        "creators"
    ]
    assert (len(page["nodes"]), page["totalCount"]) == (20, 21)
    assert page["pageInfo"]["hasNextPage"]
    assert world.ask("{ creators(first: 0) { nodes { id } } }")["creators"]["nodes"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        "first: -1",
        "first: 101",
        "last: 101",
        "first: 1, last: 1",
        'first: 1, before: "x"',
        'last: 1, after: "x"',
        'after: "garbage"',
        'after: ""',
        'after: "WzEsMl0"',
        'after: "é"',
    ],
)
def test_a_page_that_cannot_be_is_refused(world: World, arguments: str) -> None:
    errors = world.errors(f"{{ creators({arguments}) {{ nodes {{ id }} }} }}")
    assert codes(errors) == ["BAD_USER_INPUT"]


def test_a_cursor_of_another_order_is_refused(world: World) -> None:
    world.a_creator()
    page = world.ask("{ creators { pageInfo { endCursor } } }")["creators"]
    cursor = page["pageInfo"]["endCursor"]
    errors = world.errors(
        "query($after: String) { creators(after: $after, orderBy: {field: HANDLE}) { nodes { id } } }",
        after=cursor,
    )
    assert codes(errors) == ["BAD_USER_INPUT"]


NOW = "2026-11-24T12:00:00+00:00"
ODD: list[Any] = [None, 5, 1.5, True, [], {}, "\0", "\ud800", 1 << 80]
FORGED: list[tuple[Any, Any]] = [
    *((value, 1) for value in ODD),
    *((value, 1) for value in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59")),
    *((NOW, key) for key in (0, -1, 1 << 63, 1 << 80, None, "1", 1.0)),
]


@pytest.mark.parametrize("field", ["HANDLE", "CREATED_AT"])
@pytest.mark.parametrize(("value", "key"), FORGED)
def test_a_forged_cursor_is_refused_or_leads_to_a_place(
    world: World, field: str, value: Any, key: Any
) -> None:
    text = json.dumps([field, False, value, key])
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    query = f"""query($after: String) {{ creators(after: $after, orderBy:
        {{field: {field}, direction: ASC}}) {{ nodes {{ id }} }} }}"""
    answer = world.post(query, after=cursor).json()
    assert set(codes(answer.get("errors", ()))) <= {"BAD_USER_INPUT"}
    assert "errors" in answer or answer["data"] == {"creators": {"nodes": []}}
