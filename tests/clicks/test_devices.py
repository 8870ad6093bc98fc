"""What a person clicked with."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clicks import devices
from app.clicks.devices import Device, describe

REQUESTS = Path(__file__).parents[1] / "fixtures" / "requests"
PEOPLE = Path(__file__).parents[1] / "fixtures" / "user-agents" / "people.jsonl"
AGENTS: dict[str, str] = json.loads((REQUESTS / "user-agents.json").read_text())
IPHONE = AGENTS["safari_ios"]


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("chrome", Device("desktop", "Chrome", "Windows")),
        ("firefox", Device("desktop", "Firefox", "Windows")),
        ("edge", Device("desktop", "Edge", "Windows")),
        ("safari_ios", Device("mobile", "Safari", "iOS")),
        ("samsung", Device("mobile", "Samsung Internet", "Android")),
        ("instagram_ios", Device("mobile", "Instagram", "iOS", "Instagram")),
        ("instagram_android", Device("mobile", "Instagram", "Android", "Instagram")),
        ("facebook_iab", Device("mobile", "Facebook", "Android", "Facebook")),
        ("tiktok_ios", Device("mobile", "TikTok", "iOS", "TikTok")),
        ("tiktok_android", Device("mobile", "TikTok", "Android", "TikTok")),
        ("snapchat", Device("mobile", "Snapchat", "iOS", "Snapchat")),
        ("pinterest_app", Device("mobile", "Pinterest", "iOS", "Pinterest")),
        ("linkedin_app", Device("mobile", "LinkedIn", "iOS", "LinkedIn")),
        ("x_app", Device("mobile", "X", "iOS", "X")),
        ("line", Device("mobile", "LINE", "iOS", "LINE")),
        ("wechat", Device("mobile", "WeChat", "Android", "WeChat")),
        ("gsa", Device("mobile", "Google", "iOS", "Google")),
    ],
)
def test_a_click_names_its_device_browser_system_and_app(name: str, device: Device) -> None:
    assert describe(AGENTS[name]) == device


ANDROID = "Mozilla/5.0 (Linux; Android 16; Pixel 9; wv) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("end", "app"),
    [
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 MetaIAB Facebook", "Facebook"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 MetaIAB Instagram", "Instagram"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 [FB_IAB/MESSENGER;FBAV/1;]", "Messenger"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 Instagram 1 Barcelona 389", "Threads"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 WhatsApp/2.25", "WhatsApp"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 YouTube/20.22", "YouTube"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 Telegram-Android/11", "Telegram"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36 Reddit/2025.1", "Reddit"),
        (" Chrome/145.0.7632.20 Mobile Safari/537.36", ""),
    ],
)
def test_an_app_is_known_by_what_it_writes(end: str, app: str) -> None:
    found = describe(ANDROID + end)
    assert (found.in_app, found.browser) == (app, app or "Android WebView")


@pytest.mark.parametrize(
    ("ua", "kind"),
    [
        ("Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) Mobile/15E148 Safari/604.1", "tablet"),
        ("Mozilla/5.0 (Linux; Android 14; SM-X910) Chrome/141 Safari/537.36", "tablet"),
        ("Mozilla/5.0 (Linux; Android 14; SM-S911) Chrome/141 Mobile Safari/537.36", "mobile"),
        ("Opera/9.80 (Android; Opera Mini/7.5/35; U; en) Presto/2.8", "mobile"),
        ("Mozilla/5.0 (Linux; Android 9; AFTKA) Chrome/116 Safari/537.36", "other"),
        ("Mozilla/5.0 (Linux; Android 12; Google TV) Chrome/116 Safari/537.36", "other"),
        ("Mozilla/5.0 (Web0S; Linux/SmartTV) Chrome/87 Safari/537.36", "other"),
        ("Mozilla/5.0 (PlayStation 5/SmartTV) AppleWebKit/605.1.15", "other"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/137 Safari/537.36", "desktop"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605", "desktop"),
        ("", "other"),
        ("curl/8.7.1", "other"),
    ],
)
def test_devices_are_of_four_kinds(ua: str, kind: str) -> None:
    assert describe(ua).device == kind


def test_nearly_every_modern_browser_has_a_name_and_a_system() -> None:
    rows = [json.loads(line) for line in PEOPLE.read_text().splitlines()]
    modern = [describe(row["ua"]) for row in rows if "modern" in row["tags"]]
    named = [found for found in modern if found.browser and found.os]
    assert len(named) >= 0.95 * len(modern) > 0


BROWSERS = {*devices._BROWSERS.values(), *(name for _, name in devices._APPS), ""}
SYSTEMS = {*devices._SYSTEMS.values(), ""}


@given(st.text() | st.text().map(IPHONE.__add__) | st.binary().map(lambda b: b.decode("latin-1")))
def test_a_strangers_text_never_gets_into_a_report(ua: str) -> None:
    found = describe(ua)
    assert found.device in {"mobile", "tablet", "desktop", "other"}
    assert found.browser in BROWSERS
    assert found.os in SYSTEMS


def test_the_names_fit_their_columns() -> None:
    assert max(map(len, BROWSERS | SYSTEMS)) <= 64
