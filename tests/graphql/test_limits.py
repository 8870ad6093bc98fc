"""No text that a client can send costs much to refuse, and each refusal names its limit."""

import asyncio
import gc
import time
from typing import Any

import pytest
from graphql import get_introspection_query
from starlette.testclient import TestClient

from app.graphql.documents import Document, Documents
from app.graphql.errors import Unanswerable
from app.schema import schema as tracklinks
from app.settings import Settings
from tests.graphql.attacks import ATTACKS, OUR_WORDS, bomb, crossing, deep, in_words
from tests.graphql.toy import schema


def documents(**settings: Any) -> Documents:
    return Documents(schema._schema, Settings(**settings))


def looked_up(known: Documents, text: str) -> Document:
    return asyncio.run(known.document(text))


def refusal(text: str, **settings: Any) -> dict[str, Any]:
    with pytest.raises(Unanswerable) as refused:
        looked_up(documents(**settings), text)
    return refused.value.errors[0]["extensions"]


@pytest.mark.parametrize(
    ("text", "name", "maximum"),
    [
        pytest.param("{ viewer }" + "#" * 65_536, "length", 65_536, id="length"),
        pytest.param("{ thing {" + " name" * 2000 + " } }", "tokens", 2000, id="tokens"),
        pytest.param(deep(16), "depth", 15, id="depth"),
        pytest.param(
            "{ thing {" + "... {" * 60 + "name" + "}" * 60 + "} }", "nesting", 45, id="nesting"
        ),
        pytest.param(deep(600), "nesting", 45, id="beyond parsing"),
        pytest.param(bomb(9), "fields", 500, id="fields"),
        pytest.param(bomb(30, "{ }"), "spreads", 250, id="spreads of nothing"),
        pytest.param(
            "{" + " ".join(f"a{n}: viewer" for n in range(31)) + "}", "aliases", 30, id="aliases"
        ),
        pytest.param("{ viewer" + " @skip(if: false)" * 9 + "}", "directives", 8, id="directives"),
        pytest.param("{ thing {" + " name" * 21 + " } }", "repeats", 20, id="repeats"),
        pytest.param(
            "{ thing {" + " parent { parent { name } parent { name } }" * 11 + " } }",
            "repeats",
            20,
            id="repeats, level times level",
        ),
        pytest.param(
            "{ thing { ...A ...B } } fragment A on Thing {"
            + " name" * 11
            + "}"
            + "fragment B on Thing {"
            + " name" * 11
            + "}",
            "repeats",
            20,
            id="repeats through fragments",
        ),
        pytest.param(
            "{" + " ".join(f"a{n}: viewer" for n in range(21)) + "}",
            "rootFields",
            20,
            id="root fields",
        ),
        pytest.param(
            "mutation { ...A ...B } fragment A on Mutation { "
            + "".join(f'a{n}: write(text: "") ' for n in range(3))
            + "}"
            + "fragment B on Mutation { "
            + "".join(f'b{n}: write(text: "") ' for n in range(3))
            + "}",
            "rootMutationFields",
            5,
            id="root fields of a mutation",
        ),
        pytest.param(
            " ".join(f"query Q{n} {{ viewer }}" for n in range(11)),
            "operations",
            10,
            id="operations",
        ),
        pytest.param(bomb(50), "fragments", 50, id="fragments"),
    ],
)
def test_each_limit_is_named_with_its_maximum(text: str, name: str, maximum: int) -> None:
    extensions = refusal(text)

    assert extensions["limit"] == {"name": name, "max": maximum}
    assert extensions["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(deep(15), id="depth"),
        pytest.param("{ thing {" + " name @skip(if: false)" * 8 + "} }", id="directives"),
        pytest.param("{ thing {" + " name" * 20 + " } }", id="repeats"),
        pytest.param(bomb(7).replace("...F7 ...F7", "...F7"), id="fields"),
        pytest.param(" ".join(f"query Q{n} {{ viewer }}" for n in range(10)), id="operations"),
        pytest.param(get_introspection_query(), id="introspection"),
        pytest.param(
            get_introspection_query(
                specified_by_url=True,
                directive_is_repeatable=True,
                schema_description=True,
                input_value_deprecation=True,
                one_of=True,
            ),
            id="all of introspection",
        ),
    ],
)
def test_what_is_just_within_the_limits_passes(text: str) -> None:
    looked_up(documents(graphql_max_repeats=64 if "F7" in text else 20), text)


