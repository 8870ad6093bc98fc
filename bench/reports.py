"""A campaign's report over 10 million clicks beside one over 100 thousand: ``make bench-reports``.

200 creators with 3 links each, 90 days, on SQLite. The sums are written directly, in the shape
that the recorder gives them; raw clicks are left out, for no report reads them. Both databases
answer the same operation of the graph in turn, so that a machine whose speed wanders does so
for both. It fails when the medians differ by more than half.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from app import migrations
from app.auth import OPERATOR
from app.database import Database
from app.destinations import check
from app.ids import encode
from app.messages.addresses import open_addresses
from app.schema import Context, schema
from app.settings import Settings

RESULTS = Path(__file__).parent / "results"
CREATORS, LINKS_EACH, DAYS = 200, 3, 90
LAST = date(2026, 6, 30)
FIRST_DAY = LAST.toordinal() - date(1970, 1, 1).toordinal() - DAYS + 1
MOST = 1.5

# How clicks share out, roughly as those on creators' posts do.
SHARES: dict[int, dict[str, int]] = {
    1: {"1": 1},
    2: {"": 45, "instagram.com": 20, "tiktok.com": 12, "youtube.com": 8, "l.facebook.com": 5,
        "t.co": 3, "google.com": 3, "pinterest.com": 2, "reddit.com": 1, "linktr.ee": 1},
    3: {c: 40 // n for n, c in enumerate(["US", "DE", "GB", "FR", "ES", "IT", "NL", "PL", "CA", "AU", "BR", "MX", "SE", "AT", "CH"], 1)},
    4: {"mobile": 82, "desktop": 14, "tablet": 4},
    5: {"Mobile Safari": 45, "Chrome Mobile": 28, "Chrome": 10, "Safari": 7, "Samsung Internet": 5,
        "Firefox": 3, "Edge": 2},
    6: {"iOS": 52, "Android": 34, "Windows": 8, "Mac OS X": 5, "Linux": 1},
    7: {"": 52, "Instagram": 27, "TikTok": 14, "Facebook": 7},
}  # fmt: skip
REASONS = {
    "bot:preview": 40,
    "head": 20,
    "bot:word": 15,
    "prefetch": 10,
    "duplicate": 10,
    "empty": 5,
}
REPORT = """query($id: ID!, $zone: TimeZone, $from: Date!, $to: Date!) { campaign(id: $id) { stats(
  range: {between: {from: $from, to: $to}}, timeZone: $zone) {
    clicks uniqueClicks suspectClicks excludedClicks hitsAfterArchive
    excludedByReason { reason hits }
    timeSeries(granularity: DAY) { start clicks uniqueClicks excludedClicks }
    creators: breakdown(by: CREATOR) { ...Rows } labels: breakdown(by: LABEL) { ...Rows }
    DETAILS } } }
