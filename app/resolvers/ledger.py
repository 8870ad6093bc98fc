"""The ledger of a conversion: what is entered by hand, and who may read what.

An entry is never changed. What it makes of the figures is in `app.resolvers.books`.
"""

from collections.abc import Sequence

from sqlmodel import col, select

from app.database import ReadSession
from app.errors import UserErrorCode, not_found, refuse
from app.models import (
    Conversion,
    ConversionEntry,
    ConversionStatus,
    EntryKind,
    TrackingLink,
)
from app.resolvers.attribution import SELF_TEST
from app.resolvers.books import Books, Line
from app.resolvers.change import Change
from app.resolvers.conversion_reports import checked_amount, checked_id
from app.resolvers.inputs import Form

ENTRIES_MAX = 100


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
    why, unique = stated(form, reason, idempotency_key)
    if conversion.currency is None:
        form.fault(UserErrorCode.INVALID, "It has no worth that could be corrected.", "id")
    minor = checked_amount(form, amount, conversion.currency)
    form.check()
    books = Books(change.session)
    books.take([conversion])
    await books.read_keys(conversion.program_id, [unique])
    if earlier(books, conversion, EntryKind.CORRECTION, unique) is not None:
        return conversion
    if minor < conversion.refunded:
        message = "More than that has been refunded."
        raise refuse(UserErrorCode.REFUND_TOO_LARGE, message, "amount")
    books.enter(
        change,
        conversion,
        EntryKind.CORRECTION,
        minor - (conversion.amount or 0),
        conversion.currency,
        reason=why,
        idempotency_key=unique,
    )
    conversion.amount = minor
    await books.close()
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
    books = Books(change.session)
    books.take([conversion])
    conversion.status = ConversionStatus.ATTRIBUTED
    conversion.reason = ""
    conversion.tracking_link_id = link.id
    conversion.campaign_id = link.campaign_id
    conversion.is_credited_by_hand = True
    conversion.look_at = None
    await books.close()
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


def stated(form: Form, reason: str | None, idempotency_key: str | None) -> tuple[str, str]:
    """Why something is entered by hand, and the caller's own key for it."""
    why = form.text(reason, "reason", max_length=500)
    unique = checked_id(form, idempotency_key, "idempotency_key")
    if unique is None:
        form.fault(UserErrorCode.BLANK, "This can't be blank.", "idempotency_key")
    return why, unique or ""


def earlier(
    books: Books, conversion: Conversion, kind: EntryKind, idempotency_key: str
) -> Line | None:
    """What was entered under this key before. Refuses a key that was used for another thing."""
    found = books.earlier(idempotency_key)
    if found is not None and (found.conversion_id, found.kind) != (conversion.id, kind):
        raise used(kind)
    return found


def used(kind: EntryKind) -> Exception:
    message = f"This key was used before, for something other than this {kind.lower()}."
    return refuse(UserErrorCode.CONFLICT, message, "idempotency_key")
