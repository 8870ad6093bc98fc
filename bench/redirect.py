"""Our redirect beside a bare Starlette one and a naive one, interleaved: ``make bench-redirect``.

Each round starts every server anew, in random order, pins it to the first core and the load
(wrk) to the last, and divides by the bare server of the same round, because a machine's speed
wanders. When all its processes have started, a short load warms it up. Then one asks as fast as
it is answered, for the throughput; and one asks every server equally often, for the latency. It
fails if the clicks that were recorded are not exactly the redirects that the workers answered,
and where the recorder runs it tells how far behind it was when the load at full speed ended.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
HOT = 1_000  # codes that are asked for, among all
WRITTEN = 10_000  # requests that the load has at hand; it composes others when it asks
CONNECTIONS = 32
PAUSE_MS = 12  # at the most, between two requests of a connection: about 5,000 requests a second
PORT = 8765
# What takes less than a twentieth of this is at rest.
REST_S = 0.5
WARM_S = 1

LUA = """
wrk.headers["User-Agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
wrk.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
wrk.headers["Accept-Language"] = "en-US,en;q=0.9"
wrk.headers["Accept-Encoding"] = "gzip, deflate, br"
wrk.headers["Referer"] = "https://www.instagram.com/"
wrk.headers["Sec-Fetch-Dest"] = "document"
wrk.headers["Sec-Fetch-Mode"] = "navigate"
wrk.headers["Sec-Fetch-Site"] = "cross-site"
wrk.headers["Upgrade-Insecure-Requests"] = "1"
-- Written beforehand: the load shares its core with the recorder, and should leave it some.
local requests, before, behind = {}, "", ""
init = function(arguments)
  if arguments[1] == "paced" then delay = function() return math.random(0, PAUSE_MS) end end
  before, behind = wrk.format("GET", "/c#"):match("^(.-)#(.*)$")
  for n = 1, math.min(ASKED, WRITTEN) do requests[n] = before .. string.format("%07d", n - 1) .. behind end
end
request = function()
  local n = math.random(ASKED)
  return requests[n] or before .. string.format("%07d", n - 1) .. behind
end
done = function(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status
    + summary.errors.timeout, latency:percentile(50), latency:percentile(99), summary.duration))
end
"""


@dataclass(frozen=True)
class Variant:
    name: str
    kind: str  # what bench/servers.py makes
    workers: int = 1
    links: int = 1_000
    # How many of the links are asked for, each as often as any other.
    asked: int = HOT
    # Whether the program tracks conversions: each answer then has the id of its click.
    is_tracked: bool = False
    fsync: str = "second"

    @property
    def is_recording(self) -> bool:
        return self.kind != "bare"

    @property
    def baseline(self) -> str:
        return "bare, 1 worker" if self.workers == 1 else f"bare, {self.workers} workers"


def variants() -> list[Variant]:
    million = 1_000_000
    return [
        Variant("bare, 1 worker", "bare"),
        Variant("1e3 links", "ours"),
        Variant("1e3 links, click ids", "ours", is_tracked=True),
        Variant("1e3 links, fsync always", "ours", fsync="always"),
        Variant("1e5 links", "ours", links=100_000),
        Variant("1e6 links", "ours", links=million),
        Variant("1e6 links, all of them asked for", "ours", links=million, asked=million),
        Variant("1e6 links, recorder running", "drained", links=million),
        Variant("naive: SQLModel insert each", "naive"),
        Variant("bare, 2 workers", "bare", workers=2),
        Variant("2 workers, 1e3 links", "ours", workers=2),
        Variant("2 workers, 1e5 links", "ours", workers=2, links=100_000),
        Variant("2 workers, 1e6 links", "ours", workers=2, links=million),
        Variant("2 workers, 1e6 links, recorder", "drained", workers=2, links=million),
        Variant("2 workers, naive", "naive", workers=2),
    ]


@dataclass(frozen=True)
class Run:
    """``per_s`` and ``cpu_us`` of each request at full load, the rest at the equal one.

    ``behind_s`` is how long it takes to answer as many as were not recorded yet at the end of the
    full load: it stays the same, however long that is, when the recorder keeps up.
    """

    per_s: float
    cpu_us: float
    behind_s: float
    paced_per_s: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Load:
    answered: int
    per_s: float
    p50_us: float
    p99_us: float


async def make_database(folder: Path, links: int) -> Path:
    """A migrated database with so many links, made once for each size."""
    from app import migrations

    path = folder / f"links-{links}.db"
    if not path.exists():
        await migrations.upgrade(f"sqlite:///{path}")
        with sqlite3.connect(path) as connection:
            connection.executescript(SEED.format(links=links))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    return path


SEED = """
INSERT INTO program (id, name, time_zone, unique_window_minutes, created_at)
VALUES (1, 'Bench', 'UTC', 30, '2026-01-01 00:00:00.000000');
INSERT INTO campaign (id, program_id, name, slug, status, stages, created_at)
VALUES (1, 1, 'Bench', 'bench', 'LIVE', '[]', '2026-01-01 00:00:00.000000');
INSERT INTO creator (id, program_id, handle, display_name, created_at)
VALUES (1, 1, 'ada', 'Ada', '2026-01-01 00:00:00.000000');
INSERT INTO enrollment (id, program_id, campaign_id, creator_id, stage, stage_changed_at, created_at)
VALUES (1, 1, 1, 1, 120, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000');
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {links} - 1)
INSERT INTO tracking_link (id, program_id, campaign_id, creator_id, enrollment_id, code,
    destination_url, destination_version, created_at, changed_at)
