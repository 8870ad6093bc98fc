"""Conversions, added up: what links earned, and everything that links add up to.

DESIGN
------
As with clicks, a figure of a campaign is the sum over its links, from `conversion_quarter` and
never from conversions. Each currency is added up for itself. A series has the steps that
`stats.series` has, so the two stand side by side; a breakdown shows first what was clicked most,
as it does without conversions, and then what earned without a click, by a coupon or a link's code.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from app.auth import Viewer, sees
from app.database import ReadSession
from app.models import ConversionQuarter, LinkLabel, TrackingLink
from app.resolvers.books import QUARTER_S
from app.resolvers.breakdowns import OBJECTS, Breakdown, Dimension, Part, Split, breakdowns
from app.resolvers.stats import Granularity, Period, Scope, steps

_NAMES = ("conversions", "unverified_conversions", "gross", "refunded", "payable")
_SUMS = tuple(func.sum(col(getattr(ConversionQuarter, name))) for name in _NAMES)

Value = int | str | None


@dataclass(frozen=True, slots=True)
class Revenue:
    """Money of one currency, in its smallest unit."""

    gross: int = 0
    refunded: int = 0
    # The net of verified conversions: what creators may be paid by.
    payable: int = 0

    @property
    def net(self) -> int:
        return self.gross - self.refunded

    def __add__(self, other: "Revenue") -> "Revenue":
        return Revenue(
            self.gross + other.gross,
            self.refunded + other.refunded,
            self.payable + other.payable,
        )


@dataclass(frozen=True, slots=True)
class Earned:
    """Credited conversions and what they are worth, by currency, largest first."""

    conversions: int = 0
    unverified: int = 0
    revenue: tuple[tuple[str, Revenue], ...] = ()

    def __add__(self, other: "Earned") -> "Earned":
        worth: dict[str, Revenue] = defaultdict(Revenue)
        for currency, each in (*self.revenue, *other.revenue):
            worth[currency] += each
        return Earned(
            self.conversions + other.conversions,
            self.unverified + other.unverified,
            tuple(sorted(worth.items(), key=lambda item: (-item[1].gross, item[0]))),
        )

    def less(self, other: "Earned") -> "Earned":
        """What is left without these, which are a part of it."""
        taken = tuple(
            (currency, Revenue(-each.gross, -each.refunded, -each.payable))
            for currency, each in other.revenue
        )
        left = self + Earned(-other.conversions, -other.unverified, taken)
        worth = tuple((currency, each) for currency, each in left.revenue if each != Revenue())
        return Earned(left.conversions, left.unverified, worth)


NOTHING = Earned()


@dataclass(frozen=True, slots=True)
class EarnedParts:
    """A breakdown with what its parts earned: one of each for each of its parts."""

    breakdown: Breakdown
    parts: Sequence[Earned]
    other: Earned


class _Rows:
    """The sums of these, in that period; with the labels of their links, if they are split so."""

    def __init__(
        self,
        viewer: Viewer,
        scope: Scope,
        keys: Sequence[int],
        period: Period,
        split: Split | None = None,
    ) -> None:
        # What they are split by, if they are.
        self.value: Any = None
        self._has_labels = split is not None and split.by is Dimension.LABEL
        if split is not None:
            self.value = col(LinkLabel.label) if self._has_labels else OBJECTS[split.by][1]
        self.owner: Any = getattr(TrackingLink, scope.value)
        start, end = period.quarters
        quarter = col(ConversionQuarter.quarter)
        self._where = (
            self.owner.in_(keys),
            quarter >= start,
            quarter < end,
            sees(viewer, TrackingLink),
        )

    def summed(self, *names: Any) -> Any:
        """A row for each of these names and each currency."""
        names = (*names, col(ConversionQuarter.currency))
        return self._select(*names, *_SUMS).group_by(*names)

    def ranked(self) -> Any:
        """The values of each owner, numbered: most conversions first."""
        conversions = _SUMS[0]
        order = (conversions.desc(), self.value.is_(None), self.value)
        place = func.row_number().over(partition_by=self.owner, order_by=order)
        columns = (self.owner.label("owner"), self.value.label("value"), place.label("place"))
        return self._select(*columns).group_by(self.owner, self.value).having(conversions > 0)

    def _select(self, *columns: Any) -> Any:
        link_id = col(ConversionQuarter.link_id)
        chosen: Any = select(*columns).select_from(ConversionQuarter)
        chosen = chosen.join(TrackingLink, col(TrackingLink.id) == link_id)
        if self._has_labels:
            chosen = chosen.outerjoin(LinkLabel, col(LinkLabel.tracking_link_id) == link_id)
        return chosen.where(*self._where)


async def totals(
    session: ReadSession, viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period
) -> dict[int, Earned]:
    """What each of these earned, as far as it did. Currencies are never added."""
    rows = _Rows(viewer, scope, keys, period)
    found: dict[int, Earned] = defaultdict(Earned)
    for key, *row in (await session.exec(rows.summed(rows.owner))).all():
        found[key] += _earned(row)
    return dict(found)


async def series(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    keys: Sequence[int],
    period: Period,
    granularity: Granularity,
) -> dict[int, list[Earned]]:
    """What each of these earned in each step of the period, which has a first day.

    Every step has all of the currencies of the whole, in its order.
    """
    assert period.first is not None  # noqa: S101 - that of the series of clicks
    starts = [
        int(start.timestamp()) // QUARTER_S
        for start in steps(period.first, period.last, period.zone, granularity)
    ]
    rows = _Rows(viewer, scope, keys, period)
    chosen = rows.summed(rows.owner, col(ConversionQuarter.quarter))
    wholes: dict[int, Earned] = defaultdict(Earned)
    found: dict[int, dict[int, Earned]] = {key: defaultdict(Earned) for key in keys}
    for key, at, *row in (await session.exec(chosen)).all():
        earned = _earned(row)
        wholes[key] += earned
        found[key][bisect_right(starts, at) - 1] += earned
    return {
        key: [_in_all(wholes[key], counted[step]) for step in range(len(starts) - 1)]
        for key, counted in found.items()
    }


def can_split(by: Dimension) -> bool:
    """Whether it tells links apart, and not the clicks on one."""
    return by is Dimension.LABEL or by in OBJECTS


async def parts(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    keys: Sequence[int],
    period: Period,
    split: Split,
) -> dict[int, EarnedParts]:
    """The breakdown of each of these with what its parts earned."""
    rows = _Rows(viewer, scope, keys, period, split)
    clicked = await breakdowns(session, viewer, scope, keys, period, split)
    shown = {key: clicked.get(key, Breakdown()) for key in keys}
    await _fill_up(session, rows, shown, split.limit)
    earned: dict[tuple[int, Value], Earned] = defaultdict(Earned)
    named = {part.value for each in shown.values() for part in each.parts}
    is_shown = rows.value.in_(named - {None}) | rows.value.is_(None)
    of_parts = rows.summed(rows.owner, rows.value).where(is_shown)
    for key, value, *row in (await session.exec(of_parts)).all():
        earned[key, value] += _earned(row)
    wholes: dict[int, Earned] = defaultdict(Earned)
    for key, *row in (await session.exec(rows.summed(rows.owner))).all():
        wholes[key] += _earned(row)
    found = {}
    for key, breakdown in shown.items():
        own = [earned[key, part.value] for part in breakdown.parts]
        found[key] = EarnedParts(breakdown, own, wholes[key].less(sum(own, NOTHING)))
    return found


async def _fill_up(
    session: ReadSession, rows: _Rows, shown: dict[int, Breakdown], limit: int
) -> None:
    """Give the places that breakdowns have left to what earned most without a click."""
    c: Any = rows.ranked().subquery().c
    chosen: Any = select(c.owner, c.value).where(c.place <= limit).order_by(c.owner, c.place)
    for key, value in (await session.exec(chosen)).all():
        parts = shown[key].parts
        # Where there is a place left, all that has clicks is shown.
        if len(parts) < limit and all(part.value != value for part in parts):
            shown[key] = replace(shown[key], parts=(*parts, Part(value, 0, 0)))


def _earned(row: Sequence[Any]) -> Earned:
    """Of a currency and its sums."""
    currency, *sums = row
    conversions, unverified, gross, refunded, payable = map(int, sums)
    worth = ((currency, Revenue(gross, refunded, payable)),) if currency and conversions else ()
    return Earned(conversions, unverified, worth)


def _in_all(whole: Earned, step: Earned) -> Earned:
    """The step with each currency of the whole, in its order."""
    worth = dict(step.revenue)
    revenue = tuple((currency, worth.get(currency, Revenue())) for currency, _ in whole.revenue)
    return Earned(step.conversions, step.unverified, revenue)
