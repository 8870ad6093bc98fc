"""How long raw hits are kept, and what is deleted next.

DESIGN
------
Reports are answered from sums, so deleting a hit changes none of them; it can only no longer
be listed, restated or counted again. `program_days` says from when on all hits of a program
are there. It is moved first, by whole days of the program, and the hits before it are deleted
afterwards: link by link, a day and a batch at a time, wherever the last recorder stopped.

A program that has tracked conversions keeps all hits for as long as one of them may still
earn a conversion: its window, what reports may be late by, and how long a conversion waits
for its click.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.days import DAY_MS, QUARTER_MS, begins_ms, day_of_quarter

HOUR_MS = 3_600_000
# A conversion may be stated 90 days late, and looks for its click for 60 days at most.
CREDITED_LATE_DAYS = 150
# Hits that one transaction deletes at most.
BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Kept:
    """How many days hits are kept: clicks, and all others."""

    clicks_days: int
    excluded_days: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """From when on a program's hits are there."""

    program_id: int
    clicks_ms: int
    excluded_ms: int
    # No hit is older.
    first_ms: int


class HitStore(Protocol):
    async def move_horizons(self, kept: Kept, now_ms: int) -> list[Horizon]:
        """Say from when on hits are kept from now on. Returns it for every program."""

    async def forget_hits(
        self, program_id: int, from_ms: int, before_ms: int, *, is_counted: bool
    ) -> int:
        """Delete up to a batch of a program's clicks, or of its other hits. Returns how many."""


def horizon_of(row: Any, kept: Kept, now_ms: int) -> Horizon:
    """A row of `FIND_HORIZONS`, moved on to where it is to be."""
    program_id, zone, clicks_ms, excluded_ms, window_days, first_day = row
    today = day_of_quarter(now_ms // QUARTER_MS, zone)
    credited_days = 0 if window_days is None else window_days + CREDITED_LATE_DAYS
    clicks_days = max(kept.clicks_days, credited_days)
    excluded_days = max(kept.excluded_days, credited_days)
    clicks_ms = max(clicks_ms, begins_ms(today - clicks_days, zone))
    excluded_ms = max(excluded_ms, begins_ms(today - excluded_days, zone))
    first_ms = excluded_ms if first_day is None else (first_day - 1) * DAY_MS
    return Horizon(program_id, clicks_ms, excluded_ms, first_ms)


FIND_HORIZONS = """
    SELECT program.id, coalesce(zone, time_zone), coalesce(clicks_ms, 0), coalesce(excluded_ms, 0),
        (SELECT window_days FROM conversion_settings WHERE program_id = program.id),
        (SELECT min(day) FROM campaign_day JOIN campaign ON campaign.id = campaign_id
         WHERE campaign.program_id = program.id)
    FROM program LEFT JOIN program_days ON program_days.program_id = program.id
    ORDER BY program.id
"""
MOVE_HORIZON = """
    INSERT INTO program_days (program_id, clicks_ms, excluded_ms)
    {values}
    ON CONFLICT (program_id) DO UPDATE SET
        clicks_ms = excluded.clicks_ms, excluded_ms = excluded.excluded_ms
"""
FIND_HITS = """
    SELECT id, link_id FROM click
    WHERE link_id IN (SELECT id FROM tracking_link WHERE program_id = {program})
        AND at_ms >= {from_ms} AND at_ms < {before_ms} AND verdict {among}
    LIMIT {batch}
"""
COUNTED = {True: "= 0", False: "<> 0"}


class Retention:
    """Deletes what is not kept, in steps."""

    def __init__(self, store: HitStore, kept: Kept) -> None:
        self._store = store
        self._kept = kept
        self._horizons: Sequence[Horizon] = ()
        self._moved_at_ms = 0
        # By program and kind of hits: until when all that is not kept is gone.
        self._gone_ms: dict[tuple[int, bool], int] = {}

    async def step(self, now_ms: int) -> bool:
        """Delete a batch. True when there may be more."""
        if now_ms - self._moved_at_ms >= HOUR_MS:
            self._horizons = await self._store.move_horizons(self._kept, now_ms)
            self._moved_at_ms = now_ms
        for horizon in self._horizons:
            for is_counted, until_ms in ((False, horizon.excluded_ms), (True, horizon.clicks_ms)):
                key = (horizon.program_id, is_counted)
                from_ms = self._gone_ms.get(key, horizon.first_ms)
                if from_ms < until_ms:
                    before_ms = min(from_ms + DAY_MS, until_ms)
                    deleted = await self._store.forget_hits(
                        horizon.program_id, from_ms, before_ms, is_counted=is_counted
                    )
                    if deleted < BATCH:
                        self._gone_ms[key] = before_ms
                    return True
        return False
