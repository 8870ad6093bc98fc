"""A rule that was wrong is corrected in the numbers, by the reason that hits keep."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from app import cli
from app.auth import OPERATOR
from app.clicks.classifier import VERSION
from app.clicks.journal import Journal
from app.days import QUARTER_MS
from app.errors import Refused
from app.ids import encode
from app.models import Verdict
from app.resolvers import restatement, stats
from app.resolvers.restatement import Restatement
from app.resolvers.stats import Period, Scope
from tests.clicks.hits import hit
from tests.site import Site

HOUR = 3600
DAY = 24 * HOUR
NOON = date(2026, 11, 24)


async def hits(site: Site, count: int = 600) -> None:
    """People, prefetches and previews on links of two programs, over three days."""
    rng = random.Random(7)  # noqa: S311 - test data
    await site.add_links("abcdefgh", "ijkmnpqr")
    await site.add_links("stvwxyz2", program=2)
    journal = Journal(site.data_dir / "journal")
    journal.open()
    for _ in range(count):
        link = rng.choice([1000, 1001, 1002])
        kind: dict[str, Any] = rng.choice([{}, {"is_head": True}, {"is_prefetch": True}])
        archived = rng.random() < 0.1
        program = 2 if link == 1002 else 1
        at_s = rng.randrange(-DAY, 2 * DAY)
        journal.append(hit(at_s, link, program_id=program, is_archived=archived, **kind))
    journal.close()
    await site.drain()
    await site.check_sums()


async def restate(site: Site, reason: str, verdict: Verdict, **only: Any) -> dict[int, int]:
    what = Restatement(reason, verdict, **only)
    async with site.database() as database:
        return await restatement.restate(database, OPERATOR, what, now=datetime.now(UTC))


async def restated(
    site: Site, scope: Scope, keys: Sequence[int], period: Period
) -> dict[int, list[stats.Restated]]:
    async with site.database() as database, database.reading() as session:
        return await stats.restated(session, OPERATOR, scope, keys, period)


async def table(site: Site, name: str) -> Sequence[Any]:
    return sorted(tuple(row) for row in await site.rows(f"SELECT * FROM {name}"))


async def excluded(site: Site, where: str = "TRUE") -> int:
    sql = f"SELECT count(*) FROM click JOIN tracking_link AS l ON l.id = link_id WHERE verdict = 1 AND {where}"
    return int((await site.rows(sql))[0][0])


async def test_hits_of_a_reason_are_counted_and_every_sum_with_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restatement, "BATCH", 40)
    await hits(site)
    before, reasons = await site.numbers(), await site.reasons()

    moved = await restate(site, "head", Verdict.COUNTED)

    after = await site.numbers()  # equal to a recount of the hits
    heads = reasons.pop("head")
    assert sum(moved.values()) == heads > 40
    assert moved.keys() == {1, 2}
    assert after == before | {
        "clicks": before["clicks"] + heads,
        "excluded_hits": before["excluded_hits"] - heads,
    }
    assert await site.reasons() == reasons
    assert after["unique_clicks"] == before["unique_clicks"]


async def test_a_restatement_is_undone_by_its_opposite_and_done_twice_does_nothing(
    site: Site,
) -> None:
    await hits(site)
    names = ["click", "click_quarter", "excluded_quarter", "link_part", "campaign_part"]
    names.append("link_total")
    before = [await table(site, name) for name in names]
    moved = await restate(site, "prefetch", Verdict.COUNTED)
    assert await restate(site, "prefetch", Verdict.COUNTED) == {}
    assert await restate(site, "prefetch", Verdict.EXCLUDED) == moved
    assert await restate(site, "prefetch", Verdict.EXCLUDED) == {}
    assert [await table(site, name) for name in names] == before


async def test_the_audit_log_says_who_why_and_how_many(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restatement, "BATCH", 50)
    await hits(site)
    moved = await restate(site, "head", Verdict.COUNTED)
    rows = await site.rows("SELECT program_id, key_id, action, changes FROM audit_entry")
    told = dict.fromkeys(moved, 0)
    for program, key, action, changes in rows:
        changes = json.loads(changes) if isinstance(changes, str) else changes  # noqa: PLW2901 - SQLite's JSON is text
        told[program] += changes.pop("hits")
        assert changes == {"reason": "head", "was": "EXCLUDED", "as": "COUNTED"}
        assert (key, action) == (None, "restate")
    assert told == moved


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
async def test_every_report_over_restated_hits_says_so_and_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setattr(restatement, "BATCH", 40)
    await hits(site)
    await restate(site, "head", Verdict.COUNTED, program_id=1)
    every = await site.rows(
        "SELECT link_id, at_ms FROM click WHERE reason = 'head' AND verdict = 0"
    )
    before, whole = date(2026, 11, 22), Period(None, date(2026, 11, 30), ZoneInfo(zone))
    for period in (whole, Period(NOON, NOON, ZoneInfo(zone))):
        begin, end = period.quarters
        of = [row for row in every if begin <= row.at_ms // QUARTER_MS < end]
        days = [
            datetime.fromtimestamp(row.at_ms / 1000, UTC).astimezone(period.zone).date()
            for row in of
        ]
        for scope in (Scope.CAMPAIGN, Scope.PROGRAM):
            ((key, (act,)),) = (await restated(site, scope, [1, 2], period)).items()
            assert (key, act.reason, act.verdict) == (1, "head", Verdict.COUNTED)
            assert (act.hits, act.first, act.last) == (len(of), min(days), max(days))
            assert act.classifiers == (VERSION,)
        by_link = await restated(site, Scope.TRACKING_LINK, [1000, 1001, 1002], period)
        assert {key: act.hits for key, (act,) in by_link.items()} == Counter(
            row.link_id for row in of
        )
    assert await restated(site, Scope.PROGRAM, [1], Period(before, before, whole.zone)) == {}

    await restate(site, "head", Verdict.EXCLUDED, program_id=1)
    undone, done = (await restated(site, Scope.PROGRAM, [1], whole))[1]
    assert (undone.verdict, done.verdict) == (Verdict.EXCLUDED, Verdict.COUNTED)
    assert undone.hits == done.hits == len(every)
    assert undone.at > done.at


async def test_only_the_program_and_the_days_that_are_named_are_restated(site: Site) -> None:
    await hits(site)
    of_two = await excluded(site, "reason = 'head' AND l.program_id = 2")
    others = await excluded(site) - of_two
    noon = f"at_ms / 86400000 = {datetime.combine(NOON, datetime.min.time(), UTC).timestamp() // 86400}"
    on_day = await excluded(site, f"reason = 'head' AND l.program_id = 2 AND {noon}")
    only = {"program_id": 2, "first_day": NOON, "last_day": NOON}
    assert 0 < on_day < of_two
    assert await restate(site, "head", Verdict.COUNTED, **only) == {2: on_day}
    assert await restate(site, "head", Verdict.COUNTED, program_id=2) == {2: of_two - on_day}
    assert await excluded(site) == others
    entries = await site.rows("SELECT changes FROM audit_entry")
    told = [json.loads(row[0]) if isinstance(row[0], str) else row[0] for row in entries]
    days = {"first_day": NOON.isoformat(), "last_day": NOON.isoformat()}
    moved = {"reason": "head", "was": "EXCLUDED", "as": "COUNTED"}
    assert moved | days | {"hits": on_day} in told
    assert moved | {"hits": of_two - on_day} in told
    await site.check_sums()
    with pytest.raises(Refused, match="no such program"):
        await restate(site, "head", Verdict.COUNTED, program_id=3)


async def test_the_recorder_may_work_at_the_same_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restatement, "BATCH", 20)
    await hits(site)
    journal = Journal(site.data_dir / "journal")
    journal.open()
    for number in range(400):
        journal.append(hit(number, 1000 + number % 2, is_head=True))
    journal.close()
    drained, _ = await asyncio.gather(site.drain(), restate(site, "head", Verdict.COUNTED))
    assert drained == 400
    await restate(site, "head", Verdict.COUNTED)
    assert "head" not in await site.reasons()
    await site.check_sums()


async def test_people_are_never_restated(site: Site) -> None:
    await hits(site, 30)
    with pytest.raises(Refused):
        await restate(site, "", Verdict.EXCLUDED)


def test_the_command_line_restates(sqlite_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site = sqlite_site
    asyncio.run(hits(site, 60))
    monkeypatch.setenv("TRACKLINKS_DATA_DIR", str(site.data_dir))
    program = encode("prg", 2)
    run = ["restate", "head", "--as", "counted", "--program", program, "--from", "2026-11-01"]
    count = asyncio.run(excluded(site, "reason = 'head' AND l.program_id = 2"))
    result = CliRunner().invoke(cli.app, run)
    assert (result.exit_code, result.output) == (0, f"{program}: {count} hits are counted now.\n")
    again = CliRunner().invoke(cli.app, run)
    assert again.output == "No stored hit with this reason is to be counted.\n"
    asyncio.run(site.check_sums())
