"""Merge tags: what they are replaced by, and what is said about those that are none."""

# ruff: noqa: RUF001 - names come in all letters

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.tags import (
    MAX_FAULTS,
    MAX_KEY,
    NAMES,
    Tag,
    escape,
    parse,
    render,
    tag_key,
    token,
)

ANA = {
    "first_name": "Ana",
    "last_name": "",
    "creator_name": "Ana B",
    "campaign_name": "Summer",
    "campaign_manager_link": None,
    "all_tracking_links": "Summer Sale: https://go.test/4f7k2mpq\nTikTok: https://go.test/9k3m5xzt",
    "tracking_link.summer_sale": "https://go.test/4f7k2mpq",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("Hello", "Hello"),
        ("Hi {{first_name}}!", "Hi Ana!"),
        ("{{first_name}}{{creator_name}}", "AnaAna B"),
        ("{{ first_name }} {{\tfirst_name\n}}", "Ana Ana"),
        ("{{first_name|there}}", "Ana"),
        ("{{last_name|there}}", "there"),
        ("{{ last_name | dear friend }}", "dear friend"),
        ("[{{last_name|}}]", "[]"),
        ("{{last_name|a|b}}", "a|b"),
        ("{{last_name|{x} y}}", "{x} y"),
        ("{{campaign_manager_link|soon}}", "soon"),
        ("Post {{tracking_link.summer_sale}} today", "Post https://go.test/4f7k2mpq today"),
        ("{{ tracking_link.winter|the shop }}", "the shop"),
        ("{{all_tracking_links}}", ANA["all_tracking_links"]),
        ("{first_name} } }} { {", "{first_name} } }} { {"),
        (r"\{{first_name}}", "{{first_name}}"),
        (r"\\{{first_name}}", r"\Ana"),
        (r"\\\{{first_name}}", r"\{{first_name}}"),
        (r"C:\new \\server \{", r"C:\new \\server \{"),
        (r"\{{{first_name}}", "{{{first_name}}"),
        (r"\{{ {{first_name}}", "{{ Ana"),
        ("{{first_name}}}", "Ana}"),
        ("ä😀{{first_name}}😀", "ä😀Ana😀"),
    ],
)
def test_a_message_is_filled_in(template: str, text: str) -> None:
    parsed = parse(template)
    assert parsed.faults == ()
    assert render(parsed, ANA) == render(parse(template), ANA)
    assert render(parsed, ANA).text == text
    assert render(parsed, ANA).missing == ()


def test_what_nothing_can_fill_is_named_once_in_order() -> None:
    template = parse(
        "{{tracking_link.x}} {{last_name}} {{first_name}} {{last_name}}{{last_name|-}}"
    )
    rendered = render(template, ANA)
    assert rendered.missing == ("tracking_link.x", "last_name")
    assert rendered.text == "  Ana -"


@pytest.mark.parametrize("value", ["{{last_name}}", r"\{{x}}", "{{", "}}", r"\1 \g<0>", "%s {0}"])
def test_a_value_is_never_read_as_a_template(value: str) -> None:
    rendered = render(parse("{{first_name}} {{last_name|" + "x}}"), {"first_name": value})
    assert rendered.text == f"{value} x"


def test_tags_say_where_they_stand() -> None:
    template = "ä {{first_name|you}}, {{ tracking_link.summer_sale }} {{tracking_link.summer_sale}}"
    parsed = parse(template)
    first, second, third = parsed.tags

    assert first == Tag("first_name", None, "you", 2, 20)
    assert second.reference == third.reference == "tracking_link.summer_sale"
    assert template[second.start : second.end] == "{{ tracking_link.summer_sale }}"
    assert parsed.link_keys == ("summer_sale",)
    assert not parsed.lists_all_links
    assert parse("{{all_tracking_links}}").lists_all_links


