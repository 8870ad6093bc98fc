"""Rollups are never believed blindly: they can be compared with the raw clicks, and restored."""

import asyncio
import os
import subprocess
import sys

from sqlalchemy import text

from app.database import Database
from app.resolvers.recount import rebuild, verify
from tests.reports import add_hits, add_program, dice_of
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
)


async def fill(database: Database, hits: int = 400) -> None:
    links = await add_program(database)
    await add_hits(database, links, dice_of(3), hits)


async def execute(database: Database, *statements: str) -> None:
    async with database.writing() as session:
        for statement in statements:
            await (await session.connection()).execute(text(statement))


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
    for table in ("link_day", "link_part", "campaign_day"):
        assert any(line.startswith(f"{table}: ") for line in found)
    assert await rebuild(database) == len(found) >= len(SPOIL)
    assert await differences(database) == []
    assert await rebuild(database) == 0


async def test_all_of_the_rollups_can_be_made_from_the_raw_clicks(database: Database) -> None:
    await fill(database)
    tables = ("click_quarter", "excluded_quarter", "link_day", "link_part", "campaign_day")
    await execute(database, *(f"DELETE FROM {table}" for table in (*tables, "campaign_part")))
    assert await rebuild(database) > 0
    assert await differences(database) == []


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
