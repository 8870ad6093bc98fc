"""No key sees or changes anything of another program; no role does what is not its business.

DESIGN
------
The cases are few, the matrix is generated from them and from the schema. A case is how a field
is used, with a `Kind` wherever it takes an ID or another text that finds something. Each such
place is filled in turn with another program's, with one of the wrong type, and with one that
does not exist: the three answers must be the same, and no row may change. So that no case is
refused for a reason of its own, each must work with one's own.

**A new field needs one line in `CASES`** (`tests/cases.py`); so does every new argument or input
field that takes an ID. A new type that `Query.node` finds needs a `Kind` and one of it in
`Tenant.of` (`tests/tenants.py`).
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
)
from sqlmodel import SQLModel, select

from app.auth import Viewer
from app.ids import split
from app.models import Role
from app.settings import Settings
from tests.cases import (
    APART,
    CASES,
    CONTENTS,
    GRAPH,
    INSTALL,
    ROOTS,
    USES,
    kinds_in,
    object_type,
    use,
)
from tests.tenants import ENR, KINDS, NODES, Kind, Tenant
from tests.world import World, codes


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The self-test looks for the server at home and finds none."""
    return settings.model_copy(update={"base_url": "http://127.0.0.1:1"})


@pytest.fixture
def ours(world: World, operator_key: str) -> Tenant:
    world.key = operator_key
    return Tenant.of(world, operator_key, "ours")


@pytest.fixture
def theirs(world: World, operator_key: str, ours: Tenant) -> Tenant:
    return Tenant.of(world, operator_key, "theirs")


# The table against the schema.


def test_every_root_field_has_a_case() -> None:
    fields = {f"{root}.{name}" for root in ROOTS for name in object_type(root).fields}
    assert fields - set(CASES) == set(), "add a line to CASES"
    assert {name for name in CASES if name.split(".")[0] in ROOTS} - fields == set()


def test_every_place_that_takes_an_id_is_tried() -> None:
    untried = []
    for name, type_ in GRAPH.type_map.items():
        if not isinstance(type_, GraphQLObjectType) or name.startswith("__"):
            continue
        for field_name, field in type_.fields.items():
            coordinate = f"{name}.{field_name}"
            ways = CASES[coordinate].ways if coordinate in CASES else ()
            tried = {place for way in ways for place, _ in kinds_in(way)}
            untried += [
                f"{coordinate}({place})" for place in _id_places(field) if place not in tried
            ]
    assert untried == []


def test_every_type_of_node_is_tried() -> None:
    node = GRAPH.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    possible = {each.name for each in GRAPH.get_possible_types(node)}
    assert {kind.type for kind in NODES} == possible


def _id_places(field: GraphQLField) -> Iterator[str]:
    """`filter.creatorIds` and so on: the paths of a field's arguments that take IDs."""

    def within(name: str, value: GraphQLArgument | GraphQLInputField) -> Iterator[str]:
        type_ = get_named_type(value.type)
        if type_.name == "ID":
            yield name
        elif isinstance(type_, GraphQLInputObjectType):
            for key, each in type_.fields.items():
                yield from within(f"{name}.{key}", each)

    for name, argument in field.args.items():
        yield from within(name, argument)


# Another program's.


