"""What the address of a report asks for: days, their time zone, a comparison, the length of steps.

Every fault is named at once, with the parameter that it is in, for the page to show beside its
form and for CSV to answer with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, available_timezones

from app.errors import Fault, Refused, UserErrorCode
from app.resolvers import stats
from app.resolvers.stats import Granularity, Period

PRESETS: Final = {
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
}
DEFAULT: Final = "30d"
NOT_COMPARED: Final = "none"
COMPARED: Final = "previous"
# The longest stretch that can be asked for: reports begin in 2000, and nobody waits for more.
YEARS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Query:
    """A report's parameters, checked. ``preset`` is None where days were named."""

    preset: str | None
    period: Period
    # None where the report may choose.
    granularity: Granularity | None
    compares: bool

    def address(self, *, preset: str | None = None) -> str:
        """The same query with another preset, or as it is, as the end of an address."""
        values: dict[str, str] = {}
        if preset or self.preset:
            values["range"] = preset or self.preset or ""
        else:
            assert self.period.first is not None  # noqa: S101 - only a preset can lack one
            values |= {"from": self.period.first.isoformat(), "to": self.period.last.isoformat()}
        values["zone"] = self.period.zone.key
        values["compare"] = COMPARED if self.compares else NOT_COMPARED
        return f"?{urlencode(values)}"


def read(given: Mapping[str, str], zone: str, *, now: datetime) -> Query:
    """The query of these parameters; raises `Refused`. What is left out, or empty, has a default."""
    form = _Form(given)
    query = Query(
        form.preset(),
        form.period(ZoneInfo(form.zone(zone)), now=now),
        form.granularity(),
        form.choice("compare", (COMPARED, NOT_COMPARED)) == COMPARED,
    )
    if form.faults:
        raise Refused(*form.faults)
    return query


class _Form:
    """The parameters. Each method returns what was asked for, or anything at all after a fault."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._values = {name: value.strip() for name, value in given.items() if value.strip()}
        self.faults: list[Fault] = []

    def fault(self, name: str, message: str) -> None:
        self.faults.append(Fault(UserErrorCode.INVALID, message, (name,)))

    def zone(self, default: str) -> str:
        zone = self._values.get("zone", default)
        if zone in available_timezones():
            return zone
        self.fault("zone", "This is not an IANA time zone, like Europe/Berlin.")
        return default

    def preset(self) -> str | None:
        """None where days are named; those of a form that were changed beside a preset count."""
        if self._values.keys() & {"from", "to"}:
            return None
        return self.choice("range", tuple(PRESETS), DEFAULT)

    def choice(self, name: str, among: Sequence[str], default: str | None = None) -> str:
        chosen = self._values.get(name, default or among[0])
        if chosen in among:
            return chosen
        self.fault(name, f"This is one of {', '.join(among)}.")
        return among[0]

    def granularity(self) -> Granularity | None:
        if "granularity" not in self._values:
            return None
        return Granularity[
            self.choice("granularity", [g.name.lower() for g in Granularity]).upper()
        ]

    def period(self, zone: ZoneInfo, *, now: datetime) -> Period:
        today = now.astimezone(zone).date()
        if not self._values.keys() & {"from", "to"}:
            preset = self._values.get("range", DEFAULT)
            if preset == "month":
                return Period(today.replace(day=1), today, zone)
            days = int(preset.removesuffix("d")) if preset in PRESETS else 1
            return stats.last_days(days, zone, now=now)
        first, last = self._day("from"), self._day("to")
        if first is None or last is None:
            return Period(today, today, zone)
        if last < first:
            self.fault("to", "The last day is before the first.")
        elif last - first > timedelta(days=366 * YEARS_MAX):
            self.fault("to", f"{YEARS_MAX} years at most.")
        return Period(first, last, zone)

    def _day(self, name: str) -> date | None:
        if name not in self._values:
            self.fault(name, "Name the first and the last day.")
            return None
        try:
            # Only the form that date inputs send; Python reads several more.
            day = datetime.strptime(self._values[name], "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            self.fault(name, "This is not a day, like 2026-05-31.")
            return None
        if stats.FIRST_DAY <= day <= stats.LAST_DAY:
            return day
        self.fault(name, f"Days are from {stats.FIRST_DAY} to {stats.LAST_DAY}.")
        return None
