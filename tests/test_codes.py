"""Short codes: how they are drawn, matched and chosen."""

import random
import re
import secrets
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codes import ALPHABET, LENGTH, RESERVED, BadCode, check_custom, fold, new_code, new_codes

# Chi-square with 27 degrees of freedom, for letters of 28. Taking bytes modulo 28, the usual
# mistake, gives some 1,500 for a million.
P_001 = 55.48
# p = 0.001 for the eight positions together (Bonferroni): a fair draw fails once in a thousand runs.
P_001_OF_EIGHT = 62.44
# A fair draw goes beyond this once in a thousand million times: a test does not cry wolf.
NEVER = 97.8


def furthest_off(codes: list[str]) -> float:
    """The largest chi-square of a position, of codes that are all that they should be."""
    assert len(set(codes)) == len(codes)
    assert {len(code) for code in codes} == {LENGTH} == {8}
    assert not RESERVED & set(codes)
    expected = len(codes) / len(ALPHABET)
    letters = "".join(codes)
    found = []
    for position in range(LENGTH):
        seen = Counter(letters[position::LENGTH])
        assert seen.keys() == set(ALPHABET)
        found.append(sum((times - expected) ** 2 / expected for times in seen.values()))
    print([round(value, 1) for value in found])  # noqa: T201 - the figure
    return max(found)


def test_a_million_codes_are_distinct_and_fair_in_every_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Made of bytes that are the same in every run.

    Of the system's, a fair draw is below p = 0.001 in one of eight positions once in 125 runs, and
    to draw again then would hide a fault. What is ours is what we make of the bytes. The first
    seed that was tried.
    """
    monkeypatch.setattr(secrets, "token_bytes", random.Random(1).randbytes)  # noqa: S311 - to repeat it
    codes = new_codes(1_000_000)
    assert len(codes) == 1_000_000
    assert furthest_off(codes) < P_001


@pytest.mark.slow
def test_a_million_codes_of_the_systems_bytes_are_distinct_and_fair() -> None:
    codes = new_codes(1_000_000)
    assert len(codes) == 1_000_000
    assert furthest_off(codes) < P_001_OF_EIGHT


def test_two_hundred_thousand_codes_of_the_systems_bytes_are_distinct_and_fair() -> None:
    codes = new_codes(200_000)
    assert len(codes) == 200_000
    assert furthest_off(codes) < NEVER


def test_a_letter_says_nothing_about_the_next() -> None:
    pairs = Counter(code[0:2] for code in new_codes(200_000))
    expected = 200_000 / len(ALPHABET) ** 2
    chi_square = sum((pairs[a + b] - expected) ** 2 / expected for a in ALPHABET for b in ALPHABET)
    assert chi_square < 1_050  # 783 degrees of freedom, 6.7 standard deviations


@pytest.mark.parametrize("count", [0, 1, 2, 1_000])
def test_as_many_codes_come_as_were_asked_for(count: int) -> None:
    assert len(new_codes(count)) == count


def test_the_alphabet_has_no_vowels_and_nothing_that_is_misread() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 28
    assert not set(ALPHABET) & set("aeiou01l")
    assert ALPHABET.isascii()
    assert ALPHABET.lower() == ALPHABET


def test_a_random_code_is_never_a_reserved_word_and_is_its_own_canonical_form() -> None:
    assert not [word for word in RESERVED if len(word) == LENGTH and set(word) <= set(ALPHABET)]
    code = new_code()
    assert fold(code) == fold(code.upper()) == check_custom(code) == code


@pytest.mark.parametrize(
    ("requested", "code"),
    [
        ("4f7k2mpq", "4f7k2mpq"),
        ("4F7K2MPQ", "4f7k2mpq"),
        ("Summer-Sale_24", "summer-sale_24"),
        ("-ab", "-ab"),
        ("abc", "abc"),
        ("a" * 64, "a" * 64),
        ("ab", None),
        ("a" * 65, None),
        ("a" * 10_000_000, None),
        ("", None),
        ("abc\n", None),
        ("abc ", None),
        ("ab.c", None),
        ("ab/c", None),
        ("ab%63", None),
        ("ab\0c", None),
        ("\u212aelvin", None),  # begins with the sign for kelvin, which lower() would turn into k
        ("äbc", None),
        ("١٢٣", None),
    ],
)
def test_a_requested_code_is_matched_without_case_or_can_be_none(
    requested: str, code: str | None
) -> None:
    assert fold(requested) == code


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ("summer", "summer"),
        ("Ana10", "ana10"),
        ("2024-sale", "2024-sale"),
        ("a_b", "a_b"),
        ("graphql2", "graphql2"),
        ("x" * 64, "x" * 64),
    ],
)
def test_a_brand_may_choose_a_code(chosen: str, code: str) -> None:
    assert check_custom(chosen) == code


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ("ab", "pattern"),
        ("x" * 65, "pattern"),
        ("-ab", "pattern"),
        ("_ab", "pattern"),
        ("a b", "pattern"),
        ("sälé", "pattern"),
        ("track.js", "pattern"),
        ("", "pattern"),
        ("graphql", "reserved"),
        ("GraphQL", "reserved"),
        ("healthz", "reserved"),
        ("conversions", "reserved"),
        ("rnetrics", "look_alike"),
        ("graphq1", "look_alike"),
        ("graphqi", "look_alike"),
        ("heaithz", "look_alike"),
        ("adm1n", "look_alike"),
        ("adrn1n", "look_alike"),
        ("l0gin", "look_alike"),
        ("vvww", "look_alike"),
        ("stat1c", "look_alike"),
    ],
)
def test_reserved_words_and_what_looks_like_them_are_refused(chosen: str, reason: str) -> None:
    with pytest.raises(BadCode) as refused:
        check_custom(chosen)
    assert refused.value.reason == reason
    assert str(refused.value) == refused.value.message


def test_every_path_of_our_own_is_reserved() -> None:
    ours = "graphql graphiql manager conversions conversion.gif track.js reports metrics healthz"
    others = "readyz static assets .well-known favicon.ico robots.txt api admin"
    assert set(ours.split()) | set(others.split()) <= RESERVED


@given(st.one_of(st.text(), st.from_regex(r"[0-9A-Za-z_.-]{1,70}", fullmatch=True)))
def test_any_text_is_a_code_or_is_refused(text: str) -> None:
    folded = fold(text)
    assert (folded is None) == (re.fullmatch(r"[0-9A-Za-z_-]{3,64}", text, re.ASCII) is None)
    try:
        code = check_custom(text)
    except BadCode:
        return
    assert code == folded == check_custom(code)
    assert code not in RESERVED
