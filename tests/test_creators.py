"""Creators: the people of a program."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.settings import Settings
from tests.world import World, codes

CREATOR = "creator { id handle displayName firstName email externalId archivedAt }"


def test_a_creator_is_found_by_id_handle_and_the_callers_own_key(world: World) -> None:
    ana = world.a_creator(handle=" @Ana.B ", externalId="crm-1")
    for by in ({"id": ana}, {"handle": "@ANA.B"}, {"handle": "ana.b"}, {"externalId": "crm-1"}):
        found = world.ask("query($by: CreatorByInput!) { creator(by: $by) { id } }", by=by)
        assert found["creator"] == {"id": ana}
    missing = world.ask('{ creator(by: {handle: "nobody"}) { id } }')
    assert missing["creator"] is None


def test_a_handle_and_a_key_belong_to_one_creator_of_a_program(
    world: World, operator_key: str
) -> None:
    world.a_creator(handle="ana", externalId="crm-1")
    payload = world.change(
        "createCreator",
        programId=world.program_id,
        handle="@Ana",
        displayName="Other",
        externalId="crm-1",
    )
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("TAKEN", ["input", "handle"]),
        ("TAKEN", ["input", "externalId"]),
    ]
    world.key = operator_key
    elsewhere = world.a_program()
    assert world.a_creator(programId=elsewhere, handle="ana", externalId="crm-1")


def test_an_update_changes_what_it_names_and_null_clears(world: World) -> None:
    ana = world.a_creator(handle="ana", firstName="Ana", email="ana@brand.example")
    changed = world.do("updateCreator", CREATOR, id=ana, displayName="Ana B.", email=None)[
        "creator"
    ]
    assert (changed["displayName"], changed["email"]) == ("Ana B.", None)
    assert (changed["handle"], changed["firstName"]) == ("ana", "Ana")
    again = world.do("updateCreator", CREATOR, id=ana, handle="Ana")["creator"]
    assert again["handle"] == "ana"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("handle", "", "BLANK"),
        ("handle", "two words", "INVALID"),
        ("displayName", " \t ", "BLANK"),
        ("displayName", "x" * 201, "TOO_LONG"),
        ("displayName", "a\u0000b", "INVALID"),
        ("displayName", "two\nlines", "INVALID"),
        ("email", "no address", "INVALID"),
        ("email", "a@b", "INVALID"),
        ("email", "a@b.example\r\nBcc: c@d.example", "INVALID"),
        ("firstName", "x" * 101, "TOO_LONG"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_path(
    world: World, field: str, value: str, code: str
) -> None:
    given = {"programId": world.program_id, "handle": "ana", "displayName": "Ana", field: value}
    payload = world.change("createCreator", **given)
    assert code in codes(payload["userErrors"])
    assert {tuple(error["path"]) for error in payload["userErrors"]} == {("input", field)}


def test_many_are_made_at_once_and_one_that_fails_undoes_no_other(world: World) -> None:
    world.a_creator(handle="taken")
    creators = [
        {"handle": "ana", "displayName": "Ana"},
        {"handle": "taken", "displayName": "Ben"},
        {"handle": "@ANA", "displayName": "Ana again"},
        {"handle": "cy", "displayName": " "},
        {"handle": "dee", "displayName": "Dee"},
    ]
    payload = world.do(
        "createCreators",
        "results { creator { handle } userErrors { code message path } }",
        programId=world.program_id,
        creators=creators,
    )
    results = payload["results"]
    assert [result["creator"] and result["creator"]["handle"] for result in results] == [
        "ana",
        None,
        None,
        None,
        "dee",
    ]
    assert [codes(result["userErrors"]) for result in results] == [
        [],
        ["TAKEN"],
        ["TAKEN"],
        ["BLANK"],
        [],
    ]
    assert results[3]["userErrors"][0]["path"] == ["input", "creators", "3", "displayName"]


def test_an_archived_creators_links_go_on_and_they_join_no_new_campaign(world: World) -> None:
    campaign, creator = world.a_campaign(), world.a_creator()
    (ana,) = world.enroll(campaign, [creator])
    link = world.a_link(ana)
    times = {
        world.do("archiveCreator", CREATOR, id=creator)["creator"]["archivedAt"] for _ in range(2)
    }
    assert len(times) == 1
    assert world.click(link["code"]).status_code == 302
    (result,) = world.do(
        "enrollCreators",
        "results { userErrors { code message path } }",
        campaignId=world.a_campaign(),
        creatorIds=[creator],
    )["results"]
    assert codes(result["userErrors"]) == ["ARCHIVED"]


def test_creators_are_found_by_text_campaign_and_key(world: World) -> None:
    campaign = world.a_campaign()
    ana, ben = world.a_creator(handle="ana"), world.a_creator(displayName="Benedikt")
    world.enroll(campaign, [ben])
    keyed = world.a_creator(externalId="crm-7")

    def found(**filter: object) -> set[str]:
        answer = world.ask(
            "query($f: CreatorFilterInput) { creators(filter: $f) { nodes { id } } }", f=filter
        )
        return {node["id"] for node in answer["creators"]["nodes"]}

    assert found(query="AN") >= {ana}
    assert found(query="nedi") == {ben}
    assert found(campaignIds=[campaign]) == {ben}
    assert found(campaignIds=["garbage"]) == set()
    assert found(externalIds=["crm-7"]) == {keyed}


def test_an_erased_creator_is_nobody_and_their_links_and_numbers_stay(
    world: World,
) -> None:
    creator = world.a_creator(
        handle="marker-handle",
        displayName="Marker Name",
        firstName="Markerfirst",
        email="marker@brand.example",
        externalId="marker-crm",
    )
    (ana,) = world.enroll(world.a_campaign(), [creator])
    link = world.a_link(ana)
    world.click(link["code"])
    world.drain()

    for _ in range(2):
        erased = world.do("eraseCreator", CREATOR, id=creator)["creator"]
    assert "marker" not in str(erased).lower()
    assert world.click(link["code"]).status_code == 302
    assert world.numbers(creator)["clicks"] == 1
    payload = world.change("updateCreator", id=creator, displayName="Back")
    assert codes(payload["userErrors"]) == ["ARCHIVED"]
    log = world.ask("{ auditLog(first: 100) { nodes { action changes { value } } } }")
    assert "marker" not in str(log).lower()


def test_erasing_a_creator_blanks_what_was_said_to_them_and_to_nobody_else(
    world: World, settings: Settings
) -> None:
    campaign = world.a_campaign()
    marked, other = (
        world.a_creator(displayName=f"{word} Name", email=f"{word}@brand.example")
        for word in ("markerana", "ben")
    )
    ana, ben = world.enroll(campaign, [marked, other])
    world.send(campaign, "Hello {{creator_name}}", ana, ben)
    (before,) = world.messages_of(ana)
    assert "markerana" in before["body"]
    assert before["status"] == "QUEUED"

    world.do("eraseCreator", CREATOR, id=marked)

    (after,) = world.messages_of(ana)
    assert (after["toAddress"], after["subject"], after["body"]) == ("", "", "")
    # It was waiting: nothing is sent to nobody.
    assert (after["status"], after["id"]) == ("FAILED", before["id"])
    (kept,) = world.messages_of(ben)
    assert (kept["toAddress"], kept["status"]) == ("ben@brand.example", "QUEUED")
    assert "ben Name" in kept["body"]
    if settings.database_url is None:
        file = settings.data_dir / "tracklinks.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = file.read_bytes() + Path(f"{file}-wal").read_bytes()
        assert b"ben@brand.example" in data
        assert b"markerana" not in data


def test_an_export_holds_what_is_kept_of_one_creator_and_of_nobody_else(world: World) -> None:
    creator, other = world.a_creator(email="ana@brand.example"), world.a_creator()
    campaign = world.a_campaign()
    ana, ben = world.enroll(campaign, [creator, other])
    world.promote(ana, ben)
    link, _ = world.a_link(ana), world.a_link(ben)
    query = "query($id: ID!) { creatorExport(id: $id) }"
    data = json.loads(world.ask(query, id=creator)["creatorExport"])
    assert data["creator"]["id"] == creator
    assert data["creator"]["email"] == "ana@brand.example"
    assert [row["id"] for row in data["enrollments"]] == [ana]
    assert [row["id"] for row in data["tracking_links"]] == [link["id"]]
    assert len(data["stage_changes"]) == 2
    assert world.ask(query, id="crt_0000000000001")["creatorExport"] is None
