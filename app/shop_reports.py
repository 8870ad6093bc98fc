"""What a shop's server writes and is told, in JSON: reports, refunds, and what came of each."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import orjson

from app.errors import Fault, Refused, UserErrorCode, refuse
from app.ids import encode
from app.models import Conversion, ConversionStatus
from app.money import text
from app.resolvers.conversion_reports import Report
from app.resolvers.conversions import CONFLICT, Recorded
from app.resolvers.refunds import Made, Refund

# The status and the body of what is said of one report, alone or in a list.
Answer = tuple[int, dict[str, Any]]


def read(raw: bytes) -> dict[str, Any] | list[Any] | None:
    """One thing, or a list of what may be things; None for anything else."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict | list) else None


def report(body: Any) -> Report:
    fields = _fields(
        body,
        "type",
        "orderId",
        "clickId",
        "coupon",
        "linkCode",
        "currency",
        "occurredAt",
        others=("clickIds", "amount"),
    )
    click_ids = body.get("clickIds") or []
    if not isinstance(click_ids, list) or not all(isinstance(id_, str) for id_ in click_ids):
        raise _wrong("clickIds", "This is a list of texts.")
    return Report(
        type=fields.get("type") or "purchase",
        order_id=fields.get("orderId"),
        click_ids=(*click_ids, fields.get("clickId") or ""),
        coupon=fields.get("coupon"),
        link_code=fields.get("linkCode"),
        amount=body.get("amount"),
        currency=fields.get("currency"),
        occurred_at=_instant(fields.get("occurredAt")),
    )


def refund(body: Any) -> Refund:
    fields = _fields(body, "orderId", "type", "amount", "currency", "reason", "idempotencyKey")
    return Refund(
        type=fields.get("type") or "purchase",
        order_id=fields.get("orderId"),
        amount=fields.get("amount"),
        currency=fields.get("currency"),
        reason=fields.get("reason"),
        idempotency_key=fields.get("idempotencyKey"),
    )


def _fields(body: Any, *names: str, others: tuple[str, ...] = ()) -> dict[str, str | None]:
    """The fields that are texts. A name that is not known is a mistake, not to be passed over."""
    if not isinstance(body, dict):
        raise refuse(UserErrorCode.INVALID, "This is not a JSON object.")
    for name in body:
        if name not in names and name not in others:
            raise Refused(Fault(UserErrorCode.INVALID, f"There is no field {name[:64]!r}."))
    for name in names:
        if not isinstance(body.get(name), str | None):
            raise _wrong(name, "This is a text.")
    return {name: body.get(name) for name in names}


def _wrong(name: str, message: str) -> Refused:
    return Refused(Fault(UserErrorCode.INVALID, message, (name,)))


def _instant(value: str | None) -> datetime | None:
    if value is None:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    raise _wrong("occurredAt", "This is a time with its offset, like 2026-01-31T09:00:00Z.")


def recorded(done: Recorded | Refused) -> Answer:
    if isinstance(done, Refused):
        return refused(done)
    answer: dict[str, Any] = {"conversion": _said(done.conversion), "duplicate": done.is_duplicate}
    if not done.is_conflict:
        return 200, answer
    return 409, {**answer, "errors": [_error(CONFLICT)]}


def refunded(made: Made | Refused) -> Answer:
    if isinstance(made, Refused):
        return refused(made)
    row, is_duplicate = made
    return 200, {"conversion": _said(row), "duplicate": is_duplicate}


def refused(refusal: Refused) -> Answer:
    errors = [_error(fault) for fault in refusal.faults]
    return _status(refusal.faults[0].code), {"errors": errors}


def _said(row: Conversion) -> dict[str, Any]:
    is_awaited = row.status is ConversionStatus.AWAITED
    worth = None if row.amount is None or row.currency is None else text(row.amount, row.currency)
    refunded = text(row.refunded, row.currency) if row.currency is not None else None
    return {
        "id": encode("cnv", row.id),
        "status": row.status,
        "type": row.type,
        "orderId": row.order_id,
        "amount": worth,
        "refunded": refunded,
        "currency": row.currency,
        "occurredAt": None if is_awaited else row.occurred_at.isoformat(),
    }


def _error(fault: Fault) -> dict[str, str]:
    error = {"code": str(fault.code), "message": fault.message}
    if fault.path:
        first, *rest = fault.path[-1].split("_")
        error["field"] = first + "".join(word.title() for word in rest)
    return error


def _status(code: UserErrorCode) -> int:
    known = {
        UserErrorCode.NOT_FOUND: 404,
        UserErrorCode.CONFLICT: 409,
        UserErrorCode.FORBIDDEN: 403,
    }
    return known.get(code, 422)
