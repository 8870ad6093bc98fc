"""Clicks into SQLite: one connection of its own, one transaction for each batch.

Its process has nothing else to do, so its calls block.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.clicks import retention, store
from app.clicks.kinds import Judged
from app.clicks.retention import Horizon, Kept
from app.clicks.rollups import CLICK_COLUMNS, Rules, Seen, Tally, Visit, tally, visits_of
from app.clicks.segments import Move

WAIT_S = 5.0
# So many in one statement are found three times as fast as each by one of its own.
VISITS_AT_ONCE = 200


def _values(count: int) -> str:
    return f"VALUES ({', '.join('?' * count)})"


ADD_CLICK = f"INSERT INTO click ({store.COLUMNS}) {_values(len(CLICK_COLUMNS))}"
ADD_TO_QUARTER = store.ADD_TO_QUARTER.format(values=_values(7))
ADD_TO_REASON = store.ADD_TO_REASON.format(values=_values(4))
ADD_TO_LINK_DAY = store.add_to_days("link", _values(7))
ADD_TO_LINK_PART = store.add_to_parts("link", _values(6))
ADD_TO_CAMPAIGN_DAY = store.add_to_days("campaign", _values(7))
ADD_TO_CAMPAIGN_PART = store.add_to_parts("campaign", _values(6))
ADD_TO_TOTAL = store.ADD_TO_TOTAL.format(values=_values(3))
# CROSS: each that is wanted is looked up, in this order, and not the other way round.
_FIND_VISITS = """
    WITH wanted (link_id, visitor) AS (VALUES {wanted})
    SELECT link_id, visitor, last_ms, unique_ms
    FROM wanted CROSS JOIN visitor_link USING (link_id, visitor)
