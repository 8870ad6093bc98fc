"""Whatever is accepted as a destination, every parser of URLs finds the same host in it."""

import random
from urllib.parse import urlsplit

import ada_url
import pytest
import yarl
from hypothesis import given, settings
from hypothesis import strategies as st

from app.destinations import MAX_LENGTH, BadDestination, check
from tests.test_destinations import OWN_HOSTS, rows

SEEDS = [row["input"] for row in rows("destinations.jsonl") + rows("wpt-http.jsonl")]
MAY_STAND_IN_A_URL = {chr(code) for code in range(0x21, 0x7F)} - {"\\"}
PIECES = [
    *"/\\@:?#%.&=[]<>|^`{}\"'!*~ \t\r\n\0\x7f\x85\xa0\xad",
    *("//", "@evil.example", "%00", "%2e%2e/", "%0d%0a", "..", "xn--", "://", "https://", "http:"),
    *("javascript:", ":80", ":443", ":0", ":65536", "127.0.0.1", "0x7f.1", "[::1]", "localhost"),
    *("é", "ß", "ı", "İ", "а", "。", "．", "／", "＠", "％", "①", "\u200b", "\u202e", "\ufeff"),  # noqa: RUF001 - look-alikes
    *("\ud800", "😀", "\u0308", "go.brand.example", "user:pw@", "\u3000", "\ufe0f", "\U000e0041"),
]


def hosts(kept: str) -> set[tuple[str, int | None]]:
    """The host and the port that each parser finds; first as one reads them without any."""
    authority = kept.split("/")[2]
    host, colon, digits = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, digits = authority, ""
    by_ada, by_urllib, by_yarl = ada_url.URL(kept), urlsplit(kept), yarl.URL(kept, encoded=True)
    return {
        (host.strip("[]"), int(digits) if digits else None),
        (by_ada.hostname.strip("[]"), int(by_ada.port) if by_ada.port else None),
        (by_urllib.hostname or "", by_urllib.port),
        (by_yarl.raw_host or "", by_yarl.explicit_port),
    }


def hold_the_promises(text: str, *, allow_private: bool) -> bool:
    """Check one input, and what must be true of whatever is accepted. Says whether it was."""
    try:
        kept = check(text, own_hosts=OWN_HOSTS, allow_private=allow_private)
    except BadDestination:
        return False
    assert check(kept, own_hosts=OWN_HOSTS, allow_private=allow_private) == kept
    assert kept.startswith(("https://", "http://"))
    assert len(kept) <= MAX_LENGTH
    assert set(kept) <= MAY_STAND_IN_A_URL  # so it is ASCII without CR, LF, TAB, space, backslash
    assert len(hosts(kept)) == 1, (kept, hosts(kept))
    # The standard has encoded a ^ in paths since our parser was made. Nothing else differs.
    assert ada_url.URL(kept).href.replace("%5E", "^") == kept.replace("%5E", "^")
    return True


def mutated(text: str, dice: random.Random) -> str:
    for _ in range(dice.randint(1, 4)):
        at, to = sorted((dice.randint(0, len(text)), dice.randint(0, len(text))))
        match dice.randrange(5):
            case 0:
                text = text[:at] + dice.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + dice.choice(PIECES) + text[at + 1 :]
            case 2:
                text = text[:at] + text[min(to, at + 5) :]
            case 3:
                text = text[:to] + text[at:]
            case _:
                text = text[:at] + text[at:to].swapcase() + text[to:]
    return text


def fuzz(rounds: int, seed: int) -> int:
    """Mutate the listed texts in turn. How many were accepted."""
    dice = random.Random(seed)  # noqa: S311 - a failing run has to be repeatable
    accepted = sum(
        hold_the_promises(mutated(SEEDS[number % len(SEEDS)], dice), allow_private=number % 2 == 0)
        for number in range(seed, seed + rounds)
    )
    assert accepted > rounds / 50  # or nothing was compared
    return accepted


def test_whatever_is_accepted_has_one_spelling_and_one_host_for_every_parser() -> None:
    assert len(SEEDS) == 139 + 280
    fuzz(20_000, seed=14)


@pytest.mark.slow
def test_whatever_is_accepted_has_one_spelling_and_one_host_for_every_parser_400_000_times() -> (
    None
):
    accepted = sum(fuzz(20_000, seed) for seed in range(20))
    print(f"{accepted} of 400,000 accepted")  # noqa: T201 - the figure


def test_the_comparison_sees_where_parsers_part() -> None:
    """On what is never kept in this spelling: or their agreement would prove nothing."""
    for text in ("https://Brand.com/", "https://brand.com:443/", "https://brand%2ecom/"):
        assert len(hosts(text)) > 1, text


@settings(max_examples=300)
@given(st.text(max_size=60), st.sampled_from(["", "https://", "https://brand.com/"]), st.booleans())
def test_any_text_is_either_kept_or_refused(text: str, before: str, allow_private: bool) -> None:
    hold_the_promises(before + text, allow_private=allow_private)