def test_a_generous_operator_is_not_exposed_to_endless_nesting() -> None:
    text = "{ thing { ...F0 } } fragment F40 on Thing { name }" + "".join(
        f"fragment F{n} on Thing {{ {'... {' * 30} ...F{n + 1} {'}' * 30} }} " for n in range(40)
    )

    assert refusal(text, graphql_max_tokens=20_000)["limit"]["name"] == "nesting"


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ("depth", deep(3)),
        ("tokens", "{ thing { name } }"),
        ("length", "{ thing { name } }"),
        ("fields", "{ thing { name } }"),
        ("root_fields", "{ viewer thing { name } }"),
    ],
)
def test_an_operator_may_set_each_limit(limit: str, text: str) -> None:
    looked_up(documents(), text)

    assert refusal(text, **{f"graphql_max_{limit}": 1})["limit"]["max"] == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{ thing { ...A } } fragment A on Thing { ...A }", id="itself"),
        pytest.param(
            "{ thing { ...A } } fragment A on Thing { ...B } fragment B on Thing { ...A }",
            id="in a circle",
        ),
        pytest.param("{ viewer } fragment A on Thing { ...A }", id="unused"),
        pytest.param("{ thing { ...Nowhere } }", id="unknown"),
        pytest.param("{ viewer } type T { a: Int }", id="a type"),
        pytest.param(
            "{ thing { ...A } } fragment A on Thing { name } fragment A on Thing { name }",
            id="twice",
        ),
    ],
)
def test_fragments_that_make_no_sense_are_refused(text: str) -> None:
    assert refusal(text)["code"] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("graph", ["toy", "ours"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_within_60_ms_of_cpu(attack: str, graph: str) -> None:
    """The figure of reliability test GQ-1."""
    text, known = ATTACKS[attack], documents()
    if graph == "ours":
        text, known = in_words(text, OUR_WORDS), Documents(tracklinks._schema, Settings())
    looked_up(known, "{ __typename }")  # what is made once is not the attack's
    gc.collect()  # the garbage of earlier tests is not, either
    began = time.process_time()
    with pytest.raises(Unanswerable):
        looked_up(known, text)
    assert time.process_time() - began < 0.060


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(crossing(6), id="crossing fragments"),
        pytest.param(
            "{ thing {" + " parent { name report parent { name report } }" * 20 + "} }",
            id="equal objects",
        ),
        pytest.param(bomb(6), id="fragments doubling"),
        pytest.param(get_introspection_query(), id="introspection"),
    ],
)
def test_the_worst_that_passes_costs_no_more(text: str) -> None:
    known = documents(graphql_max_repeats=64 if text == bomb(6) else 20)
    looked_up(known, "{ thing { name } }")
    gc.collect()
    began = time.process_time()
    looked_up(known, text)
    assert time.process_time() - began < 0.060


def test_what_was_refused_once_is_refused_again_from_memory() -> None:
    known = documents()
    messages = []
    for _ in range(3):
        with pytest.raises(Unanswerable) as refused:
            looked_up(known, "{ nope }")
        messages.append(str(refused.value))

    assert len(set(messages)) == 1
    assert len(known._known) == 1


def test_a_document_is_examined_once() -> None:
    known = documents()

    assert looked_up(known, "{ viewer }") is looked_up(known, "{ viewer }")


def test_the_documents_kept_are_bounded_by_number_and_by_length() -> None:
    few = documents(graphql_cached_documents=2)
    first = looked_up(few, "{ viewer }")
    looked_up(few, "{ a: viewer }")
    assert looked_up(few, "{ viewer }") is first
    looked_up(few, "{ b: viewer }")
    assert looked_up(few, "{ viewer }") is first, "what was used last is kept"
    assert len(few._known) == 2

    short = documents(graphql_cached_characters=100)
    for number in range(10):
        looked_up(short, f"{{ viewer }} # {number} {'.' * 40}")
    assert len(short._known) == 1
    assert short._characters == sum(map(len, short._known))


def test_introspection_can_be_switched_off(client: TestClient) -> None:
    assert refusal("{ __schema { description } }", graphql_introspection=False)
    looked_up(documents(graphql_introspection=False), "{ thing { __typename } }")
