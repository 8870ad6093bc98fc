"""Conversions: every way in ends here, in `record`.

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

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app import money
from app.auth import Viewer, visible
from app.codes import fold
from app.database import ReadSession, WriteSession
from app.errors import Fault, UserErrorCode, not_found, refuse
from app.models import (
    Conversion,
    ConversionSettings,
    ConversionStatus,
    CreatorCoupon,
    EntryKind,
    TrackingLink,
)
from app.resolvers import ledger
from app.resolvers.attribution import SELF_TEST, facts_of, judge
from app.resolvers.change import Change
from app.resolvers.filters import among
from app.resolvers.inputs import Form

LATEST = timedelta(days=90)
CONFLICT = Fault(
    UserErrorCode.CONFLICT,
    "This conversion was reported before with other content. The first report stands.",
)
CLICKS_MAX = 10
SETTLED_AT_ONCE = 200
_CLICK_ID = re.compile(r"[0-9a-f]{32}")
_TYPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Report:
    """A conversion as somebody reports it, unchecked."""

    type: str = "purchase"
    order_id: str | None = None
    # Those that the shop has kept of this buyer, in any order.
    click_ids: tuple[str, ...] = ()
    coupon: str | None = None
    # The code of a tracking link, for shops that know nothing better.
    link_code: str | None = None
    amount: object = None
    currency: object = None
    occurred_at: datetime | None = None


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
    settings = await tracking(change.session, change.viewer, program_id)
    new = await _checked(change, settings, report)
    new.is_verified = is_verified
    judge(new, await facts_of(change.session, [new]), now=change.now)
    inserted = (
        ledger.insert_into(change.session, "conversion")
        .values(new.model_dump())
        .on_conflict_do_nothing()
        .returning(col(Conversion.id))
    )
    if (await change.session.exec(inserted)).one_or_none() is not None:
        await ledger.enter(change, new, EntryKind.SALE, new.amount, new.currency)
        await ledger.book(change.session, None, ledger.booked(new))
        return Recorded(new)
    first = await _same(change, new)
    if first.status is ConversionStatus.AWAITED:
        await _arrive(change, first, new)
        return Recorded(first)
    is_conflict = (is_verified or not first.is_verified) and _contradicts(first, new)
    if is_verified and not first.is_verified:
        await _confirm(change, first, new)
        return Recorded(first, is_duplicate=True)
    if is_conflict and is_verified:
        said = {"amount": report.amount, "currency": report.currency, "clicks": new.click_ids}
        await change.record("conflictingConversion", "cnv", first.program_id, {first.id: said})
    elif not is_conflict and not _claims(first) and _claims(new):
        before = ledger.booked(first)
        _copy(first, new, "click_ids", "coupon", "claimed_link_id")
        await _judge_anew(change, first, before)
    return Recorded(first, is_duplicate=True, is_conflict=is_conflict)


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
    facts = await facts_of(session, waiting)
    for conversion in waiting:
        before = ledger.booked(conversion)
        judge(conversion, facts, now=now)
        await ledger.book(session, before, ledger.booked(conversion))
    return len(waiting)


def due(now: datetime) -> SelectOfScalar[Conversion]:
    """Conversions that it is time to look at again."""
    return select(Conversion).where(col(Conversion.look_at) <= now)


async def refund(
    change: Change,
    *,
    key: int | None = None,
    program_id: int | None = None,
    type: str = "purchase",
    order_id: str | None = None,
    amount: str | None = None,
    currency: str | None = None,
    reason: str | None,
    idempotency_key: str | None,
) -> tuple[Conversion, bool]:
    """Refund a conversion by its key, or by its order, which may not have been reported yet.

    Returns the conversion, and whether the same refund had been made before.
    """
    if key is not None or order_id is None:
        conversion = await ledger.locked(change, key)
    else:
        conversion = await _of_order(change, program_id, type, order_id, currency)
    if currency is not None and currency != conversion.currency:
        message = f"The conversion's currency is {conversion.currency}."
        raise refuse(UserErrorCode.INVALID, message, "currency")
    was_made = await ledger.refund(
        change, conversion, amount=amount, reason=reason, idempotency_key=idempotency_key
    )
    return conversion, was_made


async def _of_order(
    change: Change, program_id: int | None, type_: str, order_id: str, currency: str | None
) -> Conversion:
    """The conversion of this order, locked; one that awaits its sale if there is none."""
    settings = await tracking(change.session, change.viewer, program_id)
    form = Form()
    order = ledger.checked_id(form, order_id, "order_id")
    kind = _checked_type(form, type_)
    form.check()
    row = Conversion(
        program_id=settings.program_id,
        type=kind,
        unique_key=f"o:{order}",
        order_id=order,
        is_verified=True,
        window_days=settings.window_days,
        model=settings.model,
        precedence=settings.precedence,
        status=ConversionStatus.AWAITED,
        reason="awaits_sale",
        occurred_at=change.now,
        created_at=change.now,
    )
    if (found := await _find(change, row)) is not None:
        return found
    row.currency = _checked_currency(form, settings, currency)
    form.check()
    inserted = ledger.insert_into(change.session, "conversion").values(row.model_dump())
    await change.session.exec(inserted.on_conflict_do_nothing())
    return await _same(change, row)


async def _arrive(change: Change, awaited: Conversion, sale: Conversion) -> None:
    """The sale of a refund that came before it."""
    kept = {"id", "refunded", "unique_key", "order_id", "program_id", "type"}
    _copy(awaited, sale, *(name for name in Conversion.model_fields if name not in kept))
    awaited.refunded = await ledger.refunds_of(change.session, awaited)
    await ledger.enter(change, awaited, EntryKind.SALE, awaited.amount, awaited.currency)
    await ledger.book(change.session, None, ledger.booked(awaited))


async def _confirm(change: Change, first: Conversion, new: Conversion) -> None:
    """A report with a key, of what only a page had said: its word stands.

    Unless somebody has corrected the worth since. They knew of it what no report says, so that it
    does not matter which of the two comes first.
    """
    before = ledger.booked(first)
    first.is_verified = True
    first.reported_amount = new.reported_amount
    is_corrected = first.currency == new.currency and await ledger.is_corrected(
        change.session, first
    )
    if not is_corrected and (first.amount, first.currency) != (new.amount, new.currency):
        why = "Confirmed with another worth."
        for amount, currency in (
            (-(first.amount or 0), first.currency),
            (new.amount or 0, new.currency),
        ):
            if currency is not None:
                await ledger.enter(
                    change, first, EntryKind.CORRECTION, amount, currency, reason=why
                )
        _copy(first, new, "amount", "currency")
    if new.stated_at is not None:
        first.stated_at = new.stated_at
    if _claims(new):
        _copy(first, new, "click_ids", "coupon", "claimed_link_id")
    first.refunded = await ledger.refunds_of(change.session, first)
    await _judge_anew(change, first, before)


async def _judge_anew(change: Change, conversion: Conversion, before: Any) -> None:
    judge(conversion, await facts_of(change.session, [conversion]), now=change.now)
    await ledger.book(change.session, before, ledger.booked(conversion))


def _contradicts(first: Conversion, again: Conversion) -> bool:
    """Whether two reports of one conversion can't both be true."""
    if first.reported_amount != again.reported_amount:
        return True
    if again.reported_amount is not None and first.currency != again.currency:
        return True
    said, repeated = _claims(first), _claims(again)
    return bool(said and repeated) and said != repeated


