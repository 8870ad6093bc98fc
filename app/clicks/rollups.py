"""How hits add up: hits and what is known of their visitors in, rows and counters out.

Pure. Both stores call `tally` inside the transaction that writes what comes out of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from app.clicks.classifier import Verdict, is_duplicate, is_unique
from app.clicks.kinds import Judged, Kind
from app.clicks.records import Record
from app.days import QUARTER_MS, day_of_quarter

HOUR_MS = 3_600_000
# As long as a day key lives: after that a visitor's hash says nothing, and goes.
VISITOR_MS = 48 * HOUR_MS
# The longest window in which a visitor's return is not unique.
VISIT_MS = 24 * HOUR_MS

Visit = tuple[int, bytes]  # a link and a visitor
# When the visitor's last click counted, and when their last unique one did.
Seen = tuple[int, int]

CLICK_COLUMNS = (
    "id",
    "link_id",
    "at_ms",
    "destination_version",
    "visitor",
    "is_unique",
    "is_suspect",
    # From here on as `Kind.columns`.
    "verdict",
    "reason",
    "classifier",
    "referrer_host",
    "country",
    "device",
    "browser",
    "os",
    "in_app",
    "utm_source",
    "utm_medium",
    "utm_campaign",
)


class Detail(IntEnum):
    """What tells the hits of a day apart. Stored: the same as `app.models.clicks.Detail`."""

    REASON = 0
    DESTINATION = 1
    REFERRER = 2
    COUNTRY = 3
    DEVICE = 4
    BROWSER = 5
    OS = 6
    IN_APP = 7


@dataclass(frozen=True, slots=True)
class Rules:
    """What a program's clicks are counted by."""

    # How long after a visitor's unique click the next one is not.
    window_ms: int = 30 * 60_000
    # Whose days its day rows are.
    zone: str = "UTC"


# Of a program that is not there.
ANY_RULES = Rules()
# How many of a hit's details are counted by day.
DETAILS = Detail.IN_APP - Detail.DESTINATION


@dataclass(slots=True)
class Counts:
    """One row's worth of click_quarter, link_day or campaign_day, to be added."""

    clicks: int = 0
    unique_clicks: int = 0
    suspect_clicks: int = 0
    excluded_hits: int = 0
    hits_after_archive: int = 0

    def add(self, other: "Counts") -> None:
        self.clicks += other.clicks
        self.unique_clicks += other.unique_clicks
        self.suspect_clicks += other.suspect_clicks
        self.excluded_hits += other.excluded_hits
        self.hits_after_archive += other.hits_after_archive

    def values(self) -> tuple[int, int, int, int, int]:
        return (
            self.clicks,
            self.unique_clicks,
            self.suspect_clicks,
            self.excluded_hits,
            self.hits_after_archive,
        )


# A hit as it is to be stored: whether it is unique, and the visitor unless it is too old for one.
Stored = tuple[Record, Kind, bool, bytes | None]
# By link or campaign and day; by link or campaign, detail, day and value, hits and unique ones.
Days = dict[tuple[int, int], Counts]
Parts = dict[tuple[int, int, int, str], list[int]]


@dataclass(slots=True)
class Tally:
    """What one transaction writes."""

    hits: list[Stored] = field(default_factory=list)
    quarters: dict[tuple[int, int], Counts] = field(default_factory=dict)
    reasons: dict[tuple[int, int, str], int] = field(default_factory=dict)
    visits: dict[Visit, Seen] = field(default_factory=dict)
    link_days: Days = field(default_factory=dict)
    link_parts: Parts = field(default_factory=dict)
    campaign_days: Days = field(default_factory=dict)
    campaign_parts: Parts = field(default_factory=dict)
    # By link: clicks, and when the last one was.
    totals: dict[int, list[int]] = field(default_factory=dict)


def visits_of(hits: Iterable[Judged]) -> set[Visit]:
    """What `tally` needs to know of earlier visits."""
    visits: set[Visit] = set()
    for record, kind in hits:
        if kind.verdict is Verdict.COUNTED and record.visitor is not None:
            visits.add((record.link_id, record.visitor))
            if record.visitor_before is not None:
                visits.add((record.link_id, record.visitor_before))
    return visits