fragment Rows on StatsBreakdown { rows { key counts { clicks uniqueClicks } } other { clicks } }"""
DETAILS = " ".join(
    f"{by.lower()}: breakdown(by: {by}) {{ ...Rows }}" for by in ("DEVICE", "REFERRER", "COUNTRY")
)


def fill(path: Path, clicks: int) -> None:
    """A campaign whose links drew about so many clicks."""
    rng = random.Random(7)  # noqa: S311 - no secret is made of it
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(SEED)
        links = list(range(1, CREATORS * LINKS_EACH + 1))
        reach = [rng.paretovariate(2) for _ in links]
        per_reach = clicks / (sum(reach) * DAYS)
        campaign_days: dict[int, Counter[str]] = {}
        campaign_parts: Counter[tuple[int, int, str, str]] = Counter()
        for link in links:
            _fill_link(
                connection, link, reach[link - 1] * per_reach, rng, campaign_days, campaign_parts
            )
        names = ("clicks", "unique", "suspect", "excluded", "archived")
        connection.executemany(
            "INSERT INTO campaign_day VALUES (1, ?, ?, ?, ?, ?, ?)",
            [(day, *(sums[name] for name in names)) for day, sums in sorted(campaign_days.items())],
        )
        hits = {key[:3] for key in campaign_parts}
        connection.executemany(
            "INSERT INTO campaign_part VALUES (1, ?, ?, ?, ?, ?)",
            [(*k, campaign_parts[*k, "hits"], campaign_parts[*k, "unique"]) for k in sorted(hits)],
        )
    connection.close()


def _fill_link(
    connection: sqlite3.Connection,
    link: int,
    a_day: float,
    rng: random.Random,
    campaign_days: dict[int, Counter[str]],
    campaign_parts: Counter[tuple[int, int, str, str]],
) -> None:
    days, parts, quarters, excluded_quarters = [], [], [], []
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        clicks = int(a_day * rng.uniform(0.3, 1.7) + rng.random())
        excluded = int(clicks * 0.15 + rng.random() * (clicks > 0))
        if not clicks + excluded:
            continue
        unique = round(clicks * 0.85)
        days.append((link, day, clicks, unique, 0, excluded, 0))
        campaign_days.setdefault(day, Counter()).update(
            clicks=clicks, unique=unique, excluded=excluded
        )
        split = [(0, value, hits, 0) for value, hits in shared(excluded, REASONS, rng)]
        for detail, shares in SHARES.items():
            split += [
                (detail, value, hits, round(hits * 0.85))
                for value, hits in shared(clicks, shares, rng)
            ]
        for detail, value, hits, unique_hits in split:
            parts.append((link, detail, day, value, hits, unique_hits))
            if detail != 1:
                campaign_parts[detail, day, value, "hits"] += hits
                campaign_parts[detail, day, value, "unique"] += unique_hits
        for quarter, hits in shared(clicks, HOURS, rng):
            at = day * 96 + int(quarter)
            quarters.append((link, at, hits, round(hits * 0.85), 0, 0, 0))
        for quarter, hits in shared(excluded, HOURS, rng):
            excluded_quarters.append((link, day * 96 + int(quarter), "head", hits))
    for table, rows in (
        ("link_day", days),
        ("link_part", sorted(parts)),
        ("click_quarter", quarters),
        ("excluded_quarter", excluded_quarters),
    ):
        if rows:
            places = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608


HOURS = {str(quarter): 1 + min(quarter, 160 - quarter) // 8 for quarter in range(96)}


def shared(number: int, shares: dict[str, int], rng: random.Random) -> Iterator[tuple[str, int]]:
    """How many of this number fall to each value: by chance, and by expectation when many."""
    names, total = list(shares), sum(shares.values())
    if number > 3 * len(names):
        for name in names:
            if hits := int(number * shares[name] / total + rng.random()):
                yield name, hits
    elif number:
        ends = list(accumulate(shares.values()))
        yield from Counter(names[bisect(ends, rng.random() * total)] for _ in range(number)).items()


SEED = f"""
INSERT INTO program (id, name, time_zone, unique_window_minutes, created_at)
VALUES (1, 'Bench', 'Europe/Berlin', 30, '2026-01-01 00:00:00');
INSERT INTO campaign (id, program_id, name, slug, status, stages, created_at)
VALUES (1, 1, 'Bench', 'bench', 'LIVE', '[]', '2026-01-01 00:00:00');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {CREATORS})
INSERT INTO creator (id, program_id, handle, display_name, created_at)
SELECT i, 1, 'c' || i, 'C', '2026-01-01 00:00:00' FROM n;
INSERT INTO enrollment (id, program_id, campaign_id, creator_id, stage, stage_changed_at, created_at)
SELECT id, 1, 1, id, 120, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM creator;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {CREATORS * LINKS_EACH} - 1)
INSERT INTO tracking_link (id, program_id, campaign_id, creator_id, enrollment_id, code,
    destination_url, destination_version, created_at, changed_at)
