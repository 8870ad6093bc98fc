"""Walks one test click and its conversions the whole way that real ones go.

DESIGN
------
From outside, over HTTP: a request follows a live link of the program, its hit goes through the
journal and the recorder into the database, and the click's id is reported as a shop's server and
as a shop's page would. What is red here is broken for everybody.

A test must not enter a figure, and nothing that was recorded is ever deleted. So the click is a
test's from its user agent on: it is stored with a verdict of its own, which no rollup counts; a
conversion that such a click would earn is credited to nobody, and is in no list. That figures
do grow is seen on another one, inside a transaction that is never committed.

Where the address that the world uses does not lead here, the walk goes on over the local one: a
proxy that is wrong does not hide what else may be.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from uuid_utils import uuid7

from app.auth import Viewer, visible
from app.codes import new_code
from app.database import Database
from app.errors import not_found
from app.ids import encode
from app.models import Click, Conversion, ConversionSettings, Program, TrackingLink, Verdict
from app.outside import AWAY, Answer, ask
from app.resolvers import conversions, earnings, stats
from app.resolvers.attribution import SELF_TEST
from app.resolvers.change import Change
from app.resolvers.conversion_reports import Report
from app.resolvers.conversion_settings import of_programs, secrets_of

# All of it is done within the deadline of a mutation, 5 seconds.
RECORDED_S = 2.0
LOOK_S = 0.05
SCRIPT = "/track.js"
BUG = "Please report this as a bug."


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    is_ok: bool
    message: str
    # What to do, where it does not work.
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is walked through."""

    program: Program
    settings: ConversionSettings
    secrets: Sequence[str]
    # Its newest live link, if it has one.
    link: TrackingLink | None


async def run(
    database: Database,
    viewer: Viewer,
    program_id: int | None,
    *,
    now: datetime,
    base_url: str,
    local_url: str,
    agent: str,
) -> list[Step]:
    """The steps, in their order. They end at the first without which the rest can't be tried.

    ``agent``: the user agent by which a click is known for a test's.
    """
    subject = await _subject(database, viewer, program_id)
    if subject is None:
        advice = "Turn them on: updateConversionSettings(input: {programId: …, isOn: true})."
        return [Step("Settings", False, "The program does not track conversions.", advice)]
    days = subject.settings.window_days
    steps = [Step("Settings", True, f"Conversions are on, {days} days after a click.")]
    reached, url = await _reach(base_url, local_url)
    steps += [reached, _ways_in(subject)]
    if url is None:
        return steps
    link = subject.link
    if link is None:
        advice = "Make a tracking link first, for any creator of the program."
        return [*steps, Step("Link", False, "The program has no live link.", advice)]
    followed, click_id = await _follow(url, subject.settings, link, agent)
    steps.append(followed)
    if click_id is None:
        return steps
    recorded = await _recorded(database, click_id)
    steps.append(recorded)
    if not recorded.is_ok:
        return steps
    if subject.secrets:
        steps += await _report(database, subject, click_id, "Server", _by_server(url, subject))
    steps += await _report(database, subject, click_id, "Page", _by_page(url, subject))
    return [*steps, await _figures(database, viewer, subject.program, link, now)]


async def _subject(database: Database, viewer: Viewer, program_id: int | None) -> _Subject | None:
    """None where conversions are off."""
    async with database.reading() as session:
        found = await session.exec(visible(viewer, Program).where(Program.id == program_id))
        program = found.one_or_none()
        if program is None:
            raise not_found("program", "program_id")
        settings = (await of_programs(session, [program.id])).get(program.id)
        if settings is None or not settings.is_on:
            return None
        secrets = (await secrets_of(session, [program.id])).get(program.id, [])
        links = await session.exec(
            visible(viewer, TrackingLink)
            .where(TrackingLink.program_id == program.id, col(TrackingLink.archived_at).is_(None))
            .order_by(col(TrackingLink.created_at).desc())
            .limit(1)
        )
        return _Subject(
            program, settings, [secret.secret for secret in secrets], links.one_or_none()
        )


async def _reach(base_url: str, local_url: str) -> tuple[Step, str | None]:
    """Whether the address of the world leads here, and by which one to go on."""
    why = await _is_here(base_url)
    if why is None:
        return Step("Address", True, f"{base_url}{SCRIPT} is served."), base_url
    advice = (
        "Is TRACKLINKS_BASE_URL the address that the world uses, does its name lead here, and "
        "does the proxy pass everything on?"
    )
    failed = Step("Address", False, f"{base_url}{SCRIPT} can't be reached: {why}", advice)
    return failed, local_url if await _is_here(local_url) is None else None


async def _is_here(url: str) -> str | None:
    """None if we are served there, or what is instead."""
    try:
        answer = await ask(url, SCRIPT)
    except AWAY as error:
        return str(error) or type(error).__name__
    return None if b"tracklink" in answer.body else "something else answers there"


def _ways_in(subject: _Subject) -> Step:
    pages = ", ".join(subject.settings.sites) or "any page"
    message = f"Reports are taken from {pages}, and signed with {len(subject.secrets)} secrets."
    if subject.secrets or subject.settings.sites:
        return Step("Ways in", True, message)
    advice = (
        "Name the shop's hosts in `sites`, or, better, make a secret with createConversionSecret "
        "and report from the shop's server."
    )
    return Step("Ways in", False, "Any page may report, and nothing is signed.", advice)


