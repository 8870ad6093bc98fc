"""GET /reports/…: shared reports as pages, and reports as CSV, by share or by key.

DESIGN
------
A page is opened by its address alone, so all that holds for the Campaign Manager page holds here.
Whether a share is still open is asked at each request: once it is revoked, the next one is
answered 410, in every worker. An address that was never made is 404; both read the same.

CSV of a share stands below its page; with an API key, below the ID of what it is of:
``/reports/cmp_…/links.csv``. The same sections, the same figures. Everything that can be refused
is refused before the first byte, and what fails later ends the answer without its last chunk, so
that nobody takes half a table for a whole one.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.auth import Permission
from app.database import Database, ReadSession
from app.errors import Fault, Refused, UserErrorCode
from app.graphql.errors import Unanswerable
from app.graphql.gate import Gate, Places
from app.ids import decode
from app.messages.addresses import Addresses
from app.models import ReportSection
from app.pages import charts, csv_files, report_query, report_words
from app.pages.house import HEADERS, templates
from app.resolvers import report_shares, reports
from app.resolvers.report_subjects import Subject, subject_of_share, subject_of_viewer
from app.resolvers.report_tables import Row, Table, Tables
from app.settings import Settings

PAGE_HEADERS: Final = HEADERS | {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "form-action 'none'", "form-action 'self'"
    )
}
# Offered in the form; any other may be typed.
ZONES: Final = (
    "UTC",
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
)


class NotOpen(Exception):
    """There is no such report, or not any more, or not for this caller."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ReportPages:
    """The pages and the tables."""

    def __init__(
        self, database: Database, addresses: Addresses, gate: Gate, settings: Settings
    ) -> None:
        self._database = database
        self._addresses = addresses
        self._gate = gate
        self._downloads = Places("CSV files", settings.max_downloads)
        environment = templates()
        environment.globals.update(
            charts=charts, words=report_words, sections=ReportSection, address=addresses.link
        )
        self._template = environment.get_template("report.html")
        self._missing = environment.get_template("report_missing.html").render()

    def routes(self) -> list[Route]:
        return [
            Route("/reports/{token}", self.show),
            Route("/reports/{subject}/{table}.csv", self.table),
        ]

    async def show(self, request: Request) -> Response:
        """A shared report as a page."""
        token, now = request.path_params["token"], datetime.now(UTC)
        async with self._database.reading() as session:
            try:
                subject = await self._shared(session, token, now=now)
            except NotOpen as not_open:
                return HTMLResponse(self._missing, not_open.status, headers=PAGE_HEADERS)
            zone, report = subject.program.time_zone, None
            faults: Sequence[Fault] = ()
            try:
                query = report_query.read(request.query_params, zone, now=now)
                report = await reports.load(
                    session,
                    subject,
                    query.period,
                    granularity=query.granularity,
                    compare=query.compares,
                )
            except Refused as refused:
                faults = refused.faults
                query = report_query.read({}, zone, now=now)
        html = self._template.render(
            subject=subject,
            query=query,
            report=report,
            faults=faults,
            given=request.query_params,
            token=token,
            now=now,
            presets=report_query.PRESETS,
            zones=sorted({*ZONES, zone}),
        )
        status = HTTPStatus.BAD_REQUEST if faults else HTTPStatus.OK
        return HTMLResponse(html, status, headers=PAGE_HEADERS)

    async def table(self, request: Request) -> Response:
        """One table of a report as CSV."""
        with ExitStack() as place:
            try:
                return await self._table(request, place, now=datetime.now(UTC))
            except NotOpen as not_open:
                return _refusal(not_open.status, {"message": not_open.message})
            except Unanswerable as refusal:
                errors = [
                    {"message": each["message"], **each["extensions"]} for each in refusal.errors
                ]
                return _refusal(refusal.status, *errors, headers=refusal.headers)
            except Refused as refused:
                return _refusal(_status(refused.faults[0].code), *map(_error, refused.faults))

    async def _table(self, request: Request, place: ExitStack, *, now: datetime) -> Response:
        async with self._database.reading() as session:
            subject, caller = await self._subject(session, request, now=now)
        if request.method != "HEAD":
            place.enter_context(self._downloads.hold(caller))
        query = report_query.read(request.query_params, subject.program.time_zone, now=now)
        period, name = query.period, request.path_params["table"]
        table = await Tables(
            self._database,
            subject,
            period,
            query.granularity or reports.granularity_of(period),
            self._addresses.link,
        ).open(name)
        first = await anext(table.batches)
        file = csv_files.file_name(
            "report", subject.name[:30], name, f"{period.first}", f"{period.last}"
        )
        headers = HEADERS | {
            "Content-Type": "text/csv; charset=utf-8; header=present",
            "Content-Disposition": f'attachment; filename="{file}.csv"',
        }
        if request.method == "HEAD":
            return Response(headers=headers)
        return _Download(_encoded(table, first), headers, place.pop_all())

    async def _subject(
        self, session: ReadSession, request: Request, *, now: datetime
    ) -> tuple[Subject, str]:
        """What the address names, for whom it is open to; and who that is."""
        text = request.path_params["subject"]
        program_id, campaign_id = decode("prg", text), decode("cmp", text)
        if program_id is None and campaign_id is None:
            return await self._shared(session, text, now=now), f"share {text}"
        address = request.client and request.client.host
        caller = await self._gate.admit(request.headers.get("authorization"), address)
        self._gate.count_request(caller)
        viewer = caller.viewer
        if not viewer.may(Permission.READ_LINKS):
            message = f"A key of the role {viewer.role} may not read reports."
            raise NotOpen(HTTPStatus.FORBIDDEN, message)
        subject = await subject_of_viewer(
            session, viewer, program_id=program_id, campaign_id=campaign_id
        )
        if subject is None:
            raise NotOpen(HTTPStatus.NOT_FOUND, "There is no such program or campaign.")
        return subject, caller.name

    async def _shared(self, session: ReadSession, token: str, *, now: datetime) -> Subject:
        key = self._addresses.read_report(token)
        share = None if key is None else await report_shares.find(session, key)
        if share is None:
            raise NotOpen(HTTPStatus.NOT_FOUND, "There is no such report.")
        if not share.is_open(now=now):
            raise NotOpen(HTTPStatus.GONE, "This report is not shared any more.")
        return await subject_of_share(session, share)


class _Download(StreamingResponse):
    """A table on its way. Its place is free again when it is through, or its reader gone."""

    def __init__(
        self, content: AsyncIterator[bytes], headers: dict[str, str], place: ExitStack
    ) -> None:
        super().__init__(content, headers=headers)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._place:
            await super().__call__(scope, receive, send)


async def _encoded(table: Table, first: Sequence[Row]) -> AsyncIterator[bytes]:
    yield csv_files.encode([table.header, *first])
    async for rows in table.batches:
        yield csv_files.encode(rows)


def _refusal(
    status: int, *errors: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse({"errors": errors}, status, headers=HEADERS | dict(headers or {}))


def _error(fault: Fault) -> dict[str, Any]:
    error = {"code": str(fault.code), "message": fault.message}
    if fault.path:
        error["parameter"] = fault.path[-1]
    return error


def _status(code: UserErrorCode) -> int:
    is_absent = code is UserErrorCode.NOT_FOUND
    return HTTPStatus.NOT_FOUND if is_absent else HTTPStatus.BAD_REQUEST
