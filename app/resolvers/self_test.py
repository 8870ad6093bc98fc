"""Walks one test click and one test conversion end to end, and takes it all back.

Everything is done by the code that does it for real, on a live link of the program, inside a
transaction that is never committed: so the figures can be seen to move, and nobody else sees it.
"""

import asyncio
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import col
from uuid_utils import uuid7

from app.auth import Viewer, visible
from app.codes import new_code
from app.database import Database
from app.errors import Refused, not_found
from app.models import (
    Click,
    ConversionSettings,
    ConversionStatus,
    Program,
    TrackingLink,
    Verdict,
)
from app.resolvers import conversions, earnings, stats
from app.resolvers.change import Change
from app.resolvers.conversion_settings import of_programs, secrets_of

REACH_S = 5.0
SCRIPT = "/track.js"

# The destination, a viewer's query, the parameter's name and the click's id → the Location.
LocationOf = Callable[[str, bytes, str, str], str]


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    is_ok: bool
    message: str
    # What to do, where it does not work.
    advice: str | None = None


async def run(
    database: Database,
    viewer: Viewer,
    program_id: int | None,
    *,
    now: datetime,
    base_url: str,
    location_of: LocationOf,
) -> list[Step]:
    """The steps, in their order. They end at the first without which the rest can't be tried."""
    async with database.reading() as session:
        program = (
            await session.exec(visible(viewer, Program).where(Program.id == program_id))
        ).one_or_none()
        if program is None:
            raise not_found("program", "program_id")
        settings = (await of_programs(session, [program.id])).get(program.id)
        secrets = (await secrets_of(session, [program.id])).get(program.id, [])
        link = (
            await session.exec(
                visible(viewer, TrackingLink)
                .where(
                    TrackingLink.program_id == program.id, col(TrackingLink.archived_at).is_(None)
                )
                .order_by(col(TrackingLink.created_at).desc())
                .limit(1)
            )
        ).one_or_none()
    if settings is None or not settings.is_on:
        return [
            Step(
                "Settings",
                False,
                "The program does not track conversions.",
                "Turn them on: updateConversionSettings(input: {programId: …, isOn: true}).",
            )
        ]
    steps = [
        Step("Settings", True, f"Conversions are on, {settings.window_days} days after a click."),
        await _reach(base_url),
        _ways_in(settings, len(secrets)),
    ]
    if link is None:
        advice = "Make a tracking link first, for any creator of the program."
        return [*steps, Step("Link", False, "The program has no live link.", advice)]
    steps.append(_redirect(settings, link, location_of))
    try:
        async with database.writing() as session:
            change = Change(session, viewer, now, check_destination=str)
            await _walk(change, program, link, steps)
            # The block would commit at its end; nothing of the test may stay.
            await session.rollback()
    except Refused as refused:
        why = "; ".join(fault.message for fault in refused.faults)
        steps.append(Step("Conversion", False, why, "Change the settings, and test again."))
    return steps


async def _reach(base_url: str) -> Step:
    url = f"{base_url}{SCRIPT}"
    try:
        await asyncio.to_thread(_fetch, url)
    except (OSError, ValueError) as error:
        advice = (
            "Is TRACKLINKS_BASE_URL the address that the world uses, does its name lead here, and "
            "does the proxy pass everything on?"
        )
        return Step("Address", False, f"{url} can't be reached: {error}", advice)
    return Step("Address", True, f"{url} is served.")


def _fetch(url: str) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "Tracklinks self-test"})  # noqa: S310 - the operator's own address, http or https
    with urllib.request.urlopen(request, timeout=REACH_S) as answer:  # noqa: S310 - as above
        if b"tracklink" not in answer.read(8192):
            raise ValueError("something else answers there")


def _ways_in(settings: ConversionSettings, secrets: int) -> Step:
    pages = ", ".join(settings.sites) or "any page"
    message = f"Reports are taken from {pages}, and signed with {secrets} secrets."
    if secrets or settings.sites:
        return Step("Ways in", True, message)
    advice = (
        "Name the shop's hosts in `sites`, or, better, make a secret with createConversionSecret "
        "and report from the shop's server."
    )
    return Step("Ways in", False, "Any page may report, and nothing is signed.", advice)


def _redirect(settings: ConversionSettings, link: TrackingLink, location_of: LocationOf) -> Step:
    click_id = uuid7().hex
    location = location_of(link.destination_url, b"", settings.click_parameter, click_id)
    pair = f"{settings.click_parameter}={click_id}"
    if pair in location:
        return Step("Redirect", True, f"/{link.code} leads to {location}")
    advice = (
        f"The destination {link.destination_url} has a parameter of this name itself, or is too "
        "long. Change it, or choose another clickParameter."
    )
    return Step("Redirect", False, "The link does not pass the click ID on.", advice)


async def _walk(change: Change, program: Program, link: TrackingLink, steps: list[Step]) -> None:
    click_id, session = uuid7(), change.session
    now_ms = time.time_ns() // 1_000_000
    report = conversions.Report(
        order_id=f"self-test-{new_code()}", click_ids=(click_id.hex,), amount=None
    )
    session.add(
        Click(
            id=click_id.bytes,
            link_id=link.id,
            at_ms=min(now_ms, int(change.now.timestamp() * 1000)),
            destination_version=link.destination_version,
            verdict=Verdict.COUNTED,
            classifier=0,
            is_unique=True,
            is_suspect=False,
        )
    )
    await session.flush()
    before = await _figures(change, program, link)
    made = (await conversions.record(change, program.id, report, is_verified=True)).conversion
    is_credited = made.status is ConversionStatus.ATTRIBUTED and made.tracking_link_id == link.id
    steps.append(
        Step(
            "Attribution",
            is_credited,
            f"A conversion of a test click on /{link.code} is {made.status}.",
            None if is_credited else f"It is {made.reason}: please report this as a bug.",
        )
    )
    again = await conversions.record(change, program.id, report, is_verified=True)
    is_once = again.is_duplicate and again.conversion.id == made.id
    steps.append(
        Step(
            "Once",
            is_once,
            "The same order again is the same conversion.",
            None if is_once else "An order was counted twice: please report this as a bug.",
        )
    )
    after = await _figures(change, program, link)
    has_moved = after == before + 1
    steps.append(
        Step(
            "Figures",
            has_moved,
            f"The link's conversions went from {before} to {after}, and are taken back now.",
            None if has_moved else "They should have grown by one: please report this as a bug.",
        )
    )


async def _figures(change: Change, program: Program, link: TrackingLink) -> int:
    period = stats.all_time(ZoneInfo(program.time_zone), now=datetime.now(UTC))
    found: Any = await earnings.totals(
        change.session, change.viewer, stats.Scope.TRACKING_LINK, [link.id], period
    )
    return found[link.id].conversions if link.id in found else 0
