"""Who is a person: labelled user agents of public collections, and the figures we promise."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clicks import user_agents
from app.clicks.user_agents import REASONS, judge

FOLDER = Path(__file__).parents[1] / "fixtures" / "user-agents"
# Where there are more rows of the same shape, to be judged together with ours.
MORE = os.environ.get("USER_AGENTS")


class Row(NamedTuple):
    ua: str
    label: str
    sources: list[str]
    tags: list[str]


def rows_in(folder: Path) -> list[Row]:
    files = sorted(folder.glob("*.jsonl"))
    assert files, f"no *.jsonl in {folder}"
    # Not splitlines(), which also splits at what may stand inside a string.
    return [
        Row(**json.loads(line)) for file in files for line in file.read_text().split("\n") if line
    ]


FURTHER = rows_in(Path(MORE)) if MORE else []
ROWS = list({row.ua: row for row in [*FURTHER, *rows_in(FOLDER)]}.values())
PEOPLE = [row for row in ROWS if row.label == "human"]
BOTS = [row for row in ROWS if row.label == "bot"]


def taken_for_bots(rows: Iterable[Row]) -> list[str]:
    return [row.ua for row in rows if judge(row.ua) is not None]


def taken_for_people(rows: Iterable[Row]) -> list[str]:
    return [row.ua for row in rows if judge(row.ua) is None]


def tagged(rows: Iterable[Row], tag: str) -> list[Row]:
    return [row for row in rows if tag in row.tags]


def ours(rows: Iterable[Row]) -> list[Row]:
    """Those that we wrote down ourselves: each as it is sent today."""
    return [row for row in rows if "own" in row.sources]


def test_nearly_every_bot_is_recognised() -> None:
    assert len(BOTS) > 3000
    assert len(taken_for_people(BOTS)) <= 0.015 * len(BOTS)


def test_hardly_any_person_is_taken_for_a_bot() -> None:
    assert len(PEOPLE) > 5500
    assert len(taken_for_bots(PEOPLE)) <= 0.0035 * len(PEOPLE)


def test_what_is_called_a_bot_is_one() -> None:
    wrong = len(taken_for_bots(PEOPLE))
    right = len(BOTS) - len(taken_for_people(BOTS))
    assert right / (right + wrong) >= 0.98


def test_todays_browsers_are_people() -> None:
    """Two of 2,250 may be wrong, so of the few that are here, none."""
    modern = tagged(PEOPLE, "modern")
    assert len(modern) > 80
    wrong = taken_for_bots(modern)
    assert len(wrong) <= round(2 * len(modern) / 2250), wrong


def test_who_clicks_in_an_app_is_a_person() -> None:
    """One of 500 may be wrong, and it is none of ours."""
    in_apps = {row.ua: row for row in (*tagged(PEOPLE, "inapp-token"), *ours(PEOPLE))}.values()
    assert len(in_apps) > 100
    wrong = taken_for_bots(in_apps)
    assert len(wrong) <= round(len(in_apps) / 500), wrong


def test_nearly_every_link_preview_is_recognised() -> None:
    previews = tagged(BOTS, "preview-token")
    assert len(previews) > 80
    missed = taken_for_people(previews)
    assert len(missed) <= 0.02 * len(previews), missed


def test_an_http_library_is_never_a_person() -> None:
    libraries = tagged(BOTS, "http-library")
    assert len(libraries) > 100
    assert taken_for_people(libraries) == []


def test_the_strings_we_wrote_down_ourselves_are_all_judged_rightly() -> None:
    assert len(ours(ROWS)) > 80
    assert taken_for_bots(ours(PEOPLE)) == []
    assert taken_for_people(ours(BOTS)) == []


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
        ("TelegramBot (like TwitterBot)", "preview:telegrambot"),
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


@given(anything)
def test_any_text_gets_a_known_verdict(ua: str) -> None:
    why = judge(ua)
    assert why is None or why in REASONS


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
