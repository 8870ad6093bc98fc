"""Conversions: every report ends here, in `record_all`, and one alone is a list of one.

DESIGN
------
A conversion is one row for each (program, type, order id), or (program, type, click) where the
shop names no order; the unique index says so, not this code. Whoever reports it again is told
what the first report made, and a report that says something else is turned away and kept in
the audit log.

A page is imitated easily, so what only a page has said is *unverified*: counted apart, never
payable. A report with a key or a signature confirms it, and then its word on money and time
stands, whichever of the two came first. What the one left out about clicks the other may add.

A refund may come before its sale. It waits on a row of status AWAITED, in nobody's numbers,
which the sale then fills.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.database import ReadSession, WriteSession
from app.errors import Fault, Refused, UserErrorCode, not_found, refuse
from app.ids import new_id
from app.models import Conversion, ConversionSettings, ConversionStatus, EntryKind
from app.resolvers.attribution import SELF_TEST, Facts, facts_of, judge
from app.resolvers.books import Books, Name
from app.resolvers.change import Change
from app.resolvers.conversion_reports import Report, Sale, check, click_ids
from app.resolvers.filters import among

CONFLICT = Fault(
    UserErrorCode.CONFLICT,
    "This conversion was reported before with other content. The first report stands.",
)
SETTLED_AT_ONCE = 200
_CLAIMS = ("click_ids", "coupon", "claimed_link_id")
_SAID = (*_CLAIMS, "is_verified", "reported_amount", "amount", "currency", "stated_at")


@dataclass(frozen=True, slots=True)
class Recorded:
    conversion: Conversion
    # It had been reported before.
    is_duplicate: bool = False
    # It had been, with other content: the first report stands.
    is_conflict: bool = False


async def record(
    change: Change, program_id: int | None, report: Report, *, is_verified: bool
) -> Recorded:
    """Keep a conversion, once. ``is_verified``: its reporter has a key or a secret."""
    (done,) = await record_all(change, program_id, [report], is_verified=is_verified)
    if isinstance(done, Refused):
        raise done
    return done


async def record_all(
    change: Change, program_id: int | None, reports: Sequence[Report], *, is_verified: bool
) -> list[Recorded | Refused]:
    """Keep conversions, each once, as though each report had come alone, in this order.

    It costs as many statements for hundreds of reports as for one. What is refused costs the
    others nothing.
    """
    settings = await tracking(change.session, change.viewer, program_id)
    checked = await check(
        change.session, settings, reports, is_verified=is_verified, now=change.now
    )
    sales = [sale for sale in checked if isinstance(sale, Sale)]
    books = Books(change.session)
    known = await books.find(settings.program_id, (sale.name for sale in sales))
    await books.read_ledgers(
        row for row in known if row.status is ConversionStatus.AWAITED or not row.is_verified
    )
    facts = await facts_of(change.session, [*sales, *known])
    intake = _Intake(change, settings, books, facts)
    done = [sale if isinstance(sale, Refused) else intake.take(sale) for sale in checked]
    await books.close()
    conflicts = [
        (each.conversion.id, _said(report))
        for report, each in zip(reports, done, strict=True)
        if isinstance(each, Recorded) and each.is_conflict and is_verified
    ]
    await change.record_each("conflictingConversion", "cnv", settings.program_id, conflicts)
    return done


async def tracking(
    session: ReadSession, viewer: Viewer, program_id: int | None
) -> ConversionSettings:
    """The settings of a program that tracks conversions, and that the viewer may report for."""
    if viewer.campaign_ids is not None:
        message = "This key is limited to some campaigns, and conversions are of the program."
        raise refuse(UserErrorCode.FORBIDDEN, message)
    program_id = viewer.program_id if program_id is None else program_id
    found = (
        await session.exec(
            visible(viewer, ConversionSettings).where(ConversionSettings.program_id == program_id)
        )
    ).one_or_none()
    if found is not None and found.is_on:
        return found
    if program_id is not None and viewer.program_id == program_id:
        message = "This program does not track conversions. Turn them on first."
        raise refuse(UserErrorCode.INVALID, message, "program_id")
    raise not_found("program that tracks conversions", "program_id")


async def settle(session: WriteSession, *, now: datetime, limit: int = SETTLED_AT_ONCE) -> int:
    """Look again at conversions whose clicks were not known yet, those whose turn it is.

    Returns how many there were. To do it twice, or in several processes, changes nothing.
    """
    waiting = (
        await session.exec(
            due(now)
            .order_by(col(Conversion.look_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    ).all()
    if not waiting:
        return 0
    books = Books(session)
    books.take(waiting)
    facts = await facts_of(session, waiting)
    for conversion in waiting:
        judge(conversion, facts, now=now)
    await books.close()
    return len(waiting)


def due(now: datetime) -> SelectOfScalar[Conversion]:
    """Conversions that it is time to look at again."""
    return select(Conversion).where(col(Conversion.look_at) <= now)


def awaited(
    settings: ConversionSettings, name: Name, order_id: str | None, *, now: datetime
) -> Conversion:
    """A conversion whose sale has not been reported yet: in nobody's numbers."""
    type_, unique_key = name
    return Conversion(
        # Given, though they have defaults: to make one, pydantic inspects its factory each time.
        id=new_id(),
        click_ids=[],
        program_id=settings.program_id,
        type=type_,
        unique_key=unique_key,
        order_id=order_id,
        is_verified=True,
        window_days=settings.window_days,
        model=settings.model,
        precedence=settings.precedence,
        status=ConversionStatus.AWAITED,
        reason="awaits_sale",
        occurred_at=now,
        created_at=now,
    )


