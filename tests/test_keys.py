"""Keys: who may ask, as what."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from app.auth import new_key, parse_key
from tests.world import World, codes

ROLES = ["ADMIN", "MANAGER", "ANALYST", "PARTNER", "CONVERSIONS"]
ME = "{ viewer { role program { id } campaigns { id } } }"


def a_key(world: World, role: str, **values: Any) -> str:
    values.setdefault("programId", world.program_id)
    return str(world.do("createApiKey", "text", name="Test", role=role, **values)["text"])


@pytest.mark.parametrize("role", ROLES)
def test_a_key_knows_itself(world: World, role: str) -> None:
    key = a_key(world, role)
    viewer = world.ask("{ viewer { role } }", key=key)["viewer"]
    assert viewer["role"] == role


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("ADMIN", True),
        ("MANAGER", True),
        ("ANALYST", False),
        ("PARTNER", False),
        ("CONVERSIONS", False),
    ],
)
def test_only_admins_and_managers_change_campaigns(world: World, role: str, allowed: bool) -> None:
    key = a_key(world, role)
    query = """mutation($program: ID!) {
        createCampaign(input: {programId: $program, name: "New"}) { campaign { id } } }"""
    answer = world.post(query, key=key, program=world.program_id).json()
    if allowed:
        assert answer["data"]["createCampaign"]["campaign"]["id"]
    else:
        assert answer["data"] == {"createCampaign": None}
        assert codes(answer["errors"]) == ["FORBIDDEN"]


def test_a_partner_sees_no_addresses_and_an_admin_does(world: World) -> None:
    world.a_creator(email="ana@brand.example")
    query = "{ creators { nodes { email } } }"
    (seen,) = world.ask(query)["creators"]["nodes"]
    assert seen["email"] == "ana@brand.example"
    (hidden,) = world.ask(query, key=a_key(world, "PARTNER"))["creators"]["nodes"]
    assert hidden["email"] is None


def test_a_key_of_some_campaigns_sees_nothing_of_the_others(world: World) -> None:
    open_, closed = world.a_campaign(), world.a_campaign()
    creator, stranger = world.a_creator(), world.a_creator()
    (ana,) = world.enroll(open_, [creator])
    (elsewhere,) = world.enroll(closed, [creator])
    world.enroll(closed, [stranger])
    mine, theirs = world.a_link(ana), world.a_link(elsewhere)
    for link in (mine, theirs):
        world.click(link["code"])
    world.drain()
    key = a_key(world, "PARTNER", campaignIds=[open_])
    seen = world.ask(
        """query($ids: [ID!]!, $creator: ID!, $program: ID!) {
          campaigns { nodes { id } }
          creators { nodes { id } totalCount }
          trackingLinks { nodes { id } totalCount }
          nodes(ids: $ids) { id }
          creator(by: {id: $creator}) { enrollments { nodes { id } } stats { clicks } }
          program(id: $program) { stats { clicks } campaigns { nodes { id } } } }""",
        key=key,
        ids=[closed, elsewhere, theirs["id"], stranger, mine["id"]],
        creator=creator,
        program=world.program_id,
    )
    assert seen["campaigns"]["nodes"] == [{"id": open_}]
    assert seen["creators"] == {"nodes": [{"id": creator}], "totalCount": 1}
    assert seen["trackingLinks"] == {"nodes": [{"id": mine["id"]}], "totalCount": 1}
    assert seen["nodes"] == [None, None, None, None, {"id": mine["id"]}]
    assert seen["creator"] == {"enrollments": {"nodes": [{"id": ana}]}, "stats": {"clicks": 1}}
    assert seen["program"] == {"stats": {"clicks": 1}, "campaigns": {"nodes": [{"id": open_}]}}


def test_a_key_of_some_campaigns_leads_no_messages_of_the_others_elsewhere(world: World) -> None:
    """The creator's page, which messages have the address of, shows all campaigns."""
    open_, closed = world.a_campaign(), world.a_campaign()
    ana, ben = world.a_creator(email="ana@brand.example"), world.a_creator()
    world.enroll(open_, [ana, ben])
    world.enroll(closed, [ana])
    key = a_key(world, "MANAGER", campaignIds=[open_])
    change = partial(world.change, "updateCreator", "creator { email }")

    refused = change(key=key, id=ana, email="me@agency.example")
    assert refused["creator"] is None
    (error,) = refused["userErrors"]
    assert (error["code"], error["path"]) == ("FORBIDDEN", ["input", "email"])

    same = change(key=key, id=ana, displayName="Ana B.", email="ana@brand.example")
    assert same == {"creator": {"email": "ana@brand.example"}, "userErrors": []}
    for each in (change(key=key, id=ben, email="b@x.example"), change(id=ana, email="a@x.example")):
        assert each["userErrors"] == []


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: "", id="none"),
        pytest.param(lambda key: key[:-1], id="cut"),
        pytest.param(lambda key: key.swapcase(), id="other case"),
        pytest.param(lambda _: new_key().text, id="unknown"),
        pytest.param(
            lambda key: f"{key.rsplit('_', 2)[0]}_{new_key().text.split('_', 2)[2]}",
            id="wrong secret",
        ),
        pytest.param(lambda _: "ключ", id="no ASCII"),
    ],
)
def test_what_is_no_key_is_not_let_in(world: World, spoil: Callable[[str], str]) -> None:
    text = spoil(world.key)
    answer = world.client.post(
        "/graphql",
        json={"query": ME},
        headers={b"Authorization": f"Bearer {text}".encode()},
    )
    assert answer.status_code == 401
    assert codes(answer.json()["errors"]) == ["UNAUTHENTICATED"]