SELECT i + 1, 1, 1, 1, 1, printf('c%07d', i),
    'https://brand.example/summer-sale?utm_source=creator', 1,
    strftime('%Y-%m-%d %H:%M:%S.000000', 1767225600 + i, 'unixepoch'),
    '2026-01-01 00:00:00.000000' FROM n;
"""

TRACK = """
INSERT INTO conversion_settings (program_id, is_on, click_parameter, window_days, model, precedence,
    currencies, sites)
VALUES (1, 1, 'tlid', 28, 'LAST_CLICK', 'CLICK', '[]', '[]')
"""


def measure(variant: Variant, database: Path, seconds: float) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        shutil.copy(database, data_dir / "tracklinks.db")
        if variant.is_tracked:
            with sqlite3.connect(data_dir / "tracklinks.db") as connection:
                connection.execute(TRACK)
            connection.close()
        os.sync()  # or the copy is written while the journal is
        script = data_dir / "load.lua"
        script.write_text(load_script(variant.asked))
        cores = sorted(os.sched_getaffinity(0))
        # One worker: a core for it, one for the load, which the recorder shares with the load.
        server_cores = cores if variant.workers > 1 or variant.kind == "drained" else cores[:1]
        environment = {
            "TRACKLINKS_DATA_DIR": folder,
            "TRACKLINKS_JOURNAL_FSYNC": variant.fsync,
            "BENCH_KIND": variant.kind,
            "BENCH_CORES": ",".join(map(str, server_cores)),
        }
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.servers", str(PORT), str(variant.workers)],
            cwd=ROOT,
            env=os.environ | environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_up()
            _wait_until_at_rest(server.pid)
            warm = load(script, cores[-1], WARM_S)
            _wait_until_at_rest(server.pid)
            cpu_s = _cpu_s(server.pid)
            full = load(script, cores[-1], seconds)
            behind_s = 0.0
            if variant.kind == "drained":
                behind = warm.answered + full.answered - _count(data_dir)
                behind_s = behind / full.per_s
            cpu_s = _cpu_s(server.pid) - cpu_s
            paced = load(script, cores[-1], seconds, "paced")
        finally:
            server.terminate()
            server.wait(60)
        if variant.is_recording:
            answered = sum(int(file.read_text()) for file in data_dir.glob("answered-*"))
            recorded = asyncio.run(_recorded(data_dir))
            assert recorded == answered, f"{answered=} {recorded=}"
            # wrk hangs up with requests under way: at most one for each of its connections.
            read = warm.answered + full.answered + paced.answered
            assert 0 <= answered - read <= 3 * CONNECTIONS, f"{answered=} {read=}"
    cpu_us = cpu_s / full.answered * 1e6
    return Run(full.per_s, cpu_us, behind_s, paced.per_s, paced.p50_us, paced.p99_us)


def load_script(asked: int, pause_ms: int = PAUSE_MS) -> str:
    """What wrk runs; it pauses only when it is told to be paced."""
    script = LUA
    for name, value in (("ASKED", asked), ("WRITTEN", WRITTEN), ("PAUSE_MS", pause_ms)):
        script = script.replace(name, str(value))
    return script


def load(
    script: Path,
    core: int,
    seconds: float,
    *arguments: str,
    port: int = PORT,
    connections: int = CONNECTIONS,
) -> Load:
    printed = subprocess.run(
        ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s",
         "-s", str(script), f"http://127.0.0.1:{port}", "--", *arguments],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", printed)
    assert found is not None, printed
    answered, errors, p50, p99, took_us = map(int, found.groups())
    assert errors == 0, printed
    return Load(answered, answered / took_us * 1e6, p50, p99)


async def _recorded(data_dir: Path) -> int:
    """All hits, after what is still in the journal is drained too."""
    from app.clicks.recorder import Recorder, open_store
    from app.settings import Settings

    settings = Settings(data_dir=data_dir, database_url=None)
    store = open_store(settings.database)
    await Recorder(settings, store).drain()
    await store.close()
    return _count(data_dir)


def _count(data_dir: Path) -> int:
    with sqlite3.connect(data_dir / "tracklinks.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM click").fetchone()
    connection.close()
    return int(count)


def _wait_until_up() -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/nothing").close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError


def _wait_until_at_rest(leader: int) -> None:
    """Until every worker and the recorder have started: one that does not listen yet leaves all
    connections to the other, and starting takes as much time as thousands of redirects."""
    end = time.monotonic() + 30
    used_s = _cpu_s(leader)
    while time.monotonic() < end:
        time.sleep(REST_S)
        before_s, used_s = used_s, _cpu_s(leader)
        if used_s - before_s < REST_S / 20:
            return
    raise TimeoutError


def _cpu_s(leader: int) -> float:
    """What the server and its descendants have used."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {leader}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument(
        "--only", default="", help="variants whose name holds this, and the bare ones"
    )
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk, or brew install wrk")
    chosen = [v for v in variants() if options.only in v.name or v.kind == "bare"]
    runs: dict[str, list[tuple[Run, Run]]] = {variant.name: [] for variant in chosen}
    with tempfile.TemporaryDirectory() as folder:
        sizes = {variant.links for variant in chosen}
        databases = {n: asyncio.run(make_database(Path(folder), n)) for n in sorted(sizes)}
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            done = {
                v.name: measure(v, databases[v.links], options.seconds)
                for v in random.sample(chosen, len(chosen))
            }
            for variant in chosen:
                runs[variant.name].append((done[variant.name], done[variant.baseline]))
    report(runs)


