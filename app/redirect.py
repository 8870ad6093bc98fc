"""GET /{code}: send the viewer on, and remember that they came.

DESIGN
------
The one request that must be fast, and must never fail because of us. So it is an ASGI class
without Request or Response, behind no middleware; what it answers is prepared once for each
link; and all it does besides the look-up is to hash the visitor and append the hit to the
journal. Everything that can wait is done by the recorder.

Where nothing has to be waited for, there is a shorter way than ASGI: `_at_once`, which a server
that knows it calls first. Both end in `_follow`, so they answer and record alike.

A link is named by the raw bytes of the path, folded to lower case: nothing percent-decoded
names one. No header of the request chooses where it leads, and `Host` is never read.
"""

import asyncio
import logging
import re
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send
from uuid_utils import uuid7

from app.answers import ANY_CLICK, AT_ONCE, Answer, AtOnce, Headers, page
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
_TARGET = re.compile(rb"/([^?#]*)(?:\?([^#]*))?")  # what is none may still be a request
_NOT_IN_URLS = re.compile(r"[^!-~]")
# Longer ones are cut: what is beyond is of no use to the recorder.
LONGEST_AGENT = 1024
LONGEST_REFERRER = 1024
LONGEST_QUERY = 2048
ROTATE_S = 60
TICK_S = 5

_WRONG_METHOD = page(
    HTTPStatus.METHOD_NOT_ALLOWED, "A link is followed with GET.", (b"allow", b"GET, HEAD")
)
_NOT_FOUND = page(HTTPStatus.NOT_FOUND, "There is no such link.")
_GONE = page(HTTPStatus.GONE, "This link is no longer in use.")
_TOO_MANY = page(
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too many unknown links. Try again in a minute.",
    (b"retry-after", b"60"),
)
_AWAY = page(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "This link can't be looked up now. Try again.",
    (b"retry-after", b"5"),
)
_NOT_YET = page(
    HTTPStatus.SERVICE_UNAVAILABLE, "Not before it is clicked.", (b"retry-after", b"60")
)


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

    @property
    def state(self) -> dict[str, AtOnce]:
        """What a lifespan gives to the server, so that it need not wait where we don't."""
        return {AT_ONCE: self._at_once}

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
        answer, click_id = await self._answer(scope)
        self.answered[answer.status] += 1
        await answer.send(send, click_id, is_head=scope["method"] == "HEAD")

    def _at_once(
        self, method: bytes, target: bytes, headers: Headers, address: str, scheme: str
    ) -> tuple[bytes, bytes] | None:
        """The same answer as bytes, if nothing has to be waited for: see `app.answers.AT_ONCE`."""
        is_head = method == b"HEAD"
        found = _TARGET.fullmatch(target)
        if found is None or not (is_head or method == b"GET") or self.journal.is_awaited:
            return None
        link = self._links.kept(found[1].lower())  # so it has been found, by the route
        if link is None:
            return None
        query: bytes = found[2] or b""
        answer, click_id = self._follow(link, is_head, query, headers, address, scheme)
        self.answered[answer.status] += 1
        return answer.head(click_id), b"" if is_head else answer.body

    async def _answer(self, scope: Scope) -> tuple[Answer, bytes]:
        """What to say, and the id of the click for it."""
        method = scope["method"]
        if method not in {"GET", "HEAD"}:
            return _WRONG_METHOD, b""
        client = scope["client"]
        address: str = client[0] if client else ""
        code: bytes = scope["raw_path"][1:].lower()
        link = self._links.kept(code)
        if link is None:
            try:
                link = await self._links.find(code)
            except LinksAway:
                return _AWAY, b""
            if link is None:
                return self._missed(scope["headers"], address), b""
        query: bytes = scope["query_string"]
        followed = self._follow(
            link, method == "HEAD", query, scope["headers"], address, scope["scheme"]
        )
        if self.journal.is_awaited:
            await self.journal.forced()
        return followed

    def _follow(
        self, link: Link, is_head: bool, query: bytes, headers: Headers, address: str, scheme: str
    ) -> tuple[Answer, bytes]:
        """Append the hit to the journal, and say where it leads."""
        try:
            is_refused, click_id = self._record(link, is_head, query, headers, address, scheme)
        except Exception:  # whatever it is, the viewer goes on
            self.journal.lost += 1
            log.exception("A click was redirected and not recorded")
            is_refused, click_id = False, None
        if link.is_gone:
            return _GONE, b""
        if is_refused:
            return _NOT_YET, b""
        if click_id is None or link.click_parameter is None:
            return _untracked(link, query), b""
        return _tracked(link, link.click_parameter, query), click_id.hex().encode()

    def _record(
        self, link: Link, is_head: bool, query: bytes, fields: Headers, address: str, scheme: str
    ) -> tuple[bool, bytes | None]:
        """True for a prefetch, which is to be refused; and the click's id, where the destination
        may know it."""
        headers = dict(fields)
        now_ms = time.time_ns() // 1_000_000
        secure = scheme == "https"
        if self._has_proxies:
            peer = address or None
            address = client_address(peer, fields, self._proxies)
            secure = is_https(scheme, peer, fields, self._proxies)
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
                    link.is_gone,
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

    def _missed(self, headers: Headers, address: str) -> Answer:
        self.misses += 1
        if self._has_proxies:
            address = client_address(address or None, headers, self._proxies)
        is_within = self._budget.spend(packed(address), time.monotonic())
        return _NOT_FOUND if is_within else _TOO_MANY


def _untracked(link: Link, query: bytes) -> Answer:
    if query:
        return _to(pass_through(link.destination, query))
    if link.answer is None:
        link.answer = _to(link.destination)
    return link.answer


def _tracked(link: Link, parameter: str, query: bytes) -> Answer:
    if query:
        return _to(with_click_id(link.destination, query, parameter, ANY_CLICK))
    if link.tracked_answer is None:
        link.tracked_answer = _to(with_click_id(link.destination, b"", parameter, ANY_CLICK))
    return link.tracked_answer


def _to(destination: str) -> Answer:
    # What was stored is clean; were it not, no byte of it could begin another header.
    location = _NOT_IN_URLS.sub(_percent, destination).encode("ascii")
    return Answer(HTTPStatus.FOUND, [(b"location", location)])


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())
