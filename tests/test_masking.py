"""When the database fails, a client reads an id and nothing else, whatever it asked for.

DESIGN
------
The failures are real: under the running server tables are taken away, and a view that fails with
a text of ours stands in the place of each. What is asked is generated from the graph: every
operation while all tables are away, and every field of what has an ID while all but its own are.
"""

import asyncio
import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

from app.auth import OPERATOR, Permission
from app.database import Database
from app.models import Creator
from app.schema.loaders import Loaders
from app.settings import Settings
from tests.cases import CASES, object_type, use
from tests.postgres import run_sql
from tests.rows import CREATOR, insert_one_of_each
from tests.tenants import KEY, NODES, Tenant
from tests.world import World

MARKER = "marker_of_a_secret_place"
ASKED = "marker_of_the_query"
# Without these two nobody is let in.
OF_KEYS = {"api_key", "api_key_campaign"}
TABLES = {table.name for table in SQLModel.metadata.sorted_tables} - OF_KEYS


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The self-test looks for the server at home and finds none."""
    return settings.model_copy(update={"base_url": "http://127.0.0.1:1"})


@pytest.fixture
def ours(world: World, operator_key: str) -> Tenant:
    world.key = operator_key
    return Tenant.of(world, operator_key, "ours")


def test_a_database_that_fails_shows_in_no_operation(
    world: World,
    settings: Settings,
    operator_key: str,
    ours: Tenant,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with failing(settings, TABLES):
        for coordinate, case in CASES.items():
            for way in case.ways:
                key = operator_key if case.needs is Permission.INSTALL else ours.key
                failed = failures(world, key, use(coordinate, way, ours), caplog)
                # A key is read from the two tables that are there.
                assert failed or way == {"id": KEY}, coordinate


def test_a_database_that_fails_shows_in_no_field(
    world: World, settings: Settings, ours: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    failed, seen = set(), set[str]()
    for kind in NODES:
        type_ = object_type(str(kind.type))
        own = re.sub(r"\B([A-Z])", r"_\1", type_.name).lower()
        with failing(settings, TABLES - {own, "enrollment" if own == "stage_change" else own}):
            for coordinate, field in each_field(type_, seen):
                inner = f"... on {type_.name} {{ __typename {field} }}"
                query = f'query {{ node(id: "{ours.has[kind.name]}") {{ {inner} }} }}'
                if failures(world, ours.key, {"query": query}, caplog):
                    failed.add(coordinate)
    lists = {
        f"{kind.type}.{name}"
        for kind in NODES
        for name, field in object_type(str(kind.type)).fields.items()
        if get_named_type(field.type).name.endswith("Connection")
    }
    assert lists - failed == set()
    assert {"Stats.clicks", "Stats.conversions", "TrackingLink.creator"} <= failed


@pytest.mark.anyio
@pytest.mark.breaks_sums  # rows that no recorder wrote
async def test_a_field_that_is_given_up_takes_nothing_from_one_that_asks_for_the_same(
    database: Database,
) -> None:
    """As graphql-core gives up those beside a field that failed."""
    await insert_one_of_each(database)
    creators = Loaders(database, OPERATOR).row(Creator)
    given_up, wanted = creators.load(CREATOR), creators.load(CREATOR)
    asyncio.ensure_future(given_up).cancel()
    found = await wanted
    assert found is not None
    assert found.id == CREATOR


def failures(
    world: World, key: str, request: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> list[Any]:
    """The failures of ours that a request met. Each is an id, and in the log under it."""
    caplog.clear()
    variables = dict(request)
    query = variables.pop("query")
    answer = world.client.post(
        "/graphql",
        json={"query": f"{query} # {ASKED}", "variables": variables},
        headers={
            "Authorization": f"Bearer {key}",
            "Accept": "text/event-stream" if "subscription" in query else "application/json",
        },
    )
    assert MARKER not in answer.text
    logged = caplog.text
    assert ASKED not in logged
    found = re.findall(r'"errorId":"(\w+)"', answer.text)
    assert answer.text.count("INTERNAL_SERVER_ERROR") == len(found)
    assert [each for each in found if each not in logged] == []
    assert MARKER in logged or not found
    return found


def each_field(type_: GraphQLObjectType, seen: set[str]) -> Iterator[tuple[str, str]]:
    """`Stats.clicks`, and how it is selected on the type that leads to it: for all fields that
    need no arguments. What has an ID is looked at as itself, what has none where it comes first."""
    for name, field in type_.fields.items():
        inner = get_named_type(field.type)
        coordinate = f"{type_.name}.{name}"
        if any(is_required_argument(each) for each in field.args.values()):
            continue
        if is_leaf_type(inner):
            yield coordinate, name
        elif isinstance(inner, GraphQLInterfaceType) or "id" in inner.fields:
            yield coordinate, f"{name} {{ __typename id }}"
        elif inner.name not in seen:
            seen.add(inner.name)
            yield coordinate, f"{name} {{ __typename }}"
            for below, selection in each_field(inner, seen):
                yield below, f"{name} {{ {selection} }}"
        else:
            yield coordinate, f"{name} {{ __typename }}"


@contextmanager
def failing(settings: Settings, tables: Collection[str]) -> Iterator[None]:
    """Whoever reads one of these tables meanwhile meets an error with the marker in it."""
    if settings.database_url is None:
        # Whoever refers to a table keeps the name that it had.
        begin = ["PRAGMA foreign_keys=OFF", "PRAGMA legacy_alter_table=ON"]
        view = f"SELECT * FROM {MARKER}"
    else:
        body = f"$$ BEGIN RAISE EXCEPTION '{MARKER}'; END $$"
        begin = [
            f"CREATE OR REPLACE FUNCTION fail() RETURNS boolean STABLE LANGUAGE plpgsql AS {body}"
        ]
        view = "SELECT * FROM {}_kept WHERE fail()"
    away, back = [], []
    for table in sorted(tables):
        away += [
            f"ALTER TABLE {table} RENAME TO {table}_kept",
            f"CREATE VIEW {table} AS {view.format(table)}",
        ]
        back += [f"DROP VIEW {table}", f"ALTER TABLE {table}_kept RENAME TO {table}"]
    change_tables(settings, *begin, *away)
    yield
    change_tables(settings, *begin, *back)


def change_tables(settings: Settings, *statements: str) -> None:
    if settings.database_url is not None:
        run_sql(make_url(settings.database), *statements)
        return
    path = settings.database.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        for statement in statements:
            connection.execute(statement)
