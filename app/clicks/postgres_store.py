"""Clicks into PostgreSQL: rows by COPY, counters by one statement each, one transaction."""

import contextlib
from collections.abc import Sequence
from typing import Any

import asyncpg

from app.clicks import retention, store
from app.clicks.kinds import Judged
from app.clicks.retention import Horizon, Kept
from app.clicks.rollups import CLICK_COLUMNS, Rules, Seen, Tally, Visit, tally, visits_of
from app.clicks.segments import Move

WAIT_S = 10.0

ADD_TO_QUARTER = store.ADD_TO_QUARTER.format(
    values="SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::int[], "
    "$6::int[], $7::int[])"
)
ADD_TO_REASON = store.ADD_TO_REASON.format(
    values="SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::int[])"
)
_DAYS = (
    "SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[], "
    "$7::int[])"
)
_PARTS = (
    "SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::int[], $4::text[], $5::int[], "
    "$6::int[])"
)
ADD_TO_LINK_DAY = store.add_to_days("link", _DAYS)
ADD_TO_LINK_PART = store.add_to_parts("link", _PARTS)
ADD_TO_CAMPAIGN_DAY = store.add_to_days("campaign", _DAYS)
ADD_TO_CAMPAIGN_PART = store.add_to_parts("campaign", _PARTS)
ADD_TO_TOTAL = store.ADD_TO_TOTAL.format(
    values="SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"
)
KEEP_VISIT = store.KEEP_VISIT.format(
    values="SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[])"
)
MOVE_HORIZON = retention.MOVE_HORIZON.format(
    values="SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"
)
FIND_HITS = {
    is_counted: retention.FIND_HITS.format(
        program="$1", from_ms="$2", before_ms="$3", among=among, batch="$4"
    )
    for is_counted, among in retention.COUNTED.items()
}
DELETE_HITS = """
    DELETE FROM click USING unnest($1::bytea[], $2::bigint[]) AS old (id, link_id)
    WHERE click.id = old.id AND click.link_id = old.link_id
"""
MOVE_POSITION = store.MOVE_POSITION.format(values="SELECT * FROM unnest($1::text[], $2::bigint[])")
# Locked until COMMIT: whoever else would record these hits waits, and then finds them recorded.
FIND_POSITIONS = """
    SELECT segment, position FROM journal_position WHERE segment = ANY($1::text[])
    ORDER BY segment FOR UPDATE
"""
BEGIN_SEGMENTS = """
    INSERT INTO journal_position (segment, position) SELECT unnest($1::text[]), 0
    ON CONFLICT DO NOTHING
"""
FIND_VISITS = """
    SELECT link_id, visitor, last_ms, unique_ms
    FROM visitor_link JOIN unnest($1::bigint[], $2::bytea[]) AS wanted (link_id, visitor)
    USING (link_id, visitor)
"""
# Locked until COMMIT as a reference would, so that nobody gives the program other days meanwhile.
FIND_RULES = (
    store.FIND_RULES.format(among="= ANY($1::bigint[])")
    + " ORDER BY program.id FOR KEY SHARE OF program"
)
FIND_CAMPAIGNS = "SELECT id, campaign_id FROM tracking_link WHERE id = ANY($1::bigint[])"


