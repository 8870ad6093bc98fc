"""Tracking links: made, changed, archived, replaced; never deleted."""

import pytest

from tests.world import DESTINATION, World, codes

LINK = "trackingLink { id code destinationUrl labels archivedAt }"


@pytest.mark.parametrize("stage", ["CANDIDATE", "INVITED", "COMPLETE", "DROPPED"])
def test_a_creator_level_link_works_at_once_at_any_stage(world: World, stage: str) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign(), stage))
    assert world.click(link["code"]).headers["location"] == DESTINATION


def test_several_links_may_share_destination_and_labels_but_no_code(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    links = [world.a_link(ana, labels=["TikTok"]) for _ in range(3)]
    assert len({link["code"] for link in links}) == 3
    assert {tuple(link["labels"]) for link in links} == {("TikTok",)}


def test_a_code_is_matched_without_case(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()), code="Summer-Sale")
    assert link["code"] == "summer-sale"
    assert world.click("SUMMER-sale").status_code == 302


@pytest.mark.parametrize("code", ["graphql", "no", "has space", "-dash", "x" * 65, "ünicode"])
def test_a_code_that_cannot_be_one_is_refused(world: World, code: str) -> None:
    ana = world.an_enrollment(world.a_campaign())
    payload = world.change(
        "createTrackingLink", enrollmentId=ana, destinationUrl=DESTINATION, code=code
    )
    assert codes(payload["userErrors"]) == ["INVALID"]
    assert payload["userErrors"][0]["path"] == ["input", "code"]


def test_a_code_is_never_given_twice_not_even_an_archived_one(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    link = world.a_link(ana, code="launch-day")
    world.do("archiveTrackingLink", LINK, id=link["id"])
    payload = world.change(
        "createTrackingLink", enrollmentId=ana, destinationUrl=DESTINATION, code="Launch-Day"
    )
    assert codes(payload["userErrors"]) == ["TAKEN"]


def test_a_new_destination_holds_for_the_next_click_and_the_old_one_is_kept(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    world.click(link["code"])
    world.do("updateTrackingLink", LINK, id=link["id"], destinationUrl="brand.example/winter")
    assert world.click(link["code"]).headers["location"] == "https://brand.example/winter"
    query = """query($id: ID!) { trackingLink(by: {id: $id}) {
        code destinations { version url } } }"""
    found = world.ask(query, id=link["id"])["trackingLink"]
    assert found["code"] == link["code"]
    assert found["destinations"] == [
        {"version": 2, "url": "https://brand.example/winter"},
        {"version": 1, "url": DESTINATION},
    ]


def test_new_labels_replace_the_old_and_empty_ones_clear_them(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()), labels=["TikTok", "Story"])
    assert link["labels"] == ["TikTok", "Story"]
    for labels in (["Story", "Reel", "Story"], []):
        payload = world.do("updateTrackingLink", LINK, id=link["id"], labels=labels)
        assert payload["trackingLink"]["labels"] == list(dict.fromkeys(labels))


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_made(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    payload = world.change(
        "createTrackingLink",
        enrollmentId=ana,
        destinationUrl="javascript:alert(1)",
        labels=["fine", " ", "x" * 101],
        code="graphql",
    )
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID_URL", ["input", "destinationUrl"]),
        ("BLANK", ["input", "labels", "1"]),
        ("TOO_LONG", ["input", "labels", "2"]),
        ("INVALID", ["input", "code"]),
    ]
    assert world.links_of(ana) == []


def test_an_archived_link_cannot_be_edited(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    world.do("archiveTrackingLink", LINK, id=link["id"])
    payload = world.change("updateTrackingLink", id=link["id"], labels=["New"])
    assert codes(payload["userErrors"]) == ["LINK_ARCHIVED"]


def test_a_replacement_has_its_own_code_and_the_old_one_does_not_forward(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()), labels=["TikTok"])
    payload = world.do(
        "replaceTrackingLink",
        "trackingLink { id code destinationUrl labels replaces { id archivedAt replacedBy { id } } }",
        id=link["id"],
    )
    new = payload["trackingLink"]
    assert new["code"] != link["code"]
    assert (new["destinationUrl"], new["labels"]) == (DESTINATION, ["TikTok"])
    assert new["replaces"]["id"] == link["id"]
    assert new["replaces"]["archivedAt"] is not None
    assert new["replaces"]["replacedBy"]["id"] == new["id"]
    assert world.click(link["code"]).status_code == 410
    assert world.click(new["code"]).status_code == 302


def test_a_link_is_replaced_once(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    world.do("replaceTrackingLink", LINK, id=link["id"])
    payload = world.change("replaceTrackingLink", id=link["id"])
    assert codes(payload["userErrors"]) == ["TAKEN"]


def test_a_campaign_level_link_is_replaced_and_no_trigger_makes_a_third(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    (link,) = world.links_of(ana)
    world.do("replaceTrackingLink", LINK, id=link["id"])
    world.move("APPLIED", ana)
    assert world.promote(ana)[0]["links"] == []
    assert len(world.links_of(ana)) == 2


def test_one_archived_by_hand_is_not_made_again(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    (link,) = world.links_of(ana)
    world.do("archiveTrackingLink", LINK, id=link["id"])
    world.move("APPLIED", ana)
    assert world.promote(ana)[0]["links"] == []
    made = world.do("generateMissingLinks", "generatedTrackingLinks { id }", enrollmentId=ana)
    assert made["generatedTrackingLinks"] == []


def test_a_campaign_level_link_is_not_edited_by_itself(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    (link,) = world.links_of(ana)
    payload = world.change("updateTrackingLink", id=link["id"], destinationUrl="brand.example/x")
    assert codes(payload["userErrors"]) == ["INVALID"]


def test_links_are_found_by_state_level_label_code_and_text(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    (generated,) = world.links_of(ana)
    tiktok = world.a_link(ana, labels=["TikTok", "Story"], destinationUrl="brand.example/100%25")
    gone = world.a_link(ana, labels=["TikTok"])
    world.do("archiveTrackingLink", LINK, id=gone["id"])

    def found(**filter: object) -> set[str]:
        query = """query($id: ID!, $filter: TrackingLinkFilterInput) {
            campaign(id: $id) { trackingLinks(filter: $filter) { nodes { id } } } }"""
        answer = world.ask(query, id=campaign, filter=filter)
        return {node["id"] for node in answer["campaign"]["trackingLinks"]["nodes"]}

    assert found() == {generated["id"], tiktok["id"]}
    assert found(archived="ARCHIVED") == {gone["id"]}
    assert found(archived="ALL") == {generated["id"], tiktok["id"], gone["id"]}
    assert found(level="CAMPAIGN") == {generated["id"]}
    assert found(level="CREATOR") == {tiktok["id"]}
    assert found(labels=["TikTok"], archived="ALL") == {tiktok["id"], gone["id"]}
    assert found(labels=["TikTok", "Story"], archived="ALL") == {tiktok["id"]}
    assert found(query="100%") == {tiktok["id"]}
    assert found(query="_") == set()
    assert found(creatorIds=["crt_0000000000001"]) == set()
    by_code = world.ask(
        "query($code: String!) { trackingLink(by: {code: $code}) { id } }",
        code=tiktok["code"].upper(),
    )
    assert by_code["trackingLink"]["id"] == tiktok["id"]
