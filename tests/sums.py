"""What is true after every test: requests = clicks + excluded hits by reason, at every level.

A test whose database holds no click pays for one look. What is still in a journal is nobody's yet.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from typing import Any, Final

import asyncpg
from sqlalchemy import text

from app.database import Database
from app.resolvers.recount import verify

# A test that leaves wrong sums on purpose, or rows that no recorder wrote, says so by this marker.
BREAKS_SUMS: Final = "breaks_sums"
HAS_CLICKS: Final = "SELECT EXISTS (SELECT 1 FROM click) OR EXISTS (SELECT 1 FROM click_quarter)"
# Of what is older than the hits that are kept, the sums alone are left.
KEPT: Final = """
    WITH kept AS (
        SELECT l.id AS link_id, creator_id, campaign_id,
            (CASE WHEN clicks_ms > excluded_ms THEN clicks_ms ELSE coalesce(excluded_ms, 0) END
             + 899999) / 900000 AS quarter
        FROM tracking_link AS l LEFT JOIN program_days AS d ON d.program_id = l.program_id
    )
    SELECT h.link_id, creator_id, campaign_id, {quarter} / 96, {sum}
    FROM {table} AS h LEFT JOIN kept ON kept.link_id = h.link_id
    WHERE {quarter} >= coalesce(kept.quarter, 0) {only}
    GROUP BY 1, 2, 3, 4
"""
IN_QUARTERS: Final = {"quarter": "h.quarter", "only": ""}
REQUESTS: Final = KEPT.format(
    table="click", quarter="(h.at_ms / 900000)", sum="count(*)", only="AND h.verdict IN (0, 1)"
)
CLICKS: Final = KEPT.format(table="click_quarter", sum="sum(h.clicks)", **IN_QUARTERS)
EXCLUDED: Final = KEPT.format(table="excluded_quarter", sum="sum(h.hits)", **IN_QUARTERS)
LEVELS: Final = ("link", "creator", "campaign", "day")


def check_every_sum(url: str) -> None:
    """Whether the stored sums are what the stored hits add up to, and each level the next."""
    if _has_clicks(url):
        asyncio.run(_check(url))


def _has_clicks(url: str) -> bool:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return bool(connection.execute(HAS_CLICKS).fetchone()[0])

    async def ask() -> bool:
        connection = await asyncpg.connect(url)
        try:
            return bool(await connection.fetchval(HAS_CLICKS))
        finally:
            await connection.close()

    return asyncio.run(ask())


async def _check(url: str) -> None:
    database = Database(url)
    try:
        async with database.reading() as session:
            connection = await session.connection()
            requests, clicks, excluded = [
                (await connection.execute(text(sql))).all() for sql in (REQUESTS, CLICKS, EXCLUDED)
            ]
        for place, level in enumerate(LEVELS):
            wanted, found = _by(place, requests), _by(place, [*clicks, *excluded])
            assert wanted == found, f"requests are not clicks + excluded hits by {level}"
        # By days of each program's zone, too, and all the details that hits are counted by.
        wrong = [str(difference) async for difference in verify(database)]
        assert wrong == [], f"not what the hits add up to: {wrong[:5]}"
    finally:
        await database.close()


def _by(place: int, rows: Iterable[Any]) -> dict[Any, int]:
    found: Counter[Any] = Counter()
    for row in rows:
        found[row[place]] += int(row[4])
    return {key: count for key, count in found.items() if count}
