"""Clicks, counted: totals and series of links and of everything that links add up to.

DESIGN
------
All numbers come from `click_quarter`, never from raw clicks: a report costs by links and
days, however many clicks there were. A sum over links equals the campaign's figure, because
the campaign's figure *is* the sum over its links.

Days are those of an IANA time zone. They begin on quarters of an hour in every zone of today,
so a day is a range of quarters, and one with a change of the clock has 92 or 100 of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import col, select

from app.auth import Viewer, sees
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.models import ClickQuarter, ConversionQuarter, ExcludedQuarter, TrackingLink

QUARTER = timedelta(minutes=15)
STEPS_MAX = 1000
LAST_DAYS_MAX = 3660
# Where time begins, for a report: no click is older, and no zone is odd.
FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2999, 12, 31)


class Scope(Enum):
    """What is counted, by the column of a tracking link that says which it belongs to."""

    TRACKING_LINK = "id"
    ENROLLMENT = "enrollment_id"
    CREATOR = "creator_id"
    CAMPAIGN_LINK = "campaign_link_id"
    CAMPAIGN = "campaign_id"
    PROGRAM = "program_id"


class Granularity(Enum):
    """The length of a step of a series."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


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
class Period:
    """Whole days of a zone, both ends included. ``first`` is None for all time."""

    first: date | None
    last: date
    zone: ZoneInfo

    @property
    def quarters(self) -> tuple[int, int]:
        """The quarters from the first, included, to the last, not included."""
        return (
            _quarter(_midnight(self.first or FIRST_DAY, self.zone)),
            _quarter(_midnight(self.last + timedelta(days=1), self.zone)),
        )

    @property
    def previous(self) -> "Period | None":
        """As many days, right before. None where there are none before."""
        if self.first is None or self.first == FIRST_DAY:
            return None
        last = self.first - timedelta(days=1)
        return Period(max(FIRST_DAY, last - (self.last - self.first)), last, self.zone)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a series, from ``start`` to before ``end``, both in UTC."""

    start: datetime
    end: datetime
    counts: Counts


def last_days(number: int, zone: ZoneInfo, *, now: datetime) -> Period:
    """This many days up to and including today."""
    if not 1 <= number <= LAST_DAYS_MAX:
        message = f"`lastDays` must be from 1 to {LAST_DAYS_MAX}."
        raise refuse(UserErrorCode.INVALID, message, "range", "last_days")
    today = now.astimezone(zone).date()
    return Period(today - timedelta(days=number - 1), today, zone)


def between(first: date, last: date, zone: ZoneInfo) -> Period:
    if last < first:
        message = "`to` is before `from`."
        raise refuse(UserErrorCode.INVALID, message, "range", "between", "to")
    if first < FIRST_DAY or last > LAST_DAY:
        message = f"Days must be from {FIRST_DAY} to {LAST_DAY}."
        raise refuse(UserErrorCode.INVALID, message, "range", "between")
    return Period(first, last, zone)


def all_time(zone: ZoneInfo, *, now: datetime) -> Period:
    return Period(None, now.astimezone(zone).date(), zone)


async def totals(
    session: ReadSession, viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period
) -> dict[int, Counts]:
    """The counts of each of these, in one statement. One without hits is left out."""
    owner, statement = _counted(viewer, scope, keys, period, ClickQuarter)
    sums = [func.sum(col(getattr(ClickQuarter, name))) for name in _COUNTS]
    rows = await session.exec(statement(owner, *sums).group_by(owner))
    return {key: Counts(*map(int, counts)) for key, *counts in rows.all()}


async def excluded(
    session: ReadSession, viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period
) -> dict[int, dict[str, int]]:
    """The excluded hits of each of these by reason, most first."""
    owner, statement = _counted(viewer, scope, keys, period, ExcludedQuarter)
    hits = func.sum(col(ExcludedQuarter.hits))
    reason = col(ExcludedQuarter.reason)
    rows = await session.exec(
        statement(owner, reason, hits).group_by(owner, reason).order_by(hits.desc(), reason)
    )
    found: dict[int, dict[str, int]] = {}
    for key, why, number in rows.all():
        found.setdefault(key, {})[why] = int(number)
    return found


async def series(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    keys: Sequence[int],
    period: Period,
    granularity: Granularity,
) -> dict[int, list[Step]]:
    """The counts of each of these in steps of time, zeros filled in; oldest first."""
    boundaries: list[datetime] = []
    if period.first is not None:
        boundaries = steps(period.first, period.last, period.zone, granularity)
    owner, statement = _counted(viewer, scope, keys, period, ClickQuarter)
    quarter = col(ClickQuarter.quarter)
    sums = [func.sum(col(getattr(ClickQuarter, name))) for name in _COUNTS]
    rows = (
        await session.exec(
            statement(owner, quarter, *sums).group_by(owner, quarter).order_by(quarter)
        )
    ).all()
    if period.first is None:  # all time begins with the first hit or conversion of any of them
        began = await _first_earned(session, viewer, scope, keys, period)
        began += [row[1] for row in rows[:1]]
        if not began:
            return {}
        first = _instant(min(began)).astimezone(period.zone).date()
        boundaries = steps(first, period.last, period.zone, granularity)
    starts = [_quarter(boundary) for boundary in boundaries]
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
) -> list[int]:
    """The quarter of the first conversion, if there is one: a coupon earns without a click."""
    _, statement = _counted(viewer, scope, keys, period, ConversionQuarter)
    first = (await session.exec(statement(func.min(col(ConversionQuarter.quarter))))).one()
    return [] if first is None else [int(first)]


def steps(first: date, last: date, zone: ZoneInfo, granularity: Granularity) -> list[datetime]:
    """Where the steps begin, and where the last one ends, in UTC.

    The first and the last week or month are cut to the period, so that steps add up to it.
    """
    end = _midnight(last + timedelta(days=1), zone)
    boundaries = [_midnight(first, zone)]
    day = first
    while boundaries[-1] < end:
        if len(boundaries) > STEPS_MAX:
            message = (
                f"That would be more than {STEPS_MAX} steps: ask for longer ones, or fewer days."
            )
            raise refuse(UserErrorCode.TOO_MANY, message, "granularity")
        if granularity is Granularity.HOUR:
            boundaries.append(_next_hour(boundaries[-1], zone))
            continue
        if granularity is Granularity.DAY:
            day += timedelta(days=1)
        elif granularity is Granularity.WEEK:
            day += timedelta(days=7 - day.weekday())
        else:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        boundaries.append(min(_midnight(day, zone), end))
    return boundaries


def _next_hour(instant: datetime, zone: ZoneInfo) -> datetime:
    """The next full hour on the clocks of the zone, also where they are put on by half of one."""
    instant += QUARTER
    while instant.astimezone(zone).minute:
        instant += QUARTER
    return instant


def _counted(
    viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period, model: Any
) -> tuple[Any, Any]:
    """The column that says whose a row is, and a select of columns over the right rows."""
    start, end = period.quarters
    owner = model.link_id if scope is Scope.TRACKING_LINK else getattr(TrackingLink, scope.value)

    def statement(*columns: Any) -> Any:
        chosen: Any = select(*columns).where(
            model.quarter >= start, model.quarter < end, owner.in_(keys)
        )
        if scope is not Scope.TRACKING_LINK:
            chosen = chosen.join(TrackingLink, model.link_id == col(TrackingLink.id)).where(
                sees(viewer, TrackingLink)
            )
        return chosen

    return owner, statement


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _quarter(instant: datetime) -> int:
    return int(instant.timestamp()) // int(QUARTER.total_seconds())


def _instant(quarter: int) -> datetime:
    return datetime.fromtimestamp(quarter * QUARTER.total_seconds(), UTC)
