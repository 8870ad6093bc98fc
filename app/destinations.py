"""Which URLs we may send people to, and the one spelling in which each is kept.

DESIGN
------
The parser is the URL standard's (Rust's ``url``, which pydantic brings), because whatever
browsers and we read differently is a hole. But the standard repairs what it can: it deletes
line breaks, takes ``\\`` for ``/`` and ``user@`` for a name. So whatever people and machines
could read in two ways is refused before it parses, and hosts that no viewer can reach after.

Nothing here looks a name up. We never fetch a destination, so a public name that leads to a
private address harms nobody.
"""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from pydantic_core import Url, ValidationError

MAX_LENGTH: Final = 2048  # characters, as given and as kept

# Each with the reason that it gives and what to tell the person.
_FORBIDDEN: Final = (
    (
        "control_character",
        re.compile(r"[\x00-\x1f\x7f-\x9f]"),
        "holds a line break or another control character",
    ),
    ("surrogate", re.compile(r"[\ud800-\udfff]"), "holds half of a character"),
    (
        "invisible_character",
        re.compile(
            r"[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
            r"\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
        ),
        "holds a character that nobody can see",
    ),
    ("backslash", re.compile(r"\\"), "holds a backslash, where addresses have /,"),
)
# Looked for behind the scheme: `two words` lack more than an encoded space.
_SPACE: Final = ("space", re.compile(r"\s"), "holds a space")

_HTTP: Final = re.compile(r"https?://(?!/)", re.IGNORECASE)
_END_OF_AUTHORITY: Final = re.compile(r"[/?#]")
# What may stand before the path when the scheme is missing: `brand.com`, `brand.com:8443`,
# `localhost:8000`. Anything else before a colon is a scheme, and a bare word is no host.
# The dots include the three that IDNA reads as one.
_BARE_AUTHORITY: Final = re.compile(r"(?:[^:]*[.。．｡][^:]*|localhost)(?::[0-9]*)?", re.IGNORECASE)  # noqa: RUF001 - those are the dots

# Top-level names that lead nowhere on the public Internet.
_PRIVATE_NAME: Final = re.compile(
    "alt|arpa|corp|home|i2p|internal|intranet|invalid|lan|local|localdomain|localhost|onion|private"
)

# Ports that browsers refuse to open (the Fetch standard's "bad ports"), and 0.
_BLOCKED_PORTS: Final = frozenset(
    int(port)
    for ports in (
        "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110",
        "111 113 115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531",
        "532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190",
        "5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080",
    )
    for port in ports.split()
)

# Scripts that are written together within one word. Any other mixture imitates something.
_WRITTEN_TOGETHER: Final = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "HANGUL"},
    {"LATIN", "CJK", "BOPOMOFO"},
)


class BadDestination(ValueError):
    """We do not send people there. ``reason`` is for programs, ``message`` for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


def check(text: str, *, own_hosts: Collection[str] = (), allow_private: bool = False) -> str:
    """The ASCII URL to keep and to redirect to, or BadDestination.

    Surrounding spaces are dropped and a missing scheme means ``https://``. The host becomes
    lower-case ASCII and a default port goes; path, query and fragment keep every byte that
    the URL standard lets stand in a URL, and have the others percent-encoded. Checking what
    was returned returns it unchanged.

    ``own_hosts`` and all names below them are refused: a link to ourselves may lead back to
    itself. Each is ``host`` or ``host:port``; one that is no host raises ValueError.
    ``allow_private`` accepts IP addresses, names without a dot and private names as well.
    """
    given = text.strip(" ")
    _check_length(given)
    _forbid(given, *_FORBIDDEN)
    text = _with_scheme(given)
    _forbid(given, _SPACE)
    _check_authority(text)
    try:
        url = Url(text)
    except ValidationError:
        raise BadDestination(
            "not_a_url",
            "This is not a web address. Check the part before the first /: it needs a name such "
            "as brand.com and, if any, a port up to 65535.",
        ) from None
    _check_host(url, allow_private=allow_private)
    if (own := _own(url, own_hosts)) is not None:
        raise BadDestination(
            "own_host",
            f"{own} is the address of the tracking links themselves. Give the page that "
            "viewers should arrive at.",
        )
    if url.port in _BLOCKED_PORTS:
        raise BadDestination(
            "port", f"Browsers refuse to open port {url.port}. Leave the port out, or use another."
        )
    kept = str(url)
    if len(kept) > MAX_LENGTH:
        raise _too_long(len(kept))
    return kept


def leads_home(url: str, own_hosts: Collection[str]) -> bool:
    """Whether a URL that was checked once would be refused now as an own host's."""
    return _own(Url(url), own_hosts) is not None


def host_of(url: str) -> str:
    """The host of a URL that was checked once."""
    return Url(url).host or ""


