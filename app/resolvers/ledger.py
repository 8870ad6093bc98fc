"""What conversions are worth: entries that only grow, and the sums that reports read.

DESIGN
------
What a conversion adds to its link's figures is a function of its row: `booked`. Whatever happens
to a conversion, the difference between what it added before and what it adds after goes into
`conversion_quarter` in the same transaction. So the sums can be rebuilt from the rows at any
time, and nothing that can happen needs arithmetic of its own.

All of it is booked in the quarter of an hour in which the conversion happened, refunds too: the
net of a day says what the sales of that day were worth in the end.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from app import money
from app.database import ReadSession, WriteSession
from app.errors import UserErrorCode, not_found, refuse
from app.models import (
    Conversion,
    ConversionEntry,
    ConversionStatus,
    EntryKind,
    TrackingLink,
    metadata,
)
from app.resolvers.attribution import SELF_TEST
from app.resolvers.change import Change
from app.resolvers.inputs import Form

QUARTER_S = 900
ENTRIES_MAX = 100
_QUARTERS = metadata.tables["conversion_quarter"]
_KEYS = ("link_id", "quarter", "currency")
_SUMS = ("conversions", "unverified_conversions", "gross", "refunded", "payable")

Key = tuple[int, int, str]
Sums = tuple[int, ...]


def booked(conversion: Conversion) -> tuple[Key, Sums] | None:
    """What the conversion adds to which row of `conversion_quarter`, if to any."""
    link_id = conversion.tracking_link_id
    if conversion.status is not ConversionStatus.ATTRIBUTED or link_id is None:
        return None
    gross, refunded = conversion.amount or 0, conversion.refunded
    quarter = int(conversion.occurred_at.timestamp()) // QUARTER_S
    verified = conversion.is_verified
    return (
        (link_id, quarter, conversion.currency or ""),
        (1, int(not verified), gross, refunded, gross - refunded if verified else 0),
    )


async def book(
    session: WriteSession, before: tuple[Key, Sums] | None, after: tuple[Key, Sums] | None
) -> None:
    """Move the figures from what a conversion added to what it adds now."""
    changes: dict[Key, Sums] = {}
    for entry, sign in ((before, -1), (after, 1)):
        if entry is not None:
            key, sums = entry
            old = changes.get(key, (0,) * len(_SUMS))
            changes[key] = tuple(was + sign * now for was, now in zip(old, sums, strict=True))
    rows = [
        dict(zip((*_KEYS, *_SUMS), (*key, *sums), strict=True))
        # In the order of their keys: two writers wait for each other, and never in a ring.
        for key, sums in sorted(changes.items())
        if any(sums)
    ]
    for row in rows:
        statement = insert_into(session, "conversion_quarter").values(row)
        await session.exec(
            statement.on_conflict_do_update(
                index_elements=_KEYS,
                set_={name: _QUARTERS.c[name] + statement.excluded[name] for name in _SUMS},
            )
        )


def insert_into(session: WriteSession, table: str) -> Any:
    """An INSERT that can say what to do ON CONFLICT, which each engine has for itself."""
    engine = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    return engine.insert(metadata.tables[table])


async def enter(
    change: Change,
    conversion: Conversion,
    kind: EntryKind,
    amount: int | None,
    currency: str | None,
    *,
    reason: str = "",
    idempotency_key: str | None = None,
) -> None:
    """Add a line to the conversion's ledger."""
    entry = ConversionEntry(
        program_id=conversion.program_id,
        conversion_id=conversion.id,
        kind=kind,
        amount=amount,
        currency=currency,
        at=change.now,
        key_id=change.viewer.key_id,
        reason=reason,
        idempotency_key=idempotency_key,
    )
    await change.insert(ConversionEntry, [entry.model_dump()])


async def refunds_of(session: ReadSession, conversion: Conversion) -> int:
    """The refunds in the conversion's currency, of what it is worth at most."""
    total = await session.exec(
        select(func.coalesce(func.sum(ConversionEntry.amount), 0)).where(
            ConversionEntry.conversion_id == conversion.id,
            ConversionEntry.kind == EntryKind.REFUND,
            ConversionEntry.currency == conversion.currency,
        )
    )
    return min(int(total.one() or 0), conversion.amount or 0)


async def is_corrected(session: ReadSession, conversion: Conversion) -> bool:
    """Whether somebody has corrected its worth, and not only a second report."""
    found = await session.exec(
        select(ConversionEntry.id)
        .where(
            ConversionEntry.conversion_id == conversion.id,
            ConversionEntry.kind == EntryKind.CORRECTION,
            col(ConversionEntry.idempotency_key).is_not(None),
        )
        .limit(1)
    )
    return found.first() is not None


