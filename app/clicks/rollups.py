"""How hits add up: hits and what is known of their visitors in, rows and counters out.

Pure. Both stores call `tally` inside the transaction that writes what comes out of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.clicks.classifier import DUPLICATE, VERSION, Verdict, is_duplicate, is_unique
from app.clicks.records import Record

QUARTER_MS = 900_000
HOUR_MS = 3_600_000
# As long as a day key lives: after that a visitor's hash says nothing, and goes.
VISITOR_MS = 48 * HOUR_MS
# The longest window in which a visitor's return is not unique.
VISIT_MS = 24 * HOUR_MS
DEFAULT_WINDOW_MS = 30 * 60_000

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


@dataclass(frozen=True, slots=True)
class Judged:
    """A hit with everything that can be said of it alone."""

    record: Record
    verdict: Verdict
    reason: str
    is_suspect: bool
    # referrer_host, country, device, browser, os, in_app, utm_source, utm_medium, utm_campaign
    details: tuple[str, ...]


@dataclass(slots=True)
class Counts:
    """One row's worth of click_quarter, to be added."""

    clicks: int = 0
    unique_clicks: int = 0
    suspect_clicks: int = 0
    excluded_hits: int = 0
    hits_after_archive: int = 0

    def values(self) -> tuple[int, int, int, int, int]:
        return (
            self.clicks,
            self.unique_clicks,
            self.suspect_clicks,
            self.excluded_hits,
            self.hits_after_archive,
        )


@dataclass(slots=True)
class Tally:
    """What one transaction writes."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
    quarters: dict[tuple[int, int], Counts] = field(default_factory=dict)
    reasons: dict[tuple[int, int, str], int] = field(default_factory=dict)
    visits: dict[Visit, Seen] = field(default_factory=dict)


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
    windows_ms: Mapping[int, int],
    *,
    duplicate_ms: int,
    now_ms: int,
) -> Tally:
    """Decide what is a duplicate and what is unique, in the order given, and add it all up.

    ``windows_ms`` is each program's window of uniqueness. Both are judged by the visitor's
    clicks that counted: a hit that is itself excluded prolongs nothing.
    """
    out = Tally()
    for hit in hits:
        record = hit.record
        link, at_ms = record.link_id, record.at_ms
        verdict, reason, unique = hit.verdict, hit.reason, False
        if verdict is Verdict.COUNTED and record.visitor is not None:
            before: Seen | None = None
            for visitor in (record.visitor, record.visitor_before):
                if before is None and visitor is not None:
                    before = out.visits.get((link, visitor)) or seen.get((link, visitor))
            window_ms = windows_ms.get(record.program_id, DEFAULT_WINDOW_MS)
            if before is not None and is_duplicate(at_ms, before[0], duplicate_ms):
                verdict, reason = Verdict.EXCLUDED, DUPLICATE
            else:
                unique = before is None or is_unique(at_ms, before[1], window_ms)
                # Hits come in order of time. If one does not, a clock was set back, and its
                # time is what the next one is compared with.
                last_unique = at_ms if unique or before is None else before[1]
                out.visits[link, record.visitor] = (at_ms, last_unique)
        suspect = hit.is_suspect and verdict is Verdict.COUNTED
        quarter = at_ms // QUARTER_MS
        # A test's click is a row, and in no figure.
        is_test = verdict is Verdict.TEST
        counts = Counts() if is_test else out.quarters.setdefault((link, quarter), Counts())
        if verdict is Verdict.COUNTED:
            counts.clicks += 1
            counts.unique_clicks += unique
            counts.suspect_clicks += suspect
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
    return out
