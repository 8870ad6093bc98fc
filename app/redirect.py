"""GET /{code}: send the viewer on, and remember that they came.

DESIGN
------
The one request that must be fast, and must never fail because of us. So it is an ASGI class
without Request or Response, behind no middleware; what it answers is prepared once for each
link; and all it does besides the look-up is to hash the visitor and append the hit to the
journal. Everything that can wait is done by the recorder.

A link is named by the raw bytes of the path, folded to lower case: nothing percent-decoded
names one. No header of the request chooses where it leads, and `Host` is never read.
"""

import asyncio
import logging
import re
import time
from collections.abc import Collection
from typing import Any

from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send
from uuid_utils import uuid7

from app.change_table import ChangeTable
from app.clicks.addresses import MissBudget, Networks, client_address, is_https, packed
from app.clicks.classifier import is_prefetch
from app.clicks.countries import Countries
from app.clicks.journal import MB, Journal
from app.clicks.links import Link, LinksAway, open_links
from app.clicks.queries import pass_through, with_click_id
from app.clicks.records import FORMAT, Record, frame
from app.clicks.visitors import DayKeys, Visitors
from app.settings import Settings

log = logging.getLogger(__name__)

_CODE = re.compile(rb"/[0-9A-Za-z_-]{3,64}")
_NOT_IN_URLS = re.compile(r"[^!-~]")
# Longer ones are cut: what is beyond is of no use to the recorder.
LONGEST_AGENT = 1024
LONGEST_REFERRER = 1024
LONGEST_QUERY = 2048
ROTATE_S = 60
TICK_S = 5

Headers = list[tuple[bytes, bytes]]

_COMMON: Headers = [
    (b"cache-control", b"private, no-store, max-age=0"),
    (b"x-robots-tag", b"noindex, nofollow"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"x-content-type-options", b"nosniff"),
]
FOUND = b"HTTP/1.1 302 Found\r\n"
# Where a server can send an answer as it is, without checking and joining it each time: our
# own `app.http_limits` can. Any other gets the same answer in ASGI's messages.
PREPARED = "tracklinks.prepared"
_NO_BODY = {"type": "http.response.body", "body": b""}
# Keeps the place of a click's id in an answer that is prepared for all. It is drawn at the
# start, so nothing that is stored can contain it.
_ANY_CLICK = uuid7().hex
_ANY_CLICK_BYTES = _ANY_CLICK.encode()


class _Page:
    """An answer that is always the same."""

    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        html = f"<!doctype html><html lang=en><title>{text}</title><p>{text}\n".encode()
        self.start = {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"text/html; charset=utf-8"),
                (b"content-length", b"%d" % len(html)),
                *_COMMON,
                *headers,
            ],
        }
        self.body = {"type": "http.response.body", "body": html}

    async def __call__(self, scope: Scope, send: Send) -> None:
        await send(self.start)
        await send(_NO_BODY if scope["method"] == "HEAD" else self.body)


_NOT_FOUND = _Page(404, "There is no such link.")
_GONE = _Page(410, "This link is no longer in use.")
_WRONG_METHOD = _Page(405, "A link is followed with GET.", (b"allow", b"GET, HEAD"))
_TOO_MANY = _Page(429, "Too many unknown links. Try again in a minute.", (b"retry-after", b"60"))
_AWAY = _Page(503, "This link can't be looked up now. Try again.", (b"retry-after", b"5"))
_NOT_YET = _Page(503, "Not before it is clicked.", (b"retry-after", b"60"))


class Answer:
    """The redirect to one destination: as ASGI has it, and as the bytes behind a status line."""

    __slots__ = ("_location", "rest")

    def __init__(self, location: bytes, rest: bytes) -> None:
        self._location = location
        self.rest = rest

    @classmethod
    def to(cls, destination: str) -> "Answer":
        # What was stored is clean; were it not, no byte of it could begin another header.
        location = _NOT_IN_URLS.sub(_percent, destination).encode("ascii")
        headers = b"".join(b"%b: %b\r\n" % header for header in _headers(location))
        return cls(location, headers + b"\r\n")

    def of_click(self, click_id: bytes) -> "Answer":
        """The same with this id in the place that was kept for it."""
        return Answer(
            self._location.replace(_ANY_CLICK_BYTES, click_id),
            self.rest.replace(_ANY_CLICK_BYTES, click_id),
        )

    @property
    def start(self) -> dict[str, Any]:
        headers = _headers(self._location)
        return {"type": "http.response.start", "status": 302, "headers": headers}


def _headers(location: bytes) -> Headers:
    return [(b"location", location), (b"content-length", b"0"), *_COMMON]


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


class CodeRoute(Route):
    """Matches what can be a short code, on the bytes of the path as they were sent."""

    def __init__(self, endpoint: Any, reserved: Collection[str]) -> None:
        super().__init__("/{code}", endpoint, name="redirect")
        self._reserved = frozenset(b"/" + word.encode() for word in reserved)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        path = scope["raw_path"]
        if _CODE.fullmatch(path) is None or path.lower() in self._reserved:
            return Match.NONE, {}
        return Match.FULL, {}


