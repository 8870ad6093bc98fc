"""A shared report as people meet it: in a browser, in light and dark, on a phone, and on paper."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from app.settings import Settings
from tests.browser import AXE, NO_AXE, Browser, keep_picture, open_browser, violations
from tests.process import running
from tests.selling import wait_until
from tests.world import PHONE, World

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"

# They need a browser, which `make test` must not.
pytestmark = [
    pytest.mark.tools,
    pytest.mark.parametrize("engine", ["sqlite"], indirect=True),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def far(settings: Settings, operator_key: str, tmp_path: Path) -> Iterator[World]:
    """A real server with a recorder, spoken to over HTTP."""
    with (
        running(settings, tmp_path / "server.log") as server,
        httpx2.Client(base_url=server.url) as client,
    ):
        world = World(client, operator_key, lambda: 0, None)  # type: ignore[arg-type] # asked over HTTP alone
        world.program_id = world.a_program(name=HOSTILE)
        yield world


def a_full_report(far: World) -> str:
    """The address of a report of a program, with clicks of each kind and hostile words."""
    for name in ("Summer", HOSTILE):
        campaign = far.a_campaign(name=name)
        far.a_campaign_link(campaign, name=HOSTILE)
        (mine,) = far.enroll(campaign, [far.a_creator(displayName=HOSTILE)])
        far.promote(mine)
        labelled = far.a_link(mine, labels=["TikTok", HOSTILE])
        for code in (far.links_of(mine)[0]["code"], labelled["code"]):
            for agent in (f"{PHONE} 1", f"{PHONE} 2", "Twitterbot/1.0"):
                headers = {"user-agent": agent, "referer": "https://www.instagram.com/p/1"}
                far.client.get(f"/{code}", headers=headers, follow_redirects=False)
    query = "query($id: ID!) { program(id: $id) { stats { clicks excludedClicks } } }"
    wait_until(
        lambda: (
            far.ask(query, id=far.program_id)["program"]["stats"]
            == {"clicks": 8, "excludedClicks": 4}
        )
    )
    share = far.do("createReportShare", "reportShare { url }", programId=far.program_id, name="All")
    return str(share["reportShare"]["url"])


def test_a_report_has_no_barrier_that_axe_knows_and_loads_nothing_from_elsewhere(
    far: World, browser: Browser
) -> None:
    assert AXE.exists(), NO_AXE
    report = a_full_report(far)
    pages = {
        "full": report,
        "empty": f"{report}?from=2020-01-01&to=2020-01-07",
        "missing": f"{report}x",
    }
    pages["wrong"] = f"{report}?from=2026-02-01&to=2026-01-01"
    for scheme in ("light", "dark"):
        for width in (1280, 360):
            for name, address in pages.items():
                tab = browser.tab()
                tab.show_as(width=width, scheme=scheme)
                tab.open(address)
                tab.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
                keep_picture(tab, f"report-{scheme}-{width}-{name}")
                assert violations(tab) == [], (scheme, width, name)
                assert tab.run("document.documentElement.scrollWidth <= innerWidth"), name
                assert {urlsplit(url).netloc for url in tab.requested()} - {""} == {
                    urlsplit(report).netloc
                }
    tab.open(report)
    assert tab.run("document.querySelectorAll('img').length") == 0
    assert HOSTILE in tab.run("document.querySelector('main').textContent")
