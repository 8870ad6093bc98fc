"""Query strings: what is added to a destination, and the UTM that is kept of a viewer's."""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

LONGEST_LOCATION = 8_000
UTM_CHARACTERS = 100
# What a browser would encode in a query, or no header may carry. All else stays as it came.
_ENCODED = re.compile(rb"""[^!$%&()*+,\-./0-9:;=?@A-Z\[\\\]^_`a-z{|}~]""")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def pass_through(destination: str, query: bytes, taken: frozenset[str] = frozenset()) -> str:
    """The destination with the viewer's parameters added to its query.

    A parameter that the destination has is never added again, nor is one that is ``taken`` or
    begins with ``__``. Scheme, host, port, path and fragment stay as they are. If the result
    would be too long, the destination comes back unchanged.
    """
    own = _names_of(destination) | taken
    added = b"&".join(part for part in query.split(b"&") if part and _may_be_added(part, own))
    if not added:
        return destination
    text = _ENCODED.sub(lambda found: b"%%%02X" % found[0][0], added).decode("ascii")
    return _with(destination, text)


def with_click_id(destination: str, query: bytes, parameter: str, click_id: str) -> str:
    """As `pass_through`, and with the id of this click: never with the one of an earlier click
    that the viewer's query brings along.

    A destination that has the parameter itself keeps its own value, and gets no id.
    """
    if parameter in _names_of(destination):
        return pass_through(destination, query)
    pair = f"{parameter}={click_id}"
    location = _with(destination, pair)
    if query and location != destination:
        longer = pass_through(destination, query, frozenset({parameter}))
        with_both = _with(longer, pair)
        return with_both if with_both != longer else location
    return location


def _with(destination: str, text: str) -> str:
    url, hash_, fragment = destination.partition("#")
    joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    location = f"{url}{joint}{text}{hash_}{fragment}"
    return location if len(location) <= LONGEST_LOCATION else destination


def _names_of(destination: str) -> frozenset[str]:
    return _own_names(destination.partition("#")[0].partition("?")[2])


def _may_be_added(part: bytes, own: frozenset[str]) -> bool:
    return not any(name in own or name.startswith("__") for name in _names(part))


@lru_cache(maxsize=4096)
def _own_names(query: str) -> frozenset[str]:
    names: set[str] = set()
    for part in query.encode().split(b"&"):
        names |= _names(part)
    return frozenset(names)


def _names(part: bytes) -> set[str]:
    """What servers may take a piece of a query to name.

    Names are compared as the destination's server will read them: decoded, with a semicolon
    for a separator or for a letter, and as PHP sees them, to whom ``a.b``, ``a b`` and ``a_b[]``
    are ``a_b``.
    """
    pieces = {part, *part.split(b";")}
    names = (each.partition(b"=")[0].replace(b"+", b" ") for each in pieces)
    return {_plain(unquote_to_bytes(name).decode("utf-8", "replace")) for name in names}


def _plain(name: str) -> str:
    return name.partition("[")[0].strip().replace(".", "_").replace(" ", "_")


def utm(query: str) -> tuple[str, str, str]:
    """Source, medium and campaign of a query string; empty where there is none."""
    if "utm_" not in query:
        return "", "", ""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name.startswith("utm_"):
            # The journal keeps bytes as Latin-1; a URL means UTF-8.
            raw = unquote_to_bytes(value.replace("+", " ").encode("latin-1"))
            text = _CONTROLS.sub("", raw.decode("utf-8", "replace")).strip()
            found.setdefault(name, text[:UTM_CHARACTERS])
    return found.get("utm_source", ""), found.get("utm_medium", ""), found.get("utm_campaign", "")