@pytest.mark.parametrize(
    ("template", "reason", "at"),
    [
        ("Hi {{frist_name}}", "unknown_tag", "{{frist_name}}"),
        ("Hi {{First_Name}}", "unknown_tag", "{{First_Name}}"),
        ("Hi {{email|x}}", "unknown_tag", "{{email|x}}"),
        ("Hi {{}}", "malformed", "{{}}"),
        ("Hi {{ | x}}", "malformed", "{{ | x}}"),
        ("Hi {{first name}}", "malformed", "{{first name}}"),
        ("Hi {{{first_name}}}", "malformed", "{{{first_name}}"),
        ("Hi {{tracking_link}}", "malformed", "{{tracking_link}}"),
        ("Hi {{tracking_link.}}", "malformed", "{{tracking_link.}}"),
        ("Hi {{tracking_link.Summer}}", "malformed", "{{tracking_link.Summer}}"),
        ("Hi {{tracking_link.a.b}}", "malformed", "{{tracking_link.a.b}}"),
        (
            "Hi {{tracking_link." + "x" * 65 + "}}",
            "malformed",
            "{{tracking_link." + "x" * 65 + "}}",
        ),
        ("Hi {{" + "x" * 101 + "}}", "malformed", "{{" + "x" * 101 + "}}"),
        ("Hi {{first_name", "unclosed", "{{"),
        ("Hi {{first_name}", "unclosed", "{{"),
        ("Hi {{first_name, {{last_name}}", "unclosed", "{{"),
        ("Hi {{", "unclosed", "{{"),
    ],
)
def test_what_is_no_tag_is_reported_with_its_place(template: str, reason: str, at: str) -> None:
    (fault,) = parse(f"Dear\nfriend,\n{template}").faults
    assert (fault.reason, fault.line, fault.column) == (reason, 3, 4)
    assert f"Dear\nfriend,\n{template}"[fault.start : fault.end] == at
    assert len(fault.message) < 300


def test_a_misspelt_tag_is_told_the_right_spelling() -> None:
    assert "Did you mean {{first_name}}?" in parse("{{frist_name}}").faults[0].message
    assert "Did you mean {{first_name}}?" in parse("{{FIRST_NAME}}").faults[0].message
    assert (
        "Did you mean {{all_tracking_links}}?" in parse("{{All_Tracking_Link}}").faults[0].message
    )


def test_tags_around_a_fault_are_still_found() -> None:
    parsed = parse("{{first_name}} {{oops}} {{last_name, {{tracking_link.a}} \\{{ {{")
    assert [tag.reference for tag in parsed.tags] == ["first_name", "tracking_link.a"]
    assert [fault.reason for fault in parsed.faults] == ["unknown_tag", "unclosed", "unclosed"]


def test_a_broken_template_is_never_rendered() -> None:
    with pytest.raises(ValueError, match="no tag"):
        render(parse("{{oops}}"), ANA)


@pytest.mark.parametrize(
    ("begin", "piece", "times", "end"),
    [
        ("", "{", 10_000_000, ""),
        ("", "{{ ", 3_000_000, "}}"),
        ("", "{{first_name|", 700_000, ""),
        ("", "\\", 10_000_000, ""),
        ("", "\\", 10_000_000, "{{"),
        ("", "\\{{", 500_000, ""),
        ("{{", " ", 10_000_000, "}}"),
        ("{{", "x", 10_000_000, "}}"),
        ("{{first_name|", "{", 10_000_000, "}}"),
        ("", "}}", 5_000_000, "{{first_name}}"),
        ("", "{{first_name}}", 200_000, ""),
        ("", "{{first_name}}", 200_000, "{{"),
        ("", "{{oops}} ", 1_000_000, ""),
    ],
)
def test_ten_megabytes_of_anything_are_taken_apart_in_one_pass(
    begin: str, piece: str, times: int, end: str
) -> None:
    """Time that grows with the square would be hours here, so this needs no clock."""
    hostile = begin + piece * times + end
    assert len(parse(hostile).faults) <= MAX_FAULTS