async def refund(
    change: Change,
    conversion: Conversion,
    *,
    amount: str | None,
    reason: str | None,
    idempotency_key: str | None,
) -> bool:
    """Refund a conversion whose row is locked, in part or, without an amount, all that is left.

    Whoever tries again with the same idempotency key changes nothing. Returns whether they did.
    """
    form = Form()
    why, unique = _stated(form, reason, idempotency_key)
    is_awaited = conversion.status is ConversionStatus.AWAITED
    left = None if conversion.amount is None else conversion.amount - conversion.refunded
    minor = None if amount is None else checked_amount(form, amount, conversion.currency)
    form.check()
    earlier = await _earlier(change, conversion, EntryKind.REFUND, unique)
    if earlier is not None:
        if amount is not None and earlier.amount != minor:
            raise _used(EntryKind.REFUND)
        return True
    if not is_awaited:
        if left is None or (minor is None and not left):
            raise refuse(UserErrorCode.INVALID, "There is nothing to refund.", "amount")
        minor = left if minor is None else minor
        if minor > left:
            said = money.text(left, conversion.currency or "")
            message = f"Only {said} {conversion.currency} is left to refund."
            raise refuse(UserErrorCode.REFUND_TOO_LARGE, message, "amount")
    elif minor is None:
        message = "The sale has not been reported yet, so say how much."
        raise refuse(UserErrorCode.BLANK, message, "amount")
    if not minor:
        raise refuse(UserErrorCode.INVALID, "A refund is more than nothing.", "amount")
    await enter(
        change,
        conversion,
        EntryKind.REFUND,
        minor,
        conversion.currency,
        reason=why,
        idempotency_key=unique,
    )
    before = booked(conversion)
    conversion.refunded += minor
    await book(change.session, before, booked(conversion))
    return False


async def correct(
    change: Change,
    key: int | None,
    *,
    amount: str,
    reason: str | None,
    idempotency_key: str | None,
) -> Conversion:
    """Set what a conversion is worth, in its currency, from the day on which it happened."""
    conversion = await locked(change, key)
    form = Form()
    why, unique = _stated(form, reason, idempotency_key)
    if conversion.currency is None:
        form.fault(UserErrorCode.INVALID, "It has no worth that could be corrected.", "id")
    minor = checked_amount(form, amount, conversion.currency)
    form.check()
    if await _earlier(change, conversion, EntryKind.CORRECTION, unique) is not None:
        return conversion
    if minor < conversion.refunded:
        message = "More than that has been refunded."
        raise refuse(UserErrorCode.REFUND_TOO_LARGE, message, "amount")
    await enter(
        change,
        conversion,
        EntryKind.CORRECTION,
        minor - (conversion.amount or 0),
        conversion.currency,
        reason=why,
        idempotency_key=unique,
    )
    before = booked(conversion)
    conversion.amount = minor
    await book(change.session, before, booked(conversion))
    return conversion


async def credit(change: Change, key: int | None, link_id: int | None) -> Conversion:
    """Credit a conversion that nobody is credited with to a link, for good."""
    conversion = await locked(change, key)
    link = await change.get(TrackingLink, link_id, "tracking link", "tracking_link_id")
    if link.program_id != conversion.program_id:
        raise not_found("tracking link", "tracking_link_id")
    if conversion.tracking_link_id == link.id:
        return conversion
    if conversion.status is ConversionStatus.ATTRIBUTED:
        message = "Another link is credited with it already."
        raise refuse(UserErrorCode.TAKEN, message, "id")
    before = booked(conversion)
    conversion.status = ConversionStatus.ATTRIBUTED
    conversion.reason = ""
    conversion.tracking_link_id = link.id
    conversion.campaign_id = link.campaign_id
    conversion.is_credited_by_hand = True
    conversion.look_at = None
    await book(change.session, before, booked(conversion))
    await change.record(
        "creditConversion",
        "cnv",
        conversion.program_id,
        {conversion.id: {"tracking_link": link.code}},
    )
    return conversion


async def locked(change: Change, key: int | None) -> Conversion:
    """The conversion, once its sale was reported. One of our self-test is none."""
    conversion = await change.get(Conversion, key, "conversion", "id")
    if conversion.status is ConversionStatus.AWAITED or conversion.reason == SELF_TEST:
        raise not_found("conversion", "id")
    return conversion


async def entries(session: ReadSession, keys: Sequence[int]) -> dict[int, list[ConversionEntry]]:
    """The ledger of each of these conversions, oldest first, the first 100 lines."""
    found = await session.exec(
        select(ConversionEntry)
        .where(col(ConversionEntry.conversion_id).in_(keys))
        .order_by(col(ConversionEntry.at), col(ConversionEntry.id))
    )
    ledgers: dict[int, list[ConversionEntry]] = {}
    for entry in found.all():
        ledger = ledgers.setdefault(entry.conversion_id, [])
        if len(ledger) < ENTRIES_MAX:
            ledger.append(entry)
    return ledgers


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


def _stated(form: Form, reason: str | None, idempotency_key: str | None) -> tuple[str, str]:
    why = form.text(reason, "reason", max_length=500)
    unique = checked_id(form, idempotency_key, "idempotency_key")
    if unique is None:
        form.fault(UserErrorCode.BLANK, "This can't be blank.", "idempotency_key")
    return why, unique or ""


async def _earlier(
    change: Change, conversion: Conversion, kind: EntryKind, idempotency_key: str
) -> ConversionEntry | None:
    found = (
        await change.session.exec(
            select(ConversionEntry).where(
                ConversionEntry.program_id == conversion.program_id,
                ConversionEntry.idempotency_key == idempotency_key,
            )
        )
    ).one_or_none()
    if found is not None and (found.conversion_id, found.kind) != (conversion.id, kind):
        raise _used(kind)
    return found


def _used(kind: EntryKind) -> Exception:
    message = f"This key was used before, for something other than this {kind.lower()}."
    return refuse(UserErrorCode.CONFLICT, message, "idempotency_key")