def report(runs: dict[str, list[tuple[Run, Run]]]) -> None:
    rows = []
    for name, pairs in runs.items():
        row = {
            "variant": name,
            "requests_per_s": round(statistics.median(run.per_s for run, _ in pairs)),
            "requests_ratio": round(statistics.median(r.per_s / b.per_s for r, b in pairs), 3),
            "cpu_ratio": round(statistics.median(r.cpu_us / b.cpu_us for r, b in pairs), 3),
            "behind_s": round(statistics.median(run.behind_s for run, _ in pairs), 2),
            "paced_requests_per_s": round(statistics.median(run.paced_per_s for run, _ in pairs)),
            "p50_us": round(statistics.median(run.p50_us for run, _ in pairs)),
            "p50_ratio": round(statistics.median(r.p50_us / b.p50_us for r, b in pairs), 2),
            "p99_us": round(statistics.median(run.p99_us for run, _ in pairs)),
            "p99_ratio": round(statistics.median(r.p99_us / b.p99_us for r, b in pairs), 2),
        }
        rows.append(row)
    print(f"{'':38}{'at full load':^31} | {'at equal load':^40}")
    print(
        f"{'':38}{'req/s':>8}{'ratio':>8}{'CPU':>8}{'behind':>7} |"
        f"{'req/s':>8}{'p50 us':>8}{'ratio':>8}{'p99 us':>8}{'ratio':>8}"
    )
    for row in rows:
        print(
            f"{row['variant']:38}{row['requests_per_s']:>8}{row['requests_ratio']:>8}"
            f"{row['cpu_ratio']:>8}{row['behind_s']:>7} |{row['paced_requests_per_s']:>8}{row['p50_us']:>8}"
            f"{row['p50_ratio']:>8}{row['p99_us']:>8}{row['p99_ratio']:>8}"
        )
    print("clicks recorded = redirects answered, in every run")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "redirect.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
