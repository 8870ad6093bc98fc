"""What shops report, checked: of each report the conversion that it would be, or what is wrong."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlmodel import col, select

from app import money
from app.codes import fold
from app.database import ReadSession
from app.errors import Refused, UserErrorCode, not_found
from app.models import (
    ConversionSettings,
    CreatorCoupon,
    TrackingLink,
)
from app.resolvers.books import Name
from app.resolvers.inputs import Form

LATEST = timedelta(days=90)
CLICKS_MAX = 10
_CLICK_ID = re.compile(r"[0-9a-f]{32}")
_TYPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")

Done = TypeVar("Done")


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


@dataclass(slots=True)
class Sale:
    """What a report says, checked."""

    type: str
    order_id: str | None
    is_verified: bool
    click_ids: list[str]
    coupon: str | None
    claimed_link_id: int | None
    reported_amount: int | None
    # What it is worth, the program's fixed value if it says nothing.
    amount: int | None
    currency: str | None
    stated_at: datetime | None

    @property
    def name(self) -> Name:
        unique = f"c:{max(self.click_ids)}" if self.order_id is None else f"o:{self.order_id}"
        return self.type, unique


async def check(
    session: ReadSession,
    settings: ConversionSettings,
    reports: Sequence[Report],
    *,
    is_verified: bool,
    now: datetime,
) -> list[Sale | Refused]:
    """What each report says, or why it can't be."""
    checked = [or_refused(partial(_checked, settings, each, is_verified, now)) for each in reports]
    coupons = {each.coupon.lower() for each in checked if isinstance(each, Sale) and each.coupon}
    codes = {code for each in reports if (code := fold(each.link_code or "")) is not None}
    of_coupons = await _of_coupons(session, settings, coupons)
    of_codes = await _of_codes(session, settings, codes)
    for place, (report, sale) in enumerate(zip(reports, checked, strict=True)):
        if isinstance(sale, Sale):
            sale.claimed_link_id = of_coupons.get((sale.coupon or "").lower())
            if sale.claimed_link_id is None and report.link_code is not None:
                sale.claimed_link_id = of_codes.get(fold(report.link_code))
                if sale.claimed_link_id is None:
                    checked[place] = not_found("tracking link", "link_code")
    return checked


def or_refused(do: Callable[[], Done]) -> Done | Refused:
    """What it returns, or its refusal: one of a list must not cost the others."""
    try:
        return do()
    except Refused as refused:
        return refused


def _checked(
    settings: ConversionSettings, report: Report, is_verified: bool, now: datetime
) -> Sale:
    form = Form()
    type_ = checked_type(form, report.type)
    order_id = checked_id(form, report.order_id, "order_id")
    clicks = click_ids(report.click_ids)
    if order_id is None and not clicks:
        message = "Give the order's ID, or the ID of a click."
        form.fault(UserErrorCode.BLANK, message, "order_id")
    coupon = form.optional_text(report.coupon, "coupon", max_length=64)
    minor, currency = _money(form, settings, report)
    stated = report.occurred_at
    if stated is not None and stated < now - LATEST:
        message = f"That is too long ago: {LATEST.days} days at most."
        form.fault(UserErrorCode.INVALID, message, "occurred_at")
    form.check()
    if minor is None:
        amount, currency = settings.fixed_amount, settings.fixed_currency
    else:
        amount = minor
    return Sale(
        type=type_,
        order_id=order_id,
        is_verified=is_verified,
        click_ids=clicks,
        coupon=coupon,
        claimed_link_id=None,
        reported_amount=minor,
        amount=amount,
        currency=currency,
        stated_at=stated,
    )


def click_ids(given: Iterable[str]) -> list[str]:
    """What can be the ids of clicks, oldest first: the first one and the last nine.

    The rest is left out and not refused: a shop's page that fills in nothing, or a wrong thing,
    must not cost the sale.
    """
    lowered = (id_.strip().lower() for id_ in given)
    ids = sorted({id_ for id_ in lowered if _CLICK_ID.fullmatch(id_)})
    return ids if len(ids) <= CLICKS_MAX else [ids[0], *ids[1 - CLICKS_MAX :]]


def checked_type(form: Form, type_: object) -> str:
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
    currency = checked_currency(form, settings, report.currency)
    if report.amount is None:
        form.fault(UserErrorCode.BLANK, "A currency needs an amount.", "amount")
        return None, currency
    return (checked_amount(form, report.amount, currency) if currency else None), currency


def checked_currency(form: Form, settings: ConversionSettings, code: object) -> str | None:
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


def checked_amount(form: Form, amount: object, currency: str | None, *path: str) -> int:
    """The amount in minor units; 0 after a fault."""
    try:
        return money.parse(amount, currency or "EUR")
    except money.BadAmount as bad:
        form.fault(UserErrorCode.INVALID, str(bad), *(path or ("amount",)))
        return 0


def checked_id(form: Form, value: str | None, *path: str) -> str | None:
    """Somebody else's identifier: 1 to 128 printable characters of ASCII, case and all."""
    value = (value or "").strip()
    if len(value) > 128:  # noqa: PLR2004 - as the sentence says
        form.fault(UserErrorCode.TOO_LONG, "This is too long: 128 characters at most.", *path)
    elif not (value.isascii() and value.isprintable()):
        form.fault(UserErrorCode.INVALID, "Only printable characters of ASCII.", *path)
    return value or None


async def _of_coupons(
    session: ReadSession, settings: ConversionSettings, coupons: set[str]
) -> dict[str, int]:
    """The links that these coupons stand for."""
    if not coupons:
        return {}
    found = await session.exec(
        select(CreatorCoupon.code, CreatorCoupon.tracking_link_id).where(
            CreatorCoupon.program_id == settings.program_id,
            col(CreatorCoupon.code).in_(sorted(coupons)),
            col(CreatorCoupon.archived_at).is_(None),
        )
    )
    return dict(found.all())


async def _of_codes(
    session: ReadSession, settings: ConversionSettings, codes: set[str]
) -> dict[str | None, int]:
    """The links of these codes."""
    if not codes:
        return {}
    found = await session.exec(
        select(TrackingLink.code, TrackingLink.id).where(
            TrackingLink.program_id == settings.program_id,
            col(TrackingLink.code).in_(sorted(codes)),
        )
    )
    return dict(found.all())
