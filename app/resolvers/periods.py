"""What reports are about: whose clicks, of which stretch of days, in which steps of time.

Days are those of an IANA time zone. They begin on quarters of an hour in every zone of today,
so a day is a range of quarters, and one with a change of the clock has 92 or 100 of them.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from app.days import number_of
from app.errors import UserErrorCode, refuse

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
class Period:
    """Whole days of a zone, both ends included. ``first`` is None for all time."""

    first: date | None
    last: date
    zone: ZoneInfo

    @property
    def quarters(self) -> tuple[int, int]:
        """The quarters from the first, included, to the last, not included."""
        return (
            quarter_of(midnight(self.first or FIRST_DAY, self.zone)),
            quarter_of(midnight(self.last + timedelta(days=1), self.zone)),
        )

    @property
    def days(self) -> tuple[int, int]:
        """The same as numbers of days, if they are the zone's that rows were counted by."""
        return number_of(self.first or FIRST_DAY), number_of(self.last) + 1

    @property
    def previous(self) -> "Period | None":
        """As many days, right before. None where there are none before."""
        if self.first is None or self.first == FIRST_DAY:
            return None
        last = self.first - timedelta(days=1)
        return Period(max(FIRST_DAY, last - (self.last - self.first)), last, self.zone)


def date_before(day: date | None) -> date | None:
    return None if day is None or day == FIRST_DAY else day - timedelta(days=1)


def date_after(day: date) -> date:
    return day + timedelta(days=1)


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


def steps(first: date, last: date, zone: ZoneInfo, granularity: Granularity) -> list[datetime]:
    """Where the steps begin, and where the last one ends, in UTC.

    The first and the last week or month are cut to the period, so that steps add up to it.
    """
    end = midnight(last + timedelta(days=1), zone)
    boundaries = [midnight(first, zone)]
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
        boundaries.append(min(midnight(day, zone), end))
    return boundaries


def _next_hour(instant: datetime, zone: ZoneInfo) -> datetime:
    """The next full hour on the clocks of the zone, also where they are put on by half of one."""
    instant += QUARTER
    while instant.astimezone(zone).minute:
        instant += QUARTER
    return instant


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def quarter_of(instant: datetime) -> int:
    return int(instant.timestamp()) // int(QUARTER.total_seconds())


def instant_of(quarter: int) -> datetime:
    return datetime.fromtimestamp(quarter * QUARTER.total_seconds(), UTC)
