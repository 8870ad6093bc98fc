"""Shared reports: what a page shows, to whom, and that its address is all that opens it."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from app.auth import OPERATOR
from app.clicks.classifier import VERSION
from app.ids import decode
from app.messages.addresses import Addresses
from app.models import ReportShare, Verdict
from app.pages import report_words as words
from app.resolvers import restatement
from app.resolvers.restatement import Restatement
from tests.selling import Shop
from tests.statements import count_statements
from tests.test_manager_page import HOSTILE, text_of
from tests.world import World, codes

BASE = "https://go.brand.example"
SHARE = "reportShare { id url name sections createdAt expiresAt revokedAt }"


def share(world: World, **values: Any) -> dict[str, Any]:
    values.setdefault("name", "Agency")
    if "campaignId" not in values:
        values.setdefault("programId", world.program_id)
    made = world.do("createReportShare", SHARE, **values)["reportShare"]
    assert made["url"].startswith(f"{BASE}/reports/")
    return {**made, "path": made["url"].removeprefix(BASE)}


def headings(html: str) -> list[str]:
    found = re.findall(r"<h2[^>]*>(.*?)</h2>", html, flags=re.DOTALL)
    return [text_of(each).removesuffix("CSV").strip() for each in found]


@pytest.fixture
def campaign(world: World) -> str:
    """Ana's link of the campaign with three clicks, and Ben's own one with a label and one."""
    campaign = world.a_campaign(name="Summer & Sun")
    world.a_campaign_link(campaign, name="The shop")
    ana = world.a_creator(displayName="Ana Ahlers", handle="ana.a", email="ana@secret.example")
    ben = world.a_creator(displayName="Ben Berg", handle="ben.b", email="ben@secret.example")
    mine, theirs = world.enroll(campaign, [ana, ben])
    world.promote(mine)
    (link,) = world.links_of(mine)
    for person in range(3):
        world.click(link["code"], ip=f"203.0.113.{person}")
    world.click(link["code"], user_agent="Twitterbot/1.0")
    world.click(world.a_link(theirs, labels=["TikTok"])["code"], ip="203.0.113.9")
    world.drain()
    return campaign


# What the pages show.


def test_a_campaigns_report_shows_its_figures_by_everything_that_tells_clicks_apart(
    world: World, campaign: str
) -> None:
    page = world.client.get(share(world, campaignId=campaign)["path"])

    assert page.status_code == 200
    said = text_of(page.text)
    assert "Campaign Performance Report Summer & Sun" in said
    assert "Clicks 4 ▲ none before Unique clicks 4" in said
    assert "All hits 5 100.0% Clicks by people 4 80.0% Unique clicks 4 80.0%" in said
    assert "Link previews 1 20.0%" in said
    assert "Ana Ahlers 3 3 75.0% Ben Berg 1 1 25.0%" in said
    assert "The shop 3 3 75.0% Creator-level links 1 1 25.0%" in said
    assert "TikTok 1 1 25.0%" in said
    assert "Campaigns" not in headings(page.text)
    # The line for eyes, the same as a table for everybody.
    assert page.text.count('class="chart" role="img"') == 1
    day = datetime.now(UTC)
    assert f"{day:%a} {day.day} {day:%b %Y} 4 4 0" in said


RESTATEMENTS = "restatements { at reason verdict hits classifiers from to }"


def restate(world: World, reason: str, verdict: Verdict) -> datetime:
    """When it was done, to the millisecond that is kept."""
    now, what = datetime.now(UTC), Restatement(reason, verdict)
    assert world.client.portal is not None
    run = partial(restatement.restate, world.database, OPERATOR, what, now=now)
    assert world.client.portal.call(run)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def test_a_report_whose_figures_were_restated_says_so_with_the_old_and_the_new_ones(
    world: World, campaign: str
) -> None:
    reason = world.numbers(campaign, "excludedByReason { reason }")["excludedByReason"][0]["reason"]
    path, other = share(world, campaignId=campaign)["path"], world.a_campaign(name="Winter")
    assert "Restated" not in world.client.get(path).text
    day = datetime.now(UTC).date()

    at = restate(world, reason, Verdict.COUNTED)

    figures = world.numbers(campaign, f"clicks excludedClicks {RESTATEMENTS}")
    (told,) = figures["restatements"]
    assert (figures["clicks"], figures["excludedClicks"], told["hits"]) == (5, 0, 1)
    assert datetime.fromisoformat(told["at"]) == at
    assert (told["reason"], told["verdict"], told["classifiers"]) == (reason, "COUNTED", [VERSION])
    assert told["from"] == told["to"] == day.isoformat()
    assert world.numbers(other, RESTATEMENTS) == {"restatements": []}
    said = text_of(world.client.get(path).text)
    today = words.day(day)
    assert f"Restated on {today}: 1 hit of {today} (link previews), now among the clicks." in said
    empty = text_of(world.client.get(share(world, campaignId=other)["path"]).text)
    assert "Restated" not in empty
    parts = share(world, campaignId=campaign, sections=["LINKS"])["path"]
    assert "Restated on" in text_of(world.client.get(parts).text)
    assert "1 hit of" not in text_of(world.client.get(parts).text)

    restate(world, reason, Verdict.EXCLUDED)

    figures = world.numbers(campaign, f"clicks {RESTATEMENTS}")
    assert figures["clicks"] == 4
    assert [each["verdict"] for each in figures["restatements"]] == ["EXCLUDED", "COUNTED"]
    assert text_of(world.client.get(path).text).count("Restated on") == 2


def test_a_programs_report_adds_its_campaigns_up(world: World, campaign: str) -> None:
    other = world.a_link(world.an_enrollment(world.a_campaign(name="Winter")))
    world.click(other["code"])
    world.drain()
    said = text_of(world.client.get(share(world)["path"]).text)
    assert "Clicks 5" in said
    assert "Summer & Sun 4 4 80.0% Winter 1 1 20.0%" in said


def test_conversions_are_shown_where_the_program_tracks_them(world: World) -> None:
    shop = Shop(world)
    link = shop.a_link()
    click = shop.visit(link)
    world.drain()
    euro = {"amount": "1249.90", "currencyCode": "EUR"}
    sold = shop.sell(clickId=click, orderId="1", value=euro)
    dollar = {"amount": "20.00", "currencyCode": "USD"}
    shop.sell(clickId=click, orderId="2", value=dollar)
    refund = {"conversion": {"id": sold["id"]}, "amount": "249.90", "idempotencyKey": "1"}
    assert shop.refund(**refund)["userErrors"] == []

    said = text_of(world.client.get(share(world)["path"]).text)

    assert "Conversions 2" in said
    assert "Conversion rate 200.00%" in said
    assert "Net revenue 1,000.00 EUR 1,249.90 EUR less 249.90 EUR refunded 20.00 USD" in said
    shop.configure(isOn=False)
    assert "onversion" not in text_of(world.client.get(share(world)["path"]).text)


def test_a_report_without_clicks_says_so(world: World) -> None:
    page = world.client.get(share(world, campaignId=world.a_campaign())["path"])
    assert page.status_code == 200
    assert "Nothing was counted in these days" in page.text
    assert "<svg" not in page.text


def test_a_period_is_compared_with_as_many_days_before(world: World, campaign: str) -> None:
    path = share(world, campaignId=campaign)["path"]
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    after = world.client.get(f"{path}?from={tomorrow}&to={tomorrow}")
    assert "Clicks 0 ▼ 100% less" in text_of(after.text)
    alone = world.client.get(f"{path}?range=7d&compare=none")
    assert "compared with" not in text_of(alone.text)
    assert "none before" not in text_of(alone.text)


def test_the_form_keeps_what_was_asked_for(world: World, campaign: str) -> None:
    path = share(world, campaignId=campaign)["path"]
    page = world.client.get(f"{path}?from=2026-03-28&to=2026-03-30&zone=Europe/Berlin")
    assert "28 \N{EN DASH} 30 Mar 2026 , days of Europe/Berlin" in text_of(page.text)
    for value in ("2026-03-28", "2026-03-30", "Europe/Berlin"):
        assert f'value="{value}"' in page.text
    assert 'aria-current="page"' not in page.text
    month = world.client.get(f"{path}?range=month")
    assert re.search(r'aria-current="page">This month', month.text)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("range=1000d", "This is one of 7d, 30d, 90d, month."),
        ("from=2026-02-30&to=2026-03-01", "This is not a day, like 2026-05-31."),
        ("from=2026-03-01", "Name the first and the last day."),
        ("from=2026-03-02&to=2026-03-01", "The last day is before the first."),
        ("from=1999-12-31&to=2000-01-01", "Days are from 2000-01-01 to 2999-12-31."),
        ("from=2001-01-01&to=2026-01-01", "10 years at most."),
        ("zone=Mars/Olympus", "This is not an IANA time zone, like Europe/Berlin."),
        ("compare=x", "This is one of previous, none."),
        ("from=2026-01-01&to=2026-12-31&granularity=hour", "more than 1000 steps"),
        ("from=%00&to='\"><script>", "This is not a day, like 2026-05-31."),
    ],
)
def test_what_cannot_be_shown_is_said_beside_the_form(
    world: World, campaign: str, query: str, says: str
) -> None:
    path = share(world, campaignId=campaign)["path"]
    page = world.client.get(f"{path}?{query}")
    assert page.status_code == 400
    assert says in text_of(page.text)
    assert "<form" in page.text
    assert "<script" not in page.text
    answer = world.client.get(f"{path}/series.csv?{query}")
    assert answer.status_code == 400
    assert says in " ".join(error["message"] for error in answer.json()["errors"])


# Sections.

SECTIONS = {
    "TOTALS": ["Totals", "From hits to people", "What is not counted"],
    "TIME_SERIES": ["Clicks by day"],
    "CREATORS": ["Creators"],
    "LINKS": ["Campaign links", "Tracking links"],
    "LABELS": ["Labels"],
}
TABLES = {
    "TOTALS": ["totals", "excluded"],
    "TIME_SERIES": ["series"],
    "CAMPAIGNS": ["campaigns"],
    "CREATORS": ["creators"],
    "LINKS": ["campaign-links", "links"],
    "LABELS": ["by-label"],
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_share_shows_its_sections_and_nothing_else(
    world: World, campaign: str, section: str
) -> None:
    shared = share(world, campaignId=campaign, sections=[section])
    assert shared["sections"] == [section]
    page = world.client.get(shared["path"])
    assert headings(page.text) == SECTIONS[section]
    names = ("Ana Ahlers", "ana.a", "Ben Berg")
    assert [name for name in names if name in page.text] == (
        ["Ana Ahlers", "Ben Berg"] if section == "CREATORS" else []
    )
    assert ("TikTok" in page.text) is (section == "LABELS")
    for other, tables in TABLES.items():
        for table in tables:
            answer = world.client.get(f"{shared['path']}/{table}.csv")
            assert answer.status_code == (200 if other == section else 404), (section, table)
            if section != "CREATORS":
                assert "ana" not in answer.text


def test_no_page_and_no_table_shows_an_email_address(world: World, campaign: str) -> None:
    path = share(world)["path"]
    answers = [world.client.get(path)]
    answers += [
        world.client.get(f"{path}/{table}.csv") for tables in TABLES.values() for table in tables
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert not any("secret.example" in answer.text for answer in answers)


# The address.


def test_the_page_leaks_nothing_and_asks_nobody_else(world: World, campaign: str) -> None:
    path = share(world)["path"]
    page = world.client.get(path)
    assert page.headers["cache-control"].startswith("private, no-store")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert "set-cookie" not in page.headers
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "style=" not in page.text
    assert "<script" not in page.text
    addresses = re.findall(r'(?:src|href|action)="([^"]+)"', page.text)
    assert len(addresses) > 8
    for address in addresses:
        assert address.startswith(("/static/pages/", f"{path}/", path, "?")), address
        at = f"{path}{address}" if address.startswith("?") else address
        assert world.client.get(at.replace("&amp;", "&")).status_code == 200, address


def test_an_address_that_was_not_signed_here_leads_nowhere(world: World, campaign: str) -> None:
    path = share(world)["path"]
    forged = Addresses(BASE, "x" * 32).report(1).removeprefix(BASE)
    letters, _, signature = path.removeprefix("/reports/").partition(".")
    another = letters[:-1] + ("z" if letters[-1] != "z" else "y")
    query = "query($id: ID!) { node(id: $id) { ... on Creator { managerUrl } } }"
    manager = world.ask(query, id=world.a_creator())["node"]["managerUrl"].rpartition("/")[2]
    others = [
        forged,
        "/reports/x",
        f"/reports/{letters}",
        f"/reports/{another}.{signature}",
        f"{path}x",
        "/reports/%00",
        "/reports/ä.ö",
        f"/reports/{'x' * 5000}",
        f"/reports/{manager}",
        f"/reports/{campaign}",
    ]
    answers = [world.client.get(other) for other in others]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert "There is no report here" in answers[0].text
    assert answers[0].headers["cache-control"].startswith("private")
    assert world.client.get(f"/manager/{path.rpartition('/')[2]}").status_code == 404
    for other in others[:-1]:
        assert world.client.get(f"{other}/links.csv").status_code == 404, other


def test_a_revoked_share_is_gone_at_the_next_request(world: World, campaign: str) -> None:
    shared = share(world, campaignId=campaign)
    assert world.client.get(shared["path"]).status_code == 200
    first = world.do("revokeReportShare", SHARE, id=shared["id"])["reportShare"]
    page = world.client.get(shared["path"])
    assert page.status_code == 410
    assert "Summer" not in page.text
    assert world.client.get(f"{shared['path']}/links.csv").status_code == 410
    again = world.do("revokeReportShare", SHARE, id=shared["id"])["reportShare"]
    assert again["revokedAt"] == first["revokedAt"] is not None


def test_a_share_ends_when_it_was_said_to(world: World, campaign: str) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    shared = share(world, campaignId=campaign, expiresAt=soon.isoformat())
    assert world.client.get(shared["path"]).status_code == 200

    async def expire() -> None:
        async with world.database.writing() as session:
            row = await session.get_one(ReportShare, decode("shr", shared["id"]))
            row.expires_at = datetime.now(UTC)

    assert world.client.portal is not None
    world.client.portal.call(expire)
    assert world.client.get(shared["path"]).status_code == 410


# Who may share what.


def test_what_is_wrong_with_a_share_is_said(world: World) -> None:
    campaign = world.a_campaign()
    past = "2026-01-01T00:00:00Z"

    def refused(**input: Any) -> list[str]:
        return codes(
            world.change("createReportShare", SHARE, **{"name": "A", **input})["userErrors"]
        )

    assert refused() == ["INVALID"]
    assert refused(campaignId=campaign, programId=world.program_id) == ["INVALID"]
    assert refused(campaignId="x") == ["NOT_FOUND"]
    assert refused(campaignId=campaign, name=" ", sections=[], expiresAt=past) == [
        "BLANK",
        "BLANK",
        "INVALID",
    ]


def a_key(world: World, role: str, *campaigns: str) -> str:
    made = world.do(
        "createApiKey",
        "text",
        name=role,
        role=role,
        programId=world.program_id,
        campaignIds=campaigns,
    )
    return str(made["text"])


LISTED = """query($id: ID!) { node(id: $id) { ... on Shareable {
    reportShares { totalCount nodes { id url campaign { id } program { id } } } } } }"""


def test_shares_are_listed_for_who_may_share(world: World, campaign: str) -> None:
    of_campaign, of_program = share(world, campaignId=campaign), share(world)

    def listed(id: str, key: str | None = None) -> list[str]:
        found = world.ask(LISTED, key=key, id=id)["node"]["reportShares"]
        assert found["totalCount"] == len(found["nodes"])
        return [each["id"] for each in found["nodes"]]

    assert listed(world.program_id) == [of_program["id"], of_campaign["id"]]
    assert listed(campaign) == [of_campaign["id"]]
    limited = a_key(world, "MANAGER", campaign)
    assert listed(world.program_id, limited) == [of_campaign["id"]]
    for role in ("ANALYST", "PARTNER"):
        key = a_key(world, role)
        assert listed(campaign, key) == []
        query = "query($id: ID!) { node(id: $id) { id } }"
        assert world.ask(query, key=key, id=of_campaign["id"])["node"] is None


def test_a_key_of_some_campaigns_shares_these_only(world: World, campaign: str) -> None:
    key = a_key(world, "MANAGER", campaign)
    assert world.do("createReportShare", SHARE, key=key, name="A", campaignId=campaign)
    whole = world.change("createReportShare", SHARE, key=key, name="A", programId=world.program_id)
    assert codes(whole["userErrors"]) == ["FORBIDDEN"]
    other = world.change(
        "createReportShare", SHARE, key=key, name="A", campaignId=world.a_campaign()
    )
    assert codes(other["userErrors"]) == ["NOT_FOUND"]


def test_sharing_and_revoking_are_in_the_audit_log(world: World, campaign: str) -> None:
    shared = share(world, campaignId=campaign)
    world.do("revokeReportShare", SHARE, id=shared["id"])
    query = """query($id: ID!) { auditLog(filter: {subjectId: $id}) {
        nodes { action changes { field value } } } }"""
    entries = world.ask(query, id=shared["id"])["auditLog"]["nodes"]
    assert [entry["action"] for entry in entries] == ["revokeReportShare", "createReportShare"]
    token = shared["url"].rpartition("/")[2]
    assert token not in str(entries)


# Strange words, many rows.


def test_hostile_names_and_labels_are_shown_as_text(world: World) -> None:
    campaign = world.a_campaign(name=HOSTILE)
    world.a_campaign_link(campaign, name=HOSTILE)
    (mine,) = world.enroll(campaign, [world.a_creator(displayName=HOSTILE)])
    world.promote(mine)
    world.click(world.links_of(mine)[0]["code"])
    world.click(world.a_link(mine, labels=[HOSTILE])["code"])
    world.drain()
    page = world.client.get(share(world)["path"])
    assert "<script" not in page.text
    assert text_of(page.text).count("{{7*7}}") >= 5


def test_a_report_of_one_and_of_many_links_costs_the_same(world: World) -> None:
    campaign = world.a_campaign()
    path = share(world, campaignId=campaign)["path"]

    def cost() -> int:
        world.drain()
        with count_statements(world.database) as counted:
            assert world.client.get(path).status_code == 200
        return counted.count

    world.click(world.a_link(world.an_enrollment(campaign), labels=["a"])["code"])
    one = cost()
    for label in ("b", "c", "d"):
        world.click(world.a_link(world.an_enrollment(campaign), labels=[label])["code"])
    assert cost() == one


def test_a_look_at_a_report_is_no_click(world: World, campaign: str) -> None:
    """Short links stand as text, and nothing on the page leads through one."""
    page = world.client.get(share(world)["path"])
    assert not re.search(rf'href="({BASE})?/(?!reports|static)', page.text)
