"""Decides what each hit counts as: rules in a fixed order, and the first that fits is the reason.

DESIGN

The rules know two moments. `is_prefetch` is asked at the redirect, because a prefetch is the one
hit that is answered otherwise: with a refusal, so that the browser comes again when the person
really goes. All else is judged by `judge` when the journal is drained, and the answer to the
viewer never depends on it: a preview has to reach the destination to show it, and a filter that
is wrong about somebody must not stand in their way.

    (a test)     our own self-test followed the link: stored, and in no figure whatever
    head         the method is HEAD: somebody looks where the link leads
    prefetch     a browser or an app fetches in advance
    subresource  a page asked for it as an image, a frame or data: nobody went there
    no-ua        no user agent
    scanner      the referrer is a service that tries the links in messages
    bot:…        the user agent is a program's; why, says `app.clicks.user_agents`
    network      the operator has excluded this network
    duplicate    the same visitor on the same link a moment ago: `is_duplicate`, which needs to
                 know of earlier clicks and is asked by whoever counts

What is left is counted. Of that, a hit is suspect when it lacks a header that the browser it
claims to be always sends: mail scanners pose as browsers, but so do people behind proxies that
strip headers. So suspects are counted, and shown apart.

Reasons are stored. Whoever changes a rule raises `VERSION`, which is stored beside them.
"""

import re
from collections.abc import Collection, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from app.clicks import user_agents

VERSION: Final = 3
# The user agent of our own self-test. Whoever else sends it takes themselves out of all figures,
# as a bot's would; it earns nobody anything.
SELF_TEST_AGENT: Final = "Tracklinks-Self-Test/1"


class Verdict(IntEnum):
    """As in `app.models.clicks`, which this layer does not know; a test compares them."""

    COUNTED = 0
    EXCLUDED = 1
    AFTER_ARCHIVE = 2
    TEST = 3


HEAD: Final = "head"
PREFETCH: Final = "prefetch"
SUBRESOURCE: Final = "subresource"
NO_USER_AGENT: Final = "no-ua"
SCANNER: Final = "scanner"
NETWORK: Final = "network"
DUPLICATE: Final = "duplicate"
BOT: Final = "bot:"

# Every reason there is. Reports are grouped by them, so there are no others.
REASONS: Final = frozenset(
    {HEAD, PREFETCH, SUBRESOURCE, NO_USER_AGENT, SCANNER, NETWORK, DUPLICATE}
    | {BOT + why for why in user_agents.REASONS - {"empty"}}
)

