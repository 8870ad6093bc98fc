"""Refunds: every one ends here, in `refund_all`, and one alone is a list of one.

A refund may come before its sale. It waits on a row of status AWAITED, in nobody's numbers, which
the sale then fills.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from app import money
from app.errors import Refused, UserErrorCode, refuse
from app.models import Conversion, ConversionSettings, ConversionStatus, EntryKind
from app.resolvers import ledger
from app.resolvers.books import Books, Name
from app.resolvers.change import Change
from app.resolvers.conversion_reports import (
    checked_amount,
    checked_currency,
    checked_id,
    checked_type,
    or_refused,
)
from app.resolvers.conversions import awaited, tracking
from app.resolvers.inputs import Form


@dataclass(frozen=True, slots=True)
class Refund:
    """What somebody takes back of a conversion, unchecked. Without an amount, all that is left."""

    reason: str | None
    idempotency_key: str | None
    amount: str | None = None
    currency: str | None = None
    # The conversion's order, unless it is known by its key.
    type: str = "purchase"
    order_id: str | None = None


Made = tuple[Conversion, bool]


async def refund(change: Change, key: int | None, asked: Refund) -> Made:
    """Refund a conversion by its key. See `refund_all`."""
    conversion = await ledger.locked(change, key)
    asked = _stated(Form(), asked)
    books = Books(change.session)
    books.take([conversion])
    await books.read_keys(conversion.program_id, [asked.idempotency_key or ""])
    was_made = _refund(change, books, conversion, asked)
    await books.close()
    return conversion, was_made


async def refund_order(change: Change, program_id: int | None, asked: Refund) -> Made:
    """Refund a conversion by its order, which may not have been reported yet. See `refund_all`."""
    (made,) = await refund_all(change, program_id, [asked])
    if isinstance(made, Refused):
        raise made
    return made


async def refund_all(
    change: Change, program_id: int | None, refunds: Sequence[Refund]
) -> list[Made | Refused]:
    """Refund conversions by their orders, as though each refund had come alone, in this order.

    Whoever tries again with the same idempotency key changes nothing. Says of each the conversion,
    and whether the same refund had been made before.
    """
    settings = await tracking(change.session, change.viewer, program_id)
    checked = [or_refused(partial(_by_order, each)) for each in refunds]
    asked = [each for each in checked if isinstance(each, Refund)]
    books = await _opened(change, settings.program_id, asked)

    def make(each: Refund) -> Made:
        known = books.get(_name(each))
        conversion = known or _awaited(settings, each, change.now)
        was_made = _refund(change, books, conversion, each)
        if known is None:
            books.add(conversion)
        return conversion, was_made

    made = [
        each if isinstance(each, Refused) else or_refused(partial(make, each)) for each in checked
    ]
    await books.close()
    return made


async def _opened(change: Change, program_id: int, asked: Sequence[Refund]) -> Books:
    """The books of these orders, with all that was entered under these keys.

    Between the two somebody may make the conversion of an order that was not there, and enter the
    same refund: the key would seem to be another order's. So what is not in the books is looked
    for once more, until that changes nothing.
    """
    before: set[int] = set()
    while True:
        books = Books(change.session)
        await books.find(program_id, map(_name, asked))
        await books.read_keys(program_id, (each.idempotency_key or "" for each in asked))
        strangers = books.strangers()
        if strangers == before:
            return books
        before = strangers


def _refund(change: Change, books: Books, conversion: Conversion, asked: Refund) -> bool:
    """Whether it had been made before. Changes nothing if it refuses."""
    if asked.currency is not None and asked.currency != conversion.currency:
        message = f"The conversion's currency is {conversion.currency}."
        raise refuse(UserErrorCode.INVALID, message, "currency")
    form = Form()
    amount = (
        None if asked.amount is None else checked_amount(form, asked.amount, conversion.currency)
    )
    form.check()
    unique = asked.idempotency_key or ""
    earlier = ledger.earlier(books, conversion, EntryKind.REFUND, unique)
    if earlier is not None:
        if amount is not None and earlier.amount != amount:
            raise ledger.used(EntryKind.REFUND)
        return True
    amount = _refundable(conversion, amount)
    books.enter(
        change,
        conversion,
        EntryKind.REFUND,
        amount,
        conversion.currency,
        reason=asked.reason or "",
        idempotency_key=unique,
    )
    conversion.refunded += amount
    return False


def _refundable(conversion: Conversion, amount: int | None) -> int:
    """The amount, or all that is left, if so much is left."""
    if conversion.status is ConversionStatus.AWAITED:
        if amount is None:
            message = "The sale has not been reported yet, so say how much."
            raise refuse(UserErrorCode.BLANK, message, "amount")
    else:
        left = None if conversion.amount is None else conversion.amount - conversion.refunded
        if left is None or (amount is None and not left):
            raise refuse(UserErrorCode.INVALID, "There is nothing to refund.", "amount")
        amount = left if amount is None else amount
        if amount > left:
            said = money.text(left, conversion.currency or "")
            message = f"Only {said} {conversion.currency} is left to refund."
            raise refuse(UserErrorCode.REFUND_TOO_LARGE, message, "amount")
    if not amount:
        raise refuse(UserErrorCode.INVALID, "A refund is more than nothing.", "amount")
    return amount


def _by_order(asked: Refund) -> Refund:
    form = Form()
    order_id = checked_id(form, asked.order_id, "order_id")
    if order_id is None:
        form.fault(UserErrorCode.BLANK, "Give the order's ID.", "order_id")
    type_ = checked_type(form, asked.type)
    return _stated(form, replace(asked, order_id=order_id, type=type_))


def _stated(form: Form, asked: Refund) -> Refund:
    reason, unique = ledger.stated(form, asked.reason, asked.idempotency_key)
    form.check()
    return replace(asked, reason=reason, idempotency_key=unique)


def _name(asked: Refund) -> Name:
    return asked.type, f"o:{asked.order_id}"


def _awaited(settings: ConversionSettings, asked: Refund, now: datetime) -> Conversion:
    form = Form()
    currency = checked_currency(form, settings, asked.currency)
    form.check()
    conversion = awaited(settings, _name(asked), asked.order_id, now=now)
    conversion.currency = currency
    return conversion
