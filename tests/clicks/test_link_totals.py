"""All clicks of a link and its last one: kept by the recorder, and never lost to what is repaired."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from app import migrations
from app.auth import OPERATOR
from app.clicks.classifier import SELF_TEST_AGENT
from app.clicks.recorder import open_store
from app.clicks.retention import Kept, Retention
from app.database import Database
from app.days import QUARTER_MS
from app.models import TrackingLink, Verdict
from app.resolvers import restatement
from app.resolvers.recount import rebuild, verify
from app.resolvers.restatement import Restatement
from tests.clicks.hits import NOON_MS, record
from tests.reports import add_hits, add_program, add_records, dice_of

NOW = datetime.fromtimestamp(NOON_MS / 1000, UTC)
MINUTE, DAY = 60, 24 * 3600
LINK, OTHER = 10010, 10011
Totals = dict[int, tuple[int, int]]


@pytest.fixture
async def links(database: Database) -> list[TrackingLink]:
    return await add_program(database)


async def totals(database: Database) -> Totals:
    """By link: its clicks, and when the last one was."""
    async with database.reading() as session:
        sql = text("SELECT link_id, clicks, last_click_ms FROM link_total")
        rows = await (await session.connection()).execute(sql)
        return {link: (clicks, last_ms) for link, clicks, last_ms in rows}


async def execute(database: Database, sql: str) -> None:
    async with database.writing() as session:
        await (await session.connection()).execute(text(sql))


async def click(database: Database, *times_s: float, link: int = LINK, **values: Any) -> None:
    """People's clicks in one batch, so long after noon."""
    await add_records(database, [record(at_s, link, **values) for at_s in times_s])


async def retain(database: Database) -> None:
    """Delete what is older than seven days."""
    store = open_store(database.url.render_as_string(hide_password=False))
    keeper = Retention(store, Kept(clicks_days=7, excluded_days=7))
    while await keeper.step(NOON_MS):
        pass
    await store.close()


async def restate(database: Database, verdict: Verdict) -> None:
    await restatement.restate(database, OPERATOR, Restatement("head", verdict), now=NOW)


async def differences(database: Database) -> list[str]:
    return [str(difference) async for difference in verify(database)]


def ms(at_s: float) -> int:
    return NOON_MS + round(at_s * 1000)


def quarter_of(at_ms: int) -> int:
    return at_ms - at_ms % QUARTER_MS


@pytest.mark.usefixtures("links")
async def test_only_peoples_clicks_count_and_a_clock_set_back_takes_none_away(
    database: Database,
) -> None:
    await click(database, 5, 9, 7)
    await click(database, 3)
    for kind in ({"is_head": True}, {"is_archived": True}, {"user_agent": SELF_TEST_AGENT}):
        await click(database, 20, **kind)
        await click(database, 20, link=OTHER, **kind)
    assert await totals(database) == {LINK: (4, ms(9))}
    assert await differences(database) == []


@pytest.mark.usefixtures("links")
async def test_totals_outlive_the_raw_clicks(database: Database) -> None:
    await click(database, -30 * DAY, -20 * DAY + 7)
    await click(database, -30 * DAY, -DAY, link=OTHER)
    before = await totals(database)
    assert before == {LINK: (2, ms(-20 * DAY + 7)), OTHER: (2, ms(-DAY))}
    await retain(database)
    assert await differences(database) == []
    assert await rebuild(database) == 0
    assert await totals(database) == before


@pytest.mark.usefixtures("links")
async def test_lost_totals_come_back_without_the_raw_clicks(database: Database) -> None:
    """Clicks to the last one; when that was to the quarter of an hour, where it is gone."""
    last_s = -20 * DAY + 7 * MINUTE
    await click(database, -30 * DAY, last_s)
    await click(database, -30 * DAY, -DAY, link=OTHER)
    before = await totals(database)
    await retain(database)
    for loss in (
        "DELETE FROM link_total",
        f"UPDATE link_total SET last_click_ms = {quarter_of(ms(last_s)) - 1}",
        f"UPDATE link_total SET clicks = 9, last_click_ms = {ms(1)}",
    ):
        await execute(database, loss)
        named = await differences(database)
        assert [line.partition(": ")[0] for line in named] == ["link_total", "link_total"]
        assert await rebuild(database) == 2
        assert await totals(database) == {LINK: (2, quarter_of(ms(last_s))), OTHER: before[OTHER]}
        assert await differences(database) == []


@pytest.mark.usefixtures("links")
async def test_a_restated_click_moves_the_last_one_and_back(database: Database) -> None:
    last_s = -20 * DAY + 7 * MINUTE
    await click(database, last_s)
    await click(database, 5, 6)
    await click(database, 8, is_head=True)
    await click(database, last_s, link=OTHER)
    await click(database, 9, 9.5, link=OTHER, is_head=True)
    before = await totals(database)
    await retain(database)

    await restate(database, Verdict.COUNTED)
    assert await totals(database) == {LINK: (4, ms(8)), OTHER: (3, ms(9.5))}
    assert await differences(database) == []

    await restate(database, Verdict.EXCLUDED)
    assert await totals(database) == {
        LINK: before[LINK],
        # Of the click before, only the quarter of an hour is still known.
        OTHER: (1, quarter_of(ms(last_s))),
    }
    assert await differences(database) == []


@pytest.mark.usefixtures("links")
async def test_a_link_of_which_no_click_is_left_has_no_total(database: Database) -> None:
    await click(database, 5, is_head=True)
    assert await totals(database) == {}
    await restate(database, Verdict.COUNTED)
    assert await totals(database) == {LINK: (1, ms(5))}
    await restate(database, Verdict.EXCLUDED)
    assert await totals(database) == {}
    assert await differences(database) == []


async def test_the_migration_counts_what_came_before_it(
    engine_url: str, database: Database, links: list[TrackingLink]
) -> None:
    await add_hits(database, links[2:], dice_of(3), 300)
    await click(database, -20 * DAY + 7 * MINUTE)
    await click(database, -DAY, link=OTHER)
    await retain(database)
    before = await totals(database)
    await database.close()
    await migrations.downgrade(engine_url, "0006")
    await migrations.upgrade(engine_url)
    kept_from_ms = ms(-7.5 * DAY)
    exact = {link for link, (_, last_ms) in before.items() if last_ms >= kept_from_ms}
    assert OTHER in exact
    assert LINK not in exact
    assert await totals(database) == {
        link: (clicks, last_ms if link in exact else quarter_of(last_ms))
        for link, (clicks, last_ms) in before.items()
    }
    assert await differences(database) == []