class Redirect:
    """The ASGI endpoint of `route()`. `open()` it in the process that serves."""

    def __init__(
        self, settings: Settings, table: ChangeTable, *, reserved: Collection[str] = ()
    ) -> None:
        """``reserved``: first path segments that are never codes but belong to other routes."""
        self.journal = Journal(
            settings.data_dir / "journal",
            fsync=settings.journal_fsync,
            max_bytes=settings.journal_max_mb * MB,
        )
        self.misses = 0
        # How many answers of each status, for whoever watches.
        self.answered = dict.fromkeys((302, 404, 405, 410, 429, 503), 0)
        self._reserved = reserved
        self._links = open_links(settings.database, table, own_hosts=settings.all_own_hosts)
        self._visitors = Visitors(DayKeys(settings.data_dir / "day-keys"))
        self._proxies = Networks(settings.trusted_proxies)
        self._excluded = Networks(settings.excluded_networks)
        self._has_proxies = bool(self._proxies)
        self._has_excluded = bool(self._excluded)
        self._budget = MissBudget(settings.unknown_codes_per_minute)
        self._countries = (
            Countries(settings.country_database) if settings.country_database else None
        )
        self._timer: asyncio.TimerHandle | None = None

    def route(self) -> CodeRoute:
        """To stand first, so that nothing behind it costs a click anything."""
        return CodeRoute(self, self._reserved)

    async def open(self) -> None:
        await self._links.open()
        self.journal.open()
        self._tick()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.journal.close()
        await self._links.close()

    def _tick(self) -> None:
        self.journal.rotate(older_than_s=ROTATE_S)
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            self.answered[405] += 1
            await _WRONG_METHOD(scope, send)
            return
        code: bytes = scope["raw_path"][1:].lower()
        link = self._links.kept(code)
        if link is None:
            try:
                link = await self._links.find(code)
            except LinksAway:
                self.answered[503] += 1
                await _AWAY(scope, send)
                return
            if link is None:
                await self._miss(scope, send)
                return
        try:
            is_refused, click_id = self._record(scope, link)
        except Exception:  # whatever it is, the viewer goes on
            self.journal.lost += 1
            log.exception("A click was redirected and not recorded")
            is_refused, click_id = False, None
        if self.journal.is_awaited:
            await self.journal.forced()
        if link.is_archived:
            self.answered[410] += 1
            await _GONE(scope, send)
        elif is_refused:
            self.answered[503] += 1
            await _NOT_YET(scope, send)
        else:
            self.answered[302] += 1
            await _follow(link, click_id, scope, send)

    def _record(self, scope: Scope, link: Link) -> tuple[bool, bytes | None]:
        """Append the hit to the journal. True for a prefetch, which is to be refused; and the
        click's id, where the destination may know it."""
        is_head = scope["method"] == "HEAD"
        query: bytes = scope["query_string"]
        fields: Headers = scope["headers"]
        headers = dict(fields)
        now_ms = time.time_ns() // 1_000_000
        client = scope["client"]
        address: str = client[0] if client else ""
        secure = scope["scheme"] == "https"
        if self._has_proxies:
            peer = address or None
            address = client_address(peer, fields, self._proxies)
            secure = is_https(scope["scheme"], peer, fields, self._proxies)
        agent = headers.get(b"user-agent", b"")[:LONGEST_AGENT]
        visitor = before = None
        click_id = uuid7().bytes
        is_known = headers.get(b"sec-gpc") != b"1" and headers.get(b"dnt") != b"1"
        if is_known:
            visitor, before = self._visitors.of(link.program, packed(address), agent, now_ms)
        prefetch = is_prefetch(headers)
        mode = headers.get(b"sec-fetch-mode")
        dest = headers.get(b"sec-fetch-dest")
        self.journal.append(
            frame(
                Record(
                    FORMAT,
                    click_id,
                    now_ms,
                    link.id,
                    link.program_id,
                    link.version,
                    link.is_archived,
                    is_head,
                    prefetch,
                    secure,
                    self._has_excluded and address in self._excluded,
                    visitor,
                    before,
                    agent.decode("latin-1"),
                    headers.get(b"referer", b"")[:LONGEST_REFERRER].decode("latin-1"),
                    query[:LONGEST_QUERY].decode("latin-1"),
                    None if mode is None else mode[:32].decode("latin-1"),
                    None if dest is None else dest[:32].decode("latin-1"),
                    self._countries.of(address) if self._countries else "",
                )
            )
        )
        return prefetch and not is_head, click_id if is_known else None

    async def _miss(self, scope: Scope, send: Send) -> None:
        self.misses += 1
        client = scope["client"]
        address = client[0] if client else ""
        if self._has_proxies:
            address = client_address(address or None, scope["headers"], self._proxies)
        is_within = self._budget.spend(packed(address), time.monotonic())
        self.answered[404 if is_within else 429] += 1
        await (_NOT_FOUND if is_within else _TOO_MANY)(scope, send)


async def _follow(link: Link, click_id: bytes | None, scope: Scope, send: Send) -> None:
    query: bytes = scope["query_string"]
    if click_id is not None and link.click_parameter is not None:
        answer = _tracked(link, link.click_parameter, click_id.hex(), query)
    elif query:
        answer = Answer.to(pass_through(link.destination, query))
    elif (answer := link.answer) is None:
        answer = link.answer = Answer.to(link.destination)
    extensions = scope.get("extensions")
    if (
        extensions is not None
        and PREPARED in extensions
        and extensions[PREPARED]["send"](FOUND, answer.rest)
    ):
        return
    await send(answer.start)
    await send(_NO_BODY)


def _tracked(link: Link, parameter: str, click_id: str, query: bytes) -> Answer:
    if query:
        return Answer.to(with_click_id(link.destination, query, parameter, click_id))
    if (prepared := link.tracked_answer) is None:
        location = with_click_id(link.destination, b"", parameter, _ANY_CLICK)
        prepared = link.tracked_answer = Answer.to(location)
    answer: Answer = prepared
    return answer.of_click(click_id.encode())
