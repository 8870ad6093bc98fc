"""Lists: every page once, forward and backward, in every order."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.world import World, codes

LISTS = [
    pytest.param(
        "creators", f"{{field: {field}, direction: {direction}}}", id=f"{field}-{direction}"
    )
    for field in ("CREATED_AT", "HANDLE")
    for direction in ("ASC", "DESC")
]


@pytest.mark.parametrize(("name", "order"), LISTS)
def test_walking_forward_and_backward_shows_the_whole_list_once(
    world: World, name: str, order: str
) -> None:
    creators = {world.a_creator() for _ in range(7)}
    forward = list(
        _walk(world, f"{name}(first: 3, after: $cursor, orderBy: {order})", forward=True)
    )
    backward = list(
        _walk(world, f"{name}(last: 2, before: $cursor, orderBy: {order})", forward=False)
    )
    assert len(forward) == 7
    assert set(forward) == creators
    assert backward[::-1] == forward


@pytest.mark.parametrize("field", ["CREATED_AT", "STAGE_CHANGED_AT", "STAGE"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_lists_inside_lists_are_walked_alike(world: World, field: str, direction: str) -> None:
    campaign = world.a_campaign()
    enrolled = world.enroll(campaign, [world.a_creator() for _ in range(7)])
    world.promote(*enrolled[2:5])
    world.drop(enrolled[6])
    order = f"{{field: {field}, direction: {direction}}}"
    inside = f'campaign(id: "{campaign}") {{ enrollments'
    forward = list(
        _walk(world, f"{inside}(first: 2, after: $cursor, orderBy: {order})", forward=True)
    )
    backward = list(
        _walk(world, f"{inside}(last: 3, before: $cursor, orderBy: {order})", forward=False)
    )
    assert set(forward) == set(enrolled)
    assert len(forward) == 7
    assert backward[::-1] == forward


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


def _walk(world: World, field: str, *, forward: bool) -> Iterator[str]:
    """The ids of a list, page by page; backward, each page is read from its end."""
    closing = " }" if "{ enrollments" in field else ""
    query = (
        f"query($cursor: String) {{ {field} {{ edges {{ cursor node {{ id }} }} pageInfo {{ "
        f"hasNextPage hasPreviousPage startCursor endCursor }} }} }}{closing}"
    )
    cursor: str | None = None
    for _ in range(20):
        answer: Any = world.ask(query, cursor=cursor)
        while "edges" not in answer:
            (answer,) = answer.values()
        edges, info = answer["edges"], answer["pageInfo"]
        assert (info["startCursor"], info["endCursor"]) == (edges[0]["cursor"], edges[-1]["cursor"])
        yield from (edge["node"]["id"] for edge in (edges if forward else edges[::-1]))
        if not info["hasNextPage" if forward else "hasPreviousPage"]:
            return
        cursor = info["endCursor" if forward else "startCursor"]
    raise AssertionError("the list does not end")
