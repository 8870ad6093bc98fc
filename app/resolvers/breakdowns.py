"""Clicks split by one dimension: by link, creator, label, and by what the clicks brought.

DESIGN
------
What a link belongs to is read with its counts from the link itself, so these parts add up to
the total as every other figure does. A link with two labels is in two parts, and so its clicks
are counted in both: only there may parts be more than the whole.

What clicks brought is counted by days of the program's zone, and by no other's: rows for each
value and quarter of an hour would be as many as the clicks. UTM are the destination's own: the
parts count by its version, and `destination_utm` says what each version's are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Integer, cast, func, literal_column
from sqlmodel import col, select

from app.auth import Viewer, sees
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.models import (
    ClickQuarter,
    DestinationUtm,
    Detail,
    LinkDay,
    LinkLabel,
    LinkPart,
    TrackingLink,
)
from app.resolvers.grains import by_grain, during, parts_of, rows_of, zones_of
from app.resolvers.periods import Period, Scope

ROWS_MAX = 100
# Not a value that is bound: one expression must be the same wherever a statement has it.
EMPTY: Any = literal_column("''")


class Dimension(Enum):
    """What clicks can be split by."""

    CAMPAIGN = "CAMPAIGN"
    CREATOR = "CREATOR"
    CAMPAIGN_LINK = "CAMPAIGN_LINK"
    TRACKING_LINK = "TRACKING_LINK"
    LABEL = "LABEL"
    UTM_SOURCE = "UTM_SOURCE"
    UTM_MEDIUM = "UTM_MEDIUM"
    UTM_CAMPAIGN = "UTM_CAMPAIGN"
    REFERRER = "REFERRER"
    COUNTRY = "COUNTRY"
    DEVICE = "DEVICE"
    BROWSER = "BROWSER"
    OS = "OS"
    IN_APP = "IN_APP"


# Those that are objects, by the prefix of their ids, and the column that says which one.
OBJECTS = {
    Dimension.CAMPAIGN: ("cmp", TrackingLink.campaign_id),
    Dimension.CREATOR: ("crt", TrackingLink.creator_id),
    Dimension.CAMPAIGN_LINK: ("cml", TrackingLink.campaign_link_id),
    Dimension.TRACKING_LINK: ("lnk", TrackingLink.id),
}


# What clicks brought.
DETAILS = {
    Dimension.REFERRER: Detail.REFERRER,
    Dimension.COUNTRY: Detail.COUNTRY,
    Dimension.DEVICE: Detail.DEVICE,
    Dimension.BROWSER: Detail.BROWSER,
    Dimension.OS: Detail.OS,
    Dimension.IN_APP: Detail.IN_APP,
}
# What the destinations say that clicks were sent to.
UTM = {
    Dimension.UTM_SOURCE: DestinationUtm.source,
    Dimension.UTM_MEDIUM: DestinationUtm.medium,
    Dimension.UTM_CAMPAIGN: DestinationUtm.campaign,
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
    """The clicks of each of these split. One without clicks is left out."""
    by = split.by
    if by in DETAILS or by in UTM:
        await _check_days(session, scope, keys, period, by)
        of_parts = _of_details if by in DETAILS else _of_destinations
        return await _cut(session, of_parts(viewer, scope, keys, period, by), split.limit)
    found: dict[int, Breakdown] = {}
    for is_daily, own in await by_grain(session, scope, keys, period):
        model: Any = LinkDay if is_daily else ClickQuarter
        grouped = _of_links(viewer, scope, own, period, by, model)
        found |= await _cut(session, grouped, split.limit)
    return found


async def _check_days(
    session: ReadSession, scope: Scope, keys: Sequence[int], period: Period, by: Dimension
) -> None:
    """Refuse days that nothing is counted by."""
    zones = set((await zones_of(session, scope, keys)).values()) - {period.zone.key}
    if zones:
        message = (
            f"{by.value} is counted by days of {' and '.join(sorted(zones))}, and these are days of "
            f"{period.zone.key}. Leave `timeZone` out for the program's own; if these are, its zone "
            "was changed, and `tracklinks rebuild` counts its days anew."
        )
        raise refuse(UserErrorCode.INVALID, message, "time_zone")


def _of_links(
    viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period, by: Dimension, model: Any
) -> Any:
    """Owner, value, clicks and unique clicks, by what the links belong to."""
    owner = getattr(TrackingLink, scope.value)
    value: Any = col(LinkLabel.label) if by is Dimension.LABEL else OBJECTS[by][1]
    chosen = _summed(owner, value, model.clicks, model.unique_clicks)
    chosen = chosen.join(TrackingLink, col(TrackingLink.id) == model.link_id)
    if by is Dimension.LABEL:
        chosen = chosen.outerjoin(LinkLabel, col(LinkLabel.tracking_link_id) == model.link_id)
    return (
        chosen.where(owner.in_(keys), *during(model, period), sees(viewer, TrackingLink))
        .group_by(owner, value)
        .having(func.sum(model.clicks) > 0)
    )


def _of_details(
    viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period, by: Dimension
) -> Any:
    """The same, by what the clicks brought."""
    model = parts_of(scope)
    owner, statement = rows_of(viewer, scope, keys, period, model)
    value = func.nullif(model.value, EMPTY)
    chosen = statement(*_columns(owner, value, model.hits, model.unique_hits))
    return chosen.where(model.detail == DETAILS[by]).group_by(owner, model.value)


def _of_destinations(
    viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period, by: Dimension
) -> Any:
    """The same, by what the destinations say that the clicks were sent to."""
    owner = getattr(TrackingLink, scope.value)
    value = func.nullif(UTM[by], EMPTY)
    link_id, version = col(LinkPart.link_id), cast(LinkPart.value, Integer)
    is_sent_to = (col(DestinationUtm.tracking_link_id) == link_id) & (
        col(DestinationUtm.version) == version
    )
    return (
        _summed(owner, value, col(LinkPart.hits), col(LinkPart.unique_hits))
        .join(TrackingLink, col(TrackingLink.id) == link_id)
        .outerjoin(DestinationUtm, is_sent_to)
        .where(
            owner.in_(keys),
            col(LinkPart.detail) == Detail.DESTINATION,
            *during(LinkPart, period),
            sees(viewer, TrackingLink),
        )
        .group_by(owner, value)
    )


def _summed(owner: Any, value: Any, clicks: Any, unique_clicks: Any) -> Any:
    return select(*_columns(owner, value, clicks, unique_clicks))


def _columns(owner: Any, value: Any, clicks: Any, unique_clicks: Any) -> Sequence[Any]:
    return (
        owner.label("owner"),
        value.label("value"),
        func.sum(clicks).label("clicks"),
        func.sum(unique_clicks).label("unique_clicks"),
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
        parts.setdefault(owner, []).append(Part(value, int(clicks), int(unique)))
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
