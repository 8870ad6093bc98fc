"""The seed's "Distribute Tracking Links", once, as people live it: by mail and in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.messages.delivery import LEASE
from app.settings import Settings
from tests.browser import AXE, NO_AXE, Browser, Tab, keep_picture, open_browser, violations
from tests.mail import Mailbox, mail_server, text_of
from tests.process import Server, running
from tests.test_delivery import wait_until
from tests.world import DESTINATION, PHONE, World

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{first_name}}"

# They need a browser, which `make test` must not.
pytestmark = [
    pytest.mark.tools,
    pytest.mark.parametrize("engine", ["sqlite"], indirect=True),
]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
def server(settings: Settings, mailbox: Mailbox, tmp_path: Path) -> Iterator[Server]:
    """A real one, with a recorder and a mail server."""
    mail = {
        "smtp_host": "127.0.0.1",
        "smtp_port": mailbox.port,
        "smtp_security": "none",
        "mail_from": "team@brand.example",
    }
    with running(settings, tmp_path / "server.log", **mail) as server:
        yield server


@pytest.fixture
def far(server: Server, operator_key: str) -> Iterator[World]:
    """The same words, said to the real server."""
    with httpx2.Client(base_url=server.url) as client:
        world = World(client, operator_key, _no_drain, None)  # type: ignore[arg-type] # asked over HTTP alone
        world.program_id = world.a_program(name="Sunny Drinks")
        yield world


def _no_drain() -> int:
    raise AssertionError("the server has a recorder of its own")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def test_from_a_late_link_to_a_click_that_the_creator_sees(
    far: World, server: Server, mailbox: Mailbox, browser: Browser
) -> None:
    campaign = far.a_campaign(name="Summer")
    far.a_campaign_link(campaign, name="Landing page")
    creators = [
        far.a_creator(displayName=name, firstName=name, email=f"{name.lower()}@example.com")
        for name in ("Ana", "Ben")
    ]
    enrolled = far.enroll(campaign, creators)
    far.promote(*enrolled)

    late = far.a_campaign_link(campaign, name="Summer sale")
    body = f"Hi {{{{first_name}}}},\n{late['mergeTag']}\nAll: {{{{campaign_manager_link}}}}"
    results = far.send(campaign, body, *enrolled)
    assert [len(result["generatedTrackingLinks"]) for result in results] == [1, 1]

    wait_until(lambda: len(mailbox.mails) == 2, "the mails did not arrive")
    mails = {mail["To"].addresses[0].addr_spec: text_of(mail) for mail in mailbox.mails}
    links = {to: text.split("\n")[1] for to, text in mails.items()}
    assert len(set(links.values())) == 2
    for to, link in links.items():
        assert mails[to].startswith(f"Hi {to.partition('@')[0].capitalize()},")
        answer = httpx2.head(link)
        assert (answer.status_code, answer.headers["location"]) == (302, DESTINATION)

    link = links["ana@example.com"]
    page = mails["ana@example.com"].split("All: ")[1]
    browser.allow(server.url, "clipboardReadWrite", "clipboardSanitizedWrite")
    tab = browser.tab()
    tab.show_as(width=390, height=844)
    tab.open(page)
    assert clicks_shown(tab, link) == 0
    tab.run(f"{FIND_BUTTON}({link!r}).click()")
    tab.wait_for("document.querySelector('.said').textContent === 'Copied'")
    copied = tab.run("navigator.clipboard.readText()")
    assert copied == link

    viewer = httpx2.get(copied, headers={"user-agent": PHONE})
    assert viewer.headers["location"] == DESTINATION

    def is_counted() -> bool:
        tab.open(page)
        return clicks_shown(tab, link) == 1

    wait_until(is_counted, "the number on the page did not rise")
    assert all(address.startswith((server.url, "about:")) for address in tab.requested())


FIND_BUTTON = """((url) => [...document.querySelectorAll('[data-copy]')].find(
    (button) => document.getElementById(button.dataset.copy).textContent === url))"""


def clicks_shown(tab: Tab, link: str) -> int:
    card = f"{FIND_BUTTON}({link!r}).closest('li').querySelector('.clicks').textContent"
    found = re.search(r"(\d+)\s+clicks?", tab.run(card))
    assert found is not None
    return int(found[1])


def a_full_page(far: World) -> str:
    """The address of a page with everything on it, hostile words included."""
    ana = far.a_creator(displayName="Ana", firstName="Ana")
    for name in ("Summer", HOSTILE):
        campaign = far.a_campaign(name=name)
        far.a_campaign_link(campaign, name="Landing page")
        gone = far.a_campaign_link(campaign, name=f"Old {name}")
        (mine,) = far.enroll(campaign, [ana])
        far.promote(mine)
        far.a_link(mine, labels=["TikTok", HOSTILE])
        far.a_link(mine, destinationUrl=f"https://shop.example/{'long' * 200}?q='%3Cb%3E&x=<i>")
        far.do("archiveCampaignLink", "", id=gone["id"])
        link = far.links_of(mine, "ACTIVE")[0]
        for number in range(5):
            far.client.get(
                f"/{link['code']}",
                headers={"user-agent": f"{PHONE} {number}"},
                follow_redirects=False,
            )
    query = "query($id: ID!) { node(id: $id) { ... on Creator { managerUrl } } }"
    return str(far.ask(query, id=ana)["node"]["managerUrl"])


def test_the_page_has_no_barrier_that_axe_knows_and_shows_hostile_words_as_text(
    far: World, browser: Browser
) -> None:
    assert AXE.exists(), NO_AXE
    page = a_full_page(far)
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            for address in (page, f"{page}x"):  # the page of a wrong address too
                tab = browser.tab()
                tab.show_as(width=width, scheme=scheme)
                tab.open(address)
                tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
                keep_picture(tab, f"{scheme}-{width}-{'full' if address == page else 'missing'}")
                assert violations(tab) == [], (scheme, width, address)
                assert tab.run("document.documentElement.scrollWidth <= innerWidth")
    tab.open(page)
    assert tab.run("document.querySelectorAll('img').length") == 0
    assert HOSTILE in tab.run("document.querySelector('main').textContent")


def test_the_page_is_used_with_the_keyboard_alone(
    far: World, server: Server, browser: Browser
) -> None:
    page = a_full_page(far)
    browser.allow(server.url, "clipboardReadWrite", "clipboardSanitizedWrite")
    tab = browser.tab()
    tab.show_as(width=1280)
    tab.open(page)
    tab.press("Tab", 9)
    url = tab.run("document.getElementById(document.activeElement.dataset.copy).textContent")
    tab.press("Enter", 13)
    tab.wait_for("document.querySelector('.said').textContent === 'Copied'")
    assert tab.run("navigator.clipboard.readText()") == url
    tab.press("Tab", 9)
    assert tab.run("document.activeElement.tagName") == "SUMMARY"
    tab.press("Enter", 13)
    tab.wait_for("document.activeElement.parentElement.open")


def test_a_server_killed_between_queueing_and_delivery_loses_and_doubles_nothing(
    settings: Settings, operator_key: str, tmp_path: Path
) -> None:
    with mail_server() as mailbox:
        mail = {"smtp_host": "127.0.0.1", "smtp_security": "none", "mail_from": "a@brand.example"}
        server = Server(settings, tmp_path / "server.log", smtp_port=mailbox.port, **mail)
        mailbox.limit = 7  # then nobody is let in any more: the rest is still in the outbox
        server.start()
        try:
            with httpx2.Client(base_url=server.url) as client:
                far = World(client, operator_key, _no_drain, None)  # type: ignore[arg-type] # asked over HTTP alone
                far.program_id = far.a_program()
                campaign = far.a_campaign()
                enrolled = far.enroll(campaign, far.creators(50))
                text = {"campaignId": campaign, "subject": "Hi", "body": "{{creator_name}}"}
                first = far.message(text, *enrolled, key="once")
                assert mailbox.full.wait(20)
                server.kill()

                mailbox.limit = None
                server.start()
                assert (
                    far.message(text, *enrolled, key="once")["results"][0]["message"]["id"]
                    == (first["results"][0]["message"]["id"])
                )
                # Those that it had taken are let go half a minute after it was last heard of.
                in_time = LEASE.total_seconds() + 30
                wait_until(lambda: len(mailbox.mails) >= 50, "not all came", seconds=in_time)
                wait_until(lambda: all_sent(far, campaign), "not all are marked")
        finally:
            server.stop()
    assert len(mailbox.mails) == 50
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 50


def all_sent(world: World, campaign: str) -> bool:
    query = """query($id: ID!) { campaign(id: $id) {
        messages(filter: {statuses: [SENT]}) { totalCount } } }"""
    return bool(world.ask(query, id=campaign)["campaign"]["messages"]["totalCount"] == 50)