def _claims(conversion: Conversion) -> tuple[Any, ...]:
    """What it says it is due to; empty when it says nothing."""
    claims = (frozenset(conversion.click_ids), conversion.coupon, conversion.claimed_link_id)
    return claims if any(claims) else ()


def _copy(to: Conversion, source: Conversion, *names: str) -> None:
    for name in names:
        setattr(to, name, getattr(source, name))


async def _find(change: Change, like: Conversion) -> Conversion | None:
    return (
        await change.session.exec(
            select(Conversion)
            .where(
                Conversion.program_id == like.program_id,
                Conversion.type == like.type,
                Conversion.unique_key == like.unique_key,
            )
            .with_for_update()
        )
    ).one_or_none()


async def _same(change: Change, like: Conversion) -> Conversion:
    found = await _find(change, like)
    assert found is not None  # noqa: S101 - nothing is deleted
    return found


async def _checked(change: Change, settings: ConversionSettings, report: Report) -> Conversion:
    form = Form()
    type_ = _checked_type(form, report.type)
    order_id = ledger.checked_id(form, report.order_id, "order_id")
    click_ids = _click_ids(report.click_ids)
    if order_id is None and not click_ids:
        message = "Give the order's ID, or the ID of a click."
        form.fault(UserErrorCode.BLANK, message, "order_id")
    coupon = form.optional_text(report.coupon, "coupon", max_length=64)
    minor, currency = _money(form, settings, report)
    stated = report.occurred_at
    if stated is not None and stated < change.now - LATEST:
        message = f"That is too long ago: {LATEST.days} days at most."
        form.fault(UserErrorCode.INVALID, message, "occurred_at")
    form.check()
    claimed = await _claimed_link(change, settings, coupon, report.link_code)
    if minor is None:
        amount, currency = settings.fixed_amount, settings.fixed_currency
    else:
        amount = minor
    return Conversion(
        program_id=settings.program_id,
        type=type_,
        unique_key=f"o:{order_id}" if order_id is not None else f"c:{max(click_ids)}",
        order_id=order_id,
        is_verified=False,
        click_ids=click_ids,
        coupon=coupon,
        claimed_link_id=claimed,
        window_days=settings.window_days,
        model=settings.model,
        precedence=settings.precedence,
        status=ConversionStatus.UNATTRIBUTED,
        reported_amount=minor,
        amount=amount,
        currency=currency,
        occurred_at=change.now,
        stated_at=stated,
        created_at=change.now,
    )


