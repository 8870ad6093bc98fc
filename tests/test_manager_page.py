"""The creator's own page: what it shows, and that its address is all that opens it."""

import logging
import re
from html import unescape
from typing import Any

import pytest
from pydantic import SecretStr

from app.messages.addresses import Addresses, open_addresses
from app.settings import Settings
from tests.statements import count_statements
from tests.world import World

BASE = "https://go.brand.example"


def path_of(world: World, creator: str) -> str:
    query = "query($id: ID!) { node(id: $id) { ... on Creator { managerUrl } } }"
    url = str(world.ask(query, id=creator)["node"]["managerUrl"])
    assert url.startswith(f"{BASE}/manager/")
    return url.removeprefix(BASE)


def open_page(world: World, path: str) -> Any:
    return world.client.get(path)


def text_of(html: str) -> str:
    """What a reader reads."""
    visible = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", visible)).split())


@pytest.fixture
def ana(world: World) -> str:
    return world.a_creator(displayName="Ana B", firstName="Ana")


def test_the_page_shows_the_creators_own_live_links_and_the_archived_ones_apart(
    world: World, ana: str
) -> None:
    campaign = world.a_campaign(name="Summer & Sun")
    shop = world.a_campaign_link(campaign, name="The shop")
    gone = world.a_campaign_link(campaign, name="The old shop")
    mine, theirs = world.enroll(campaign, [ana, world.a_creator()])
    world.promote(mine, theirs)
    own = world.a_link(mine, labels=["TikTok", "Bio"])
    foreign = world.links_of(theirs)
    world.do("archiveCampaignLink", "", id=gone["id"])
    links = {
        (link["campaignLink"] or {"id": None})["id"]: link["shortUrl"]
        for link in world.links_of(mine)
    }

    page = open_page(world, path_of(world, ana))

    assert page.status_code == 200
    live, _, past = page.text.partition("No longer in use")
    said = text_of(live)
    for expected in ("Hello Ana", "Summer & Sun", "The shop", "TikTok, Bio", links[shop["id"]]):
        assert expected in said
    assert own["shortUrl"] in said
    assert links[gone["id"]] in text_of(past)
    assert links[gone["id"]] not in live
    assert live.count("data-copy=") == 2
    assert "data-copy=" not in past
    assert live.count("<svg") == 4  # a line and a QR code each
    assert not any(link["code"] in page.text for link in foreign)
    # A look is no click: nothing on the page leads through a short link.
    assert not re.search(rf'href="{BASE}/(?!manager)', page.text)


def test_the_clicks_on_the_page_rise_with_the_clicks(world: World, ana: str) -> None:
    (mine,) = world.enroll(world.a_campaign(), [ana])
    link = world.a_link(mine)
    path = path_of(world, ana)
    assert "0 clicks, 0 in the last 30 days" in text_of(open_page(world, path).text)
    world.click(link["code"])
    world.drain()
    assert "1 click, 1 in the last 30 days" in text_of(open_page(world, path).text)


def test_the_page_of_someone_without_links_says_so(world: World, ana: str) -> None:
    assert "There are no links for you yet" in open_page(world, path_of(world, ana)).text


def test_the_page_leaks_nothing_and_asks_nobody_else(world: World, ana: str) -> None:
    (mine,) = world.enroll(world.a_campaign(), [ana])
    world.a_link(mine)
    page = open_page(world, path_of(world, ana))

    assert page.headers["cache-control"].startswith("private, no-store")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert "set-cookie" not in page.headers
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
    assert "unsafe" not in policy
    assert "style=" not in page.text
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert address.startswith(("/static/pages/", "/manager/"))
        assert world.client.get(address).status_code == 200


def test_files_of_the_page_are_kept_by_browsers_under_an_address_that_changes_with_them(
    world: World,
) -> None:
    page = world.client.get("/manager/nobody")
    (address,) = re.findall(r'href="(/static/pages/[^"]+)"', page.text)
    answer = world.client.get(address)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert world.client.get("/static/pages/../manager.py").status_code == 404


def test_an_address_that_was_not_signed_here_or_was_revoked_leads_nowhere(
    world: World, ana: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = path_of(world, ana)
    forged = Addresses(BASE, "x" * 32).manager(1, 1).removeprefix(BASE)
    letters, _, signature = path.removeprefix("/manager/").partition(".")
    others = [
        forged,
        "/manager/x",
        f"/manager/{letters}",
        f"/manager/{letters[:-1]}2.{signature}",
        f"{path}x",
        "/manager/%00",
        "/manager/ä.ö",
        f"/manager/{'x' * 5000}",
    ]
    answers = [open_page(world, other) for other in others]
    revoked = world.do("revokeManagerLink", "creator { managerUrl }", creatorId=ana)
    answers.append(open_page(world, path))

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert all(answer.headers["cache-control"].startswith("private") for answer in answers)
    fresh = revoked["creator"]["managerUrl"].removeprefix(BASE)
    assert open_page(world, fresh).status_code == 200
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("app")]
    assert not any(signature in said for said in ours)


