"""Who is a person: labelled user agents of public collections, and the figures we promise."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.clicks import user_agents
from app.clicks.user_agents import REASONS, judge

SAMPLE = Path(__file__).parents[1] / "fixtures" / "user-agents" / "sample.jsonl"


class Row(NamedTuple):
    ua: str
    label: str
    sources: list[str]
    tags: list[str]


ROWS = [Row(**json.loads(line)) for line in SAMPLE.read_text().splitlines()]
PEOPLE = [row for row in ROWS if row.label == "human"]
BOTS = [row for row in ROWS if row.label == "bot"]


def taken_for_bots(rows: Iterable[Row]) -> list[str]:
    return [row.ua for row in rows if judge(row.ua) is not None]


def taken_for_people(rows: Iterable[Row]) -> list[str]:
    return [row.ua for row in rows if judge(row.ua) is None]


def test_nearly_every_bot_is_recognised() -> None:
    assert len(BOTS) > 1000
    assert len(taken_for_people(BOTS)) <= 0.01 * len(BOTS)


def test_hardly_any_person_is_taken_for_a_bot() -> None:
    assert len(PEOPLE) > 1000
    assert len(taken_for_bots(PEOPLE)) <= 0.0035 * len(PEOPLE)


def test_what_is_called_a_bot_is_one() -> None:
    wrong = len(taken_for_bots(PEOPLE))
    right = len(BOTS) - len(taken_for_people(BOTS))
    assert right / (right + wrong) >= 0.98


@pytest.mark.parametrize("tag", ["modern", "inapp-token"])
def test_todays_browsers_and_apps_are_people(tag: str) -> None:
    assert taken_for_bots(row for row in PEOPLE if tag in row.tags) == []


@pytest.mark.parametrize("tag", ["preview-token", "http-library"])
def test_link_previews_and_http_libraries_are_never_people(tag: str) -> None:
    assert taken_for_people(row for row in BOTS if tag in row.tags) == []


def test_the_strings_we_wrote_down_ourselves_are_all_judged_rightly() -> None:
    ours = [row for row in ROWS if "own" in row.sources]
    assert len(ours) > 80
    assert taken_for_bots(row for row in ours if row.label == "human") == []
    assert taken_for_people(row for row in ours if row.label == "bot") == []


IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"
IN_APP = "Mozilla/5.0 (Linux; Android 13; {} Build/TP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    "ua",
    [
        IN_APP.format("CUBOT P80") + " Chrome/137.0.0.0 Mobile Safari/537.36",
        IN_APP.format("Spider 8") + " Chrome/137.0.0.0 Mobile Safari/537.36",
        IN_APP.format("K")
        + " Chrome/137.0.0.0 Mobile Safari/537.36 trill_400103 Channel/googlebot",
        IN_APP.format("K")
        + " Chrome/137.0.0.0 Mobile Safari/537.36 [FBAN/EMA;FBCR/Orange Botswana;]",
        IN_APP.format("K") + " Chrome/137.0.0.0 Mobile Safari/537.36 BOTIM/3.1 PriceChecker/2.0",
        IN_APP.format("K") + " Chrome/130 Mobile MicroMessenger/8.0.57 WeChat/arm64 Process/tools",
        IPHONE + " (KHTML, like Gecko) Mobile/15E148 Barcelona 389.0.0.34 (iPhone16,2; iOS 18_5)",
        "Instagram 389.0.0.34.89 (iPhone16,2; iOS 18_5; en_US; scale=3.00)",
        "  Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0  ",
    ],
)
def test_what_a_phone_an_app_or_a_network_is_called_makes_nobody_a_bot(ua: str) -> None:
    assert judge(ua) is None


CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"


@pytest.mark.parametrize(
    ("ua", "why"),
    [
        ("", "empty"),
        (" \t ", "empty"),
        ("curl/8.7.1", "library:curl"),
        ("python-requests/2.32.3", "library:python"),
        ("WhatsApp/2.23.20.0", "preview:whatsapp"),
        ("Twitterbot/1.0", "preview:twitterbot"),
        ("Whatever", "structure:prefix"),
        ("Mozilla/5.0", "structure:engine"),
        ("Mozilla/5.0 (compatible)", "structure:compatible"),
        ("Mozilla/5.0 (compatible; Neverheard/1.0)", "structure:compatible"),
        (IPHONE + " (KHTML, like Gecko) Mobile/15E148 (Applebot/0.1)", "preview:applebot"),
        (CHROME + " Safari/537.36 (+http://neverheard.example)", "contact"),
        (CHROME + " Safari/537.36 someone@neverheard.example", "contact"),
        (IN_APP.format("K; Catchpoint") + " Chrome/137.0 Mobile Safari/537.36", "contact"),
        (IN_APP.format("K; +http://x") + " Chrome/137.0 Mobile Safari/537.36", "contact"),
        (CHROME + " Safari/537.36 Neverheard", "structure:tail"),
        (CHROME + " Safari/537.36 NeverheardSurvey/2", "word:survey"),
        (CHROME + " Safari/537.36 Sucuri/1.0", "tool:sucuri"),
        ("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2) Neverheard/5", "structure:tail"),
        (CHROME.replace("like Gecko", "like Gecko; Neverheard") + " Safari/5", "structure:comment"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) X/1", "structure:platform"),
        (CHROME.replace("Chrome", "HeadlessChrome") + " Safari/537.36", "word:headless"),
    ],
)
def test_a_program_is_told_why_it_is_taken_for_one(ua: str, why: str) -> None:
    assert judge(ua) == why


def test_the_vocabulary_of_reasons_is_closed_and_fits_its_column() -> None:
    assert {judge(row.ua) for row in BOTS} <= REASONS | {None}
    assert max(map(len, REASONS)) <= len("x" * 64) - len("bot:")


def test_only_the_first_1024_characters_are_looked_at() -> None:
    browser = CHROME + " Safari/537.36"
    padded = browser.ljust(user_agents.LONGEST)
    assert judge(padded + "Googlebot/2.1") is None
    assert judge(padded[: -len(" Googlebot")] + " Googlebot") == "word:bot"


anything = st.one_of(
    st.text(),
    st.binary().map(lambda raw: raw.decode("latin-1")),
    st.text(st.sampled_from("Mozila/5.0 ();[]@+<'${}botAndroidFB\\\n\0")).map(
        "Mozilla/5.0 (".__add__
    ),
)


def assert_known(ua: str) -> None:
    why = judge(ua)
    assert why is None or why in REASONS


@given(anything)
def test_any_text_gets_a_known_verdict(ua: str) -> None:
    assert_known(ua)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None)
@given(anything)
def test_any_text_gets_a_known_verdict_20_000_times(ua: str) -> None:
    assert_known(ua)


HOSTILE = [
    "a" * 8192,
    "bot" * 2730,
    " " * 4000,
    "Mozilla/5.0 (" + "(" * 8192,
    "Mozilla/5.0 " + "()" * 4096,
    "Mozilla/5.0 (X" + " " * 8000,
    "Mozilla/5.0 (Linux; Android 1; " + "a (" * 2700,
    "Mozilla/5.0 (Linux; Android 1; " + "a " * 4000,
    "Mozilla/5.0 (X) AppleWebKit/5 " + "Safari/1 " * 900,
    "Mozilla/5.0 (X) Gecko " + "a.a@a." * 1300,
    "Mozilla/5.0 (X) Gecko " + "a" * 500 + "@" + "a." * 2000,
    "Mozilla/5.0 (X) Gecko " + " at " * 2000,
    "Mozilla/5.0 (X) Gecko " + "[FB" * 2700,
    "Mozilla/5.0 (X) Gecko " + "Android (" * 900,
    "Mozilla/5.0 (" + "Android" * 1100,
    "Mozilla/5.0 (X) KHTML, like Gecko) " + "a." * 4000,
    "Mozilla/5.0 (X) Gecko Firefox/" + "1" * 8000,
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/5 (KHTML, like Gecko)" + " Chrome/1" * 800 + "!",
    "\0" * 8192,
]


@pytest.mark.parametrize("ua", HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_no_string_takes_longer_than_5_ms(ua: str) -> None:
    def seconds() -> float:
        user_agents._judge.cache_clear()
        started = time.thread_time()
        judge(ua)
        return time.thread_time() - started

    assert min(seconds() for _ in range(3)) <= 0.005


def test_a_new_user_agent_costs_100_us_and_a_known_one_2() -> None:
    mix = [row.ua for row in [*BOTS[:1000], *PEOPLE[:1000]]]

    def mean_seconds() -> float:
        started = time.thread_time()
        for ua in mix:
            judge(ua)
        return (time.thread_time() - started) / len(mix)

    def cold() -> float:
        user_agents._judge.cache_clear()
        return mean_seconds()

    assert min(cold() for _ in range(3)) <= 100e-6
    assert min(mean_seconds() for _ in range(3)) <= 2e-6
