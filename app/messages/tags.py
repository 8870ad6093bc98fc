"""Merge tags: what stands in ``{{…}}`` in a message, and what becomes of it.

DESIGN
------
A template is text with tags, not a language: no conditions, no loops, nothing that a value
could set off. ``{{ first_name | there }}`` has a name and perhaps a fallback; white space
inside the braces does not matter. ``\\{{`` writes the two braces themselves, and only before
braces is a backslash special (``\\\\{{first_name}}``: a backslash, then the name).

Parsing goes over the text once, from left to right, whatever is in it. It does not fail: what
is not a tag is a fault with a place, so that a template saved long ago can be shown as broken.
Rendering copies values in and never looks at them again.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

NAMES: Final = (
    "first_name",
    "last_name",
    "creator_name",
    "campaign_name",
    "campaign_manager_link",
    "all_tracking_links",
)
MAX_KEY: Final = 64  # characters
MAX_FAULTS: Final = 20  # reported for one template; the first ones are enough to work on

_LINK: Final = "tracking_link"
_KEY: Final = re.compile(r"[a-z0-9_]{1,64}")
# Letters that Unicode does not take apart into a plain letter and a mark.
_PLAIN: Final = str.maketrans(
    {
        "æ": "ae",
        "ð": "d",
        "đ": "d",
        "ħ": "h",
        "\u0131": "i",
        "ł": "l",
        "ø": "o",
        "œ": "oe",
        "þ": "th",
    }
)


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag and where it stands: ``template[start:end]``, in characters."""

    name: str  # one of NAMES, or "tracking_link"
    key: str | None  # of a tracking link only
    fallback: str | None  # None: there is none; "": nothing will do
    start: int
    end: int

    @property
    def reference(self) -> str:
        """What the values for rendering call it: ``first_name``, ``tracking_link.summer_sale``."""
        return self.name if self.key is None else f"{self.name}.{self.key}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in braces that is no tag. Lines and columns count from 1."""

    reason: str  # "unclosed", "malformed", "unknown_tag"
    message: str
    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Template:
    """A template taken apart: text and tags in order. Sound if there are no faults."""

    parts: tuple[str | Tag, ...]
    faults: tuple[Fault, ...]

    @property
    def tags(self) -> tuple[Tag, ...]:
        return tuple(part for part in self.parts if isinstance(part, Tag))

    @property
    def link_keys(self) -> tuple[str, ...]:
        """KEY of each ``{{tracking_link.KEY}}``, once, in order of appearance."""
        return tuple(dict.fromkeys(tag.key for tag in self.tags if tag.key is not None))

    @property
    def lists_all_links(self) -> bool:
        return any(tag.name == "all_tracking_links" for tag in self.tags)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text for one recipient, and the references of the tags that nothing could fill.
    If anything is missing, the text has gaps and is not to be sent."""

    text: str
    missing: tuple[str, ...]


def parse(template: str) -> Template:
    """Take a template apart. Never fails: what is wrong is in ``faults``. With MAX_FAULTS it
    stops, and the rest is text."""
    parts: list[str | Tag] = []
    faults: list[Fault] = []
    at = 0  # everything before is in parts
    # Each round goes on behind what it looked at, or finds a fault: that bounds the work.
    while len(faults) < MAX_FAULTS and (start := template.find("{{", at)) >= 0:
        text, escaped = _unescape(template[at:start])
        parts.append(text)
        at = start + 2
        if escaped:
            parts.append("{{")
            continue
        close = template.find("}}", at)
        if close < 0 or template.find("{{", at, close) >= 0:
            message = (
                "These braces are never closed. Write \\{{ if the braces themselves are meant."
            )
            faults.append(_fault("unclosed", message, template, start, at))
            parts.append("{{")
            continue
        found = _tag(template, start, close + 2)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            parts.append(found)
        at = close + 2
    parts.append(template[at:])
    return Template(tuple(part for part in parts if part), tuple(faults))


def render(template: Template, values: Mapping[str, str | None]) -> Rendered:
    """The text with each tag's value, by reference; a value that is absent or blank gives way
    to the tag's fallback. Values are copied as they are, braces and all.

    Raises ValueError for a template with faults.
    """
    if template.faults:
        raise ValueError(f"a broken template can't be rendered: {template.faults[0].message}")
    text: list[str] = []
    missing: dict[str, None] = {}
    for part in template.parts:
        if isinstance(part, str):
            text.append(part)
            continue
        value = values.get(part.reference)
        if value is None or not value.strip():
            value = part.fallback
        if value is None:
            missing[part.reference] = None
        else:
            text.append(value)
    return Rendered("".join(text), tuple(missing))


def token(key: str) -> str:
    """The tag of a campaign link, to paste into a message."""
    return f"{{{{{_LINK}.{key}}}}}"


def escape(text: str) -> str:
    """A template that says just this text, whatever braces it holds."""
    *before_braces, last = text.split("{{")
    return "".join(f"{_double_backslashes(part)}\\{{{{" for part in before_braces) + last


def tag_key(name: str, taken: Collection[str]) -> str:
    """KEY for a campaign link of this name: ``Summer Sale!`` becomes ``summer_sale``.

    Letters a to z, digits and single underscores, at most MAX_KEY; ``link`` where nothing of
    the name remains. Where ``taken`` has it, a number follows: ``summer_sale_2``.
    """
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_PLAIN)
    unmarked = "".join(letter for letter in plain if not unicodedata.combining(letter))
    base = re.sub(r"[^a-z0-9]+", "_", unmarked).strip("_")[:MAX_KEY].strip("_") or "link"
    others = set(taken)
    key, number = base, 1
    while key in others:
        number += 1
        suffix = f"_{number}"
        key = base[: MAX_KEY - len(suffix)].rstrip("_") + suffix
    return key


def _unescape(text: str) -> tuple[str, bool]:
    """Text that stands before two braces, and whether its backslashes take their meaning away.
    Two backslashes there are one."""
    stripped = text.rstrip("\\")
    backslashes = len(text) - len(stripped)
    return stripped + "\\" * (backslashes // 2), backslashes % 2 == 1


def _double_backslashes(text: str) -> str:
    return text + "\\" * (len(text) - len(text.rstrip("\\")))


def _tag(template: str, start: int, end: int) -> Tag | Fault:
    inside = template[start + 2 : end - 2]
    written, bar, rest = inside.partition("|")
    reference = written.strip()
    fallback = rest.strip() if bar else None
    name, dot, key = reference.partition(".")
    if reference in NAMES:
        return Tag(reference, None, fallback, start, end)
    if name == _LINK and dot and _KEY.fullmatch(key):
        return Tag(name, key, fallback, start, end)
    if name == _LINK:
        message = (
            "A tracking link's tag is {{tracking_link.KEY}}; each campaign link shows its own."
        )
        return _fault("malformed", message, template, start, end)
    if not re.fullmatch(r"[\w.-]{1,100}", reference):
        message = "This is not a tag. A tag is a name in double braces, such as {{first_name}}."
        return _fault("malformed", message, template, start, end)
    near = get_close_matches(reference.lower(), NAMES, n=1)
    hint = f"Did you mean {{{{{near[0]}}}}}?" if near else f"There are {', '.join(NAMES)}."
    message = f"There is no tag {{{{{reference}}}}}. {hint}"
    return _fault("unknown_tag", message, template, start, end)


def _fault(reason: str, message: str, template: str, start: int, end: int) -> Fault:
    line = template.count("\n", 0, start) + 1
    column = start - template.rfind("\n", 0, start)
    return Fault(reason, message, start, end, line, column)
