"""UTM parameters of a link's destination: put on from a template, and read for reports.

They are put on when the link is made, so that the redirect stays a copy of stored bytes. The
rest of the URL is never taken apart and put together again: parsing and writing a query
changes it (order, ``+`` or ``%20``, empty values), and the brand's site may mind.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_plus

MAX_URL: Final = 2048  # characters: what a destination may have
MAX_VALUE: Final = 200  # characters of one parameter's template
MAX_PARAMETERS: Final = 20

VARIABLES: Final = (
    "creator.handle",
    "creator.id",
    "campaign.slug",
    "campaign.id",
    "link.key",
)

REPORTED: Final = ("utm_source", "utm_medium", "utm_campaign")

_NAME: Final = re.compile(r"utm_[a-z0-9_]{1,60}")
_VARIABLE: Final = re.compile(r"\{([^{}]*)\}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class BadUtm(ValueError):
    """These UTM parameters can't be used. ``name`` is the parameter at fault, None for all
    together; ``reason`` is for programs, ``message`` for people."""

    def __init__(self, reason: str, message: str, name: str | None = None) -> None:
        super().__init__(reason, message, name)
        self.reason = reason
        self.message = message
        self.name = name

    def __str__(self) -> str:
        return self.message


def check(utm: Mapping[str, str]) -> dict[str, str]:
    """The template as it is kept, values without surrounding white space, or BadUtm."""
    if len(utm) > MAX_PARAMETERS:
        raise BadUtm(
            "too_many", f"There may be {MAX_PARAMETERS} UTM parameters, and these are {len(utm)}."
        )
    return {name: _checked(name, value.strip()) for name, value in utm.items()}


def _checked(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadUtm(
            "name",
            "The name of a UTM parameter is utm_ and up to 60 letters a to z, digits and _, such "
            "as utm_source.",
            name,
        )
    if not value:
        raise BadUtm("blank", f"{name} is empty. Give it a value, or leave it out.", name)
    if len(value) > MAX_VALUE:
        raise BadUtm(
            "too_long", f"{name} may have {MAX_VALUE} characters, and this has {len(value)}.", name
        )
    if _UNPRINTABLE.search(value):
        raise BadUtm("control_character", f"{name} holds a control character. Remove it.", name)
    for variable in _VARIABLE.findall(value):
        if variable not in VARIABLES:
            known = ", ".join(f"{{{known}}}" for known in VARIABLES)
            raise BadUtm(
                "unknown_variable", f"{name} names {{{variable}}}. There are {known}.", name
            )
    if re.search(r"[{}]", _VARIABLE.sub("", value)):
        raise BadUtm(
            "brace",
            f"{name} has a brace without its partner. Write variables as {{{VARIABLES[0]}}}.",
            name,
        )
    return value


def apply(url: str, utm: Mapping[str, str], values: Mapping[str, str]) -> str:
    """The URL with the parameters at the end of its query and everything else unchanged.

    ``utm`` is a template that ``check`` has passed, ``values`` what its variables stand for.
    A parameter that the URL has already, in whatever case, stays as it is there. A variable
    without a value is nothing, and a parameter of which nothing remains is left out. Raises
    BadUtm when the URL would grow beyond MAX_URL.
    """
    base, hash_sign, fragment = url.partition("#")
    before, _, query = base.partition("?")
    present = {unquote_plus(part.partition("=")[0]).lower() for part in query.split("&")}
    added = []
    for name, template in utm.items():
        # One pass: a handle that itself holds {creator.id} stays as it is.
        value = _VARIABLE.sub(lambda found: values.get(found[1], ""), template).strip()
        if value and name.lower() not in present:
            added.append(f"{quote(name, safe='')}={quote(value, safe='', errors='replace')}")
    if not added:
        return url
    joint = "" if not query or query.endswith("&") else "&"
    result = f"{before}?{query}{joint}{'&'.join(added)}{hash_sign}{fragment}"
    if len(result) > MAX_URL:
        raise BadUtm(
            "url_too_long",
            f"With its UTM parameters the address would have {len(result):,} characters, of which "
            f"{MAX_URL:,} are allowed. Shorten them, or the destination.",
        )
    return result


def of_url(url: str) -> tuple[str, str, str]:
    """Source, medium and campaign that the URL's query names, empty where it names none."""
    found: dict[str, str] = {}
    for part in url.partition("#")[0].partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        name = unquote_plus(name).lower()
        if name in REPORTED:
            text = _UNPRINTABLE.sub("", unquote_plus(value, errors="replace")).strip()
            found.setdefault(name, text[:MAX_VALUE])
    source, medium, campaign = (found.get(name, "") for name in REPORTED)
    return source, medium, campaign
