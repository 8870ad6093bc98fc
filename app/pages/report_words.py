"""How a report puts figures into words: days, steps, changes, money, and why hits are left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from app import money
from app.models import Verdict
from app.pages.charts import Point
from app.resolvers.breakdowns import OBJECTS, Dimension
from app.resolvers.stats import Granularity, Restated, Step

TO: Final = " \N{EN DASH} "
DIMENSIONS: Final[Mapping[Dimension, tuple[str, str, str]]] = {
    # What stands over it, what one is called, and what is said where there is none.
    Dimension.CAMPAIGN: ("Campaigns", "Campaign", "None"),
    Dimension.CREATOR: ("Creators", "Creator", "None"),
    Dimension.CAMPAIGN_LINK: ("Campaign links", "Campaign link", "Creator-level links"),
    Dimension.LABEL: ("Labels", "Label", "Without a label"),
    Dimension.UTM_SOURCE: ("UTM sources", "Source", "Without a source"),
    Dimension.REFERRER: ("Where clicks came from", "Site", "Direct or unknown"),
    Dimension.IN_APP: ("Apps", "App", "Not inside an app"),
    Dimension.DEVICE: ("Devices", "Device", "Unknown"),
    Dimension.BROWSER: ("Browsers", "Browser", "Unknown"),
    Dimension.OS: ("Systems", "System", "Unknown"),
    Dimension.COUNTRY: ("Countries", "Country", "Unknown"),
}
# The first that a reason begins with.
_REASONS: Final = (
    ("bot:preview:", "Link previews"),
    ("bot:", "Bots"),
    ("head", "Link checkers"),
    ("prefetch", "Prefetching browsers"),
    ("no-ua", "No user agent"),
    ("subresource", "Loaded inside pages"),
    ("scanner", "Mail and chat scanners"),
    ("duplicate", "Double taps"),
    ("network", "Excluded networks"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """How a number compares with the one before: the sign for eyes, the words for all."""

    sign: str
    words: str


def why(reason: str) -> str:
    """The kind of a reason, as people say it; the reason itself where it is a new one."""
    return next((words for start, words in _REASONS if reason.startswith(start)), reason)


def by_kind(excluded: Mapping[str, int]) -> list[tuple[str, int, Sequence[tuple[str, int]]]]:
    """Excluded hits by kind, most first, each with its reasons."""
    kinds: dict[str, list[tuple[str, int]]] = {}
    for reason, hits in excluded.items():
        kinds.setdefault(why(reason), []).append((reason, hits))
    summed = [(kind, sum(hits for _, hits in own), own) for kind, own in kinds.items()]
    return sorted(summed, key=lambda each: -each[1])


def restated(each: Restated, *, with_number: bool) -> str:
    """That the figures are not those of an earlier look, and why."""
    hits = f"{each.hits:,} {'hit' if each.hits == 1 else 'hits'}" if with_number else "hits"
    which = f"{hits} of {days(each.first, each.last)} ({why(each.reason).lower()})"
    now = "among" if each.verdict is Verdict.COUNTED else "not among"
    return f"Restated on {day(each.at)}: {which}, now {now} the clicks."


def change(now: float, before: float) -> Change:
    if now == before:
        return Change("", "as before")
    if not before:
        return Change("▲", "none before")
    per_cent = 100 * (now - before) / before
    more = "more" if per_cent > 0 else "less"
    shown = f"{abs(per_cent):,.0f}" if abs(per_cent) >= 1 else "under 1"
    return Change("▲" if per_cent > 0 else "▼", f"{shown}% {more}")


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else ""


def amount(minor: int, currency: str) -> str:
    """``amount(1234550, "EUR")`` is "12,345.50 EUR"."""
    whole, point, fraction = money.text(minor, currency).partition(".")
    sign = "-" if minor < 0 else ""
    return f"{sign}{int(whole.lstrip('-')):,}{point}{fraction} {currency}"


def day(value: date) -> str:
    return f"{value.day} {value:%b %Y}"


def days(first: date | None, last: date) -> str:
    """Both ends of a stretch of days, what they share said once."""
    if first is None:
        return f"until {day(last)}"
    if first == last:
        return day(first)
    if first.year != last.year:
        return f"{day(first)}{TO}{day(last)}"
    if first.month != last.month:
        return f"{first.day} {first:%b}{TO}{day(last)}"
    return f"{first.day}{TO}{day(last)}"


def step_name(step: Step, zone: ZoneInfo, granularity: Granularity) -> str:
    """A step as a row of a table names it."""
    start = step.start.astimezone(zone)
    if granularity is Granularity.HOUR:
        return f"{start:%a} {day(start)}, {start:%H:%M}"
    if granularity is Granularity.DAY:
        return f"{start:%a} {day(start)}"
    return days(start.date(), _last_day(step.end, zone))


def points(steps: Sequence[Step], zone: ZoneInfo, granularity: Granularity) -> list[Point]:
    """The clicks of the steps, as a chart takes them."""
    return [
        Point(
            _tick(step.start.astimezone(zone), granularity),
            f"{step_name(step, zone, granularity)}: {step.counts.clicks:,} clicks, "
            f"{step.counts.unique_clicks:,} unique",
            step.counts.clicks,
        )
        for step in steps
    ]


def table_of(by: Dimension) -> str:
    """The table whose CSV holds all of the parts."""
    name = by.name.lower().replace("_", "-")
    return f"{name}s" if by in OBJECTS else f"by-{name}"


def _tick(start: datetime, granularity: Granularity) -> str:
    if granularity is Granularity.HOUR:
        return f"{start:%H:%M}"
    return f"{start:%b %Y}" if granularity is Granularity.MONTH else f"{start.day} {start:%b}"


def _last_day(end: datetime, zone: ZoneInfo) -> date:
    return (end.astimezone(zone) - timedelta(minutes=1)).date()
