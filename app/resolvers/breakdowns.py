"""Clicks split by one dimension: by link, creator, label and what else tells clicks apart.

DESIGN
------
What a link belongs to is read with `click_quarter` from the link itself, so these parts add
up to the total as every other figure does. A link with two labels is in two parts, and so its
clicks are counted in both: only there may parts be more than the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from app.auth import Viewer, sees
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.models import ClickQuarter, LinkLabel, TrackingLink
from app.resolvers.stats import Period, Scope

ROWS_MAX = 100


class Dimension(Enum):
    """What clicks can be split by."""

    CAMPAIGN = "CAMPAIGN"
    CREATOR = "CREATOR"
    CAMPAIGN_LINK = "CAMPAIGN_LINK"
    TRACKING_LINK = "TRACKING_LINK"
    LABEL = "LABEL"


# Those that are objects, by the prefix of their ids, and the column that says which one.
OBJECTS = {
    Dimension.CAMPAIGN: ("cmp", TrackingLink.campaign_id),
    Dimension.CREATOR: ("crt", TrackingLink.creator_id),
    Dimension.CAMPAIGN_LINK: ("cml", TrackingLink.campaign_link_id),
    Dimension.TRACKING_LINK: ("lnk", TrackingLink.id),
}


@dataclass(frozen=True, slots=True)
class Part:
    """The clicks of one value. ``value`` is a key for objects, and None for none at all."""

    value: int | str | None
    clicks: int
    unique_clicks: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The largest parts, most clicks first, and all the others as one."""

    parts: Sequence[Part] = ()
    other: Part = Part(None, 0, 0)


@dataclass(frozen=True, slots=True)
class Split:
    """What to split by, and into how many parts."""

    by: Dimension
    limit: int

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= ROWS_MAX:
            message = f"`limit` must be from 1 to {ROWS_MAX}."
            raise refuse(UserErrorCode.INVALID, message, "limit")


async def breakdowns(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    keys: Sequence[int],
    period: Period,
    split: Split,
) -> dict[int, Breakdown]:
    """The clicks of each of these split, in one statement. One without clicks is left out."""
    return await _cut(session, _of_links(viewer, scope, keys, period, split.by), split.limit)


def _of_links(
    viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period, by: Dimension
) -> Any:
    """Owner, value, clicks and unique clicks, by what the links belong to."""
    owner = getattr(TrackingLink, scope.value)
    value: Any = col(LinkLabel.label) if by is Dimension.LABEL else OBJECTS[by][1]
    start, end = period.quarters
    quarter = col(ClickQuarter.quarter)
    chosen: Any = select(
        owner.label("owner"),
        value.label("value"),
        func.sum(col(ClickQuarter.clicks)).label("clicks"),
        func.sum(col(ClickQuarter.unique_clicks)).label("unique_clicks"),
    ).join(TrackingLink, col(TrackingLink.id) == col(ClickQuarter.link_id))
    if by is Dimension.LABEL:
        chosen = chosen.outerjoin(
            LinkLabel, col(LinkLabel.tracking_link_id) == col(ClickQuarter.link_id)
        )
    return (
        chosen.where(owner.in_(keys), quarter >= start, quarter < end, sees(viewer, TrackingLink))
        .group_by(owner, value)
        .having(func.sum(col(ClickQuarter.clicks)) > 0)
    )


async def _cut(session: ReadSession, grouped: Any, limit: int) -> dict[int, Breakdown]:
    """The largest rows of each owner, and the sum of the rest."""
    each = grouped.subquery()
    c: Any = each.c
    columns: Sequence[Any] = (
        *c,
        func.sum(c.clicks).over(partition_by=c.owner),
        func.sum(c.unique_clicks).over(partition_by=c.owner),
        func.row_number()
        .over(partition_by=c.owner, order_by=(c.clicks.desc(), c.value.is_(None), c.value))
        .label("place"),
    )
    ranked = select(*columns).subquery()
    chosen: Any = select(*ranked.c).where(ranked.c.place <= limit)
    rows = await session.exec(chosen.order_by(ranked.c.owner, ranked.c.place))
    parts: dict[int, list[Part]] = {}
    wholes: dict[int, tuple[int, int]] = {}
    for owner, value, clicks, unique, all_clicks, all_unique, _ in rows.all():
        parts.setdefault(owner, []).append(Part(value or None, int(clicks), int(unique)))
        wholes[owner] = (int(all_clicks), int(all_unique))
    return {
        owner: Breakdown(
            shown,
            Part(
                None,
                wholes[owner][0] - sum(part.clicks for part in shown),
                wholes[owner][1] - sum(part.unique_clicks for part in shown),
            ),
        )
        for owner, shown in parts.items()
    }
