"""Where links may lead: what is accepted, in which spelling it is kept, and what is refused."""

# ruff: noqa: RUF001 - letters that look like others are what this is about

import json
from pathlib import Path
from typing import Any

import pytest

from app.destinations import MAX_LENGTH, BadDestination, check

FOLDER = Path(__file__).parent / "fixtures" / "destinations"
OWN_HOSTS = ("go.brand.example", "links.brand.example")

# Where the list and the product's rules part, the rules win. A missing scheme means https://:
# decision 13. The list was written when that was an error.
DECIDED = {"brand.example/sale": "https://brand.example/sale"}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text("ascii").splitlines()]


def verdict(text: str, **options: Any) -> str:
    """What is kept, or the reason for refusing."""
    try:
        return check(text, **options)
    except BadDestination as refused:
        return refused.reason


def test_every_listed_destination_is_judged_as_the_list_says() -> None:
    listed = rows("destinations.jsonl")
    assert len(listed) == 139
    for row in listed:
        expected = DECIDED.get(row["input"]) or row.get("normalized") or row["reason"]
        assert verdict(row["input"], own_hosts=OWN_HOSTS) == expected, row["id"]


def test_no_url_that_the_standard_calls_invalid_is_accepted_and_others_are_kept_as_it_says() -> (
    None
):
    cases = rows("wpt-http.jsonl")
    assert (len(cases), sum(case["failure"] for case in cases)) == (280, 147)
    accepted = 0
    for case in cases:
        for allow_private in (False, True):
            kept = verdict(case["input"], allow_private=allow_private)
            if kept.startswith("http"):
                assert not case["failure"], case
                assert kept == case["href"], case
                accepted += 1
    assert accepted > 60  # or this test would pass by refusing everything


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        # The help article's own example, which must come out as given.
        (
            "brand.com/summer-sale?utm_medium=tiktok",
            "https://brand.com/summer-sale?utm_medium=tiktok",
        ),
        ("brand.com", "https://brand.com/"),
        ("Brand.COM/Summer-Sale", "https://brand.com/Summer-Sale"),
        ("brand.com:8443/x", "https://brand.com:8443/x"),
        ("brand.com:/x", "https://brand.com/x"),
        ("brand.com?x=a:b", "https://brand.com/?x=a:b"),
        ("brand.com#a/b", "https://brand.com/#a/b"),
        ("HTTP://brand.com:80", "http://brand.com/"),
        ("münchen.de/größe", "https://xn--mnchen-3ya.de/gr%C3%B6%C3%9Fe"),
        ("日本語ひらがなabc.jp", "https://xn--abc-o73b4fvb9j2484bdocu19k.jp/"),
        ("佐々木shop.jp", "https://xn--shop-4w3cr26p348a.jp/"),
        ("hawaiʻi.example", "https://xn--hawaii-mjd.example/"),
        ("brand。com/x", "https://brand.com/x"),
        ("한국어abc.kr", "https://xn--abc-lt8l948gbwt.kr/"),
        ("https://аррӏе.example/", "https://xn--80ak6aa92e.example/"),
        ("https://shop.test/?next=https%3A%2F%2Fa.test%2F&a=%0d", None),
        ("https://tiktok.com/@brand?a=1;b=2&&c", None),
        ("https://brand.com/%41%2e%zz+~?%C3%28#%", None),
    ],
)
def test_a_destination_keeps_every_byte_that_may_stand_in_a_url(
    text: str, kept: str | None
) -> None:
    assert check(text) == (kept or text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sale", "scheme"),
        ("sale/brand.com", "scheme"),
        ("/sale.html", "scheme"),
        ("localhostess:80", "scheme"),
        ("tel:5551234", "scheme"),
        ("two words", "scheme"),
        ("\xa0https://brand.com", "scheme"),
        ("brand.com\xa0/sale", "space"),
        ("javascript.com:alert(1)", "scheme"),
        ("brand.com:80@evil.example", "scheme"),
        ("ana@brand.com", "credentials"),
        ("brand.com%2f.evil.example", "host_percent_encoded"),
        ("brand.com／@evil.example", "credentials"),
        ("brand.com＠evil.example", "not_a_url"),
        ("127.1", "ip_host"),
        ("http://８.８.８.８/", "ip_host"),
        ("localhost:8000", "single_label_host"),
        ("printer.lan", "private_host"),
        ("https://brand.1com/", "host"),
        ("https://xn--pple-43d.example/", "mixed_script_host"),
        ("https://brand.com/\u3000x", "space"),
        ("https://brand.com/" + "x" * MAX_LENGTH, "too_long"),
        ("x" * 10_000_000, "too_long"),
        ("   ", "empty"),
    ],
)
def test_what_is_no_public_page_is_refused_for_a_reason(text: str, reason: str) -> None:
    with pytest.raises(BadDestination) as refused:
        check(text)
    assert refused.value.reason == reason
    assert str(refused.value) == refused.value.message
    assert refused.value.message.endswith(".")
    assert len(refused.value.message) < 400


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("localhost:8000/x", "https://localhost:8000/x"),
        ("LOCALHOST:8000", "https://localhost:8000/"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000/"),
        ("http://[::1]/", "http://[::1]/"),
        ("http://shop.internal/", "http://shop.internal/"),
        ("http://intranet/", "http://intranet/"),
        ("intranet", "scheme"),
        ("http://localhost./", "trailing_dot"),
        ("http://localhost:22/", "port"),
    ],
)
def test_an_operator_may_allow_private_destinations_and_gives_up_no_other_rule(
    text: str, kept: str
) -> None:
    assert verdict(text, allow_private=True) == kept


