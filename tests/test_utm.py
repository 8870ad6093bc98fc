"""UTM parameters: put on a destination, and nothing else of it changed."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.utm import MAX_PARAMETERS, MAX_URL, MAX_VALUE, VARIABLES, BadUtm, apply, check

VALUES = {
    "creator.handle": "ana.b",
    "creator.id": "crt_0000000000005",
    "campaign.slug": "summer",
    "campaign.id": "cmp_0000000000007",
    "link.key": "summer_sale",
}
UTM = {"utm_source": "creator", "utm_content": "{creator.handle}"}
PAIR = "utm_source=creator&utm_content=ana.b"


@pytest.mark.parametrize(
    ("url", "result"),
    [
        ("https://brand.com/", f"https://brand.com/?{PAIR}"),
        ("https://brand.com/?", f"https://brand.com/?{PAIR}"),
        ("https://brand.com/x?a=1", f"https://brand.com/x?a=1&{PAIR}"),
        ("https://brand.com/x?a=1&", f"https://brand.com/x?a=1&{PAIR}"),
        ("https://brand.com/#top", f"https://brand.com/?{PAIR}#top"),
        ("https://brand.com/?a=1#/app?b=2#c", f"https://brand.com/?a=1&{PAIR}#/app?b=2#c"),
        ("https://brand.com/#?utm_source=x", f"https://brand.com/?{PAIR}#?utm_source=x"),
        ("https://b.com/?x=a+b%20c&&y&=z", f"https://b.com/?x=a+b%20c&&y&=z&{PAIR}"),
        ("https://b.com/?utm_source=tiktok", "https://b.com/?utm_source=tiktok&utm_content=ana.b"),
        ("https://b.com/?utm_source", "https://b.com/?utm_source&utm_content=ana.b"),
        ("https://b.com/?utm_source=", "https://b.com/?utm_source=&utm_content=ana.b"),
        ("https://b.com/?UTM_Source=x", "https://b.com/?UTM_Source=x&utm_content=ana.b"),
        ("https://b.com/?utm%5Fsource=x", "https://b.com/?utm%5Fsource=x&utm_content=ana.b"),
        ("https://b.com/?xutm_source=x", f"https://b.com/?xutm_source=x&{PAIR}"),
        (
            "https://b.com/?utm_source=x&utm_content=y#z",
            "https://b.com/?utm_source=x&utm_content=y#z",
        ),
    ],
)
def test_parameters_join_the_query_and_never_override_the_destination(
    url: str, result: str
) -> None:
    assert apply(url, UTM, VALUES) == result
    assert apply(result, UTM, VALUES) == result


@pytest.mark.parametrize(
    ("template", "values", "query"),
    [
        ("{creator.handle}-{campaign.slug}", VALUES, "utm_term=ana.b-summer"),
        ("a b&c=d#e?f+g", VALUES, "utm_term=a%20b%26c%3Dd%23e%3Ff%2Bg"),
        ("größe", VALUES, "utm_term=gr%C3%B6%C3%9Fe"),
        ("{creator.handle}", {"creator.handle": "a\r\nb: c"}, "utm_term=a%0D%0Ab%3A%20c"),
        ("{creator.handle}", {"creator.handle": "{creator.id}"}, "utm_term=%7Bcreator.id%7D"),
        ("{creator.handle}", {"creator.handle": "\ud800"}, "utm_term=%3F"),
        ("{creator.handle}", {"creator.handle": " "}, ""),
        ("x{creator.handle}", {}, "utm_term=x"),
        ("{creator.handle}", {}, ""),
    ],
)
def test_a_value_is_filled_in_once_and_percent_encoded(
    template: str, values: dict[str, str], query: str
) -> None:
    result = apply("https://brand.com/", {"utm_term": template}, values)
    assert result == f"https://brand.com/?{query}".removesuffix("?")


def test_no_parameters_leave_the_url_as_it_is() -> None:
    for url in ("https://brand.com/", "https://brand.com/?#", "https://brand.com/?a=1&#b"):
        assert apply(url, {}, VALUES) == url


def test_a_url_may_grow_to_its_limit_and_not_beyond() -> None:
    base = "https://brand.com/" + "x" * (MAX_URL - len(f"https://brand.com/?{PAIR}"))
    assert len(apply(base, UTM, VALUES)) == MAX_URL
    with pytest.raises(BadUtm) as refused:
        apply(f"{base}x", UTM, VALUES)
    assert (refused.value.reason, refused.value.name) == ("url_too_long", None)


def test_a_template_is_kept_in_its_order_without_surrounding_space() -> None:
    utm = {"utm_medium": " tiktok ", "utm_source": "{creator.handle}", "utm_x_2": "ü {link.key}"}
    assert list(check(utm).items()) == [
        ("utm_medium", "tiktok"),
        ("utm_source", "{creator.handle}"),
        ("utm_x_2", "ü {link.key}"),
    ]
    every = {f"utm_{number}": f"{{{name}}}" for number, name in enumerate(VARIABLES)}
    assert check(every) == every
    assert check({}) == {}


@pytest.mark.parametrize(
    ("utm", "reason"),
    [
        ({"source": "x"}, "name"),
        ({"utm_": "x"}, "name"),
        ({"UTM_SOURCE": "x"}, "name"),
        ({"utm_so urce": "x"}, "name"),
        ({"utm_source&a": "x"}, "name"),
        ({"utm_" + "x" * 61: "x"}, "name"),
        ({"utm_source": ""}, "blank"),
        ({"utm_source": "  "}, "blank"),
        ({"utm_source": "x" * (MAX_VALUE + 1)}, "too_long"),
        ({"utm_source": "a\nb"}, "control_character"),
        ({"utm_source": "a\ud800b"}, "control_character"),
        ({"utm_source": "{creator.email}"}, "unknown_variable"),
        ({"utm_source": "{}"}, "unknown_variable"),
        ({"utm_source": "{ creator.handle }"}, "unknown_variable"),
        ({"utm_source": "{creator.handle"}, "brace"),
        ({"utm_source": "a}b"}, "brace"),
        ({"utm_source": "{{creator.handle}}"}, "brace"),
    ],
)
def test_a_template_that_can_not_work_is_refused_and_names_the_parameter(
    utm: dict[str, str], reason: str
) -> None:
    with pytest.raises(BadUtm) as refused:
        check({"utm_medium": "tiktok", **utm})
    assert (refused.value.reason, refused.value.name) == (reason, *utm)
    assert str(refused.value) == refused.value.message


def test_there_may_be_only_so_many_parameters() -> None:
    utm = {f"utm_{number}": "x" for number in range(MAX_PARAMETERS + 1)}
    with pytest.raises(BadUtm) as refused:
        check(utm)
    assert refused.value.reason == "too_many"


URLS = st.from_regex(
    r"https://brand\.com/[a-z/%@]{0,9}(\?[a-zA-Z_=&+%;?]{0,20})?(#[a-z?#&=]{0,9})?", fullmatch=True
)
NAMES = st.sampled_from(["utm_source", "utm_medium", "utm_content", "utm_id"])


def values_of(name: str, query: str) -> list[str]:
    return [text for key, text in parse_qsl(query, keep_blank_values=True) if key == name]


@given(URLS, st.dictionaries(NAMES, st.text(max_size=20)), st.text(max_size=20))
def test_scheme_host_path_fragment_and_the_querys_own_bytes_never_change(
    url: str, utm: dict[str, str], handle: str
) -> None:
    values: dict[str, Any] = {"creator.handle": handle}
    result = apply(url, utm, values)

    before, after = urlsplit(url), urlsplit(result)
    assert after[:3] == before[:3]
    assert result.partition("#")[1:] == url.partition("#")[1:]
    assert after.query.startswith(before.query)
    assert result.isascii()
    assert apply(result, utm, values) == result
    for name in utm:
        own = values_of(name, before.query)
        if own:
            assert values_of(name, after.query) == own
