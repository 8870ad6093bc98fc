"""A journal that fills while nobody records: the operator is told before a click is lost."""

import asyncio
import os
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app.clicks.journal import MB, Journal
from tests.clicks.hits import hit
from tests.clicks.people import heads_of, request_of, statuses
from tests.server import LOG, request, serving
from tests.site import Site

CODE = "abcdefgh"
LIMIT_MB = 64
BATCH = 100
# As long as what is kept of one may be: a click takes 4 KB.
BIG = {"user_agent": "Mozilla/5.0 " + "a" * 1012, "referer": "https://a.example/" + "r" * 1006}
NEARLY_FULL = b"The click journal takes 51 of 64 MB: is the recorder running?"


def figures(address: str) -> dict[str, float]:
    _, text = request(address, "GET", "/metrics")
    return {
        sample.name.removeprefix("tracklinks_"): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def used(folder: Path) -> int:
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries)


async def test_a_server_warns_of_a_full_journal_before_it_loses_a_click(sqlite_site: Site) -> None:
    await sqlite_site.add_links(CODE)
    folder = sqlite_site.data_dir / "journal"
    # What another worker has left, of a day without a recorder.
    journal = Journal(folder, max_bytes=LIMIT_MB * MB)
    journal.open()
    while used(folder) < LIMIT_MB * MB * 0.78:
        for _ in range(100):
            assert journal.append(hit(user_agent="a" * 1024, query="q" * 2048))
    journal.close()

    clicks = [request_of(f"{CODE}?{'q' * 2048}", **BIG)] * BATCH
    options = {"RECORDER": "off", "METRICS": "true", "JOURNAL_MAX_MB": str(LIMIT_MB)}
    environment = {f"TRACKLINKS_{name}": value for name, value in options.items()}
    log = sqlite_site.data_dir / LOG
    sent, warned_at = 0, 0
    with serving(sqlite_site.settings, **environment) as address:
        port = int(address.rpartition(":")[2])
        assert figures(address)["journal_bytes"] == used(folder)
        while not figures(address)["clicks_lost_total"]:
            assert statuses(await heads_of(port, clicks)) == [302] * BATCH
            sent += BATCH
            assert log.read_bytes().count(NEARLY_FULL) == (used(folder) >= LIMIT_MB * MB * 0.8)
            if not warned_at and NEARLY_FULL in log.read_bytes():
                warned_at = used(folder)
                # The metric is a second old at most.
                deadline = time.monotonic() + 15
                while figures(address)["journal_bytes"] != warned_at:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.05)
        told = figures(address)
    # Before it was full; and never more than it may take.
    assert LIMIT_MB * MB * 0.8 <= warned_at < LIMIT_MB * MB * 0.81
    assert used(folder) <= LIMIT_MB * MB == told["journal_max_bytes"]
    assert told["clicks_journaled_total"] + told["clicks_lost_total"] == sent
    said = log.read_bytes()
    assert said.count(NEARLY_FULL) == 1
    assert 0 < said.find(NEARLY_FULL) < said.find(b"clicks were redirected and not recorded")
