"""How hits add up: hits and what is known of their visitors in, rows and counters out.

Pure. Both stores call `tally` inside the transaction that writes what comes out of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from app.clicks.classifier import DUPLICATE, VERSION, Verdict, is_duplicate, is_unique
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
    "verdict",
    "reason",
    "classifier",
    "is_unique",
    "is_suspect",
    "visitor",
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


class Judged(NamedTuple):
    """A hit with everything that can be said of it alone."""

    record: Record
    verdict: Verdict
    reason: str
    is_suspect: bool
    # referrer_host, country, device, browser, os, in_app, as the last of `Detail` are ordered;
    # utm_source, utm_medium, utm_campaign
    details: tuple[str, ...]


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


# By link or campaign and day; by link or campaign, detail, day and value, hits and unique ones.
Days = dict[tuple[int, int], Counts]
Parts = dict[tuple[int, int, int, str], list[int]]


@dataclass(slots=True)
class Tally:
    """What one transaction writes."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
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
    for hit in hits:
        record = hit.record
        for visitor in (record.visitor, record.visitor_before):
            if visitor is not None and hit.verdict is Verdict.COUNTED:
                visits.add((record.link_id, visitor))
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
    zones: dict[int, str] = {}
    # What clicks brought, with how many and how many unique ones: many are alike.
    alike: dict[tuple[object, ...], list[int]] = {}
    for hit in hits:
        record = hit.record
        link, at_ms = record.link_id, record.at_ms
        verdict, reason, unique = hit.verdict, hit.reason, False
        rule = rules.get(record.program_id, ANY_RULES)
        zones[link] = rule.zone
        if verdict is Verdict.COUNTED and record.visitor is not None:
            before: Seen | None = None
            for visitor in (record.visitor, record.visitor_before):
                if before is None and visitor is not None:
                    before = out.visits.get((link, visitor)) or seen.get((link, visitor))
            if before is not None and is_duplicate(at_ms, before[0], duplicate_ms):
                verdict, reason = Verdict.EXCLUDED, DUPLICATE
            else:
                unique = before is None or is_unique(at_ms, before[1], rule.window_ms)
                # Hits come in order of time. If one does not, a clock was set back, and its
                # time is what the next one is compared with.
                last_unique = at_ms if unique or before is None else before[1]
                out.visits[link, record.visitor] = (at_ms, last_unique)
        suspect = hit.is_suspect and verdict is Verdict.COUNTED
        quarter = at_ms // QUARTER_MS
        counts = out.quarters.get((link, quarter))
        if counts is None:
            counts = Counts()
            if verdict is not Verdict.TEST:  # a row, and in no figure
                out.quarters[link, quarter] = counts
        if verdict is Verdict.COUNTED:
            counts.clicks += 1
            counts.unique_clicks += unique
            counts.suspect_clicks += suspect
            brought = (link, quarter, str(record.destination_version), *hit.details[:DETAILS])
            same = alike.setdefault(brought, [0, 0])
            same[0] += 1
            same[1] += unique
            total = out.totals.setdefault(link, [0, at_ms])
            total[0] += 1
            total[1] = max(total[1], at_ms)  # a clock may have been set back
        elif verdict is Verdict.EXCLUDED:
            counts.excluded_hits += 1
            key = (link, quarter, reason)
            out.reasons[key] = out.reasons.get(key, 0) + 1
        else:
            counts.hits_after_archive += 1
        out.rows.append(
            (
                record.id,
                link,
                at_ms,
                record.destination_version,
                int(verdict),
                reason,
                VERSION,
                unique,
                suspect,
                record.visitor if at_ms > now_ms - VISITOR_MS else None,
                *hit.details,
            )
        )
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