def test_a_revoked_key_is_refused_at_the_next_request(world: World) -> None:
    made = world.do(
        "createApiKey",
        "apiKey { id kid } text",
        name="Agency",
        role="ANALYST",
        programId=world.program_id,
    )
    assert made["text"].startswith(f"tl_{made['apiKey']['kid']}_")
    world.ask(ME, key=made["text"])
    times = {
        world.do("revokeApiKey", "apiKey { revokedAt }", id=made["apiKey"]["id"])["apiKey"][
            "revokedAt"
        ]
        for _ in range(2)
    }
    assert len(times) == 1
    assert world.post(ME, key=made["text"]).status_code == 401


def test_an_expiry_in_the_past_is_refused(world: World) -> None:
    payload = world.change(
        "createApiKey",
        name="Late",
        role="ANALYST",
        programId=world.program_id,
        expiresAt=(datetime.now(UTC) - timedelta(seconds=1)).isoformat(),
    )
    assert codes(payload["userErrors"]) == ["INVALID"]


def test_the_installations_own_key_makes_programs_and_a_programs_key_does_not(
    world: World, operator_key: str
) -> None:
    mutation = 'mutation { createProgram(input: {name: "Other"}) { program { id } } }'
    assert world.ask(mutation, key=operator_key)["createProgram"]["program"]["id"]
    assert codes(world.errors(mutation, key=a_key(world, "ADMIN"))) == ["FORBIDDEN"]


def test_keys_are_listed_without_anything_that_opens(world: World) -> None:
    text = a_key(world, "MANAGER")
    listed = world.ask("{ apiKeys { nodes { id name kid role lastUsedAt } } }")["apiKeys"]["nodes"]
    kid, _ = parse_key(text) or ("", b"")
    assert kid in {key["kid"] for key in listed}
    assert text.split("_")[2] not in str(listed)
    assert codes(world.errors("{ apiKeys { nodes { id } } }", key=text)) == ["FORBIDDEN"]


def test_a_rotated_key_has_a_successor_and_works_until_the_overlap_ends(world: World) -> None:
    campaign = world.a_campaign()
    made = world.do(
        "createApiKey",
        "apiKey { id } text",
        name="Agency",
        role="PARTNER",
        programId=world.program_id,
        campaignIds=[campaign],
    )
    rotated = world.do("rotateApiKey", "apiKey { id name role } text", id=made["apiKey"]["id"])
    for key in (made["text"], rotated["text"]):
        viewer = world.ask(ME, key=key)["viewer"]
        assert (viewer["role"], viewer["campaigns"]) == ("PARTNER", [{"id": campaign}])
    at_once = world.do("rotateApiKey", "text", id=rotated["apiKey"]["id"], overlapMinutes=0)
    assert world.post(ME, key=rotated["text"]).status_code == 401
    assert world.ask(ME, key=at_once["text"])["viewer"]["role"] == "PARTNER"
    payload = world.change("rotateApiKey", id=rotated["apiKey"]["id"])
    assert codes(payload["userErrors"]) == ["INVALID"]


def test_the_last_use_of_a_key_is_kept(world: World) -> None:
    text = a_key(world, "ANALYST")
    world.ask(ME, key=text)
    kid = text.split("_")[1]
    # Written behind the answer, so that nobody waits for it.
    deadline, used = time.monotonic() + 10, None
    while used is None and time.monotonic() < deadline:
        listed = world.ask("{ apiKeys { nodes { kid lastUsedAt } } }")["apiKeys"]["nodes"]
        (used,) = [key["lastUsedAt"] for key in listed if key["kid"] == kid]
    assert used is not None
