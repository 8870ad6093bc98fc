"""Days of a time zone as plain numbers, for what counts by them: days since 1970.

Days begin on quarters of an hour in every zone of today, so a quarter lies in one day. In SQL
a zone is the list of its offsets: integers that both engines add and divide alike.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

QUARTER_MS = 900_000
DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1).toordinal()
# No click is older. A zone's rules are known for some years ahead, and then written down anew.
FIRST_YEAR = 2000
YEARS_AHEAD = 10


def number_of(day: date) -> int:
    return day.toordinal() - EPOCH


def date_of(number: int) -> date:
    return date.fromordinal(EPOCH + number)


@lru_cache(maxsize=65_536)
def day_of_quarter(quarter: int, zone: str) -> int:
    """The day of the zone that this quarter of an hour since 1970 lies in."""
    return number_of(datetime.fromtimestamp(quarter * (QUARTER_MS // 1000), ZoneInfo(zone)).date())


def begins_ms(day: int, zone: str) -> int:
    """When the day begins in the zone, in milliseconds since 1970."""
    begin = date_of(day)
    midnight = datetime(begin.year, begin.month, begin.day, tzinfo=ZoneInfo(zone))
    return int(midnight.timestamp()) * 1000


def midnight_from(at_ms: int, zone: str) -> int:
    """The moment itself if a day of the zone begins with it, or else when the next one does."""
    day = day_of_quarter(at_ms // QUARTER_MS, zone)
    begin_ms = begins_ms(day, zone)
    return begin_ms if begin_ms >= at_ms else begins_ms(day + 1, zone)


def sql_of_day(at_ms: str, zone: str) -> str:
    """The day of the zone that a moment lies in, as SQL over a column of milliseconds.

    Nothing but numbers and the given words goes into it.
    """
    (first, *later) = _offsets(zone, datetime.now(UTC).year + YEARS_AHEAD)
    if not later:
        return f"CAST(({at_ms} + {first[1]}) / {DAY_MS} AS INTEGER)"
    # The newest first: that is where most clicks are found.
    cases = " ".join(f"WHEN {at_ms} >= {since} THEN {offset}" for since, offset in reversed(later))
    return f"CAST(({at_ms} + CASE {cases} ELSE {first[1]} END) / {DAY_MS} AS INTEGER)"


@lru_cache(maxsize=256)
def _offsets(zone: str, last_year: int) -> tuple[tuple[int, int], ...]:
    """Since when the zone is how far from UTC, both in milliseconds; the first one since ever."""
    local = ZoneInfo(zone)
    day, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    found = [(0, _offset_ms(day, local))]
    while day < end:
        following = day + timedelta(days=1)
        if _offset_ms(following, local) != found[-1][1]:
            moment = day
            while _offset_ms(moment, local) == found[-1][1]:
                moment += timedelta(milliseconds=QUARTER_MS)
            found.append((int(moment.timestamp()) * 1000, _offset_ms(moment, local)))
        day = following
    return tuple(found)


def _offset_ms(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * 1000