def with_names_above(host: str) -> list[str]:
    """A host and what it is under: ``a.b.example``, ``b.example``, ``example``."""
    labels = host.split(".")
    return [".".join(labels[place:]) for place in range(len(labels))]


def _own(url: Url, own_hosts: Collection[str]) -> str | None:
    host = url.host or ""
    of = (own for own in map(_own_host, own_hosts) if host == own or host.endswith(f".{own}"))
    return next(of, None)


def _too_long(length: int) -> BadDestination:
    return BadDestination(
        "too_long",
        f"The address may be {MAX_LENGTH:,} characters long, and this one takes {length:,} when "
        "written out in ASCII. Use a shorter one.",
    )


def _check_length(text: str) -> None:
    if not text:
        raise BadDestination(
            "empty", "Give the address of the page, such as https://brand.com/sale."
        )
    if len(text) > MAX_LENGTH:
        raise _too_long(len(text))


def _forbid(text: str, *characters: tuple[str, re.Pattern[str], str]) -> None:
    for reason, pattern, what in characters:
        if found := pattern.search(text):
            letter = ord(found[0])
            raise BadDestination(
                reason,
                f"The address {what} (U+{letter:04X}) at position {found.start() + 1}. Remove it "
                "or, if it belongs there, write it percent-encoded.",
            )


def _with_scheme(text: str) -> str:
    if _HTTP.match(text):
        return text
    if _BARE_AUTHORITY.fullmatch(_authority(text)):
        return f"https://{text}"
    # It may look as if it did, to who pasted a no-break space along.
    space = _SPACE[1].search(text)
    where = f" A space (U+{ord(space[0]):04X}) is at position {space.start() + 1}." if space else ""
    raise BadDestination(
        "scheme",
        f"The address must begin with https:// or http://, as in https://brand.com/sale.{where}",
    )


def _authority(text: str) -> str:
    """What stands before the path, in a URL without scheme."""
    return _END_OF_AUTHORITY.split(text, maxsplit=1)[0]


def _check_authority(text: str) -> None:
    authority = _authority(text.partition("://")[2])
    if "@" in authority:
        raise BadDestination(
            "credentials",
            "The address has an @ before its first /, so it names a user or is an e-mail "
            "address. Give a web address without user name and password.",
        )
    if "%" in authority:
        raise BadDestination(
            "host_percent_encoded",
            "The host is percent-encoded. Write it in plain letters, as in https://brand.com/sale.",
        )


def _check_host(url: Url, *, allow_private: bool) -> None:
    host = url.host or ""
    if host.endswith("."):
        raise BadDestination("trailing_dot", "The host ends in a dot. Remove the dot.")
    # The parser has brought every spelling of an IPv4 address into the dotted form.
    if host.startswith("[") or host.replace(".", "").isdigit():
        if not allow_private:
            raise BadDestination("ip_host", "The host is an IP address. Give the site by its name.")
        return
    labels = host.split(".")
    if len(host) > 253 or not all(1 <= len(label) <= 63 for label in labels):  # noqa: PLR2004 - RFC 1035
        raise BadDestination(
            "host",
            "The host is not a possible name: between its dots stand 1 to 63 characters, and "
            "at most 253 in all.",
        )
    if not labels[-1][0].isalpha():
        raise BadDestination("host", f".{labels[-1]} is no ending of a host name.")
    if not allow_private:
        _check_public(labels)
    if "xn--" in host:
        _check_scripts(url.unicode_host() or "")


def _check_public(labels: list[str]) -> None:
    if len(labels) == 1:
        raise BadDestination(
            "single_label_host",
            f"{labels[0]} is a name inside one network. Give a public one, such as brand.com.",
        )
    if _PRIVATE_NAME.fullmatch(labels[-1]):
        raise BadDestination(
            "private_host",
            f"Viewers can't reach names that end in .{labels[-1]}. Give a public one.",
        )


def _check_scripts(host: str) -> None:
    for label in host.split("."):
        if not _one_way_of_writing(label):
            raise BadDestination(
                "mixed_script_host",
                f"“{label}” mixes alphabets, as names do that imitate another. If the name is "
                "right, write it in the letters of one alphabet.",
            )


def _one_way_of_writing(label: str) -> bool:
    scripts = set()
    for letter in label:
        if unicodedata.category(letter).startswith("L"):
            # The first word of a letter's name is its script: LATIN SMALL LETTER A.
            script = re.split("[ -]", unicodedata.name(letter, "UNNAMED"), maxsplit=1)[0]
            scripts.add("CJK" if script == "IDEOGRAPHIC" else script)
    scripts.discard("MODIFIER")  # letters of every script
    return len(scripts) <= 1 or any(scripts <= together for together in _WRITTEN_TOGETHER)


@lru_cache(maxsize=64)
def _own_host(text: str) -> str:
    return (Url(f"http://{text}/").host or "").rstrip(".")