def test_a_key_limited_to_some_campaigns_reads_messages_without_the_pages_address(
    world: World, ana: str
) -> None:
    campaign = world.a_campaign()
    (enrollment,) = world.enroll(campaign, [ana])
    text = {
        "campaignId": campaign,
        "subject": "Page: {{campaign_manager_link}}",
        "body": "See {{campaign_manager_link}} soon.",
    }
    assert world.message(text, enrollment)["userErrors"] == []
    path, everything = path_of(world, ana), world.key
    preview = """query($input: PreviewMessageInput!) { previewMessage(input: $input) {
        previews { subject body } } }"""
    asked = {"content": {"oneOff": text}, "enrollmentIds": [enrollment]}

    def read() -> list[dict[str, str]]:
        found = world.ask(preview, input=asked)["previewMessage"]["previews"]
        return [*found, *world.messages_of(enrollment)]

    for shown in read():
        assert shown["subject"] == f"Page: {BASE}{path}"
        assert shown["body"] == f"See {BASE}{path} soon."
    world.key = world.do(
        "createApiKey",
        "text",
        name="Agency",
        role="MANAGER",
        programId=world.program_id,
        campaignIds=[campaign],
    )["text"]
    limited = read()
    assert len(limited) == 2
    for shown in limited:
        assert shown["subject"] == f"Page: {BASE}/manager/…"
        assert shown["body"] == f"See {BASE}/manager/… soon."
    query = "query($id: ID!) { node(id: $id) { ... on Creator { managerUrl } } }"
    assert world.ask(query, id=ana)["node"] == {"managerUrl": None}
    assert world.ask(query, key=everything, id=ana)["node"]["managerUrl"] is not None


def test_qr_codes_can_be_saved_of_own_live_links_alone(world: World, ana: str) -> None:
    campaign = world.a_campaign()
    mine, theirs = world.enroll(campaign, [ana, world.a_creator()])
    link, gone, foreign = world.a_link(mine), world.a_link(mine), world.a_link(theirs)
    world.do("archiveTrackingLink", "", id=gone["id"])
    path = path_of(world, ana)

    svg = world.client.get(f"{path}/{link['code']}.svg")
    png = world.client.get(f"{path}/{link['code']}.png")

    assert svg.text.startswith("<svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert png.content.startswith(b"\x89PNG")
    assert png.headers["content-disposition"] == f'attachment; filename="{link["code"]}.png"'
    for other in (f"{gone['code']}.svg", f"{foreign['code']}.svg", f"{link['code']}.gif", "x.svg"):
        assert world.client.get(f"{path}/{other}").status_code == 404


def test_the_graph_draws_qr_codes_too(world: World, ana: str) -> None:
    (mine,) = world.enroll(world.a_campaign(), [ana])
    link = world.a_link(mine)
    query = """query($id: ID!, $size: Int!) { node(id: $id) { ... on TrackingLink {
        svg: qrCode(size: $size) png: qrCode(format: PNG, size: $size) } } }"""
    drawn = world.ask(query, id=link["id"], size=300)["node"]
    assert drawn["svg"].startswith("data:image/svg+xml;base64,")
    assert drawn["png"].startswith("data:image/png;base64,")
    assert world.errors(query, id=link["id"], size=63)
    assert world.errors(query, id=link["id"], size=1025)
    world.do("archiveTrackingLink", "", id=link["id"])
    assert world.ask(query, id=link["id"], size=300)["node"] == {"svg": None, "png": None}


HOSTILE = "</code><script>alert(1)</script>{{7*7}}'\"&"


def test_hostile_names_labels_and_addresses_are_shown_as_text(world: World) -> None:
    campaign = world.a_campaign(name=HOSTILE)
    world.a_campaign_link(campaign, name=HOSTILE, destinationUrl="https://a.example/?q='x'&b=<i>")
    ana = world.a_creator(displayName=HOSTILE, firstName=None)
    (mine,) = world.enroll(campaign, [ana])
    world.promote(mine)
    world.a_link(mine, labels=[HOSTILE])

    page = open_page(world, path_of(world, ana))

    assert page.text.count("<script") == 1  # our own
    assert "alert(1)</script>" not in page.text
    assert text_of(page.text).count("{{7*7}}") >= 4


def test_a_page_of_one_and_of_many_links_costs_the_same(world: World, ana: str) -> None:
    path = path_of(world, ana)

    def cost() -> int:
        with count_statements(world.database) as counted:
            assert open_page(world, path).status_code == 200
        return counted.count

    world.a_link(*world.enroll(world.a_campaign(), [ana]))
    one = cost()
    for _ in range(3):
        (mine,) = world.enroll(world.a_campaign(), [ana])
        world.a_link(mine)
        world.a_link(mine)
    assert cost() == one == 8


def test_the_secret_is_made_once_and_is_for_its_owner_alone(settings: Settings) -> None:
    first = open_addresses(settings).manager(1, 1)
    assert open_addresses(settings).manager(1, 1) == first
    file = settings.data_dir / "signing-secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text()) >= 32
    given = settings.model_copy(update={"signing_secret": SecretStr("s" * 32)})
    assert open_addresses(given).manager(1, 1) != first
