"""How a program tracks conversions: its settings, its secrets, its creators' coupons."""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from app import money
from app.database import ReadSession
from app.errors import UserErrorCode
from app.models import (
    ConversionSecret,
    ConversionSettings,
    CreatorCoupon,
    Program,
    TrackingLink,
)
from app.resolvers.change import Change
from app.resolvers.inputs import Form, size

SECRETS_MAX = 5
LISTED_MAX = 100
YEAR_DAYS = 365
# Names that a query has for itself: an id under one of them would change what a page shows.
_TAKEN = frozenset({"id", "page", "q", "s", "gclid", "fbclid", "ref", "v"})
_PARAMETER = re.compile(r"[a-z][a-z0-9_]{1,31}")
_SITE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")
_COUPON = re.compile(r"[a-z0-9][a-z0-9_-]{1,63}")


async def update(
    change: Change, program_id: int | None, changes: Mapping[str, Any]
) -> tuple[Program, ConversionSettings]:
    """Change what is in ``changes`` and leave the rest. Links follow at the next click."""
    program = await change.get(Program, program_id, "program", "program_id")
    settings = (await of_programs(change.session, [program.id])).get(program.id)
    if settings is None:
        settings = ConversionSettings(program_id=program.id)
    form = Form()
    values = _checked(form, dict(changes))
    form.check()
    before = (settings.is_on, settings.click_parameter)
    settings.sqlmodel_update(values)
    change.session.add(settings)
    await change.session.flush()
    if before != (settings.is_on, settings.click_parameter):
        # Every redirect of the program is another one now.
        codes = select(TrackingLink.code).where(TrackingLink.program_id == program.id)
        change.session.link_changed(*(await change.session.exec(codes)).all())
    await change.record("updateConversionSettings", "prg", program.id, {program.id: values})
    return program, settings


async def of_programs(session: ReadSession, keys: Sequence[int]) -> dict[int, ConversionSettings]:
    found = await session.exec(
        select(ConversionSettings).where(col(ConversionSettings.program_id).in_(keys))
    )
    return {row.program_id: row for row in found.all()}


async def secrets_of(
    session: ReadSession, keys: Sequence[int]
) -> dict[int, list[ConversionSecret]]:
    """The live secrets of each of these programs, oldest first."""
    found = await session.exec(
        select(ConversionSecret)
        .where(
            col(ConversionSecret.program_id).in_(keys), col(ConversionSecret.revoked_at).is_(None)
        )
        .order_by(col(ConversionSecret.created_at), col(ConversionSecret.id))
    )
    live: dict[int, list[ConversionSecret]] = {}
    for row in found.all():
        live.setdefault(row.program_id, []).append(row)
    return live


async def live_secrets(session: ReadSession, program_id: int) -> list[str]:
    """What signs for a program: one row, whether there is any or none, which a clock would see."""
    all_of_them = func.coalesce(func.aggregate_strings(col(ConversionSecret.secret), " "), "")
    found = await session.exec(
        select(all_of_them).where(
            ConversionSecret.program_id == program_id, col(ConversionSecret.revoked_at).is_(None)
        )
    )
    return found.one().split()


async def coupons_of(session: ReadSession, keys: Sequence[int]) -> dict[int, list[CreatorCoupon]]:
    """The live coupons of each of these links, by code."""
    found = await session.exec(
        select(CreatorCoupon)
        .where(
            col(CreatorCoupon.tracking_link_id).in_(keys),
            col(CreatorCoupon.archived_at).is_(None),
        )
        .order_by(col(CreatorCoupon.code))
    )
    live: dict[int, list[CreatorCoupon]] = {}
    for row in found.all():
        coupons = live.setdefault(row.tracking_link_id, [])
        if len(coupons) < LISTED_MAX:
            coupons.append(row)
    return live


async def create_secret(
    change: Change, program_id: int | None, *, name: str
) -> tuple[ConversionSecret, str]:
    """A secret to sign reports with, and its text. The ones before it go on working."""
    program = await change.get(Program, program_id, "program", "program_id")
    form = Form()
    name = form.text(name, "name")
    live = (await secrets_of(change.session, [program.id])).get(program.id, [])
    if len(live) >= SECRETS_MAX:
        message = f"{SECRETS_MAX} secrets at most: revoke one first."
        form.fault(UserErrorCode.TOO_MANY, message, "program_id")
    form.check()
    text = f"tlcs_{secrets.token_urlsafe(32)}"
    row = ConversionSecret(program_id=program.id, name=name, secret=text, created_at=change.now)
    change.session.add(row)
    await change.session.flush()
    await change.record("createConversionSecret", "sec", program.id, {row.id: {"name": name}})
    return row, text


