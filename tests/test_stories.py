"""The product, once, end to end. Start here."""

from tests.world import World


def test_a_promoted_creator_has_a_link_that_counts_clicks(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign, destinationUrl="brand.com/summer-sale?utm_medium=tiktok")
    ana = world.an_enrollment(campaign)

    (result,) = world.promote(ana)
    assert result["stage"] == "DELIVERABLES"
    (made,) = result["links"]
    assert made["campaignLink"]["id"] == link["id"]

    answer = world.click(made["code"])
    assert answer.status_code == 302
    assert answer.headers["location"] == "https://brand.com/summer-sale?utm_medium=tiktok"
    for counted in (made["id"], ana, link["id"], campaign, world.program_id):
        assert world.numbers(counted) == {"clicks": 1, "uniqueClicks": 1}


def test_a_link_added_late_comes_by_going_back_to_applied_and_on_again(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ana = world.an_enrollment(campaign)
    world.promote(ana)
    (first,) = world.links_of(ana)
    world.click(first["code"])

    late = world.a_campaign_link(campaign)
    assert world.promote(ana)[0]["links"] == []
    assert len(world.links_of(ana)) == 1

    assert world.move("APPLIED", ana)[0]["links"] == []
    (made,) = world.promote(ana)[0]["links"]
    assert made["campaignLink"]["id"] == late["id"]
    assert [link["code"] for link in world.links_of(ana)] == [first["code"], made["code"]]
    assert world.numbers(first["id"])["clicks"] == 1


def test_an_archived_link_stops_at_the_next_click_and_stays_archived(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    link = world.a_link(ana)
    assert world.click(link["code"]).status_code == 302

    def archive() -> str:
        payload = world.do("archiveTrackingLink", "trackingLink { archivedAt }", id=link["id"])
        return str(payload["trackingLink"]["archivedAt"])

    archived_at = archive()
    answer = world.click(link["code"])
    assert answer.status_code == 410
    assert "location" not in answer.headers
    assert archive() == archived_at
    assert world.numbers(link["id"], "clicks hitsAfterArchive") == {
        "clicks": 1,
        "hitsAfterArchive": 1,
    }


def test_the_creators_of_an_archived_campaign_link_lose_theirs_and_nobody_gets_one(
    world: World,
) -> None:
    campaign = world.a_campaign()
    gone = world.a_campaign_link(campaign)
    kept = world.a_campaign_link(campaign)
    ana, ben = world.an_enrollment(campaign), world.an_enrollment(campaign)
    world.promote(ana)
    codes = {link["campaignLink"]["id"]: link["code"] for link in world.links_of(ana)}

    payload = world.do("archiveCampaignLink", "archivedTrackingLinkCount", id=gone["id"])
    assert payload["archivedTrackingLinkCount"] == 1
    assert world.click(codes[gone["id"]]).status_code == 410
    assert world.click(codes[kept["id"]]).status_code == 302

    world.promote(ben)
    assert [link["campaignLink"]["id"] for link in world.links_of(ben)] == [kept["id"]]


def test_links_to_one_page_with_other_labels_are_counted_apart(world: World) -> None:
    """The seed's own advice: "create separate tracking links with the same destination URL and
    different labels"."""
    ana = world.an_enrollment(world.a_campaign(), stage="INVITED")
    tiktok = world.a_link(ana, labels=["TikTok"])
    story = world.a_link(ana, labels=["Instagram", "Story"])
    assert world.click(tiktok["code"]).headers["location"] == tiktok["destinationUrl"]
    world.click(story["code"], ip="203.0.113.8")
    world.click(story["code"], ip="203.0.113.9")

    assert world.numbers(tiktok["id"])["clicks"] == 1
    assert world.numbers(story["id"])["clicks"] == 2
    assert world.numbers(ana)["clicks"] == 3


def test_a_day_of_heads_bots_and_one_person_is_one_click(world: World) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    for _ in range(3):
        assert world.click(link["code"], method="HEAD").status_code == 302
    world.click(link["code"], user_agent="Twitterbot/1.0")
    world.click(
        link["code"],
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Mobile/15E148 Instagram 395.0.0.33.84",
    )
    stats = world.numbers(
        link["id"], "clicks uniqueClicks excludedClicks excludedByReason { reason hits }"
    )
    assert (stats["clicks"], stats["uniqueClicks"], stats["excludedClicks"]) == (1, 1, 4)
    reasons = {each["reason"]: each["hits"] for each in stats["excludedByReason"]}
    assert reasons.pop("head") == 3
    assert list(reasons.values()) == [1]
    assert next(iter(reasons)).startswith("bot:")