@dataclass(frozen=True, slots=True)
class _Intake:
    """Decides what comes of reports, with all before it that there is to know."""

    change: Change
    settings: ConversionSettings
    books: Books
    facts: Facts

    def take(self, new: Sale) -> Recorded:
        first = self.books.get(new.name)
        if first is None:
            first = awaited(self.settings, new.name, new.order_id, now=self.change.now)
            self._arrive(first, new)
            self.books.add(first)
            return Recorded(first)
        if first.status is ConversionStatus.AWAITED:
            self._arrive(first, new)
            return Recorded(first)
        is_conflict = (new.is_verified or not first.is_verified) and _contradicts(first, new)
        if new.is_verified and not first.is_verified:
            self._confirm(first, new)
            return Recorded(first, is_duplicate=True)
        if not is_conflict and not _claims(first) and _claims(new):
            _copy(first, new, *_CLAIMS)
            self._judge(first)
        return Recorded(first, is_duplicate=True, is_conflict=is_conflict)

    def _arrive(self, awaited: Conversion, sale: Sale) -> None:
        """A sale that is heard of for the first time, though maybe not of its refunds."""
        _copy(awaited, sale, *_SAID)
        _copy(awaited, self.settings, "window_days", "model", "precedence")
        awaited.created_at = self.change.now
        self._judge(awaited)
        awaited.refunded = self.books.refunds_of(awaited)
        self.books.enter(self.change, awaited, EntryKind.SALE, awaited.amount, awaited.currency)

    def _confirm(self, first: Conversion, new: Sale) -> None:
        """A report with a key, of what only a page had said: its word stands.

        Unless somebody has corrected the worth since. They knew of it what no report says, so that
        it does not matter which of the two comes first.
        """
        first.is_verified = True
        first.reported_amount = new.reported_amount
        is_corrected = first.currency == new.currency and self.books.is_corrected(first)
        if not is_corrected and (first.amount, first.currency) != (new.amount, new.currency):
            why = "Confirmed with another worth."
            for amount, currency in (
                (-(first.amount or 0), first.currency),
                (new.amount or 0, new.currency),
            ):
                if currency is not None:
                    self.books.enter(
                        self.change, first, EntryKind.CORRECTION, amount, currency, reason=why
                    )
            _copy(first, new, "amount", "currency")
        if new.stated_at is not None:
            first.stated_at = new.stated_at
        if _claims(new):
            _copy(first, new, *_CLAIMS)
        first.refunded = self.books.refunds_of(first)
        self._judge(first)

    def _judge(self, conversion: Conversion) -> None:
        judge(conversion, self.facts, now=self.change.now)


def _contradicts(first: Conversion, again: Sale) -> bool:
    """Whether two reports of one conversion can't both be true."""
    if first.reported_amount != again.reported_amount:
        return True
    if again.reported_amount is not None and first.currency != again.currency:
        return True
    said, repeated = _claims(first), _claims(again)
    return bool(said and repeated) and said != repeated


def _claims(conversion: Conversion | Sale) -> tuple[Any, ...]:
    """What it says it is due to; empty when it says nothing."""
    claims = (frozenset(conversion.click_ids), conversion.coupon, conversion.claimed_link_id)
    return claims if any(claims) else ()


def _copy(to: Conversion, source: Conversion | Sale | ConversionSettings, *names: str) -> None:
    for name in names:
        setattr(to, name, getattr(source, name))


def _said(report: Report) -> dict[str, Any]:
    return {
        "amount": report.amount,
        "currency": report.currency,
        "clicks": click_ids(report.click_ids),
    }


@dataclass(frozen=True, slots=True)
class Filter:
    program_ids: tuple[int, ...] | None = None
    campaign_ids: tuple[int, ...] | None = None
    tracking_link_ids: tuple[int, ...] | None = None
    statuses: tuple[ConversionStatus, ...] | None = None
    types: tuple[str, ...] | None = None
    order_ids: tuple[str, ...] | None = None
    is_verified: bool | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[Conversion]:
    """The conversions that the viewer can see and the filter lets through."""
    rows = visible(viewer, Conversion).where(
        col(Conversion.status) != ConversionStatus.AWAITED,
        col(Conversion.reason) != SELF_TEST,
        *among(Conversion.program_id, only.program_ids),
        *among(Conversion.campaign_id, only.campaign_ids),
        *among(Conversion.tracking_link_id, only.tracking_link_ids),
        *among(Conversion.status, only.statuses),
        *among(Conversion.type, only.types),
        *among(Conversion.order_id, only.order_ids),
    )
    if only.is_verified is not None:
        rows = rows.where(Conversion.is_verified == only.is_verified)
    return rows
