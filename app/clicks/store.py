"""What the recorder asks of a database: the narrow port that both engines implement."""

from collections.abc import Sequence
from typing import Any, Protocol

from app.clicks.kinds import Judged
from app.clicks.retention import Horizon, Kept
from app.clicks.rollups import CLICK_COLUMNS, Rules
from app.clicks.segments import Move

# Rows that a transaction of housekeeping touches at most.
BATCH = 1_000

ADD_TO_QUARTER = """
    INSERT INTO click_quarter (link_id, quarter, clicks, unique_clicks, suspect_clicks,
                               excluded_hits, hits_after_archive)
    {values}
    ON CONFLICT (link_id, quarter) DO UPDATE SET
        clicks = click_quarter.clicks + excluded.clicks,
        unique_clicks = click_quarter.unique_clicks + excluded.unique_clicks,
        suspect_clicks = click_quarter.suspect_clicks + excluded.suspect_clicks,
        excluded_hits = click_quarter.excluded_hits + excluded.excluded_hits,
        hits_after_archive = click_quarter.hits_after_archive + excluded.hits_after_archive
"""
_ADD_TO_DAY = """
    INSERT INTO {table} ({owner}, day, clicks, unique_clicks, suspect_clicks,
                         excluded_hits, hits_after_archive)
    {values}
    ON CONFLICT ({owner}, day) DO UPDATE SET
        clicks = {table}.clicks + excluded.clicks,
        unique_clicks = {table}.unique_clicks + excluded.unique_clicks,
        suspect_clicks = {table}.suspect_clicks + excluded.suspect_clicks,
        excluded_hits = {table}.excluded_hits + excluded.excluded_hits,
        hits_after_archive = {table}.hits_after_archive + excluded.hits_after_archive
"""
_ADD_TO_PART = """
    INSERT INTO {table} ({owner}, detail, day, value, hits, unique_hits)
    {values}
    ON CONFLICT ({owner}, detail, day, value) DO UPDATE SET
        hits = {table}.hits + excluded.hits,
        unique_hits = {table}.unique_hits + excluded.unique_hits
"""


def add_to_days(owner: str, values: str) -> str:
    """Add to the days of links or of campaigns."""
    return _ADD_TO_DAY.format(table=f"{owner}_day", owner=f"{owner}_id", values=values)


def add_to_parts(owner: str, values: str) -> str:
    """Add to the parts of links or of campaigns."""
    return _ADD_TO_PART.format(table=f"{owner}_part", owner=f"{owner}_id", values=values)


ADD_TO_REASON = """
    INSERT INTO excluded_quarter (link_id, quarter, reason, hits)
    {values}
    ON CONFLICT (link_id, quarter, reason) DO UPDATE SET
        hits = excluded_quarter.hits + excluded.hits
"""
# The last click's time only grows, also where two recorders come out of turn.
ADD_TO_TOTAL = """
    INSERT INTO link_total (link_id, clicks, last_click_ms)
    {values}
    ON CONFLICT (link_id) DO UPDATE SET
        clicks = link_total.clicks + excluded.clicks,
        last_click_ms = CASE WHEN excluded.last_click_ms > link_total.last_click_ms
            THEN excluded.last_click_ms ELSE link_total.last_click_ms END
"""
KEEP_VISIT = """
    INSERT INTO visitor_link (link_id, visitor, last_ms, unique_ms)
    {values}
    ON CONFLICT (link_id, visitor) DO UPDATE SET
        last_ms = excluded.last_ms, unique_ms = excluded.unique_ms
"""
MOVE_POSITION = """
    INSERT INTO journal_position (segment, position)
    {values}
    ON CONFLICT (segment) DO UPDATE SET position = excluded.position
"""
FIND_RULES = """
    SELECT program.id, unique_window_minutes, coalesce(zone, time_zone)
    FROM program LEFT JOIN program_days ON program_id = program.id
    WHERE program.id {among}
"""
# A link's campaign never changes, so that it is asked for once.
CAMPAIGNS_KEPT = 100_000
COLUMNS = ", ".join(CLICK_COLUMNS)


def rules_of(row: Any) -> tuple[int, Rules]:
    """A row of `FIND_RULES`."""
    return row[0], Rules(row[1] * 60_000, row[2])


class Store(Protocol):
    """Raises whatever its driver raises; then nothing of the call has happened."""

    async def positions(self) -> dict[str, int]:
        """How far into each segment the stored clicks reach."""

    async def add(
        self, hits: Sequence[Judged], moves: Sequence[Move], *, duplicate_ms: int, now_ms: int
    ) -> bool:
        """Store the hits, add them up and move the positions, all or nothing.

        False, and nothing is done, when a position is not what ``moves`` says it was:
        somebody else has recorded these hits.
        """

    async def forget_segments(self, segments: Sequence[str]) -> None:
        """Their files are gone: drop their positions."""

    async def forget_visits(self, before_ms: int) -> int:
        """Drop up to a batch of visits that ended before then. Returns how many."""

    async def forget_visitors(self, after: bytes, before: bytes) -> bytes | None:
        """Null the visitors of a batch of clicks, ids from above ``after`` to below ``before``.

        Returns the last id of the batch, or None when there was none.
        """

    async def move_horizons(self, kept: Kept, now_ms: int) -> list[Horizon]:
        """As `app.clicks.retention` asks it."""

    async def forget_hits(
        self, program_id: int, from_ms: int, before_ms: int, *, is_counted: bool
    ) -> int:
        """As `app.clicks.retention` asks it."""

    async def close(self) -> None: ...
