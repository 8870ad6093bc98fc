"""The graph as it is published: described throughout, guarded at the root, kept in a file."""

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from app.schema import Mutation, Query, published
from app.schema.permissions import Needs

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def graph() -> GraphQLSchema:
    return build_schema(published())


def test_schema_graphql_is_the_graph_that_is_served() -> None:
    kept = (ROOT / "schema.graphql").read_text(encoding="utf-8")
    assert kept == published(), "run `make schema`, and say in CHANGELOG.md what changed"


def test_every_type_field_argument_and_value_is_described(graph: GraphQLSchema) -> None:
    silent = []
    for name, type_ in graph.type_map.items():
        if name.startswith("__") or name in {"ID", "String", "Int", "Float", "Boolean"}:
            continue
        if not type_.description:
            silent.append(name)
        if isinstance(type_, GraphQLEnumType):
            silent += [
                f"{name}.{key}" for key, value in type_.values.items() if not value.description
            ]
        if isinstance(type_, GraphQLInputObjectType):
            silent += [
                f"{name}.{key}" for key, each in type_.fields.items() if not each.description
            ]
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for key, each in type_.fields.items():
                if not each.description:
                    silent.append(f"{name}.{key}")
                silent += [
                    f"{name}.{key}({argument})"
                    for argument, described in each.args.items()
                    if not described.description
                    # One input, or a filter and an order whose types say what they are.
                    and argument not in {"input", "filter", "orderBy"}
                ]
    assert silent == []


@pytest.mark.parametrize("root", [Query, Mutation])
def test_every_field_of_the_root_is_guarded(root: type) -> None:
    fields = root.__strawberry_definition__.fields  # type: ignore[attr-defined] # strawberry's own
    unguarded = [
        field.name
        for field in fields
        if not any(isinstance(extension, Needs) for extension in field.extensions)
    ]
    assert fields
    assert unguarded == []


def test_a_root_field_that_fails_empties_no_other(graph: GraphQLSchema) -> None:
    for root in (graph.query_type, graph.mutation_type):
        assert root is not None
        assert not [
            name for name, field in root.fields.items() if isinstance(field.type, GraphQLNonNull)
        ]


def test_every_mutation_takes_one_input_and_can_say_no(graph: GraphQLSchema) -> None:
    assert graph.mutation_type is not None
    for name, field in graph.mutation_type.fields.items():
        type_name = f"{name[0].upper()}{name[1:]}"
        assert {key: str(each.type) for key, each in field.args.items()} == {
            "input": f"{type_name}Input!"
        }
        assert str(field.type) == f"{type_name}Payload"
        payload = graph.type_map[f"{type_name}Payload"]
        assert isinstance(payload, GraphQLObjectType)
        assert str(payload.fields["userErrors"].type) == "[UserError!]!"


def test_every_list_that_can_grow_is_a_connection(graph: GraphQLSchema) -> None:
    for name, type_ in graph.type_map.items():
        if not isinstance(type_, GraphQLObjectType) or name.startswith("__"):
            continue
        for key, field in type_.fields.items():
            if str(field.type).rstrip("!").endswith("Connection"):
                assert {"first", "after", "last", "before"} <= set(field.args), f"{name}.{key}"


def test_nothing_can_be_deleted(graph: GraphQLSchema) -> None:
    assert graph.mutation_type is not None
    words = ("delete", "remove", "destroy", "unarchive", "reactivate")
    assert not [name for name in graph.mutation_type.fields if name.lower().startswith(words)]


def test_whatever_a_list_holds_is_a_node_but_a_hit(graph: GraphQLSchema) -> None:
    """What the linter can't be told: single hits go after a time, and have no ID."""
    without_id = set()
    for name, edge in graph.type_map.items():
        if name.endswith("Edge") and isinstance(edge, GraphQLObjectType):
            node = get_named_type(edge.fields["node"].type)
            assert isinstance(node, GraphQLObjectType)
            if "Node" not in {each.name for each in node.interfaces}:
                without_id.add(node.name)
    assert without_id == {"Hit"}