class PostgresStore:
    def __init__(self, url: str) -> None:
        self._url = url
        self._open: asyncpg.Connection | None = None
        self._campaigns: dict[int, int] = {}

    async def positions(self) -> dict[str, int]:
        connection = await self._connection()
        rows = await connection.fetch("SELECT segment, position FROM journal_position")
        return {row[0]: row[1] for row in rows}

    async def add(
        self, hits: Sequence[Judged], moves: Sequence[Move], *, duplicate_ms: int, now_ms: int
    ) -> bool:
        connection = await self._connection()
        async with connection.transaction():
            segments = sorted(move.segment for move in moves)
            await connection.execute(BEGIN_SEGMENTS, segments)
            rows = await connection.fetch(FIND_POSITIONS, segments)
            found = {row[0]: row[1] for row in rows}
            if any(found[move.segment] != move.old for move in moves):
                return False
            result = tally(
                hits,
                await _seen(connection, visits_of(hits)),
                await _rules(connection, {record.program_id for record, _ in hits}),
                await self._campaigns_of(connection, {record.link_id for record, _ in hits}),
                duplicate_ms=duplicate_ms,
                now_ms=now_ms,
            )
            await _write(connection, result)
            await connection.execute(
                MOVE_POSITION, *_columns(2, [(m.segment, m.new) for m in moves])
            )
        return True

    async def forget_segments(self, segments: Sequence[str]) -> None:
        connection = await self._connection()
        await connection.execute(
            "DELETE FROM journal_position WHERE segment = ANY($1::text[])", list(segments)
        )

    async def forget_visits(self, before_ms: int) -> int:
        connection = await self._connection()
        done = await connection.execute(
            "DELETE FROM visitor_link WHERE (link_id, visitor) IN "
            "(SELECT link_id, visitor FROM visitor_link WHERE last_ms < $1 LIMIT $2)",
            before_ms,
            store.BATCH,
        )
        return int(done.rpartition(" ")[2])

    async def forget_visitors(self, after: bytes, before: bytes) -> bytes | None:
        connection = await self._connection()
        found = await connection.fetch(
            "SELECT id, visitor IS NULL FROM click WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3",
            after,
            before,
            store.BATCH,
        )
        if not found:
            return None
        last: bytes = found[-1][0]
        if not all(is_null for _, is_null in found):
            await connection.execute(
                "UPDATE click SET visitor = NULL "
                "WHERE id > $1 AND id <= $2 AND visitor IS NOT NULL",
                after,
                last,
            )
        return last

    async def move_horizons(self, kept: Kept, now_ms: int) -> list[Horizon]:
        connection = await self._connection()
        async with connection.transaction():
            # As `FIND_RULES` locks it: their days stay what they are meanwhile.
            await connection.execute("SELECT id FROM program ORDER BY id FOR KEY SHARE")
            rows = await connection.fetch(retention.FIND_HORIZONS)
            horizons = [retention.horizon_of(row, kept, now_ms) for row in rows]
            values = [(h.program_id, h.clicks_ms, h.excluded_ms) for h in horizons]
            await connection.execute(MOVE_HORIZON, *_columns(3, values))
        return horizons

    async def forget_hits(
        self, program_id: int, from_ms: int, before_ms: int, *, is_counted: bool
    ) -> int:
        connection = await self._connection()
        values = (program_id, from_ms, before_ms, retention.BATCH)
        found = await connection.fetch(FIND_HITS[is_counted], *values)
        if found:
            await connection.execute(DELETE_HITS, *_columns(2, found))
        return len(found)

    async def close(self) -> None:
        if self._open is not None:
            # If it does not say goodbye in time, it is cut off.
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError):
                await self._open.close(timeout=1)
            self._open = None

    async def _campaigns_of(
        self, connection: asyncpg.Connection, links: set[int]
    ) -> dict[int, int]:
        if len(self._campaigns) > store.CAMPAIGNS_KEPT:
            self._campaigns.clear()
        if unknown := links - self._campaigns.keys():
            rows = await connection.fetch(FIND_CAMPAIGNS, list(unknown))
            self._campaigns.update((row[0], row[1]) for row in rows)
        return self._campaigns

    async def _connection(self) -> asyncpg.Connection:
        if self._open is None or self._open.is_closed():
            self._open = await asyncpg.connect(
                self._url, timeout=WAIT_S, command_timeout=6 * WAIT_S
            )
        return self._open


async def _seen(connection: asyncpg.Connection, visits: set[Visit]) -> dict[Visit, Seen]:
    rows = await connection.fetch(FIND_VISITS, *_columns(2, sorted(visits)))
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


async def _rules(connection: asyncpg.Connection, programs: set[int]) -> dict[int, Rules]:
    rows = await connection.fetch(FIND_RULES, list(programs))
    return dict(store.rules_of(row) for row in rows)


async def _write(connection: asyncpg.Connection, result: Tally) -> None:
    await connection.copy_records_to_table("click", records=_rows(result), columns=CLICK_COLUMNS)
    # In order of their keys: two machines' recorders wait for each other, and never in a ring.
    for statement, counts in (
        (ADD_TO_QUARTER, result.quarters),
        (ADD_TO_LINK_DAY, result.link_days),
        (ADD_TO_CAMPAIGN_DAY, result.campaign_days),
    ):
        rows = sorted((*key, *each.values()) for key, each in counts.items())
        await connection.execute(statement, *_columns(7, rows))
    reasons = sorted((*key, hits) for key, hits in result.reasons.items())
    await connection.execute(ADD_TO_REASON, *_columns(4, reasons))
    for statement, parts in (
        (ADD_TO_LINK_PART, result.link_parts),
        (ADD_TO_CAMPAIGN_PART, result.campaign_parts),
    ):
        sums = sorted((*key, *each) for key, each in parts.items())
        await connection.execute(statement, *_columns(6, sums))
    totals = sorted((link, *total) for link, total in result.totals.items())
    await connection.execute(ADD_TO_TOTAL, *_columns(3, totals))
    visits = sorted((*visit, *seen) for visit, seen in result.visits.items())
    await connection.execute(KEEP_VISIT, *_columns(4, visits))


def _rows(result: Tally) -> list[tuple[object, ...]]:
    return [
        (
            record.id,
            record.link_id,
            record.at_ms,
            record.destination_version,
            visitor,
            is_unique,
            kind.is_suspect,
            *kind.columns,
        )
        for record, kind, is_unique, visitor in result.hits
    ]


def _columns(width: int, rows: Sequence[Any]) -> list[list[object]]:
    """Rows as the arrays that ``unnest`` makes rows of again."""
    return [[row[column] for row in rows] for column in range(width)]
