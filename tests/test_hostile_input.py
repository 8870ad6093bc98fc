"""What nobody means: it gets an error with a code, and nothing of ours shows."""

import json
from typing import Any

import pytest

from tests.world import World, codes

SECRETS = ("sqlite", "postgres", "traceback", "select ", "/app/", ".py", "aiosqlite", "asyncpg")
LONG = "x" * 200_000

TEXTS = [
    pytest.param("", id="empty"),
    pytest.param("\u0000", id="NUL"),
    pytest.param("a\u0000b", id="NUL inside"),
    pytest.param("\ud800", id="lone surrogate"),
    pytest.param("'; DROP TABLE tracking_link; --", id="SQL"),
    pytest.param("{{tracking_link.x}}", id="merge tag"),
    pytest.param("<script>alert(1)</script>", id="script"),
    pytest.param("\u202eevil", id="bidi"),
    pytest.param("🦊" * 300, id="foxes"),
    pytest.param(LONG, id="200 kB"),
    pytest.param("%00%0d%0a", id="encoded"),
    pytest.param("-1", id="minus one"),
    pytest.param("9" * 40, id="huge number"),
]


def _clean(answer: Any) -> Any:
    """The answer, which is JSON, no failure of ours, and tells nothing of us."""
    assert answer.status_code < 500, answer.text
    text = answer.text.lower()
    assert not [secret for secret in SECRETS if secret in text], answer.text[:500]
    data = json.loads(answer.text)
    assert "INTERNAL_SERVER_ERROR" not in codes(data.get("errors", []))
    return data


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_as_an_id_finds_nothing(world: World, text: str) -> None:
    for query in (
        "query($id: ID!) { node(id: $id) { id } }",
        "query($id: ID!) { campaign(id: $id) { id } }",
        "query($id: ID!) { trackingLink(by: {id: $id}) { id } }",
        "query($id: ID!) { trackingLinks(filter: {creatorIds: [$id]}) { nodes { id } } }",
    ):
        data = _clean(world.post(query, id=text))
        if "errors" not in data:
            assert next(iter(data["data"].values())) in (None, {"nodes": []})


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_in_a_mutation_is_stored_as_it_is_or_refused(world: World, text: str) -> None:
    campaign = world.a_campaign()
    enrollment = world.an_enrollment(campaign)
    for mutation, given in (
        ("createProgram", {"name": text}),
        ("createCampaign", {"programId": world.program_id, "name": text}),
        ("createCreator", {"programId": world.program_id, "handle": text, "displayName": text}),
        ("createCampaignLink", {"campaignId": campaign, "name": text, "destinationUrl": text}),
        (
            "createTrackingLink",
            {"enrollmentId": enrollment, "destinationUrl": text, "labels": [text], "code": text},
        ),
        ("promoteEnrollments", {"enrollmentIds": [text]}),
        ("archiveTrackingLink", {"id": text}),
    ):
        type_ = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = (
            f"mutation($i: {type_}!) {{ {mutation}(input: $i) {{ userErrors {{ code path }} }} }}"
        )
        _clean(world.post(query, i=given))
    answer = world.ask("{ campaigns { nodes { name } } creators { nodes { displayName } } }")
    names = {each["displayName"] for each in answer["creators"]["nodes"]}
    assert names <= {"Ana", text.strip()}


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_may_be_searched_for(world: World, text: str) -> None:
    world.a_creator()
    query = "query($q: String) { creators(filter: {query: $q}) { nodes { id } } }"
    _clean(world.post(query, q=text))
    query = "query($q: [String!]) { trackingLinks(filter: {labels: $q}) { nodes { id } } }"
    _clean(world.post(query, q=[text]))
    query = "query($q: String) { trackingLink(by: {code: $q}) { id } }"
    _clean(world.post(query, q=text))


@pytest.mark.parametrize(
    "arguments",
    [
        'range: {between: {from: "2026-02-30", to: "2026-03-01"}}',
        'range: {between: {from: "2026-W01-1", to: "2026-03-01"}}',
        'range: {between: {from: "2026-03-02", to: "2026-03-01"}}',
        'range: {between: {from: "0001-01-01", to: "9999-12-31"}}',
        "range: {lastDays: 0}",
        "range: {lastDays: 3661}",
        "range: {}",
        'timeZone: "Mars/Olympus"',
        'timeZone: "../../etc/passwd"',
        'timeZone: ""',
    ],
)
def test_a_period_that_cannot_be_is_refused(world: World, arguments: str) -> None:
    query = f"query($id: ID!) {{ program(id: $id) {{ stats({arguments}) {{ clicks }} }} }}"
    data = _clean(world.post(query, id=world.program_id))
    assert codes(data["errors"])[0] in {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}


def test_more_than_a_thousand_steps_are_refused_with_the_limit(world: World) -> None:
    query = """query($id: ID!) { program(id: $id) { stats(range: {lastDays: 90}) {
      timeSeries(granularity: HOUR) { clicks } } } }"""
    (error,) = world.errors(query, id=world.program_id)
    assert "1000" in error["message"]


def test_a_name_of_ten_megabytes_is_refused_at_the_door(world: World) -> None:
    answer = world.post(
        "mutation($n: String!) { createProgram(input: {name: $n}) { program { id } } }",
        n="x" * 10_000_000,
    )
    assert answer.status_code == 413
