"""What a hit counts as, by the rules in their order."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clicks.classifier import (
    DUPLICATE_WINDOW_MS,
    REASONS,
    SCANNER_HOSTS,
    Hit,
    Judgement,
    Verdict,
    is_duplicate,
    is_prefetch,
    is_unique,
    judge,
    referrer_host,
)
from app.models.clicks import Verdict as StoredVerdict

FIXTURES = Path(__file__).parents[1] / "fixtures" / "requests"
AGENTS: dict[str, str] = json.loads((FIXTURES / "user-agents.json").read_text())
REQUESTS: list[dict[str, Any]] = [
    json.loads(line) for line in (FIXTURES / "clicks.jsonl").read_text().splitlines()
]
CHROME = AGENTS["chrome"]

# A hit that each rule but the last would exclude. Rule by rule, what it excludes for is repaired.
WORST = Hit(
    is_head=True,
    is_prefetch=True,
    fetch_dest="image",
    fetch_mode="no-cors",
    user_agent="",
    referrer="https://urlsand.com/",
    is_https=True,
    is_excluded_network=True,
)


def hit_of(request: dict[str, Any]) -> Hit:
    headers = {name.lower(): value for name, value in request["headers"].items()}
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    return Hit(
        is_head=request["method"] == "HEAD",
        is_prefetch=is_prefetch(raw),
        fetch_dest=headers.get("sec-fetch-dest"),
        fetch_mode=headers.get("sec-fetch-mode"),
        user_agent=headers.get("user-agent", AGENTS[request["ua"]]),
        referrer=headers.get("referer", ""),
    )


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request["id"])
def test_each_request_of_the_catalogue_counts_as_it_should(request_: dict[str, Any]) -> None:
    verdict, reason, _ = judge(hit_of(request_))
    assert verdict == (Verdict.EXCLUDED, Verdict.COUNTED)[request_["expect_counted_clicks"]], reason
    assert (reason == "") == (verdict == Verdict.COUNTED)


def test_the_first_rule_that_fits_is_the_reason() -> None:
    hit, reasons = WORST, []
    for repair in (
        {},
        {"is_head": False},
        {"is_prefetch": False},
        {"fetch_dest": "document"},
        {"fetch_mode": "navigate"},
        {"user_agent": AGENTS["curl"]},
        {"referrer": "https://brand.example/"},
        {"user_agent": CHROME},
        {"is_excluded_network": False},
    ):
        hit = hit._replace(**repair)
        reasons.append(judge(hit).reason)
    assert reasons == [
        "head",
        "prefetch",
        "subresource",
        "subresource",
        "no-ua",
        "scanner",
        "bot:library:curl",
        "network",
        "",
    ]


def test_a_person_is_counted() -> None:
    person = Hit(fetch_dest="document", fetch_mode="navigate", user_agent=CHROME, is_https=True)
    assert judge(person) == Judgement(Verdict.COUNTED, "", is_suspect=False)


def test_a_link_posted_on_x_counts_its_five_people_only() -> None:
    fetcher = [Hit(user_agent=AGENTS["twitterbot"])]
    looks = [Hit(is_head=True, user_agent=ua) for ua in (CHROME, AGENTS["safari_ios"], "Go/1")]
    people = [Hit(user_agent=AGENTS[name]) for name in ("x_app", "chrome", "edge", "line", "gsa")]
    verdicts = [judge(hit).verdict for hit in (*fetcher, *looks, *people)]
    assert verdicts.count(Verdict.COUNTED) == 5
    assert verdicts.count(Verdict.EXCLUDED) == 4


def test_facebooks_prefetch_is_known_by_its_header_not_by_its_browser() -> None:
    headers = {b"x-purpose": b"preview", b"x-fb-http-engine": b"Liger"}
    hit = Hit(is_prefetch=is_prefetch(headers), user_agent=AGENTS["facebook_iab"])
    assert judge(hit).reason == "prefetch"
    assert judge(hit._replace(is_prefetch=is_prefetch({}))).verdict == Verdict.COUNTED


@pytest.mark.parametrize("name", [b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"prefetch", True),
        (b"PreFetch;PreRender", True),
        (b"prefetch; anonymous-client-ip", True),
        (b"prerender", True),
        (b"Preview", True),
        (b"", False),
        (b"navigate", False),
        (b"\xff\x00", False),
    ],
)
def test_a_prefetch_says_so_in_one_of_four_headers(
    name: bytes, value: bytes, *, expected: bool
) -> None:
    assert is_prefetch({b"host": b"go.example", name: value}) is expected


def test_other_headers_do_not_make_a_prefetch() -> None:
    assert not is_prefetch({})
    assert not is_prefetch({b"x-other": b"prefetch", b"user-agent": b"preview"})


def test_a_page_that_loads_the_link_as_an_image_or_a_frame_is_no_click() -> None:
    for dest in ("image", "iframe", "empty", "script", "Image"):
        assert judge(Hit(fetch_dest=dest, user_agent=CHROME)).reason == "subresource"
    for mode in ("cors", "no-cors", "websocket"):
        assert judge(Hit(fetch_mode=mode, user_agent=CHROME)).reason == "subresource"


def test_fetch_headers_in_capitals_or_left_empty_by_a_proxy_exclude_nobody() -> None:
    for dest, mode in ((" Document ", "NAVIGATE"), ("", " "), (None, None)):
        hit = Hit(fetch_dest=dest, fetch_mode=mode, user_agent=CHROME)
        assert judge(hit).verdict == Verdict.COUNTED


@pytest.mark.parametrize("host", sorted(SCANNER_HOSTS))
def test_services_that_try_links_are_known_by_their_referrer(host: str) -> None:
    for referrer in (f"https://{host}/", f"https://eu.{host.upper()}:443/x?y", f"http://{host}."):
        assert judge(Hit(user_agent=CHROME, referrer=referrer)).reason == "scanner"
    for referrer in (f"https://not{host}/", f"https://{host}.example/", f"https://x/{host}"):
        assert judge(Hit(user_agent=CHROME, referrer=referrer)).verdict == Verdict.COUNTED


def test_an_operator_can_add_scanners() -> None:
    hit = Hit(user_agent=CHROME, referrer="https://a.scan.example/1")
    assert judge(hit).verdict == Verdict.COUNTED
    assert judge(hit, SCANNER_HOSTS | {"scan.example"}).reason == "scanner"


def test_hits_after_archive_are_neither_clicks_nor_excluded() -> None:
    assert judge(Hit(user_agent=CHROME, is_archived=True)) == (Verdict.AFTER_ARCHIVE, "", False)
    assert judge(WORST._replace(is_archived=True)) == (Verdict.AFTER_ARCHIVE, "head", False)


SAFARI = AGENTS["safari_ios"]


@pytest.mark.parametrize(
    ("ua", "expected"),
    [
        (CHROME, True),
        (CHROME.replace("141", "80"), True),
        (CHROME.replace("141", "79"), False),
        (AGENTS["instagram_android"], True),
        (AGENTS["firefox"], True),
        (AGENTS["firefox"].replace("140", "89"), False),
        (SAFARI, True),
        (SAFARI.replace("Version/18.5", "Version/16.4"), True),
        (SAFARI.replace("Version/18.5", "Version/16.3"), False),
        (SAFARI.replace("Version/18.5", "Version/17"), True),
        (AGENTS["tiktok_ios"], False),  # claims no Safari
    ],
)
def test_who_lacks_what_their_browser_always_sends_is_counted_as_suspect(
    ua: str, *, expected: bool
) -> None:
    hit = Hit(user_agent=ua, is_https=True)
    assert judge(hit) == (Verdict.COUNTED, "", expected)
    assert not judge(hit._replace(fetch_mode="navigate")).is_suspect
    assert not judge(hit._replace(is_https=False)).is_suspect


def test_what_is_excluded_is_not_suspect_as_well() -> None:
    hit = Hit(user_agent=CHROME + " Googlebot/2.1", is_https=True)
    assert judge(hit) == (Verdict.EXCLUDED, "bot:word:bot", False)


def test_verdicts_are_those_that_are_stored() -> None:
    assert {v.name: v.value for v in Verdict} == {v.name: v.value for v in StoredVerdict}


def test_reasons_fit_their_column() -> None:
    assert max(map(len, REASONS)) <= 64


texts = st.text() | st.binary().map(lambda raw: raw.decode("latin-1"))
headers = st.none() | texts | st.sampled_from(["document", "navigate", "image"])


@given(
    st.builds(
        Hit, st.booleans(), st.booleans(), headers, headers, texts, texts, st.booleans(),
        st.booleans(), st.booleans(),
    )
)  # fmt: skip
def test_any_hit_gets_a_known_verdict_and_reason(hit: Hit) -> None:
    verdict, reason, is_suspect = judge(hit)
    assert reason in REASONS | {""}
    assert (verdict == Verdict.AFTER_ARCHIVE) == hit.is_archived
    assert not (is_suspect and (reason or hit.is_archived))


@pytest.mark.parametrize(
    ("after_ms", "expected"),
    [(0, True), (1_000, True), (9_900, True), (10_000, True), (10_100, False), (60_000, False)],
)
def test_a_repeat_within_ten_seconds_is_a_duplicate(after_ms: int, *, expected: bool) -> None:
    assert is_duplicate(1_000_000 + after_ms, 1_000_000) is expected
    # A clock that was set back does not make the window longer.
    assert is_duplicate(1_000_000 - after_ms, 1_000_000) is expected


def test_a_window_of_nothing_finds_no_duplicates() -> None:
    assert not is_duplicate(5, 5, 0)


def test_a_visit_ends_with_its_window_and_with_a_clock_set_back() -> None:
    half_hour = 1_800_000
    assert not is_unique(1_000, 1_000, half_hour)
    assert not is_unique(half_hour - 1, 0, half_hour)
    assert is_unique(half_hour, 0, half_hour)
    assert not is_unique(0, half_hour - 1, half_hour)
    assert is_unique(0, 10 * half_hour, half_hour)


@given(st.integers(0, 2**41), st.integers(0, 2**41), st.integers(0, 3_600_000))
def test_a_duplicate_is_always_within_its_window(now: int, last: int, window: int) -> None:
    assert is_duplicate(now, last, window) <= (abs(now - last) <= window)
    assert DUPLICATE_WINDOW_MS == 10_000


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://www.Instagram.com/", "www.instagram.com"),
        ("http://l.facebook.com:8080/l.php?u=x", "l.facebook.com"),
        ("HTTPS://t.co", "t.co"),
        ("https://t.co?x", "t.co"),
        ("https://t.co#x", "t.co"),
        ("https://t.co./x", "t.co"),
        ("https://user:secret@t.co/x", "t.co"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        ("https://a_b.example/", "a_b.example"),
        ("android-app://com.google.android.gm/", "com.google.android.gm"),
        ("https://intranet/", "intranet"),
        (" https://t.co ", "t.co"),
        ("", ""),
        ("t.co", ""),
        ("//t.co/", ""),
        ("https://", ""),
        ("https:///x", ""),
        ("https://..", ""),
        ("https://a..b/", ""),
        ("javascript:alert(1)", ""),
        ("https://t.co\\@evil.example/", ""),
        ("https://t.co evil/", ""),
        ("https://t.co\0/", ""),
        ("https://<script>/", ""),
        ("https://192.168.1.7/x", ""),
        ("https://127.1/", ""),
        ("https://2130706433/", ""),
        ("https://0x7f.0x1/", ""),
        ("https://[2001:db8::1]/", ""),
        ("https://b\xfccher.example/", ""),
        ("https://" + "a" * 64 + ".example/", ""),
        ("https://" + "a." * 126 + "example/", ""),
        ("https://" + "a." * 123 + "example/", "a." * 123 + "example"),
        ("https://" + "a" * 8000, ""),
    ],
)
def test_of_a_referrer_only_the_host_is_kept(referrer: str, host: str) -> None:
    assert referrer_host(referrer) == host


@given(texts | st.text("htps:/.@a1-%[] ").map("https://".__add__))
def test_a_referrers_host_is_short_and_plain(referrer: str) -> None:
    host = referrer_host(referrer)
    assert len(host) <= 253
    assert host == host.lower()
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_")
