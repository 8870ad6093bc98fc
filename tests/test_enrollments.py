"""The workflow: who moves where, and what a crossing brings about."""

import pytest

from tests.world import World, codes

STAGES = [
    "CANDIDATE",
    "INVITED",
    "APPLIED",
    "DELIVERABLES",
    "CONFIRMATION",
    "PRE_PAYMENT",
    "DRAFT",
    "DRAFT_REVIEW",
    "CONTENT_CREATION",
    "POST_REVIEW",
    "POST_PAYMENT",
    "COMPLETE",
]


def test_promoting_walks_through_all_stages_and_ends_at_complete(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign(), stage="CANDIDATE")
    walked = [world.promote(ana)[0]["stage"] for _ in STAGES[1:]]
    assert walked == STAGES[1:]
    (result,) = world.promote(ana)
    assert codes(result["errors"]) == ["FORBIDDEN_STAGE_MOVE"]
    assert result["stage"] == "COMPLETE"


def test_promoting_skips_stages_that_the_campaign_does_not_have(world: World) -> None:
    campaign = world.a_campaign(
        stages=["INVITED", "APPLIED", "CONTENT_CREATION", "COMPLETE", "DROPPED"]
    )
    ana = world.an_enrollment(campaign, stage="INVITED")
    assert [world.promote(ana)[0]["stage"] for _ in range(3)] == [
        "APPLIED",
        "CONTENT_CREATION",
        "COMPLETE",
    ]


def test_a_campaign_without_applied_earns_links_on_leaving_candidate(world: World) -> None:
    campaign = world.a_campaign(stages=["CANDIDATE", "CONTENT_CREATION", "COMPLETE", "DROPPED"])
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign, stage="CANDIDATE")
    assert len(world.promote(ana)[0]["links"]) == 1


@pytest.mark.parametrize("stage", ["DELIVERABLES", "COMPLETE"])
def test_whoever_is_added_past_applied_gets_links_at_once(world: World, stage: str) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign, stage=stage)
    assert len(world.links_of(ana)) == 1


@pytest.mark.parametrize("stage", ["CANDIDATE", "INVITED", "APPLIED", "DROPPED"])
def test_nobody_gets_links_up_to_applied_or_when_dropped(world: World, stage: str) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign, stage=stage)
    assert world.links_of(ana) == []


def test_a_jump_over_applied_is_a_crossing(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign, stage="CANDIDATE")
    (result,) = world.move("POST_REVIEW", ana)
    assert (result["stage"], len(result["links"])) == ("POST_REVIEW", 1)


def test_coming_back_from_dropped_to_past_applied_is_a_crossing(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.drop(ana)
    assert codes(world.promote(ana)[0]["errors"]) == ["FORBIDDEN_STAGE_MOVE"]
    (result,) = world.move("DELIVERABLES", ana)
    assert len(result["links"]) == 1


def test_dropping_leaves_links_working(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    (link,) = world.links_of(ana)
    assert world.drop(ana)[0]["stage"] == "DROPPED"
    assert world.click(link["code"]).status_code == 302


def test_one_that_fails_undoes_no_other(world: World) -> None:
    campaign = world.a_campaign()
    ana, ben, cy = (world.an_enrollment(campaign) for _ in range(3))
    world.drop(ben)
    results = world.promote(ana, ben, "enr_0000000000000", cy)
    assert [result["stage"] for result in results] == [
        "DELIVERABLES",
        "DROPPED",
        None,
        "DELIVERABLES",
    ]
    assert [codes(result["errors"]) for result in results] == [
        [],
        ["FORBIDDEN_STAGE_MOVE"],
        ["NOT_FOUND"],
        [],
    ]
    assert results[2]["errors"][0]["path"] == ["input", "enrollmentIds", "2"]


def test_one_named_twice_in_a_call_moves_once(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    results = world.promote(ana, ana)
    assert [result["stage"] for result in results] == ["DELIVERABLES", "DELIVERABLES"]
    assert len(world.links_of(ana)) == 1


def test_a_move_to_the_present_stage_is_kept_nowhere(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    world.move("APPLIED", ana)
    assert _history(world, ana) == [(None, "APPLIED")]


def test_every_move_is_kept(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    world.promote(ana)
    world.move("INVITED", ana)
    world.drop(ana)
    assert _history(world, ana) == [
        ("INVITED", "DROPPED"),
        ("DELIVERABLES", "INVITED"),
        ("APPLIED", "DELIVERABLES"),
        (None, "APPLIED"),
    ]


def test_an_archived_campaign_refuses_moves_and_newcomers_but_its_links_go_on(
    world: World,
) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign)
    link = world.a_link(ana)
    world.do("archiveCampaign", "campaign { status }", id=campaign)
    assert codes(world.promote(ana)[0]["errors"]) == ["ARCHIVED"]
    payload = world.change("enrollCreators", campaignId=campaign, creatorIds=[world.a_creator()])
    assert codes(payload["userErrors"]) == ["ARCHIVED"]
    assert world.click(link["code"]).status_code == 302
    world.do("restoreCampaign", "campaign { status }", id=campaign)
    assert world.promote(ana)[0]["stage"] == "DELIVERABLES"


def test_a_stage_that_the_campaign_does_not_have_is_refused(world: World) -> None:
    campaign = world.a_campaign(stages=["CANDIDATE", "CONTENT_CREATION", "COMPLETE", "DROPPED"])
    ana = world.an_enrollment(campaign, stage="CANDIDATE")
    assert codes(world.move("DRAFT", ana)[0]["errors"]) == ["FORBIDDEN_STAGE_MOVE"]
    payload = world.change(
        "enrollCreators", campaignId=campaign, creatorIds=[world.a_creator()], stage="APPLIED"
    )
    assert codes(payload["userErrors"]) == ["FORBIDDEN_STAGE_MOVE"]


def test_enrolling_again_leaves_a_creator_where_they_are(world: World) -> None:
    campaign = world.a_campaign()
    creator = world.a_creator()
    (ana,) = world.enroll(campaign, [creator], "APPLIED")
    world.promote(ana)
    assert world.enroll(campaign, [creator, creator], "CANDIDATE") == [ana, ana]
    assert world.move("DELIVERABLES", ana)[0]["stage"] == "DELIVERABLES"
    assert len(_history(world, ana)) == 2


def test_more_than_a_thousand_in_one_call_are_refused_with_the_limit(world: World) -> None:
    payload = world.change("promoteEnrollments", enrollmentIds=["enr_0000000000001"] * 1001)
    (error,) = payload["userErrors"]
    assert error["code"] == "TOO_MANY"
    assert "1000" in error["message"]
    assert error["path"] == ["input", "enrollmentIds"]


def _history(world: World, enrollment: str) -> list[tuple[str | None, str]]:
    query = "query($id: ID!) { enrollment(id: $id) { stageChanges { nodes { from to } } } }"
    found = world.ask(query, id=enrollment)["enrollment"]["stageChanges"]["nodes"]
    return [(change["from"], change["to"]) for change in found]
