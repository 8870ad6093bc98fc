"""The audit log: every change, by whom, and nothing personal."""

from tests.world import World, codes

LOG = """query($filter: AuditFilterInput, $first: Int) { auditLog(first: $first, filter: $filter) {
  totalCount nodes { at action subjectId subject { id } by { id name } changes { field value } } } }"""


def test_every_change_is_kept_with_who_made_it_and_what_it_set(world: World) -> None:
    campaign = world.a_campaign(name="Summer")
    ana = world.an_enrollment(campaign)
    link = world.a_link(ana, labels=["TikTok"])
    world.do("archiveTrackingLink", "trackingLink { id }", id=link["id"])
    world.do("archiveTrackingLink", "trackingLink { id }", id=link["id"])  # changes nothing

    log = world.ask(LOG, filter={"subjectId": link["id"]})["auditLog"]
    assert [entry["action"] for entry in log["nodes"]] == [
        "archiveTrackingLink",
        "createTrackingLink",
    ]
    made = log["nodes"][1]
    assert made["by"]["name"] == "Brand"
    assert made["subject"]["id"] == made["subjectId"] == link["id"]
    set_to = {change["field"]: change["value"] for change in made["changes"]}
    assert set_to["labels"] == '["TikTok"]'

    moved = world.ask(LOG, filter={"actions": ["enrollCreators"]})["auditLog"]
    assert [entry["subjectId"] for entry in moved["nodes"]] == [ana]


def test_a_batch_leaves_an_entry_for_each(world: World) -> None:
    campaign = world.a_campaign()
    enrolled = world.enroll(campaign, world.creators(5))
    world.promote(*enrolled)
    log = world.ask(LOG, filter={"actions": ["promoteEnrollments"]})["auditLog"]
    assert {entry["subjectId"] for entry in log["nodes"]} == set(enrolled)


def test_nothing_personal_is_in_the_log(world: World) -> None:
    world.a_creator(email="ana@brand.example", displayName="Ana Secret", handle="anasecret")
    text = str(world.ask(LOG, first=100)).lower()
    assert "ana@brand.example" not in text
    assert "secret" not in text


def test_what_was_refused_is_not_in_the_log(world: World) -> None:
    before = world.ask(LOG)["auditLog"]["totalCount"]
    payload = world.change("createCreator", programId=world.program_id, handle="", displayName="")
    assert codes(payload["userErrors"]) == ["BLANK", "BLANK"]
    assert world.ask(LOG)["auditLog"]["totalCount"] == before


def test_an_id_that_is_none_finds_nothing(world: World) -> None:
    world.a_creator()
    assert world.ask(LOG, filter={"subjectId": "garbage"})["auditLog"]["nodes"] == []
