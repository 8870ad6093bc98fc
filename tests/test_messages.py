"""What is said to creators: the seed's "Distribute Tracking Links", rule by rule."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from app.database import Database
from app.models import Message, MessageLink, MessageStatus
from tests.rows import MESSAGE, NOW, insert_one_of_each
from tests.statements import count_statements
from tests.world import World, codes

BASE = "https://go.brand.example"


def tag_of(link: dict[str, Any]) -> str:
    return str(link["mergeTag"])


def test_a_message_with_a_late_links_tag_makes_it_and_holds_its_address(world: World) -> None:
    campaign = world.a_campaign()
    first = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    late = world.a_campaign_link(campaign)

    (result,) = world.send(campaign, f"Post this: {tag_of(late)}", ana)

    (made,) = result["generatedTrackingLinks"]
    assert result["message"]["body"] == f"Post this: {BASE}/{made['code']}"
    assert result["message"]["status"] == "QUEUED"
    assert [link["campaignLink"]["id"] for link in world.links_of(ana)] == [first["id"], late["id"]]
    assert world.click(made["code"]).status_code == 302


def test_a_second_message_holds_the_same_link(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign, stage="INVITED")

    (first,) = world.send(campaign, tag_of(link), ana)
    (second,) = world.send(campaign, tag_of(link), ana)

    assert second["generatedTrackingLinks"] == []
    assert first["message"]["body"] == second["message"]["body"]
    assert first["message"]["trackingLinks"] == second["message"]["trackingLinks"]


def test_a_template_that_names_an_archived_link_is_refused_and_nothing_is_made(
    world: World,
) -> None:
    campaign = world.a_campaign()
    gone, kept = world.a_campaign_link(campaign), world.a_campaign_link(campaign)
    forty = world.enroll(campaign, world.creators(40))
    template = world.a_template(campaign, f"{tag_of(gone)} {tag_of(kept)}")
    world.do("archiveCampaignLink", "", id=gone["id"])

    payload = world.message(template, *forty)

    assert codes(payload["userErrors"]) == ["TAG_ARCHIVED"]
    assert tag_of(gone) in payload["userErrors"][0]["message"]
    assert payload["results"] == []
    assert all(world.links_of(each) == [] == world.messages_of(each) for each in forty[:3])
    query = "query($id: ID!) { messageTemplate(id: $id) { isBroken problems mergeTags { token } } }"
    broken = world.ask(query, id=template)["messageTemplate"]
    assert broken["isBroken"]
    assert len(broken["problems"]) == 1
    assert [tag["token"] for tag in broken["mergeTags"]] == ["{{campaign_name}}", tag_of(kept)]


def test_all_tracking_links_lists_the_live_ones_campaign_level_first(world: World) -> None:
    campaign = world.a_campaign()
    old, live = world.a_campaign_link(campaign), world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    own = world.a_link(ana, labels=["TikTok", "Bio"])
    bare = world.a_link(ana, destinationUrl="https://shop.example/a")
    world.promote(ana)
    (code,) = [
        link["code"]
        for link in world.links_of(ana)
        if link["campaignLink"] and link["campaignLink"]["id"] == live["id"]
    ]
    world.do("archiveCampaignLink", "", id=old["id"])

    (result,) = world.send(campaign, "{{all_tracking_links}}", ana)

    assert result["message"]["body"].split("\n") == [
        f"{live['name']}: {BASE}/{code}",
        f"TikTok, Bio: {own['shortUrl']}",
        f"shop.example: {bare['shortUrl']}",
    ]


def test_all_tracking_links_makes_what_is_missing_for_those_past_applied_alone(
    world: World,
) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign, stage="DELIVERABLES")
    ben = world.an_enrollment(campaign, stage="APPLIED")
    world.a_campaign_link(campaign)

    past, before = world.send(campaign, "{{all_tracking_links}}", ana, ben)

    assert len(past["generatedTrackingLinks"]) == 1
    assert (before["message"], before["skipReason"]) == (None, "NO_LINKS")
    assert world.links_of(ben) == []


def test_who_cannot_be_written_to_is_left_out_with_a_reason_and_the_others_are_not(
    world: World,
) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    nameless = world.an_enrollment(campaign)
    (silent,) = world.enroll(campaign, [world.a_creator(email=None, firstName="Cy")])
    (named,) = world.enroll(campaign, [world.a_creator(firstName="Dee")])
    dropped = world.an_enrollment(campaign)
    world.drop(dropped)
    stopped = world.an_enrollment(campaign)
    world.promote(stopped)
    world.do("archiveTrackingLink", "", id=world.links_of(stopped)[0]["id"])
    elsewhere = world.an_enrollment(world.a_campaign())

    results = world.send(
        campaign,
        f"Dear {{{{first_name}}}}, {tag_of(link)}",
        *(nameless, silent, named, dropped, stopped, elsewhere, "enr_garbage"),
    )

    assert [result["skipReason"] for result in results] == [
        "MISSING_VALUE",
        "NO_EMAIL",
        None,
        "DROPPED",
        "LINK_ARCHIVED",
        "NOT_FOUND",
        "NOT_FOUND",
    ]
    assert results[0]["missing"] == ["first_name"]
    assert results[2]["message"]["body"].startswith("Dear Dee, https://")
    assert [len(world.links_of(each, "ACTIVE")) for each in (nameless, silent, dropped)] == [0] * 3


def test_a_fallback_stands_where_a_name_is_missing(world: World) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign)
    (result,) = world.send(campaign, "Hi {{first_name|there}}", ana)
    assert result["message"]["body"] == "Hi there"


def test_a_dropped_creator_still_hears_about_the_links_they_have(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    world.drop(ana)
    (result,) = world.send(campaign, tag_of(link), ana)
    assert result["message"]["body"] == world.links_of(ana)[0]["shortUrl"]


def test_a_replaced_link_is_the_one_that_the_next_message_holds(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    (old,) = world.links_of(ana)
    new = world.do("replaceTrackingLink", "trackingLink { shortUrl }", id=old["id"])
    (result,) = world.send(campaign, tag_of(link), ana)
    assert result["message"]["body"] == new["trackingLink"]["shortUrl"]


@pytest.mark.parametrize(
    ("subject", "body", "code", "field"),
    [
        pytest.param("Hi", "{{tracking_link.nothing}}", "UNKNOWN_TAG", "body", id="unknown link"),
        pytest.param("{{frist_name}}", "Hi", "UNKNOWN_TAG", "subject", id="misspelt"),
        pytest.param("Hi", "{{first_name", "INVALID", "body", id="never closed"),
        pytest.param("{{all_tracking_links}}", "Hi", "INVALID", "subject", id="list in subject"),
        pytest.param("Hi\nBcc: a@b.example", "Hi", "INVALID", "subject", id="header injection"),
        pytest.param("Hi", "a\0b", "INVALID", "body", id="NUL"),
        pytest.param("Hi", " \n ", "BLANK", "body", id="blank"),
        pytest.param("Hi", "x" * 20_001, "TOO_LONG", "body", id="too long"),
    ],
)
def test_a_text_that_cannot_be_sent_is_refused_on_save_and_on_send(
    world: World, subject: str, body: str, code: str, field: str
) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign)
    saved = world.change(
        "createMessageTemplate", campaignId=campaign, name="T", subject=subject, body=body
    )
    sent = world.message({"campaignId": campaign, "subject": subject, "body": body}, ana)
    assert (codes(saved["userErrors"]), codes(sent["userErrors"])) == ([code], [code])
    assert saved["userErrors"][0]["path"] == ["input", field]
    assert sent["userErrors"][0]["path"] == ["input", "content", "oneOff", field]
    assert world.messages_of(ana) == []


def test_a_preview_shows_each_text_and_writes_nothing(world: World) -> None:
    campaign = world.a_campaign()
    has = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    lacks = world.a_campaign_link(campaign)
    (ben,) = world.enroll(campaign, [world.a_creator(email=None)])
    query = """query($input: PreviewMessageInput!) { previewMessage(input: $input) {
        previews { enrollment { id } subject body skipReason missing reusedTrackingLinks { id }
                   campaignLinksToGenerate { id } } userErrors { code path } } }"""
    text = {"campaignId": campaign, "subject": "Hi", "body": f"{tag_of(has)} {tag_of(lacks)}"}

    with count_statements(world.database) as counted:
        found = world.ask(query, input={"content": {"oneOff": text}, "enrollmentIds": [ana, ben]})
    shown, skipped = found["previewMessage"]["previews"]

    (link,) = world.links_of(ana)
    assert shown["body"] == f"{link['shortUrl']} [link made when this is sent]"
    assert [each["id"] for each in shown["reusedTrackingLinks"]] == [link["id"]]
    assert [each["id"] for each in shown["campaignLinksToGenerate"]] == [lacks["id"]]
    assert (shown["skipReason"], skipped["skipReason"]) == (None, "NO_EMAIL")
    assert not [each for each in counted.statements if each.startswith(("INSERT", "UPDATE"))]
    bad = {**text, "body": "{{nobody}}"}
    refused = world.ask(query, input={"content": {"oneOff": bad}, "enrollmentIds": [ana]})
    assert codes(refused["previewMessage"]["userErrors"]) == ["UNKNOWN_TAG"]


def test_a_retried_call_answers_what_the_first_did_and_sends_nothing(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana, ben = world.an_enrollment(campaign), world.an_enrollment(campaign)
    text = {"campaignId": campaign, "subject": "Hi", "body": tag_of(link)}

    first = world.message(text, ana, "enr_garbage", ben, key="once")
    second = world.message(text, ana, "enr_garbage", ben, key="once")

    assert first == second
    assert len(world.messages_of(ana)) == 1
    other = world.message({**text, "body": "Another"}, ana, key="once")
    assert codes(other["userErrors"]) == ["TAKEN"]


def test_a_template_goes_to_nobody_twice_unless_that_is_asked_for(world: World) -> None:
    campaign = world.a_campaign()
    ana, ben = world.an_enrollment(campaign), world.an_enrollment(campaign)
    template = world.a_template(campaign, "Hello")
    world.message(template, ana)

    results = world.message(template, ana, ben)["results"]
    assert [result["skipReason"] for result in results] == ["ALREADY_SENT", None]
    assert world.message(template, ana, again=True)["results"][0]["skipReason"] is None


def test_a_template_can_be_changed_and_what_was_sent_stays(world: World) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign)
    template = world.a_template(campaign, "Old words", sendsOnStage="COMPLETE")
    world.message(template, ana)
    changed = world.do(
        "updateMessageTemplate",
        "messageTemplate { body subject sendsOnStage }",
        id=template,
        body="New words",
        sendsOnStage=None,
    )
    assert changed["messageTemplate"]["body"] == "New words"
    assert changed["messageTemplate"]["sendsOnStage"] is None
    assert [message["body"] for message in world.messages_of(ana)] == ["Old words"]

    world.do("archiveMessageTemplate", "messageTemplate { archivedAt }", id=template)
    again = world.change("updateMessageTemplate", id=template, name="Later")
    assert codes(again["userErrors"]) == ["ARCHIVED"]
    assert codes(world.message(template, ana)["userErrors"]) == ["ARCHIVED"]
    query = """query($id: ID!, $of: ArchiveState!) { campaign(id: $id) {
        messageTemplates(filter: {archived: $of}) { nodes { id } } } }"""
    for state, listed in (("ACTIVE", []), ("ARCHIVED", [{"id": template}])):
        found = world.ask(query, id=campaign, of=state)["campaign"]["messageTemplates"]["nodes"]
        assert found == listed


def test_a_campaign_names_its_merge_tags_ready_to_paste(world: World) -> None:
    campaign = world.a_campaign()
    link, gone = world.a_campaign_link(campaign), world.a_campaign_link(campaign)
    world.do("archiveCampaignLink", "", id=gone["id"])
    query = """query($id: ID!) { campaign(id: $id) { mergeTags {
        token label kind campaignLink { id } } } }"""
    found = world.ask(query, id=campaign)["campaign"]["mergeTags"]
    tags = {tag["token"]: tag for tag in found}
    assert tags[tag_of(link)] == {
        "token": tag_of(link),
        "label": link["name"],
        "kind": "TRACKING_LINK",
        "campaignLink": {"id": link["id"]},
    }
    assert tag_of(gone) not in tags
    assert "{{campaign_manager_link}}" in tags
    (ana,) = world.enroll(campaign, [world.a_creator(firstName="Ana", lastName="B")])
    world.promote(ana)
    (result,) = world.send(campaign, "\n".join(tags), ana)
    assert "{{" not in result["message"]["body"]


# By itself, on coming to a stage.


def test_a_template_is_sent_on_coming_to_its_stage_once(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    template = world.a_template(campaign, tag_of(link), sendsOnStage="DELIVERABLES")
    ana = world.an_enrollment(campaign)
    query = "results { automaticMessages { skipReason message { body isAutomatic } } }"

    (result,) = world.do("promoteEnrollments", query, enrollmentIds=[ana])["results"]
    (sent,) = result["automaticMessages"]
    assert sent["message"] == {"body": world.links_of(ana)[0]["shortUrl"], "isAutomatic": True}

    world.move("APPLIED", ana)
    (result,) = world.do("promoteEnrollments", query, enrollmentIds=[ana])["results"]
    assert result["automaticMessages"] == []
    assert [message["template"]["id"] for message in world.messages_of(ana)] == [template]


def test_joining_at_a_stage_is_coming_to_it(world: World) -> None:
    campaign = world.a_campaign()
    world.a_template(campaign, "Welcome, {{creator_name}}", sendsOnStage="INVITED")
    ana = world.an_enrollment(campaign, stage="INVITED")
    assert [message["body"] for message in world.messages_of(ana)] == ["Welcome, Ana"]


def test_nothing_goes_by_itself_while_the_campaign_is_paused(world: World) -> None:
    campaign = world.a_campaign()
    world.a_template(campaign, "Welcome", sendsOnStage="DELIVERABLES")
    ana = world.an_enrollment(campaign)
    world.do("launchCampaign", "", id=campaign)
    world.do("pauseCampaign", "", id=campaign)
    world.promote(ana)
    assert world.messages_of(ana) == []


def test_a_broken_template_stands_in_the_way_of_nobody(world: World) -> None:
    campaign = world.a_campaign()
    gone = world.a_campaign_link(campaign)
    world.a_template(campaign, tag_of(gone), sendsOnStage="DELIVERABLES")
    world.do("archiveCampaignLink", "", id=gone["id"])
    ana = world.an_enrollment(campaign)
    (result,) = world.do(
        "promoteEnrollments",
        "results { enrollment { stage } automaticMessages { skipReason } }",
        enrollmentIds=[ana],
    )["results"]
    assert result == {
        "enrollment": {"stage": "DELIVERABLES"},
        "automaticMessages": [{"skipReason": "BROKEN_TEMPLATE"}],
    }


# Who has which link, and telling them.

HOLDERS = """holders { creatorCount messageCount activeTrackingLinkCount clicksLast7Days
    messages { totalCount nodes { enrollment { id } } } }
    notices { skipReason enrollment { id } message { body } }"""


def test_archiving_names_who_has_the_link_and_can_tell_them_in_the_same_call(world: World) -> None:
    campaign = world.a_campaign()
    link, other = world.a_campaign_link(campaign), world.a_campaign_link(campaign)
    ana, ben, cy = world.enroll(campaign, world.creators(3))
    world.promote(ana, ben, cy)
    world.send(campaign, tag_of(link), ana, ben)
    world.send(campaign, tag_of(link), ana)
    world.click(world.links_of(ana)[0]["code"])
    world.drain()

    query = "query($id: ID!) { archivePreview(id: $id) { creatorCount messageCount "
    query += "activeTrackingLinkCount clicksLast7Days } }"
    before = world.ask(query, id=link["id"])["archivePreview"]
    assert before["creatorCount"] == 2
    assert before["messageCount"] == 3
    assert before["activeTrackingLinkCount"] == 3
    assert before["clicksLast7Days"] <= 1

    notice = {"subject": "Please change your link", "body": f"Use {tag_of(other)} from now on."}
    payload = world.do("archiveCampaignLink", HOLDERS, id=link["id"], notice=notice)
    assert {each["enrollment"]["id"] for each in payload["notices"]} == {ana, ben}
    assert all("Use https://" in each["message"]["body"] for each in payload["notices"])
    assert payload["holders"]["creatorCount"] == 2
    assert payload["holders"]["activeTrackingLinkCount"] == 0
    assert payload["holders"]["messages"]["totalCount"] == 3

    assert world.do("archiveCampaignLink", HOLDERS, id=link["id"], notice=notice)["notices"] == []
    assert world.messages_of(cy) == []


def test_a_notice_that_names_the_archived_link_is_refused_with_the_archive(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.send(campaign, tag_of(link), ana)
    notice = {"subject": "Gone", "body": tag_of(link)}

    payload = world.change("archiveCampaignLink", HOLDERS, id=link["id"], notice=notice)

    assert codes(payload["userErrors"]) == ["TAG_ARCHIVED"]
    assert payload["userErrors"][0]["path"] == ["input", "notice", "body"]
    assert payload["holders"] is None
    assert world.click(world.links_of(ana)[0]["code"]).status_code == 302


def test_replacing_a_link_brings_the_new_one_to_its_creator(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana, ben = world.an_enrollment(campaign), world.an_enrollment(campaign)
    world.send(campaign, tag_of(link), ana, ben)
    (old,) = world.links_of(ana)

    payload = world.do(
        "replaceTrackingLink",
        f"trackingLink {{ shortUrl messages {{ body }} }} {HOLDERS}",
        id=old["id"],
        notice={"subject": "A new link", "body": tag_of(link)},
    )

    (told,) = payload["notices"]
    assert told["enrollment"]["id"] == ana
    assert told["message"]["body"] == payload["trackingLink"]["shortUrl"]
    assert payload["trackingLink"]["messages"] == [{"body": told["message"]["body"]}]
    assert payload["holders"]["messageCount"] == 1
    query = "query($id: ID!) { node(id: $id) { ... on TrackingLink { messages { body } } } }"
    held = world.ask(query, id=old["id"])["node"]["messages"]
    assert held == [{"body": old["shortUrl"]}]


# Whose business it is.


def test_what_was_said_is_for_those_who_may_read_what_is_personal(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    (sent,) = world.send(campaign, tag_of(link), ana)
    query = """query($id: ID!, $message: ID!) { enrollment(id: $id) {
        creator { managerUrl } messages { nodes { id subject body toAddress error status } } }
        node(id: $message) { id } }"""
    seen = {}
    for role in ("MANAGER", "ANALYST", "PARTNER"):
        key = world.do("createApiKey", "text", name=role, role=role, programId=world.program_id)[
            "text"
        ]
        seen[role] = world.ask(query, key=key, id=ana, message=sent["message"]["id"])
    manager, analyst, partner = (seen[role]["enrollment"] for role in seen)
    assert manager["messages"]["nodes"][0]["body"] == sent["message"]["body"]
    assert manager["creator"]["managerUrl"].startswith(f"{BASE}/manager/")
    (message,) = analyst["messages"]["nodes"]
    assert [message[name] for name in ("subject", "body", "toAddress", "error")] == [None] * 4
    assert analyst["creator"]["managerUrl"] is None
    assert partner["messages"]["nodes"] == []
    assert seen["PARTNER"]["node"] is None


def test_another_program_is_not_there_to_be_written_to_or_read(
    world: World, operator_key: str
) -> None:
    campaign = world.a_campaign()
    template = world.a_template(campaign, "Hello")
    ana = world.an_enrollment(campaign)
    world.message(template, ana, key="once")
    (message,) = world.messages_of(ana)
    brand, world.key = world.key, operator_key
    other = world.a_program()
    world.key = world.do("createApiKey", "text", name="B", role="ADMIN", programId=other)["text"]

    assert codes(world.message(template, ana, key="once")["userErrors"]) == ["NOT_FOUND"]
    text = {"campaignId": campaign, "subject": "Hi", "body": "Hi"}
    assert codes(world.message(text, ana)["userErrors"]) == ["NOT_FOUND"]
    mine = {**text, "campaignId": world.a_campaign(programId=other)}
    assert world.message(mine, ana)["results"][0]["skipReason"] == "NOT_FOUND"
    query = """query($template: ID!, $message: ID!, $campaign: ID!) {
        messageTemplate(id: $template) { id } node(id: $message) { id }
        archivePreview(id: $campaign) { creatorCount } }"""
    found = world.ask(query, template=template, message=message["id"], campaign=campaign)
    assert set(found.values()) == {None}
    world.key = brand
    assert len(world.messages_of(ana)) == 1


# What it costs.


def test_sending_to_one_and_to_a_hundred_costs_the_same(world: World) -> None:
    campaign = world.a_campaign()
    links = [world.a_campaign_link(campaign) for _ in range(2)]
    enrolled = world.enroll(campaign, world.creators(101))
    body = " ".join(map(tag_of, links)) + "\n{{all_tracking_links}}"

    def cost(*enrollments: str) -> list[str]:
        with count_statements(world.database) as counted:
            results = world.send(campaign, body, *enrollments)
        assert sum(len(result["generatedTrackingLinks"]) for result in results) == 2 * len(results)
        return [" ".join(statement.split())[:70] for statement in counted.statements]

    one, hundred = cost(enrolled[0]), cost(*enrolled[1:])
    assert len(one) == len(hundred) == 19, (one, hundred)


def test_a_thousand_recipients_with_two_tags_each_are_queued_in_one_call(world: World) -> None:
    campaign = world.a_campaign()
    links = [world.a_campaign_link(campaign) for _ in range(2)]
    enrolled = world.enroll(campaign, world.creators(1000))

    results = world.send(campaign, " ".join(map(tag_of, links)), *enrolled)

    assert len({result["message"]["body"] for result in results}) == 1000
    assert all(len(result["generatedTrackingLinks"]) == 2 for result in results)
    too_many = world.message(
        {"campaignId": campaign, "subject": "Hi", "body": "Hi"}, *enrolled, "x"
    )
    assert codes(too_many["userErrors"]) == ["TOO_MANY"]


def test_two_calls_with_one_key_at_the_same_moment_send_once(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    enrolled = world.enroll(campaign, world.creators(20))
    text = {"campaignId": campaign, "subject": "Hi", "body": tag_of(link)}
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(world.message, text, *enrolled, key="once") for _ in range(4)]
        first, *others = [call.result() for call in calls]
    assert all(other == first for other in others)
    assert [len(world.messages_of(each)) for each in enrolled] == [1] * 20
    assert [len(world.links_of(each)) for each in enrolled] == [1] * 20


# What the database itself holds.


@pytest.mark.breaks_sums  # rows that no recorder wrote
async def test_what_was_said_never_changes_but_can_be_erased_whole(database: Database) -> None:
    await insert_one_of_each(database)

    async def change(**values: Any) -> None:
        async with database.writing() as session:
            await session.exec(update(Message).where(col(Message.id) == MESSAGE).values(**values))

    for values in ({"body": "Other"}, {"to_address": "b@example.com"}, {"body": ""}):
        with pytest.raises(IntegrityError, match="what a message says"):
            await change(**values)
    with pytest.raises(IntegrityError, match="what a message says"):
        await change(is_automatic=True)
    await change(status=MessageStatus.SENT, sent_at=NOW)
    with pytest.raises(IntegrityError, match="stays so"):
        await change(status=MessageStatus.QUEUED)
    await change(subject="", body="", to_address="")
    for model in (MessageLink, Message):
        with pytest.raises(IntegrityError, match="cannot"):
            async with database.writing() as session:
                await session.exec(delete(model))