def test_what_is_anothers_is_answered_like_what_does_not_exist(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    for coordinate, way in USES:
        if CASES[coordinate].needs is INSTALL:
            continue
        for place, kind in kinds_in(way):
            if (coordinate, place) == APART:
                continue
            before = rows(world)
            absent = _answer(world, use(coordinate, way, ours, **{kind.name: kind.absent}), ours)
            if coordinate.startswith("Mutation"):
                refused = codes(list(_user_errors(absent[1]["data"])))
                assert refused == ["NOT_FOUND"], coordinate
            for instead in _disguises(kind, theirs):
                request = use(coordinate, way, ours, **{kind.name: instead})
                said = f"{coordinate}({place}: {instead})"
                assert _answer(world, request, ours) == absent, said
            assert rows(world) == before, coordinate


def test_a_message_to_anothers_creator_is_skipped_like_one_to_nobody(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    before = rows(world, theirs)
    for number, content in enumerate(CONTENTS):
        way = {"content": content, "enrollmentIds": [ENR]}
        answers: list[tuple[int, Any]] = []
        for instead in (ENR.absent, *_disguises(ENR, theirs)):
            key = f"apart-{number}-{len(answers)}"
            with_key = {"input": way | {"idempotencyKey": key}}
            request = use("Mutation.sendMessage", with_key, ours, enr=instead)
            answers.append(_answer(world, request, ours))
        (result,) = answers[0][1]["data"]["sendMessage"]["results"]
        assert (result["skipReason"], result["message"]) == ("NOT_FOUND", None)
        assert all(answer == answers[0] for answer in answers)
    assert rows(world, theirs) == before


def test_watching_anothers_ends_at_once_like_watching_nothing(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    def watch(way: Mapping[str, Any], **instead: str) -> str:
        request = use("Subscription.clickCounts", way, ours, **instead)
        query = {"query": request.pop("query"), "variables": request}
        headers = {"Authorization": f"Bearer {ours.key}", "Accept": "text/event-stream"}
        return str(world.client.post("/graphql", json=query, headers=headers).text)

    for way in CASES["Subscription.clickCounts"].ways:
        ((place, kind),) = kinds_in(way)
        nothing = watch(way, **{kind.name: kind.absent})
        assert "event: complete" in nothing, place
        assert '"data"' not in nothing, place
        for instead in _disguises(kind, theirs):
            assert watch(way, **{kind.name: instead}) == nothing, (place, instead)


def test_every_case_works_with_ones_own_and_shows_nothing_of_anothers(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    before = rows(world, theirs)
    for coordinate, way in USES:
        if CASES[coordinate].needs is INSTALL:
            continue
        status, answer = _answer(world, use(coordinate, way, ours), ours)
        said = f"{coordinate} {way}: {answer}"
        assert status == 200, said
        assert "errors" not in answer, said
        assert list(_user_errors(answer["data"])) == [], said
        assert None not in answer["data"].values(), said
        text = json.dumps(answer)
        assert [each for each in theirs.has.values() if f'"{each}"' in text] == [], said
    assert rows(world, theirs) == before


def test_anothers_cursor_leads_nowhere_but_through_ones_own(
    world: World, ours: Tenant, theirs: Tenant
) -> None:
    for name, field in object_type("Query").fields.items():
        # What changed a moment ago is not in the list of changes yet.
        if not str(field.type).endswith("Connection") or name == "trackingLinkChanges":
            continue
        query = f"query($after: String) {{ {name}(after: $after) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}"
        own = {node["id"] for node in world.ask(query, key=ours.key)[name]["nodes"]}
        stolen = world.ask(query, key=theirs.key)[name]["pageInfo"]["endCursor"]
        order, is_descending, value, key = json.loads(base64.urlsafe_b64decode(stolen + "=="))
        forged = json.dumps([order, is_descending, value, key ^ 1]).encode()
        nowhere = base64.urlsafe_b64encode(forged).decode()
        found = world.ask(query, key=ours.key, after=stolen)[name]
        assert found == world.ask(query, key=ours.key, after=nowhere)[name], name
        assert {node["id"] for node in found["nodes"]} <= own, name


# What each role may do.


@pytest.mark.parametrize("role", [*Role, None])
def test_a_role_may_use_what_it_is_allowed_and_reads_forbidden_for_the_rest(
    world: World, operator_key: str, ours: Tenant, role: Role | None
) -> None:
    key, viewer = operator_key, Viewer(Role.ADMIN, program_id=None)
    if role is not None:
        made = world.do("createApiKey", "text", name="Role", role=role, programId=ours.has["prg"])
        key, viewer = made["text"], Viewer(role, program_id=1)
    for coordinate, each in CASES.items():
        type_name, name = coordinate.split(".")
        if type_name not in ("Query", "Mutation") or (
            coordinate == "Mutation.createProgram" and role is None
        ):
            continue
        absent = {kind.name: kind.absent for kind in KINDS}
        request = use(coordinate, each.ways[0], ours, **absent)
        answer = world.post(key=key, **request).json()
        top_level = [error for error in answer.get("errors", ()) if error.get("path") == [name]]
        refused = [error["extensions"]["code"] for error in top_level]
        is_allowed = each.needs is None or viewer.may(each.needs)
        assert refused == ([] if is_allowed else ["FORBIDDEN"]), (coordinate, answer)
        assert "data" in answer, (coordinate, answer)


# What is compared.


def _answer(world: World, request: dict[str, Any], tenant: Tenant) -> tuple[int, Any]:
    answer = world.post(key=tenant.key, **request)
    return answer.status_code, answer.json()


def _disguises(kind: Kind, theirs: Tenant) -> Iterator[str]:
    """Another program's: as it is, taken for another type, mistyped; and one of another type."""
    text = theirs.has[kind.name]
    yield text
    if kind.type is not None:
        other = NODES[NODES.index(kind) - 1]
        yield from (theirs.has[other.name], f"{other.name}_{text.partition('_')[2]}")
        yield from (text.upper(), f" {text}")


def rows(world: World, of: Tenant | None = None) -> dict[str, list[str]]:
    """The rows of the database, without when a key was last used: all, or those that mention
    something of a tenant."""
    ids = [split(text) for text in of.has.values()] if of is not None else []
    keys = [str(id_[1]) for id_ in ids if id_ is not None]

    async def read() -> dict[str, list[str]]:
        found = {}
        async with world.database.reading() as session:
            connection = await session.connection()
            for table in SQLModel.metadata.sorted_tables:
                columns = [column for column in table.columns if column.name != "last_used_at"]
                texts = [str(tuple(row)) for row in await connection.execute(select(*columns))]
                found[table.name] = sorted(
                    text for text in texts if of is None or any(key in text for key in keys)
                )
        return found

    assert world.client.portal is not None
    return world.client.portal.call(read)


def _user_errors(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _user_errors(each)
    elif isinstance(value, dict):
        yield from value.get("userErrors") or ()
        for each in value.values():
            yield from _user_errors(each)
