"""Each conversion of a period as a row of a table, oldest first, a batch at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import tuple_
from sqlmodel import col

from app import money
from app.auth import Viewer
from app.database import ReadSession
from app.ids import encode
from app.models import Conversion
from app.resolvers import conversions
from app.resolvers.stats import Period

HEADER: Final = (
    "conversion_id",
    "occurred_at",
    "type",
    "order_id",
    "status",
    "is_verified",
    "amount",
    "refunded",
    "currency",
    "campaign_id",
    "tracking_link_id",
    "coupon",
)

Position = tuple[datetime, int]


async def batch(
    session: ReadSession, viewer: Viewer, period: Period, after: Position | None, size: int
) -> tuple[Sequence[Sequence[Any]], Position | None]:
    """The next rows, and where they end; None at the end of all."""
    zone, last = period.zone, period.last + timedelta(days=1)
    ends_at = datetime(last.year, last.month, last.day, tzinfo=zone)
    statement: Any = conversions.listed(viewer, conversions.Filter()).where(
        Conversion.occurred_at < ends_at
    )
    if period.first is not None:
        first = period.first
        begins_at = datetime(first.year, first.month, first.day, tzinfo=zone)
        statement = statement.where(Conversion.occurred_at >= begins_at)
    if after is not None:
        statement = statement.where(tuple_(Conversion.created_at, Conversion.id) > after)
    ordered = statement.order_by(col(Conversion.created_at), col(Conversion.id)).limit(size)
    found = (await session.exec(ordered)).all()
    is_last = len(found) < size
    return [_row(each) for each in found], (
        None if is_last else (found[-1].created_at, found[-1].id)
    )


def _row(row: Conversion) -> list[Any]:
    is_worth = row.amount is not None and row.currency is not None
    return [
        encode("cnv", row.id),
        row.occurred_at.isoformat(),
        row.type,
        row.order_id,
        row.status.value,
        "true" if row.is_verified else "false",
        _amount(row.amount, row.currency),
        _amount(row.refunded if is_worth else None, row.currency),
        row.currency,
        None if row.campaign_id is None else encode("cmp", row.campaign_id),
        None if row.tracking_link_id is None else encode("lnk", row.tracking_link_id),
        row.coupon,
    ]


def _amount(minor: int | None, currency: str | None) -> Decimal | None:
    return None if minor is None or currency is None else Decimal(money.text(minor, currency))