PREFETCH_HEADERS: Final = frozenset((b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"))
_PREFETCHES: Final = re.compile(rb"prefetch|prerender|preview", re.IGNORECASE)

# Services that open the links in mails and chats, and say so in the referrer. With subdomains.
SCANNER_HOSTS: Final = frozenset(
    (
        "statics.teams.cdn.office.net",
        "urlsand.com",
        "mimecastprotect.com",
        "deref-mail.com",
        "deref-gmx.com",
    )
)

# Repeated within so much time, a click is a double tap or an app's "open in browser".
DUPLICATE_WINDOW_MS: Final = 10_000


class Hit(NamedTuple):
    """The facts of a request for a link. A header that was not sent is None."""

    is_head: bool = False
    is_prefetch: bool = False
    fetch_dest: str | None = None
    fetch_mode: str | None = None
    user_agent: str = ""
    referrer: str = ""
    is_https: bool = False
    is_excluded_network: bool = False
    is_archived: bool = False


class Judgement(NamedTuple):
    verdict: Verdict
    reason: str  # one of `REASONS`; empty for a person
    is_suspect: bool


_TEST: Final = Judgement(Verdict.TEST, "", is_suspect=False)
_PERSON: Final = Judgement(Verdict.COUNTED, "", is_suspect=False)
_SUSPECT: Final = Judgement(Verdict.COUNTED, "", is_suspect=True)


def is_prefetch(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser or an app fetches in advance, from headers with names in lower case."""
    if headers.keys().isdisjoint(PREFETCH_HEADERS):
        return False
    return any(_PREFETCHES.search(headers.get(name, b"")) for name in PREFETCH_HEADERS)


# Viewers come in crowds: with the same browser, from the same post.
@lru_cache(maxsize=8192)
def judge(hit: Hit, scanners: frozenset[str] = SCANNER_HOSTS) -> Judgement:
    """What the hit counts as, judged by itself alone. Never raises.

    A hit on an archived link keeps the reason it would have been excluded for: the verdict says
    that it was answered 410, the reason whether a person got to see that.
    """
    if hit.user_agent == SELF_TEST_AGENT:
        return _TEST
    reason = _reason(hit, scanners)
    if hit.is_archived:
        return Judgement(Verdict.AFTER_ARCHIVE, reason, is_suspect=False)
    if reason:
        return Judgement(Verdict.EXCLUDED, reason, is_suspect=False)
    return _SUSPECT if _is_suspect(hit) else _PERSON


def _reason(hit: Hit, scanners: Collection[str]) -> str:  # noqa: PLR0911 - one for each rule
    if hit.is_head:
        return HEAD
    if hit.is_prefetch:
        return PREFETCH
    if not _is(hit.fetch_dest, "document") or not _is(hit.fetch_mode, "navigate"):
        return SUBRESOURCE
    if not hit.user_agent.strip():
        return NO_USER_AGENT
    if hit.referrer and _is_under(referrer_host(hit.referrer), scanners):
        return SCANNER
    why = user_agents.judge(hit.user_agent)
    if why is not None:
        return BOT + why
    return NETWORK if hit.is_excluded_network else ""


def _is(header: str | None, value: str) -> bool:
    """Whether a header has this value or was not sent; sent without a value is not sent."""
    return not header or header.strip().lower() in {value, ""}


def _is_under(host: str, hosts: Collection[str]) -> bool:
    while host:
        if host in hosts:
            return True
        host = host.partition(".")[2]
    return False


# The browsers that send Sec-Fetch-Mode, from the version on in which they began.
_ENGINE: Final = re.compile(r"(Chrome|Firefox)/(\d{1,4})")
_SAFARI: Final = re.compile(r"Version/(\d{1,4})(?:\.(\d{1,4}))?[\w./ ]{0,60}Safari/")
_SENDING_SINCE: Final = {"Chrome": 80, "Firefox": 90}
_SAFARI_SENDING_SINCE: Final = (16, 4)


def _is_suspect(hit: Hit) -> bool:
    # Over plain HTTP no browser sends it.
    if not hit.is_https or (hit.fetch_mode and hit.fetch_mode.strip()):
        return False
    text = hit.user_agent[: user_agents.LONGEST]
    # First, because what is built on Chrome may write Version and Safari too.
    if engine := _ENGINE.search(text):
        return int(engine[2]) >= _SENDING_SINCE[engine[1]]
    safari = _SAFARI.search(text)
    return safari is not None and (int(safari[1]), int(safari[2] or 0)) >= _SAFARI_SENDING_SINCE


def is_duplicate(now_ms: int, last_ms: int, window_ms: int = DUPLICATE_WINDOW_MS) -> bool:
    """Whether a hit only repeats the same visitor's last click on the same link.

    A clock that was set back never makes the window longer: what lies further ahead than the
    window is as far away as what lies further back. A window of 0 finds no duplicates.
    """
    return window_ms > 0 and abs(now_ms - last_ms) <= window_ms


def is_unique(now_ms: int, unique_ms: int, window_ms: int) -> bool:
    """Whether a click begins a new visit, the visitor's last unique click being at `unique_ms`."""
    return abs(now_ms - unique_ms) >= window_ms


_REFERRER: Final = re.compile(
    r"\s*(?:https?|android-app)://(?:[^/?#@\\]*@)?"
    r"([a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,126})\.?(?::\d{0,5})?(?:[/?#]|\s*$)",
    re.IGNORECASE,
)
_LONGEST_HOST: Final = 253


@lru_cache(maxsize=8192)
def referrer_host(referrer: str) -> str:
    """The host of a Referer header in lower case, at most 253 characters; empty for anything odd.

    Of an app that opened the link it is the package: `com.google.android.gm`. An address is no
    host: it would be somebody's.
    """
    found = _REFERRER.match(referrer)
    if found is None:
        return ""
    host = found[1].lower()
    last = host.rpartition(".")[2]
    if len(host) > _LONGEST_HOST or last.isdigit() or last.startswith("0x"):
        return ""
    return host
