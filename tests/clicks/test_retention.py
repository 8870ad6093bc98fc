"""Old hits are deleted, and no report changes by it: not then, and not by what is done later."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.auth import OPERATOR
from app.clicks import retention
from app.clicks.recorder import open_store
from app.clicks.retention import Kept, Retention
from app.database import Database
from app.models import TrackingLink, Verdict
from app.resolvers import programs, restatement, stats
from app.resolvers.breakdowns import Dimension, Split, breakdowns
from app.resolvers.change import Change
from app.resolvers.recount import rebuild, verify
from app.resolvers.restatement import Restatement
from app.resolvers.stats import Period, Scope
from tests.reports import PROGRAM, add_hits, add_program, dice_of

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
KEPT = Kept(clicks_days=90, excluded_days=30)
# Midnights of Berlin, 90 and 30 days before.
CLICKS_FROM = datetime(2026, 4, 2, tzinfo=ZoneInfo(BERLIN))
EXCLUDED_FROM = datetime(2026, 6, 1, tzinfo=ZoneInfo(BERLIN))


@pytest.fixture
async def links(database: Database) -> list[TrackingLink]:
    links = await add_program(database, zone=BERLIN)
    await add_hits(database, links, dice_of(11), 1500)
    return links


async def retain(database: Database, now: datetime = NOW) -> int:
    """Delete all that is to be deleted. Returns in how many steps, none of which is too large."""
    store = open_store(database.url.render_as_string(hide_password=False))
    keeper, steps = Retention(store, KEPT), 0
    left = await scalar(database, "SELECT count(*) FROM click")
    while await keeper.step(ms(now)):
        steps += 1
        before, left = left, await scalar(database, "SELECT count(*) FROM click")
        assert before - left <= retention.BATCH
    await store.close()
    return steps


async def scalar(database: Database, sql: str, **values: Any) -> Any:
    async with database.reading() as session:
        return await (await session.connection()).scalar(text(sql), values)


async def report(database: Database, zone: str) -> Any:
    """Everything that is asked of a program by its months, and ever."""
    found: list[Any] = []
    zone_info = ZoneInfo(zone)
    async with database.reading() as session:
        for month in (None, *range(1, 13)):
            first = None if month is None else date(2026, month, 1)
            last = date(2027, 12, 31) if first is None else first + timedelta(days=27)
            period = Period(first, last, zone_info)
            asked = (session, OPERATOR, Scope.PROGRAM, [PROGRAM], period)
            found += [await stats.totals(*asked), await stats.excluded(*asked)]
            for by in Dimension:
                keys = [1, 2]
                found.append(
                    await breakdowns(session, OPERATOR, Scope.CAMPAIGN, keys, period, Split(by, 9))
                )
    return found


async def differences(database: Database) -> list[str]:
    return [str(difference) async for difference in verify(database)]


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@pytest.mark.usefixtures("links")
async def test_what_is_too_old_is_deleted_and_every_report_stays(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 7)
    before = await report(database, BERLIN)
    due = (
        "SELECT count(*) FROM click WHERE (verdict = 0 AND at_ms < :clicks) "
        "OR (verdict <> 0 AND at_ms < :excluded)"
    )
    values = {"clicks": ms(CLICKS_FROM), "excluded": ms(EXCLUDED_FROM)}
    old, everything = (
        await scalar(database, due, **values),
        await scalar(database, "SELECT count(*) FROM click"),
    )
    assert 100 < old < everything

    assert await retain(database) > old / 7

    assert await scalar(database, due, **values) == 0
    assert await scalar(database, "SELECT count(*) FROM click") == everything - old
    assert await report(database, BERLIN) == before
    assert await differences(database) == []
    assert await rebuild(database) == 0
    assert await retain(database) > 0  # another recorder looks again, and finds nothing
    assert await scalar(database, "SELECT count(*) FROM click") == everything - old


@pytest.mark.usefixtures("links")
@pytest.mark.breaks_sums
async def test_what_is_still_there_is_held_to_the_raw_clicks(database: Database) -> None:
    await retain(database)
    async with database.writing() as session:
        connection = await session.connection()
        for table in ("link_day", "campaign_day"):
            await connection.execute(text(f"UPDATE {table} SET clicks = clicks + 1"))
    new = "SELECT count(*) FROM {} WHERE day >= 20545"  # 2026-04-02
    rows = [await scalar(database, new.format(table)) for table in ("link_day", "campaign_day")]
    assert len(await differences(database)) == sum(rows) > 0


@pytest.mark.usefixtures("links")
async def test_only_hits_that_are_all_there_are_restated(database: Database) -> None:
    await retain(database)
    what = Restatement("head", Verdict.COUNTED)
    moved = await restatement.restate(database, OPERATOR, what, now=NOW)
    assert moved[PROGRAM] > 0
    assert await differences(database) == []


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "America/New_York"])
@pytest.mark.usefixtures("links")
async def test_another_time_zone_takes_none_of_the_old_days_and_adds_none(
    database: Database, zone: str
) -> None:
    ever = (await report(database, BERLIN))[: 2 + len(Dimension)]
    await retain(database)
    for to in (zone, "UTC", zone):
        async with database.writing() as session:
            change = Change(session, OPERATOR, NOW, check_destination=str)
            await programs.update(change, PROGRAM, {"time_zone": to})
        assert await differences(database) == []
        found = await report(database, to)
        assert found[: len(ever)] == ever
        for at in range(0, len(found), len(ever)):
            totals, reasons, *parts = found[at : at + len(ever)]
            whole = totals[PROGRAM] if totals else stats.NOTHING
            assert sum(reasons.get(PROGRAM, {}).values()) == whole.excluded_hits
            for by, each in zip(Dimension, parts, strict=True):
                rows = [part.clicks for found in each.values() for part in found.parts]
                rest = sum(found.other.clicks for found in each.values())
                if by is not Dimension.LABEL:
                    assert sum(rows) + rest == whole.clicks
    assert await rebuild(database) == 0


@pytest.mark.usefixtures("links")
async def test_a_program_with_conversions_keeps_what_may_still_be_credited(
    database: Database,
) -> None:
    from app.models import ConversionSettings

    async with database.writing() as session:
        session.add(ConversionSettings(program_id=PROGRAM, window_days=28))
    await retain(database)
    oldest = datetime(2026, 1, 4, tzinfo=ZoneInfo(BERLIN))  # 178 days before
    assert await scalar(
        database, "SELECT count(*) FROM click WHERE at_ms < :at", at=ms(CLICKS_FROM)
    )
    for verdicts in ("= 0", "<> 0"):
        sql = f"SELECT min(at_ms) FROM click WHERE verdict {verdicts}"
        assert ms(oldest) <= await scalar(database, sql) < ms(CLICKS_FROM)
