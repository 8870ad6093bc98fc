"""How shops report conversions over plain HTTP: signed, from a page, and by our script.

DESIGN
------
Whoever reports, `app.resolvers.conversions.record_all` decides. What differs is how far they are
believed. A shop's server signs the raw bytes of its report, or sends an API key: verified. A
page can keep no secret, so whatever comes by the pixel is unverified, and the pixel answers
the same 43 bytes whatever came of it: it can't be asked what exists.

A signature is checked before anything of the body is read as JSON, and every failure of it has
one answer. The program is named in the query, because the signature has to be looked up by it;
to name another's only finds other secrets.
"""

import asyncio
import contextlib
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import shop_reports
from app.auth import Permission, Viewer
from app.clicks.addresses import MissBudget
from app.database import Database, is_a_race, is_away
from app.errors import Refused
from app.ids import decode
from app.models import Role
from app.resolvers import conversions
from app.resolvers.change import Change
from app.resolvers.conversion_reports import Report, or_refused
from app.resolvers.conversion_settings import SECRETS_MAX, live_secrets
from app.resolvers.inputs import size
from app.resolvers.refunds import Refund, refund_all
from app.shop_reports import Answer

log = logging.getLogger(__name__)

TOLERANCE_S = 300
BODY_MAX = 256 * 1024
BODY_S = 10
LIST_MAX = 1_000
REPORTS_PER_MINUTE = 6_000
ATTEMPTS = 5
SETTLE_S = 1.0
AWAY_S = 5
SIGNATURES_MAX = 10

GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
_SCRIPT = (Path(__file__).parent / "assets" / "track.js").read_bytes()
_SCRIPT_TAG = f'"{sha256(_SCRIPT).hexdigest()[:16]}"'
_FROM_ANYWHERE = {
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
_PIXEL_HEADERS = {**_FROM_ANYWHERE, "Cache-Control": "no-store", "Content-Type": "image/gif"}
_SCRIPT_HEADERS = {
    **_FROM_ANYWHERE,
    "Cache-Control": "public, max-age=3600",
    "Content-Type": "text/javascript; charset=utf-8",
    "ETag": _SCRIPT_TAG,
}
_DIGITS = re.compile(r"[0-9]{1,12}")
_NO_SECRET = "no secret at all"  # noqa: S105 - compared with when there is none

Result = TypeVar("Result")
Authenticate = Callable[[str | None], Awaitable[Viewer | None]]
Write = Callable[[Change], Awaitable[Result]]


class Conversions:
    """The routes; and, between `open` and `close`, the attribution of what came before its click."""

    def __init__(self, database: Database, authenticate: Authenticate) -> None:
        self._database = database
        self._authenticate = authenticate
        self._budget = MissBudget(REPORTS_PER_MINUTE)
        self._task: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/conversions", self.report, methods=["POST"]),
            Route("/conversions/refunds", self.refund, methods=["POST"]),
            Route("/conversion.gif", self.pixel),
            Route("/track.js", self.script),
        ]

    async def open(self) -> None:
        self._task = asyncio.create_task(self._settle_for_ever(), name="attribution")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def report(self, request: Request) -> Response:
        """POST /conversions: a shop's server reports a sale, or a list of them."""

        async def write(change: Change, program_id: int | None, bodies: list[Any]) -> list[Answer]:
            reports = [or_refused(partial(shop_reports.report, body)) for body in bodies]
            good = [each for each in reports if isinstance(each, Report)]
            done = iter(await conversions.record_all(change, program_id, good, is_verified=True))
            return [
                shop_reports.recorded(each if isinstance(each, Refused) else next(done))
                for each in reports
            ]

        return await self._told(request, write)

    async def refund(self, request: Request) -> Response:
        """POST /conversions/refunds: a shop's server takes sales back, or parts of them."""

        async def write(change: Change, program_id: int | None, bodies: list[Any]) -> list[Answer]:
            refunds = [or_refused(partial(shop_reports.refund, body)) for body in bodies]
            good = [each for each in refunds if isinstance(each, Refund)]
            made = iter(await refund_all(change, program_id, good))
            return [
                shop_reports.refunded(each if isinstance(each, Refused) else next(made))
                for each in refunds
            ]

        return await self._told(request, write)

    async def pixel(self, request: Request) -> Response:
        """GET /conversion.gif: a page reports a sale. The answer is always the same."""
        try:
            await self._from_page(request)
        except Refused as refused:
            log.debug("A page's report was refused: %s", refused)
        except (SQLAlchemyError, OSError):
            log.warning("A page's report was lost", exc_info=True)
        return Response(GIF, headers=_PIXEL_HEADERS)

    async def script(self, request: Request) -> Response:
        """GET /track.js: what a shop's pages load. Its query is for the script itself."""
        if request.headers.get("if-none-match") == _SCRIPT_TAG:
            return Response(status_code=304, headers=_SCRIPT_HEADERS)
        return Response(_SCRIPT, headers=_SCRIPT_HEADERS)

    async def settle(self) -> int:
        """Attribute what came before its click, as far as that is known by now."""
        now = datetime.now(UTC)
        async with self._database.reading() as session:
            if (await session.exec(conversions.due(now).limit(1))).first() is None:
                return 0
        async with self._database.writing() as session:
            return await conversions.settle(session, now=now)

    async def _settle_for_ever(self) -> None:
        while True:
            try:
                is_more = await self.settle() == conversions.SETTLED_AT_ONCE
            except (SQLAlchemyError, OSError):
                is_more = False  # the database is away, or busy: all stays as it was
            if not is_more:
                await asyncio.sleep(SETTLE_S)

    async def _from_page(self, request: Request) -> None:
        query = request.query_params
        program_id = decode("prg", query.get("program", ""))
        if program_id is None or not self._is_within_budget(b"page", program_id):
            return
        viewer = Viewer(Role.CONVERSIONS, program_id)
        report = Report(
            type=query.get("type") or "purchase",
            order_id=query.get("orderId"),
            click_ids=tuple(query.get("clickIds", "").split(".")),
            coupon=query.get("coupon"),
            amount=query.get("amount") or None,
            currency=query.get("currency") or None,
        )
        page = request.headers.get("origin") or request.headers.get("referer")

        async def write(change: Change) -> None:
            settings = await conversions.tracking(change.session, viewer, program_id)
            if _is_of(page, settings.sites):
                await conversions.record(change, program_id, report, is_verified=False)

        await self._write(viewer, write)

    async def _told(
        self,
        request: Request,
        write: Callable[[Change, int | None, list[Any]], Awaitable[list[Answer]]],
    ) -> Response:
        """What came of a report; if the database can't say, that it should come again."""
        try:
            return await self._keyed(request, write)
        except (SQLAlchemyError, OSError) as error:
            if not is_away(error):
                raise
            log.warning("A shop must report again: %r", getattr(error, "orig", error))
        refusal = _refusal(503, "UNAVAILABLE", "The report can't be kept now. Send it again.")
        refusal.headers["Retry-After"] = str(AWAY_S)
        return refusal

    async def _keyed(
        self,
        request: Request,
        write: Callable[[Change, int | None, list[Any]], Awaitable[list[Answer]]],
    ) -> Response:
        raw = await _body(request)
        if isinstance(raw, Response):
            return raw
        named = request.query_params.get("program")
        program_id = None if named is None else decode("prg", named) or 0
        viewer = await self._viewer(request, program_id, raw)
        if viewer is None:
            return _refusal(401, "UNAUTHENTICATED", "The signature or the key is not valid.")
        body = shop_reports.read(raw)
        bodies = body if isinstance(body, list) else [body]
        if not self._is_within_budget(
            b"keyed", viewer.program_id or program_id or 0, reports=max(len(bodies), 1)
        ):
            return _refusal(429, "RATE_LIMITED", f"{REPORTS_PER_MINUTE} reports a minute at most.")
        if body is None:
            return _refusal(400, "INVALID", "The body is not a JSON object, or a list of them.")
        try:
            size(bodies, LIST_MAX)
            answers = await self._write(viewer, lambda change: write(change, program_id, bodies))
        except Refused as refused:
            answers = [shop_reports.refused(refused)]
        else:
            if isinstance(body, list):
                results = [{"status": status, **answer} for status, answer in answers]
                return JSONResponse({"results": results})
        status, answer = answers[0]
        return JSONResponse(answer, status)

    async def _viewer(self, request: Request, program_id: int | None, raw: bytes) -> Viewer | None:
        """Whoever reports, if they may: by their key, or by the program's secret."""
        bearer = request.headers.get("authorization", "")
        if bearer[:7].lower() == "bearer ":
            viewer = await self._authenticate(bearer[7:].strip())
            return viewer if viewer and viewer.may(Permission.REPORT_CONVERSIONS) else None
        async with self._database.reading() as session:
            secrets = await live_secrets(session, program_id or 0)
        signature = request.headers.get("x-signature", "")
        if not is_signed(signature, raw, secrets, now_s=time.time()):
            return None
        return Viewer(Role.CONVERSIONS, program_id)

    async def _write(self, viewer: Viewer, write: "Write[Result]") -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._database.writing() as session:
                    now = datetime.now(UTC)
                    return await write(Change(session, viewer, now, check_destination=str))
            except DBAPIError as error:
                if attempt == ATTEMPTS or not is_a_race(error):
                    raise
        raise AssertionError

    def _is_within_budget(self, way: bytes, program_id: int, *, reports: int = 1) -> bool:
        return self._budget.spend(way + program_id.to_bytes(8), time.monotonic(), misses=reports)


