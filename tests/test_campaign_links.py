"""Campaign links: one destination, from which each creator gets a link."""

from tests.world import DESTINATION, World, codes

CAMPAIGN_LINK = "campaignLink { id name destinationUrl mergeTag archivedAt utm { name value } }"
MADE = "generatedTrackingLinks { id code destinationUrl enrollment { id } }"


def test_a_new_campaign_link_makes_nothing_for_those_past_applied_unless_asked(
    world: World,
) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign, stage="DELIVERABLES")
    world.an_enrollment(campaign, stage="APPLIED")
    assert world.a_campaign_link(campaign)["made"] == []
    assert len(world.a_campaign_link(campaign, generateForEnrolled=True)["made"]) == 1
    assert len(world.links_of(ana)) == 1


def test_missing_links_are_made_once_for_a_campaign_a_campaign_link_or_a_creator(
    world: World,
) -> None:
    campaign = world.a_campaign()
    ana, ben = (world.an_enrollment(campaign, stage="DELIVERABLES") for _ in range(2))
    world.an_enrollment(campaign, stage="APPLIED")
    first, _ = world.a_campaign_link(campaign), world.a_campaign_link(campaign)

    def generate(**where: str) -> int:
        return len(world.do("generateMissingLinks", MADE, **where)["generatedTrackingLinks"])

    assert generate(enrollmentId=ana) == 2
    assert generate(campaignLinkId=first["id"]) == 1
    assert generate(campaignId=campaign) == 1
    assert generate(campaignId=campaign) == 0
    assert len(world.links_of(ana)) == len(world.links_of(ben)) == 2


def test_who_lacks_a_link_can_be_asked(world: World) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign, stage="DELIVERABLES")
    world.an_enrollment(campaign, stage="APPLIED")
    link = world.a_campaign_link(campaign)

    def lacking() -> list[str]:
        query = """query($id: ID!) { campaignLink(id: $id) {
            enrollmentsWithoutLink { totalCount nodes { id } } } }"""
        found = world.ask(query, id=link["id"])["campaignLink"]["enrollmentsWithoutLink"]
        assert found["totalCount"] == len(found["nodes"])
        return [node["id"] for node in found["nodes"]]

    assert lacking() == [ana]
    world.do("generateMissingLinks", MADE, enrollmentId=ana)
    assert lacking() == []


def test_a_new_destination_holds_for_all_live_links_and_no_archived_one(world: World) -> None:
    campaign = world.a_campaign()
    link = world.a_campaign_link(campaign)
    ana, ben = (world.an_enrollment(campaign) for _ in range(2))
    world.promote(ana, ben)
    (hers,), (his,) = world.links_of(ana), world.links_of(ben)
    world.click(hers["code"])
    world.do("archiveTrackingLink", "trackingLink { id }", id=his["id"])
    world.do(
        "updateCampaignLink", CAMPAIGN_LINK, id=link["id"], destinationUrl="brand.example/winter"
    )
    assert world.click(hers["code"]).headers["location"] == "https://brand.example/winter"
    assert world.links_of(ben)[0]["destinationUrl"] == DESTINATION


def test_renaming_keeps_the_merge_tag(world: World) -> None:
    link = world.a_campaign_link(world.a_campaign(), name="Summer Sale!")
    assert link["mergeTag"] == "{{tracking_link.summer_sale}}"
    payload = world.do("updateCampaignLink", CAMPAIGN_LINK, id=link["id"], name="Winter")
    assert payload["campaignLink"]["name"] == "Winter"
    assert payload["campaignLink"]["mergeTag"] == link["mergeTag"]


def test_two_of_one_name_have_two_merge_tags(world: World) -> None:
    campaign = world.a_campaign()
    tags = {world.a_campaign_link(campaign, name="Sale")["mergeTag"] for _ in range(3)}
    assert len(tags) == 3


def test_a_utm_template_is_filled_in_for_each_creator_and_overrides_nothing(world: World) -> None:
    campaign = world.a_campaign(name="Summer Launch")
    link = world.a_campaign_link(
        campaign,
        destinationUrl="brand.example/sale?utm_medium=post#top",
        utm=[
            {"name": "utm_medium", "value": "never"},
            {"name": "utm_source", "value": "{creator.handle}"},
            {"name": "utm_campaign", "value": "{campaign.slug}"},
        ],
    )
    creator = world.a_creator(handle="@Ana_B")
    (ana,) = world.enroll(campaign, [creator], "DELIVERABLES")
    (hers,) = world.links_of(ana)
    assert hers["destinationUrl"] == (
        "https://brand.example/sale?utm_medium=post&utm_source=ana_b&utm_campaign=summer-launch#top"
    )
    world.do(
        "updateCampaignLink",
        CAMPAIGN_LINK,
        id=link["id"],
        utm=[{"name": "utm_content", "value": "{link.key}"}],
    )
    assert world.links_of(ana)[0]["destinationUrl"].endswith(
        f"?utm_medium=post&utm_content={link['mergeTag'][16:-2]}#top"
    )


def test_archiving_again_keeps_the_first_time_and_it_cannot_be_edited(world: World) -> None:
    link = world.a_campaign_link(world.a_campaign())
    times = {
        world.do("archiveCampaignLink", CAMPAIGN_LINK, id=link["id"])["campaignLink"]["archivedAt"]
        for _ in range(2)
    }
    assert len(times) == 1
    payload = world.change("updateCampaignLink", id=link["id"], name="New")
    assert codes(payload["userErrors"]) == ["LINK_ARCHIVED"]


def test_archived_campaign_links_are_listed_when_asked_for(world: World) -> None:
    campaign = world.a_campaign()
    gone, kept = world.a_campaign_link(campaign), world.a_campaign_link(campaign)
    world.do("archiveCampaignLink", CAMPAIGN_LINK, id=gone["id"])

    def listed(archived: str) -> set[str]:
        query = """query($id: ID!, $archived: ArchiveState!) { campaign(id: $id) {
            campaignLinks(filter: {archived: $archived}) { nodes { id } } } }"""
        found = world.ask(query, id=campaign, archived=archived)
        return {node["id"] for node in found["campaign"]["campaignLinks"]["nodes"]}

    assert listed("ACTIVE") == {kept["id"]}
    assert listed("ARCHIVED") == {gone["id"]}
    assert listed("ALL") == {kept["id"], gone["id"]}