SELECT i + 1, 1, 1, i / {LINKS_EACH} + 1, i / {LINKS_EACH} + 1, 'c' || i, 'https://brand.example/',
    1, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM n;
INSERT INTO link_label (tracking_link_id, label, place)
SELECT id, CASE id % {LINKS_EACH} WHEN 0 THEN 'story' WHEN 1 THEN 'reel' ELSE 'bio' END, 0
FROM tracking_link;
"""  # noqa: S608 - numbers of our own


async def ask(database: Database, settings: Settings, *, zone: str | None = None) -> Any:
    first = LAST - timedelta(days=DAYS - 1)
    details = "" if zone else DETAILS  # counted by the program's days only
    query = REPORT.replace("DETAILS", details)
    context = Context(
        OPERATOR, database, settings, check, open_addresses(settings), now=datetime.now(UTC)
    )
    variables = {"id": encode("cmp", 1), "zone": zone, "from": str(first), "to": str(LAST)}
    result = await schema.execute(query, variable_values=variables, context_value=context)
    assert result.errors is None, result.errors
    return result.data


async def measure(folder: Path, sizes: list[int], rounds: int) -> dict[str, Any]:
    settings = Settings(data_dir=folder)
    databases, found = {}, {}
    for clicks in sizes:
        path = folder / f"{clicks}.db"
        await migrations.upgrade(f"sqlite:///{path}")
        began = time.perf_counter()
        fill(path, clicks)
        databases[clicks] = Database(f"sqlite:///{path}")
        stats = (await ask(databases[clicks], settings))["campaign"]["stats"]
        assert len(stats["timeSeries"]) == DAYS
        assert stats["clicks"] == sum(point["clicks"] for point in stats["timeSeries"])
        found[clicks] = {"clicks": stats["clicks"], "rows": rows_of(path)}
        print(f"{stats['clicks']} clicks in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    for zone in (None, "Asia/Kathmandu"):
        times: dict[int, list[float]] = {clicks: [] for clicks in sizes}
        # What quarters answer takes long with many clicks, and is here for comparison only.
        for number in range(rounds + 1 if zone is None else 2):
            for clicks in random.sample(sizes, len(sizes)):
                began = time.perf_counter()
                await ask(databases[clicks], settings, zone=zone)
                if number:  # the first is for the caches
                    times[clicks].append(time.perf_counter() - began)
        for clicks in sizes:
            name = "own zone" if zone is None else "another zone"
            found[clicks][f"{name}, ms"] = round(statistics.median(times[clicks]) * 1000, 1)
        print(name, {clicks: found[clicks][f"{name}, ms"] for clicks in sizes}, file=sys.stderr)
    for database in databases.values():
        await database.close()
    return {str(clicks): found[clicks] for clicks in sizes}


def rows_of(path: Path) -> dict[str, int]:
    tables = ("link_day", "link_part", "campaign_day", "campaign_part", "click_quarter")
    with sqlite3.connect(path) as connection:
        count = "SELECT count(*) FROM {}"
        found = {t: connection.execute(count.format(t)).fetchone()[0] for t in tables}
    connection.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=10_000_000)
    parser.add_argument("--beside", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = [options.beside, options.clicks]
        found = asyncio.run(measure(Path(folder), sizes, options.rounds))
    few, many = found[str(sizes[0])], found[str(sizes[1])]
    for name in ("own zone, ms", "another zone, ms"):
        few_ms, many_ms = few[name], many[name]
        print(f"{name:18} {few_ms:>8} {many_ms:>8}   ratio {many_ms / few_ms:.2f}")
    print(f"rows: {few['rows']}\n      {many['rows']}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "reports.json").write_text(json.dumps(found, indent=2) + "\n")
    ratio = many["own zone, ms"] / few["own zone, ms"]
    assert ratio <= MOST, f"{ratio:.2f} > {MOST}"


if __name__ == "__main__":
    main()