"""
FIND_VISITS = _FIND_VISITS.format(wanted=", ".join(["(?, ?)"] * VISITS_AT_ONCE))
FIND_RULES = store.FIND_RULES.format(among="= ?")
KEEP_VISIT = store.KEEP_VISIT.format(values=_values(4))
MOVE_HORIZON = retention.MOVE_HORIZON.format(values=_values(3))
FIND_HITS = {
    is_counted: retention.FIND_HITS.format(
        program="?", from_ms="?", before_ms="?", among=among, batch="?"
    )
    for is_counted, among in retention.COUNTED.items()
}
MOVE_POSITION = store.MOVE_POSITION.format(values=_values(2))


class SqliteStore:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: sqlite3.Connection | None = None
        self._campaigns: dict[int, int] = {}

    async def positions(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT segment, position FROM journal_position"))

    async def add(
        self, hits: Sequence[Judged], moves: Sequence[Move], *, duplicate_ms: int, now_ms: int
    ) -> bool:
        with self._writing() as connection:
            for move in moves:
                if self._position(move.segment) != move.old:
                    return False
            result = tally(
                hits,
                self._seen(visits_of(hits)),
                self._rules({record.program_id for record, _ in hits}),
                self._campaigns_of({record.link_id for record, _ in hits}),
                duplicate_ms=duplicate_ms,
                now_ms=now_ms,
            )
            _write(connection, result)
            connection.executemany(MOVE_POSITION, [(move.segment, move.new) for move in moves])
        return True

    async def forget_segments(self, segments: Sequence[str]) -> None:
        with self._writing() as connection:
            connection.executemany(
                "DELETE FROM journal_position WHERE segment = ?", [(name,) for name in segments]
            )

    async def forget_visits(self, before_ms: int) -> int:
        with self._writing() as connection:
            return connection.execute(
                "DELETE FROM visitor_link WHERE (link_id, visitor) IN "
                "(SELECT link_id, visitor FROM visitor_link WHERE last_ms < ? LIMIT ?)",
                (before_ms, store.BATCH),
            ).rowcount

    async def forget_visitors(self, after: bytes, before: bytes) -> bytes | None:
        found = self._connection.execute(
            "SELECT id, visitor IS NULL FROM click WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (after, before, store.BATCH),
        ).fetchall()
        if not found:
            return None
        last: bytes = found[-1][0]
        if not all(is_null for _, is_null in found):
            with self._writing() as connection:
                connection.execute(
                    "UPDATE click SET visitor = NULL WHERE id > ? AND id <= ?", (after, last)
                )
        return last

    async def move_horizons(self, kept: Kept, now_ms: int) -> list[Horizon]:
        with self._writing() as connection:
            rows = connection.execute(retention.FIND_HORIZONS).fetchall()
            horizons = [retention.horizon_of(row, kept, now_ms) for row in rows]
            connection.executemany(
                MOVE_HORIZON, [(h.program_id, h.clicks_ms, h.excluded_ms) for h in horizons]
            )
        return horizons

    async def forget_hits(
        self, program_id: int, from_ms: int, before_ms: int, *, is_counted: bool
    ) -> int:
        values = (program_id, from_ms, before_ms, retention.BATCH)
        found = self._connection.execute(FIND_HITS[is_counted], values).fetchall()
        if found:
            with self._writing() as connection:
                connection.executemany("DELETE FROM click WHERE id = ? AND link_id = ?", found)
        return len(found)

    async def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            # Only the migrations make the file.
            uri = f"{self._path.absolute().as_uri()}?mode=rw"
            self._open = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT_S)
            # FULL: a journal segment is deleted only when its clicks are on the disk.
            self._open.execute("PRAGMA synchronous = FULL")
            self._open.execute("PRAGMA foreign_keys = ON")
            # A batch touches the pages of many links: kept in memory and copied out of the WAL
            # four times more seldom than by default, it takes a quarter less time.
            self._open.execute("PRAGMA cache_size = -65536")
            self._open.execute("PRAGMA wal_autocheckpoint = 4000")
        return self._open

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _position(self, segment: str) -> int:
        row = self._connection.execute(
            "SELECT position FROM journal_position WHERE segment = ?", (segment,)
        ).fetchone()
        return row[0] if row else 0

    def _seen(self, visits: set[Visit]) -> dict[Visit, Seen]:
        found: dict[Visit, Seen] = {}
        ordered = sorted(visits)
        for first in range(0, len(ordered), VISITS_AT_ONCE):
            chunk = ordered[first : first + VISITS_AT_ONCE]
            chunk += chunk[-1:] * (VISITS_AT_ONCE - len(chunk))
            wanted = [value for link, visitor in chunk for value in (link, bytearray(visitor))]
            for link, visitor, last_ms, unique_ms in self._connection.execute(FIND_VISITS, wanted):
                found[link, visitor] = (last_ms, unique_ms)
        return found

    def _rules(self, programs: set[int]) -> dict[int, Rules]:
        found = (self._connection.execute(FIND_RULES, (key,)).fetchone() for key in programs)
        return dict(store.rules_of(row) for row in found if row is not None)

    def _campaigns_of(self, links: set[int]) -> dict[int, int]:
        if len(self._campaigns) > store.CAMPAIGNS_KEPT:
            self._campaigns.clear()
        find = "SELECT id, campaign_id FROM tracking_link WHERE id = ?"
        for key in links - self._campaigns.keys():
            self._campaigns.update(self._connection.execute(find, (key,)).fetchall())
        return self._campaigns


def _write(connection: sqlite3.Connection, result: Tally) -> None:
    connection.executemany(ADD_CLICK, _rows(result))
    for statement, counts in (
        (ADD_TO_QUARTER, result.quarters),
        (ADD_TO_LINK_DAY, result.link_days),
        (ADD_TO_CAMPAIGN_DAY, result.campaign_days),
    ):
        connection.executemany(
            statement, sorted((*key, *each.values()) for key, each in counts.items())
        )
    connection.executemany(
        ADD_TO_REASON, sorted((*key, hits) for key, hits in result.reasons.items())
    )
    for statement, parts in (
        (ADD_TO_LINK_PART, result.link_parts),
        (ADD_TO_CAMPAIGN_PART, result.campaign_parts),
    ):
        connection.executemany(statement, sorted((*key, *sums) for key, sums in parts.items()))
    connection.executemany(
        ADD_TO_TOTAL, sorted((link, *total) for link, total in result.totals.items())
    )
    connection.executemany(
        KEEP_VISIT,
        [
            (link, bytearray(visitor), *seen)
            for (link, visitor), seen in sorted(result.visits.items())
        ],
    )


def _rows(result: Tally) -> list[tuple[object, ...]]:
    """What the driver binds five times faster than bytes and booleans, which it looks up an
    adapter for, each and every one: byte arrays and numbers.
    """
    return [
        (
            bytearray(record.id),
            record.link_id,
            record.at_ms,
            record.destination_version,
            None if visitor is None else bytearray(visitor),
            +is_unique,
            +kind.is_suspect,
            *kind.columns,
        )
        for record, kind, is_unique, visitor in result.hits
    ]