def test_who_pasted_a_space_along_is_told_of_it_and_not_of_a_scheme_that_is_there() -> None:
    with pytest.raises(BadDestination) as refused:
        check("\xa0https://brand.com")
    assert refused.value.message.endswith(" A space (U+00A0) is at position 1.")


def test_the_limit_holds_for_what_is_kept() -> None:
    longest = "brand.com/" + "x" * (MAX_LENGTH - len("https://brand.com/"))
    assert len(check(longest)) == MAX_LENGTH
    assert verdict(f"{longest}x") == verdict(longest[:-5] + "é") == "too_long"


@pytest.mark.parametrize(
    "text",
    [
        "https://go.münchen.example/",
        "http://go.münchen.example/abc",
        "HTTPS://GO.MÜNCHEN.EXAMPLE",
        "https://go.xn--mnchen-3ya.example/",
        "https://go.XN--mnchen-3ya.example:443",
        "https://go.münchen.example:8443/x",
        "https://ｇｏ.münchen.example/",
        "https://go。münchen。example/",
        "https://go.mu\u0308nchen.example/",
        "https://deeper.go.münchen.example/",
        "  go.münchen.example/x  ",
        "go.münchen.example:443?x#y",
    ],
)
def test_our_own_host_is_refused_in_each_of_its_spellings(text: str) -> None:
    for own in ("go.münchen.example", "GO.xn--mnchen-3ya.example.", "go.münchen.example:8000"):
        assert verdict(text, own_hosts=[own]) == "own_host"
    assert verdict(text).startswith("http")


def test_our_own_address_is_refused_in_every_spelling_of_a_number() -> None:
    for text in (
        "http://127.0.0.1",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://0177.0.0.01/x",
    ):
        assert verdict(text, own_hosts=["127.0.0.1:8000"], allow_private=True) == "own_host"


def test_neighbours_of_our_own_host_are_accepted() -> None:
    for text in ("https://brand.example/", "https://mygo.brand.example/", "https://go.brand.test/"):
        assert check(text, own_hosts=OWN_HOSTS) == text


def test_an_own_host_that_is_no_host_is_the_operators_error() -> None:
    with pytest.raises(ValueError, match="URL"):
        check("https://brand.com/", own_hosts=["not a host"])