def _click_ids(given: Iterable[str]) -> list[str]:
    """What can be the ids of clicks, oldest first: the first one and the last nine.

    The rest is left out and not refused: a shop's page that fills in nothing, or a wrong thing,
    must not cost the sale.
    """
    lowered = (id_.strip().lower() for id_ in given)
    ids = sorted({id_ for id_ in lowered if _CLICK_ID.fullmatch(id_)})
    return ids if len(ids) <= CLICKS_MAX else [ids[0], *ids[1 - CLICKS_MAX :]]


def _checked_type(form: Form, type_: object) -> str:
    if isinstance(type_, str) and _TYPE.fullmatch(type_):
        return type_
    message = "A type is like purchase: lower-case letters, digits, and . _ - between them."
    form.fault(UserErrorCode.INVALID, message, "type")
    return ""


def _money(
    form: Form, settings: ConversionSettings, report: Report
) -> tuple[int | None, str | None]:
    if report.amount is None and report.currency is None:
        return None, None
    currency = _checked_currency(form, settings, report.currency)
    if report.amount is None:
        form.fault(UserErrorCode.BLANK, "A currency needs an amount.", "amount")
        return None, currency
    return (ledger.checked_amount(form, report.amount, currency) if currency else None), currency


def _checked_currency(form: Form, settings: ConversionSettings, code: object) -> str | None:
    try:
        currency = money.currency(code)
    except money.BadAmount as bad:
        form.fault(UserErrorCode.INVALID, str(bad), "currency")
        return None
    if settings.currencies and currency not in settings.currencies:
        taken = ", ".join(settings.currencies)
        message = f"This program takes amounts in {taken} only."
        form.fault(UserErrorCode.INVALID, message, "currency")
    return currency


async def _claimed_link(
    change: Change, settings: ConversionSettings, coupon: str | None, code: str | None
) -> int | None:
    """The link that the coupon stands for, or else the one of this code."""
    if coupon is not None:
        found = await change.session.exec(
            select(CreatorCoupon.tracking_link_id).where(
                CreatorCoupon.program_id == settings.program_id,
                CreatorCoupon.code == coupon.lower(),
                col(CreatorCoupon.archived_at).is_(None),
            )
        )
        if (link_id := found.one_or_none()) is not None:
            return link_id
    if code is None:
        return None
    links = await change.session.exec(
        select(TrackingLink.id).where(
            TrackingLink.program_id == settings.program_id, TrackingLink.code == fold(code)
        )
    )
    if (link_id := links.one_or_none()) is None:
        raise not_found("tracking link", "link_code")
    return link_id


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