def test_escaping_is_as_fast() -> None:
    for hostile in ("{" * 1_000_000, "\\" * 5_000_000, "\\" * 5_000_000 + "{{", "\\{{" * 200_000):
        # Compared outside of assert: pytest would explain the difference for minutes.
        same = render(parse(escape(hostile)), {}).text == hostile
        assert same


BRACES = st.text(st.sampled_from("{}\\|. \nab"), max_size=40)
MOSTLY_TAGS = st.lists(
    st.one_of(
        BRACES,
        st.sampled_from([f"{{{{{name}}}}}" for name in NAMES]),
        st.just("{{tracking_link.a}}"),
    )
).map("".join)


@given(st.one_of(st.text(), BRACES))
def test_any_text_can_be_said_literally(text: str) -> None:
    assert render(parse(escape(text)), {}).text == text


@given(st.one_of(st.text(), MOSTLY_TAGS))
def test_any_text_parses_and_each_tag_and_fault_is_where_it_says(text: str) -> None:
    parsed = parse(text)
    end = 0
    for tag in parsed.tags:
        assert end <= tag.start
        end = tag.end
        assert re.fullmatch(r"\{\{[^{].*\}\}", text[tag.start : tag.end], re.DOTALL)
        assert tag.reference in text[tag.start : tag.end]
    for fault in parsed.faults:
        assert text[fault.start : fault.start + 2] == "{{"
        assert text.split("\n")[fault.line - 1][fault.column - 1 :].startswith("{{")


@given(MOSTLY_TAGS, st.text())
def test_the_text_between_tags_stays_and_values_come_in_whole(text: str, value: str) -> None:
    parsed = parse(text)
    if parsed.faults:
        return
    values = dict.fromkeys((tag.reference for tag in parsed.tags), value)
    rendered = render(parsed, values)
    pieces = [
        part if isinstance(part, str) else (value if value.strip() else part.fallback or "")
        for part in parsed.parts
    ]
    assert rendered.text == "".join(pieces)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Summer Sale!", "summer_sale"),
        ("  --Ünïcode  Straße-- ", "unicode_strasse"),
        ("Smørrebrød & Œuvre", "smorrebrod_oeuvre"),
        ("ŁÓDŹ", "lodz"),
        ("ｆｕｌｌ　ｗｉｄｔｈ ①", "full_width_1"),
        ("İstanbul Isparta ısı", "istanbul_isparta_isi"),
        ("ℌöchster ℝang", "hochster_rang"),
        ("50% off", "50_off"),
        ("夏セール", "link"),
        ("!!!", "link"),
        ("", "link"),
        ("x" * 200, "x" * 64),
        ("x" * 63 + " y", "x" * 63),
        ("a_b__c", "a_b_c"),
    ],
)
def test_a_campaign_links_name_makes_its_key(name: str, key: str) -> None:
    assert tag_key(name, []) == key


@pytest.mark.parametrize(
    ("name", "taken", "key"),
    [
        ("Sale", ["sale"], "sale_2"),
        ("Sale", ["sale", "sale_2", "sale_4"], "sale_3"),
        ("Sale 2", ["sale_2"], "sale_2_2"),
        ("夏", ["link"], "link_2"),
        ("x" * 70, ["x" * 64], "x" * 62 + "_2"),
        ("x" * 61 + " yy", ["x" * 61 + "_yy"], "x" * 61 + "_2"),
    ],
)
def test_a_key_that_is_taken_gets_a_number(name: str, taken: list[str], key: str) -> None:
    assert tag_key(name, taken) == key


@given(st.text(), st.lists(st.text(), max_size=5))
def test_every_key_can_be_pasted_and_is_found_again(name: str, others: list[str]) -> None:
    taken: list[str] = []
    for other in [*others, name, name]:
        taken.append(tag_key(other, taken))
    assert len(set(taken)) == len(taken)
    assert all(len(key) <= MAX_KEY for key in taken)
    assert parse(" ".join(map(token, taken))).link_keys == tuple(taken)
