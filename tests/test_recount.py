"""Rollups are never believed blindly: they can be compared with the raw clicks, and restored."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app import migrations
from app.auth import OPERATOR
from app.database import Database
from app.errors import Refused
from app.resolvers import day_rows, programs, stats
from app.resolvers.breakdowns import Dimension, Split, breakdowns
from app.resolvers.change import Change
from app.resolvers.recount import rebuild, verify
from app.resolvers.stats import Period, Scope
from tests.reports import PROGRAM, add_hits, add_program, count, dice_of, raw_hits
from tests.site import Site

FIRST_QUARTER = "WHERE quarter = (SELECT min(quarter) FROM click_quarter)"
LAST_REASON = "WHERE quarter = (SELECT max(quarter) FROM excluded_quarter)"
SPOIL = (
    f"UPDATE click_quarter SET clicks = clicks + 1 {FIRST_QUARTER}",
    f"DELETE FROM excluded_quarter {LAST_REASON}",
    "INSERT INTO click_quarter VALUES (77, 1000, 5, 0, 0, 0, 0)",
    "UPDATE link_day SET unique_clicks = 99 WHERE day = (SELECT max(day) FROM link_day)",
    "DELETE FROM link_part WHERE detail = 4 AND value = 'mobile'",
    "UPDATE campaign_day SET excluded_hits = 99 WHERE campaign_id = 2",
    "INSERT INTO campaign_part VALUES (1, 3, 10, 'XX', 5, 5)",
    "UPDATE link_total SET last_click_ms = 7 WHERE link_id = (SELECT min(link_id) FROM link_total)",
    "INSERT INTO link_total VALUES (78, 5, 5)",
)
MIGRATED = (
    "link_day",
    "link_part",
    "campaign_day",
    "campaign_part",
    "destination_utm",
    "link_total",
)


async def fill(database: Database, hits: int = 400) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(3), hits)


async def execute(database: Database, *statements: str) -> None:
    async with database.writing() as session:
        for statement in statements:
            await (await session.connection()).execute(text(statement))


async def rows(database: Database, table: str) -> list[Any]:
    async with database.reading() as session:
        found = await (await session.connection()).execute(text(f"SELECT * FROM {table}"))
        return sorted(tuple(row) for row in found)


async def differences(database: Database) -> list[str]:
    return [str(difference) async for difference in verify(database)]


async def test_what_the_recorder_wrote_is_what_the_raw_clicks_add_up_to(
    database: Database,
) -> None:
    await fill(database)
    assert await differences(database) == []
    assert await rebuild(database) == 0


async def test_a_planted_difference_is_named_and_restored(database: Database) -> None:
    await fill(database)
    await execute(database, *SPOIL)
    found = await differences(database)
    assert "click_quarter: link_id 77, quarter 1970-01-11 10:00: clicks is 5, should be 0" in found
    assert any(
        line.startswith("excluded_quarter: ") and "hits is 0, should be" in line for line in found
    )
    where = "campaign_part: campaign_id 1, detail COUNTRY, day 1970-01-11, value XX"
    assert f"{where}: hits is 5, should be 0; unique_hits is 5, should be 0" in found
    assert (
        "link_total: link_id 78: clicks is 5, should be 0; last_click_ms is 5, should be 0" in found
    )
    for table in ("link_day", "link_part", "campaign_day", "link_total"):
        assert any(line.startswith(f"{table}: ") for line in found)
    assert await rebuild(database) == len(found) >= len(SPOIL)
    assert await differences(database) == []
    assert await rebuild(database) == 0


async def test_all_of_the_rollups_can_be_made_from_the_raw_clicks(database: Database) -> None:
    await fill(database)
    quarters, days = ("click_quarter", "excluded_quarter"), ("link_day", "campaign_day")
    tables = (*quarters, *days, "link_part", "campaign_part", "link_total")
    await execute(database, *(f"DELETE FROM {table}" for table in tables))
    assert await rebuild(database) > 0
    assert await differences(database) == []


@pytest.mark.parametrize("zone", ["UTC", "Australia/Lord_Howe"])
async def test_hits_of_before_there_were_day_rows_are_counted_by_the_migration(
    engine_url: str, database: Database, zone: str
) -> None:
    links = await add_program(database, zone=zone)
    await add_hits(database, links, dice_of(3), 300)
    before = {table: await rows(database, table) for table in MIGRATED}
    await database.close()
    await migrations.downgrade(engine_url, "0004")
    await migrations.upgrade(engine_url)
    assert await differences(database) == []
    assert {table: await rows(database, table) for table in MIGRATED} == before
    assert all(before.values())


async def test_rebuilding_while_clicks_are_recorded_loses_none(database: Database) -> None:
    links = await add_program(database)
    await execute(database, "INSERT INTO click_quarter VALUES (77, 1000, 5, 0, 0, 0, 0)")

    def clicks() -> None:
        for seed in range(30):
            asyncio.run(add_hits(database, links, dice_of(seed), 20))

    recorder = asyncio.create_task(asyncio.to_thread(clicks))  # another process, in truth
    while not recorder.done():
        await rebuild(database)
    await recorder
    assert await differences(database) == []


async def test_the_days_of_a_large_program_move_to_another_zone_when_they_are_rebuilt(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then reports are exact in both zones; what clicks bring is there in the old one."""
    links = await add_program(database)
    await add_hits(database, links, dice_of(3), 400)
    hits = await raw_hits(database, links)
    monkeypatch.setattr(day_rows, "AT_ONCE", 0)
    zones = [ZoneInfo("UTC"), ZoneInfo("Asia/Kathmandu")]
    asked = (OPERATOR, Scope.PROGRAM, [PROGRAM])

    async def check(split_in: ZoneInfo) -> None:
        for zone in zones:
            period = Period(date(2026, 3, 8), date(2026, 3, 29), zone)
            inside = [
                hit for hit in hits if date(2026, 3, 8) <= hit.local(zone).date() <= period.last
            ]
            async with database.reading() as session:
                assert await stats.totals(session, *asked, period) == {PROGRAM: count(inside)}
                split = breakdowns(session, *asked, period, Split(Dimension.DEVICE, 9))
                if zone is split_in:
                    parts = (await split)[PROGRAM].parts
                    assert sum(part.clicks for part in parts) == count(inside).clicks
                else:
                    with pytest.raises(Refused, match="DEVICE is counted by days of"):
                        await split
        assert await differences(database) == []

    await check(zones[0])
    async with database.writing() as session:
        change = Change(session, OPERATOR, datetime.now(UTC), check_destination=str)
        await programs.update(change, PROGRAM, {"time_zone": zones[1].key})
    await check(zones[0])
    assert await rebuild(database) == 1
    await check(zones[1])


async def test_the_command_line_says_each_difference_and_fails(site: Site) -> None:
    def tracklinks(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "app", command],
            env={**os.environ, **site.environment()},
            capture_output=True,
            text=True,
            check=False,
        )

    async with site.database() as database:
        await fill(database, 50)
        assert tracklinks("verify").returncode == 0
        await execute(database, SPOIL[2])
    answer = await asyncio.to_thread(tracklinks, "verify")
    assert answer.returncode == 1
    assert "click_quarter: link_id 77" in answer.stdout
    assert "1 rows differ" in answer.stderr
    assert tracklinks("rebuild").stdout == "Restored 1 rows.\n"
    assert tracklinks("verify").returncode == 0