def tally(
    hits: Iterable[Judged],
    seen: Mapping[Visit, Seen],
    rules: Mapping[int, Rules],
    campaigns: Mapping[int, int],
    *,
    duplicate_ms: int,
    now_ms: int,
) -> Tally:
    """Decide what is a duplicate and what is unique, in the order given, and add it all up.

    ``rules`` are those of each program, ``campaigns`` the one of each link. Both decisions are
    made by the visitor's clicks that counted: a hit that is itself excluded prolongs nothing.
    """
    out = Tally()
    stored, visits, known = out.hits, out.visits, dict(seen)
    programs: dict[int, int] = {}
    # Hits that differ in nothing that is counted: by link, quarter of an hour, version of the
    # destination, kind, and whether they are unique.
    groups: dict[tuple[int, int, int, Kind, bool], int] = {}
    last_ms: dict[int, int] = {}
    oldest_ms = now_ms - VISITOR_MS
    for record, alone in hits:
        link, at_ms, version = record.link_id, record.at_ms, record.destination_version
        kind, visitor, unique = alone, record.visitor, False
        programs[link] = record.program_id
        if visitor is not None and kind.verdict is Verdict.COUNTED:
            before = known.get((link, visitor))
            if before is None and record.visitor_before is not None:
                before = known.get((link, record.visitor_before))
            if before is not None and is_duplicate(at_ms, before[0], duplicate_ms):
                kind = kind.duplicate
            else:
                window_ms = rules.get(record.program_id, ANY_RULES).window_ms
                unique = before is None or is_unique(at_ms, before[1], window_ms)
                # Hits come in order of time. If one does not, a clock was set back, and its
                # time is what the next one is compared with.
                last_unique = at_ms if unique or before is None else before[1]
                known[link, visitor] = visits[link, visitor] = (at_ms, last_unique)
        if kind.verdict is Verdict.COUNTED:
            last_ms[link] = max(at_ms, last_ms.get(link, 0))  # a clock may have been set back
        group = (link, at_ms // QUARTER_MS, version, kind, unique)
        groups[group] = groups.get(group, 0) + 1
        stored.append((record, kind, unique, visitor if at_ms > oldest_ms else None))
    # What clicks brought, with how many and how many unique ones: many are alike.
    alike: dict[tuple[object, ...], list[int]] = {}
    for (link, quarter, version, kind, unique), count in groups.items():
        if kind.verdict is Verdict.TEST:  # a row, and in no figure
            continue
        counts = out.quarters.setdefault((link, quarter), Counts())
        if kind.verdict is Verdict.COUNTED:
            counts.clicks += count
            counts.unique_clicks += count * unique
            counts.suspect_clicks += count * kind.is_suspect
            brought = (link, quarter, str(version), *kind.details[:DETAILS])
            same = alike.setdefault(brought, [0, 0])
            same[0] += count
            same[1] += count * unique
            total = out.totals.setdefault(link, [0, last_ms[link]])
            total[0] += count
        elif kind.verdict is Verdict.EXCLUDED:
            counts.excluded_hits += count
            key = (link, quarter, kind.reason)
            out.reasons[key] = out.reasons.get(key, 0) + count
        else:
            counts.hits_after_archive += count
    zones = {link: rules.get(key, ANY_RULES).zone for link, key in programs.items()}
    _add_days(out, alike, zones, campaigns)
    return out


def _add_days(
    out: Tally,
    alike: Mapping[tuple[Any, ...], list[int]],
    zones: Mapping[int, str],
    campaigns: Mapping[int, int],
) -> None:
    """The same by day, and split by what tells the hits of a day apart; for campaigns too."""
    for (link, quarter), counts in out.quarters.items():
        day = day_of_quarter(quarter, zones[link])
        out.link_days.setdefault((link, day), Counts()).add(counts)
        if link in campaigns:
            out.campaign_days.setdefault((campaigns[link], day), Counts()).add(counts)
    for (link, quarter, reason), hits in out.reasons.items():
        day = day_of_quarter(quarter, zones[link])
        _split(out.link_parts, link, day, (reason,), Detail.REASON, [hits, 0])
        if link in campaigns:
            _split(out.campaign_parts, campaigns[link], day, (reason,), Detail.REASON, [hits, 0])
    of_campaigns: dict[tuple[Any, ...], list[int]] = {}
    for (link, quarter, *values), sums in alike.items():
        day = day_of_quarter(quarter, zones[link])
        _split(out.link_parts, link, day, values, Detail.DESTINATION, sums)
        if link in campaigns:
            # Which version of its destination it was is the link's own affair.
            same = of_campaigns.setdefault((campaigns[link], day, *values[1:]), [0, 0])
            same[0] += sums[0]
            same[1] += sums[1]
    for (campaign, day, *values), sums in of_campaigns.items():
        _split(out.campaign_parts, campaign, day, values, Detail.REFERRER, sums)


def _split(
    parts: Parts, owner: int, day: int, values: Iterable[str], first: Detail, sums: Sequence[int]
) -> None:
    """Add hits and unique ones to the part of each value. The first is of this detail."""
    hits, unique = sums
    for detail, value in enumerate(values, start=int(first)):
        key = (owner, detail, day, value)
        part = parts.get(key)
        if part is None:
            parts[key] = [hits, unique]
        else:
            part[0] += hits
            part[1] += unique