async def _follow(
    url: str, settings: ConversionSettings, link: TrackingLink, agent: str
) -> tuple[Step, bytes | None]:
    """Follow the link; the click's id, if its destination is told."""
    try:
        answer = await ask(url, f"/{link.code}", agent=agent)
    except AWAY as error:
        return Step("Redirect", False, f"/{link.code} fails: {error}", BUG), None
    if answer.status != HTTPStatus.FOUND:
        advice = "Does a proxy keep links to itself, or a page of its own have this path?"
        message = f"/{link.code} is answered with {answer.status}, not with a redirect."
        return Step("Redirect", False, message, advice), None
    given = parse_qs(urlsplit(answer.location).query).get(settings.click_parameter, [""])[-1]
    try:
        click_id = bytes.fromhex(given)
    except ValueError:
        click_id = b""
    if len(click_id) == 16:  # noqa: PLR2004 - a UUID
        return Step("Redirect", True, f"/{link.code} leads to {answer.location}"), click_id
    advice = (
        f"The destination {link.destination_url} has a parameter of this name itself, or is too "
        "long. Change it, or choose another clickParameter."
    )
    return Step("Redirect", False, "The link does not pass the click ID on.", advice), None


async def _recorded(database: Database, click_id: bytes) -> Step:
    """Wait until the click has come through the journal."""
    began = time.monotonic()
    while time.monotonic() < began + RECORDED_S:
        async with database.reading() as session:
            chosen = select(Click.verdict).where(Click.id == click_id)
            verdict = (await session.exec(chosen)).one_or_none()
        if verdict is not None:
            took = time.monotonic() - began
            message = f"The click was recorded within {took:.1f} s, as a test."
            return Step("Recorder", verdict is Verdict.TEST, message)
        await asyncio.sleep(LOOK_S)
    advice = (
        "Is the recorder running? Servers with TRACKLINKS_RECORDER=off need `tracklinks record` "
        "beside them. The server's log says if the database refuses the clicks."
    )
    message = f"The click was not recorded within {RECORDED_S:g} s: it waits in the journal."
    return Step("Recorder", False, message, advice)


Send = Callable[[str, str], Awaitable[Answer]]


def _by_server(url: str, subject: _Subject) -> Send:
    """Report an order and a click as the shop's server does: signed."""

    async def send(order_id: str, click_id: str) -> Answer:
        raw = json.dumps({"orderId": order_id, "clickId": click_id}).encode()
        at = str(int(time.time()))
        signed = hmac.new(subject.secrets[-1].encode(), f"{at}.".encode() + raw, sha256)
        path = f"/conversions?program={encode('prg', subject.program.id)}"
        return await ask(url, path, body=raw, x_signature=f"t={at},v1={signed.hexdigest()}")

    return send


def _by_page(url: str, subject: _Subject) -> Send:
    """Report an order and a click as a page of the shop does: by the pixel."""
    page = f"https://{(*subject.settings.sites, 'self-test.invalid')[0]}/"

    async def send(order_id: str, click_id: str) -> Answer:
        query = {"program": encode("prg", subject.program.id), "orderId": order_id}
        query["clickIds"] = click_id
        return await ask(url, f"/conversion.gif?{urlencode(query)}", referer=page)

    return send


async def _report(
    database: Database, subject: _Subject, click_id: bytes, by: str, send: Send
) -> list[Step]:
    """Report an order twice, and look what was made of it."""
    order_id = f"self-test-{new_code()}"
    try:
        answers = [await send(order_id, click_id.hex()) for _ in range(2)]
    except AWAY as error:
        return [Step(by, False, f"The report fails: {error}", BUG)]
    async with database.reading() as session:
        chosen = select(Conversion).where(
            Conversion.program_id == subject.program.id, Conversion.order_id == order_id
        )
        made = (await session.exec(chosen)).all()
    if not made:
        said = answers[0].body[:500].decode(errors="replace") if by == "Server" else "a picture"
        message = f"The report was answered with {answers[0].status}, {said}, and not taken."
        advice = "Does the proxy pass the query, the body and the headers on as they are?"
        return [Step(by, False, message, advice)]
    (conversion,) = made
    is_earned = conversion.click_id == click_id and conversion.reason == SELF_TEST
    message = (
        f"An order of the test click was taken, once for two reports, from the shop's {by.lower()}."
    )
    return [
        Step(by, True, message),
        Step(
            f"Attribution ({by.lower()})",
            is_earned,
            "The test click would earn it. A test's is credited to nobody.",
            None if is_earned else f"It is {conversion.status} {conversion.reason}. {BUG}",
        ),
    ]


async def _figures(
    database: Database, viewer: Viewer, program: Program, link: TrackingLink, now: datetime
) -> Step:
    """See the link's figures grow, by what is never committed."""
    click_id = uuid7()
    click = Click(
        id=click_id.bytes,
        link_id=link.id,
        at_ms=min(time.time_ns() // 1_000_000, int(now.timestamp() * 1000)),
        destination_version=link.destination_version,
        verdict=Verdict.COUNTED,
        classifier=0,
        is_unique=True,
        is_suspect=False,
    )
    order = Report(order_id=f"self-test-{new_code()}", click_ids=(click_id.hex,))
    async with database.writing() as session:
        change = Change(session, viewer, now, check_destination=str)
        session.add(click)
        await session.flush()
        before = await _conversions(change, program, link)
        await conversions.record(change, program.id, order, is_verified=True)
        after = await _conversions(change, program, link)
        # The block would commit at its end; nothing of it may stay.
        await session.rollback()
    has_grown = after == before + 1
    message = f"The link's conversions went from {before} to {after}, and are taken back now."
    return Step("Figures", has_grown, message, None if has_grown else BUG)


async def _conversions(change: Change, program: Program, link: TrackingLink) -> int:
    period = stats.all_time(ZoneInfo(program.time_zone), now=datetime.now(UTC))
    found = await earnings.totals(
        change.session, change.viewer, stats.Scope.TRACKING_LINK, [link.id], period
    )
    return found.get(link.id, earnings.NOTHING).conversions