def sign(raw: bytes, secret: str, *, at_s: int) -> str:
    """The value of X-Signature for these bytes, at this moment."""
    return f"t={at_s},v1={_digest(secret, str(at_s), raw)}"


def is_signed(signature: str, raw: bytes, secrets: list[str], *, now_s: float) -> bool:
    """Whether one of the secrets made one of the signatures, at most 300 seconds ago or ahead.

    Every combination is compared to its end, and where there are fewer secrets than there may be,
    others are compared with in their place: so that time tells nothing.
    """
    pairs = [part.strip().partition("=") for part in signature.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    given = [value for name, _, value in pairs if name == "v1"][:SIGNATURES_MAX]
    is_timed = len(times) == 1 and _DIGITS.fullmatch(times[0]) is not None
    at = times[0] if is_timed else "0"
    is_known = False
    for place, secret in enumerate(secrets + [_NO_SECRET] * (SECRETS_MAX - len(secrets))):
        expected = _digest(secret, at, raw).encode()
        for value in given or [""]:
            is_same = hmac.compare_digest(expected, value.encode())
            is_known |= is_same & (place < len(secrets))
    return is_known and is_timed and abs(int(at) - int(now_s)) <= TOLERANCE_S


def _digest(secret: str, at: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + raw, sha256).hexdigest()


async def _body(request: Request) -> bytes | Response:
    """The body as it was sent, or the refusal of one that is too long or too slow."""
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                raw += piece
                if len(raw) > BODY_MAX:
                    message = f"A body has {BODY_MAX} bytes at most."
                    return _refusal(413, "TOO_LARGE", message)
    except TimeoutError:
        refusal = _refusal(408, "TOO_SLOW", f"The report did not arrive within {BODY_S} s.")
        refusal.headers["Connection"] = "close"  # the rest of it is no request
        return refusal
    except ClientDisconnect:
        return _refusal(400, "INVALID", "The report did not arrive whole.")  # nobody reads it
    return bytes(raw)


def _is_of(page: str | None, sites: list[str]) -> bool:
    """Whether a page's address is one of a host of these, or of a host below it."""
    if not sites:
        return True
    host = urlsplit(page or "").netloc.rpartition("@")[2].lower()
    return any(host == site or host.endswith(f".{site}") for site in sites)


def _refusal(status: int, code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message}]}, status)