async def revoke_secret(change: Change, key: int | None) -> ConversionSecret:
    """Stop a secret for good, from the next report on. Again, it changes nothing."""
    row = await change.get(ConversionSecret, key, "conversion secret", "id")
    if row.revoked_at is None:
        row.revoked_at = change.now
        await change.record("revokeConversionSecret", "sec", row.program_id, {row.id: {}})
    return row


async def create_coupon(change: Change, link_id: int | None, *, code: str) -> CreatorCoupon:
    """A coupon that credits a link with what is bought with it."""
    link = await change.get(TrackingLink, link_id, "tracking link", "tracking_link_id")
    form = Form()
    folded = form.text(code, "code", max_length=64).lower()
    if link.archived_at is not None:
        form.fault(UserErrorCode.LINK_ARCHIVED, "The link is archived.", "tracking_link_id")
    if not _COUPON.fullmatch(folded):
        message = "A coupon is 2 to 64 letters, digits, - and _."
        form.fault(UserErrorCode.INVALID, message, "code")
    taken = select(CreatorCoupon.id).where(
        CreatorCoupon.program_id == link.program_id, CreatorCoupon.code == folded
    )
    if (await change.session.exec(taken)).first() is not None:
        form.fault(UserErrorCode.TAKEN, "Another link has this coupon, or has had it.", "code")
    form.check()
    row = CreatorCoupon(
        program_id=link.program_id,
        campaign_id=link.campaign_id,
        tracking_link_id=link.id,
        code=folded,
        created_at=change.now,
    )
    change.session.add(row)
    await change.session.flush()
    await change.record("createCoupon", "cpn", link.program_id, {row.id: {"code": folded}})
    return row


async def archive_coupon(change: Change, key: int | None) -> CreatorCoupon:
    """Stop a coupon from crediting anything new, for good. Again, it changes nothing."""
    row = await change.get(CreatorCoupon, key, "coupon", "id")
    if row.archived_at is None:
        row.archived_at = change.now
        await change.record("archiveCoupon", "cpn", row.program_id, {row.id: {}})
    return row


def _checked(form: Form, values: dict[str, Any]) -> dict[str, Any]:
    name = values.get("click_parameter")
    if name is not None and (not _PARAMETER.fullmatch(name) or name in _TAKEN):
        message = "This is no name for the parameter: 2 to 32 letters a to z, digits and _."
        form.fault(UserErrorCode.INVALID, message, "click_parameter")
    if "window_days" in values:
        form.number(values["window_days"], "window_days", least=1, most=YEAR_DAYS)
    if "currencies" in values:
        size(values["currencies"], LISTED_MAX, "currencies")
        for place, code in enumerate(values["currencies"]):
            _currency(form, code, "currencies", str(place))
        values["currencies"] = sorted(set(values["currencies"]))
    if "sites" in values:
        size(values["sites"], LISTED_MAX, "sites")
        values["sites"] = [
            _site(form, host, place) for place, host in enumerate(dict.fromkeys(values["sites"]))
        ]
    if "fixed_value" in values:
        fixed = values.pop("fixed_value")
        values["fixed_amount"] = values["fixed_currency"] = None
        if fixed is not None and _currency(form, fixed[1], "fixed_value", "currency_code"):
            try:
                values["fixed_amount"] = money.parse(fixed[0], fixed[1])
                values["fixed_currency"] = fixed[1]
            except money.BadAmount as bad:
                form.fault(UserErrorCode.INVALID, str(bad), "fixed_value", "amount")
    return values


def _currency(form: Form, code: str, *path: str) -> bool:
    try:
        money.currency(code)
    except money.BadAmount as bad:
        form.fault(UserErrorCode.INVALID, str(bad), *path)
        return False
    return True


def _site(form: Form, host: str, place: int) -> str:
    host = host.strip().lower()
    if not _SITE.fullmatch(host):
        message = "This is not a host name, like shop.example."
        form.fault(UserErrorCode.INVALID, message, "sites", place)
    return host
