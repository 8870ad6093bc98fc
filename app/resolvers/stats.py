"""Clicks, counted: totals and series of links and of everything that links add up to.

DESIGN
------
All numbers come from sums, never from raw clicks: a report costs by links and days, or by
days alone, however many clicks there were. `app.resolvers.grains` says from which sums. All of
them are written in one transaction with the clicks, so every level adds up to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import col

from app.auth import Viewer
from app.database import ReadSession
from app.days import date_of, number_of
from app.models import ConversionQuarter, Detail, ExcludedQuarter, RestatedQuarter, Verdict
from app.resolvers.grains import by_grain, counts_of, parts_of, rows_of
from app.resolvers.periods import (
    FIRST_DAY,
    LAST_DAY,
    Granularity,
    Period,
    Scope,
    all_time,
    between,
    instant_of,
    last_days,
    quarter_of,
    steps,
)

__all__ = [
    "FIRST_DAY",
    "LAST_DAY",
    "NOTHING",
    "Counts",
    "Granularity",
    "Period",
    "Restated",
    "Scope",
    "Step",
    "all_time",
    "between",
    "excluded",
    "last_days",
    "restated",
    "series",
    "steps",
    "totals",
]


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits that add up. ``clicks`` are people; the last two are in no other figure."""

    clicks: int = 0
    unique_clicks: int = 0
    suspect_clicks: int = 0
    excluded_hits: int = 0
    hits_after_archive: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, name) + getattr(other, name) for name in _COUNTS))


_COUNTS = tuple(each.name for each in fields(Counts))
NOTHING = Counts()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a series, from ``start`` to before ``end``, both in UTC."""

    start: datetime
    end: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class Restated:
    """Hits of the period that were judged anew together."""

    at: datetime
    reason: str
    # What they count as from then on: COUNTED or EXCLUDED.
    verdict: Verdict
    hits: int
    # The days of the first and of the last of them.
    first: date
    last: date
    # The revisions of the classifier that had judged them.
    classifiers: tuple[int, ...]


async def totals(
    session: ReadSession, viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period
) -> dict[int, Counts]:
    """The counts of each of these. One without hits is left out."""
    found: dict[int, Counts] = {}
    for is_daily, own in await by_grain(session, scope, keys, period):
        model = counts_of(scope, is_daily=is_daily)
        owner, statement = rows_of(viewer, scope, own, period, model)
        sums = [func.sum(col(getattr(model, name))) for name in _COUNTS]
        rows = await session.exec(statement(owner, *sums).group_by(owner))
        found |= {key: Counts(*map(int, counts)) for key, *counts in rows.all()}
    return found


async def excluded(
    session: ReadSession, viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period
) -> dict[int, dict[str, int]]:
    """The excluded hits of each of these by reason, most first."""
    found: dict[int, dict[str, int]] = {}
    for is_daily, own in await by_grain(session, scope, keys, period):
        model: Any = parts_of(scope) if is_daily else ExcludedQuarter
        owner, statement = rows_of(viewer, scope, own, period, model)
        hits = func.sum(model.hits)
        reason = model.value if is_daily else model.reason
        chosen = statement(owner, reason, hits).group_by(owner, reason)
        if is_daily:
            chosen = chosen.where(model.detail == Detail.REASON)
        rows = await session.exec(chosen.order_by(hits.desc(), reason))
        for key, why, number in rows.all():
            found.setdefault(key, {})[why] = int(number)
    return found


async def restated(
    session: ReadSession, viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period
) -> dict[int, list[Restated]]:
    """What was judged anew of each of these, newest first. One without is left out."""
    model = RestatedQuarter
    owner, statement = rows_of(viewer, scope, keys, period, model)
    act = (model.at_ms, model.reason, model.verdict)
    quarters = (func.min(model.quarter), func.max(model.quarter))
    chosen = statement(owner, *act, model.classifier, func.sum(model.hits), *quarters)
    order = (col(model.at_ms).desc(), model.reason, model.verdict, model.classifier)
    rows = await session.exec(chosen.group_by(owner, *act, model.classifier).order_by(*order))
    found: dict[int, dict[Any, Restated]] = {}
    for key, at_ms, reason, verdict, classifier, hits, *ends in rows.all():
        acts = found.setdefault(key, {})
        first, last = (_date_of(int(quarter), period) for quarter in ends)
        at, before = datetime.fromtimestamp(at_ms / 1000, UTC), acts.get((at_ms, reason, verdict))
        one = Restated(at, reason, verdict, int(hits), first, last, (classifier,))
        acts[at_ms, reason, verdict] = one if before is None else _together(before, one)
    return {key: list(acts.values()) for key, acts in found.items()}


def _together(one: Restated, other: Restated) -> Restated:
    return replace(
        one,
        hits=one.hits + other.hits,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        classifiers=one.classifiers + other.classifiers,
    )


async def series(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    keys: Sequence[int],
    period: Period,
    granularity: Granularity,
) -> dict[int, list[Step]]:
    """The counts of each of these in steps of time, zeros filled in; oldest first."""
    if period.first is not None:  # too many steps are refused before anything is read
        steps(period.first, period.last, period.zone, granularity)
    if granularity is Granularity.HOUR:
        return await _series(session, viewer, scope, keys, period, granularity, is_daily=False)
    found: dict[int, list[Step]] = {}
    for is_daily, own in await by_grain(session, scope, keys, period):
        found |= await _series(session, viewer, scope, own, period, granularity, is_daily=is_daily)
    return found


async def _series(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    keys: Sequence[int],
    period: Period,
    granularity: Granularity,
    *,
    is_daily: bool,
) -> dict[int, list[Step]]:
    model = counts_of(scope, is_daily=is_daily)
    owner, statement = rows_of(viewer, scope, keys, period, model)
    at_column = model.day if is_daily else model.quarter
    sums = [func.sum(col(getattr(model, name))) for name in _COUNTS]
    rows = (
        await session.exec(
            statement(owner, at_column, *sums).group_by(owner, at_column).order_by(at_column)
        )
    ).all()
    first = period.first
    if first is None:  # all time begins with the first hit or conversion of any of them
        began = await _first_earned(session, viewer, scope, keys, period)
        if rows:
            at = rows[0][1]
            began.append(date_of(at) if is_daily else _date_of(at, period))
        if not began:
            return {}
        first = min(began)
    boundaries = steps(first, period.last, period.zone, granularity)
    starts = [
        number_of(boundary.astimezone(period.zone).date()) if is_daily else quarter_of(boundary)
        for boundary in boundaries
    ]
    found: dict[int, list[Counts]] = {key: [NOTHING] * (len(starts) - 1) for key in keys}
    step = 0
    for key, at, *counts in rows:
        while step < len(starts) - 2 and at >= starts[step + 1]:
            step += 1
        found[key][step] += Counts(*map(int, counts))
    return {
        key: [
            Step(boundaries[place], boundaries[place + 1], each)
            for place, each in enumerate(counted)
        ]
        for key, counted in found.items()
    }


async def _first_earned(
    session: ReadSession, viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period
) -> list[date]:
    """The day of the first conversion, if there is one: a coupon earns without a click."""
    _, statement = rows_of(viewer, scope, keys, period, ConversionQuarter)
    first = (await session.exec(statement(func.min(col(ConversionQuarter.quarter))))).one()
    return [] if first is None else [_date_of(int(first), period)]


def _date_of(quarter: int, period: Period) -> date:
    return instant_of(quarter).astimezone(period.zone).date()
