"""Each hit is counted once, and rightly, whatever else goes wrong."""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from app.clicks.journal import Journal
from app.clicks.recorder import Recorder, open_store
from app.clicks.segments import Segments
from app.clicks.store import BATCH
from app.clicks.visitors import DAY_MS
from app.database import Database
from tests.clicks.hits import NOON_MS, hit
from tests.site import PHONE, Site, ask

FACEBOOK = PHONE + " [FBAN/FBIOS;FBAV/520.0;IABMV/1]"
ANA, BEN = b"ana".ljust(16), b"ben".ljust(16)


@contextlib.contextmanager
def workers(site: Site, count: int = 1) -> Iterator[list[Journal]]:
    """The journals of so many server processes."""
    journals = [Journal(site.data_dir / "journal") for _ in range(count)]
    for journal in journals:
        journal.open()
    yield journals
    for journal in journals:
        journal.close()


async def record(site: Site, hits: Iterable[bytes]) -> dict[str, int]:
    with workers(site) as (journal,):
        for each in hits:
            assert journal.append(each)
    await site.drain()
    return await site.numbers()


async def test_previews_and_looks_are_told_from_people(site: Site) -> None:
    """One posted link on X: a preview and three HEADs, two of them posing as browsers."""
    await site.add_links("abcdefgh")
    async with site.redirecting() as redirect:
        await ask(redirect, "/abcdefgh", headers={"user-agent": "Twitterbot/1.0"})
        for agent in ("Twitterbot/1.0", PHONE, PHONE):
            await ask(redirect, "/abcdefgh", method="HEAD", headers={"user-agent": agent})
        for person in range(5):
            await ask(redirect, "/abcdefgh", address=f"192.0.2.{person}")
    assert await site.drain() == 9
    numbers = await site.numbers()
    assert (numbers["clicks"], numbers["unique_clicks"], numbers["excluded_hits"]) == (5, 5, 4)
    reasons = await site.reasons()
    assert reasons.pop("head") == 3
    assert list(reasons.values()) == [1]


DOUBLE_TAPS = [(0, 1), (1, 1), (9.9, 1), (10.1, 2), (60, 2)]


async def _double_taps(site: Site, people: int, second_at_s: float, clicks: int) -> None:
    visitors = [number.to_bytes(16) for number in range(people)]
    with workers(site, 4) as journals:
        for at_s in (0.0, second_at_s):
            for number, visitor in enumerate(visitors):
                journals[(number + int(at_s)) % 4].append(hit(at_s, visitor=visitor))
        await site.drain()
    numbers = await site.numbers()
    assert numbers["clicks"] == clicks * len(visitors)
    assert numbers["unique_clicks"] == len(visitors)
    assert numbers["excluded_hits"] == (2 - clicks) * len(visitors)


@pytest.mark.parametrize(("second_at_s", "clicks"), DOUBLE_TAPS)
async def test_a_double_tap_is_one_click(site: Site, second_at_s: float, clicks: int) -> None:
    await _double_taps(site, 1_000, second_at_s, clicks)


@pytest.mark.slow
@pytest.mark.parametrize(("second_at_s", "clicks"), DOUBLE_TAPS)
async def test_a_double_tap_of_ten_thousand_people_is_one_click_each(
    site: Site, second_at_s: float, clicks: int
) -> None:
    await _double_taps(site, 10_000, second_at_s, clicks)


async def test_a_shared_address_is_many_people(site: Site) -> None:
    await site.add_links("abcdefgh")
    async with site.redirecting() as redirect:
        for number in range(500):
            agent = f"{PHONE} Instagram 389.0.0.{number}"
            await ask(redirect, "/abcdefgh", headers={"user-agent": agent})
    await site.drain()
    numbers = await site.numbers()
    assert numbers["clicks"] == numbers["unique_clicks"] == 500


async def test_a_visitor_is_unique_again_after_the_programs_window(site: Site) -> None:
    await site.add_links("abcdefgh")
    await site.add_links("ijkmnpqr", program=2, window=5)
    # In a batch of their own each: the state is in the database, not in the process.
    for minute in (0, 10, 31, 60, 61):
        await record(
            site,
            [
                hit(minute * 60, 1000, visitor=ANA, program_id=1),
                hit(minute * 60, 1001, visitor=ANA, program_id=2),
            ],
        )
    counted = await site.rows(
        "SELECT link_id, sum(clicks), sum(unique_clicks) FROM click_quarter GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(map(int, row)) for row in counted] == [(1000, 5, 3), (1001, 5, 4)]


async def test_links_and_visitors_are_judged_apart(site: Site) -> None:
    hits = [hit(link_id=link, visitor=who) for link in (1000, 1001) for who in (ANA, BEN)]
    numbers = await record(site, hits)
    assert numbers["unique_clicks"] == 4


async def test_what_is_excluded_prolongs_no_window(site: Site) -> None:
    """Tapping every nine seconds is one click each other time, not one click for ever."""
    numbers = await record(site, [hit(9 * n, visitor=ANA) for n in range(10)])
    assert (numbers["clicks"], numbers["excluded_hits"], numbers["unique_clicks"]) == (5, 5, 1)


async def test_a_clock_that_jumps_makes_no_window_longer(site: Site) -> None:
    jumps = [0, 20, -3600, -3580, 7200]
    for at_s in jumps:
        await record(site, [hit(at_s, visitor=ANA)])
    numbers = await site.numbers()
    assert numbers["clicks"] == len(jumps)
    assert numbers["unique_clicks"] == 3


async def test_a_visit_across_midnight_is_one_visit(site: Site) -> None:
    midnight_s = DAY_MS / 2000
    hits = [
        hit(midnight_s - 60, visitor=ANA),
        hit(midnight_s + 60, visitor=BEN, visitor_before=ANA),
        hit(midnight_s + 120, visitor=BEN, visitor_before=ANA),
    ]
    numbers = await record(site, hits)
    assert (numbers["clicks"], numbers["unique_clicks"]) == (3, 1)


async def test_a_backlog_of_many_workers_is_judged_in_order_of_time(site: Site) -> None:
    """Also where a busy worker's segment is read piece by piece, and a quiet one's at once."""
    rng = random.Random(4)  # noqa: S311 - test data
    long = PHONE.ljust(1000)
    visits = 40
    with workers(site, 4) as (busy, *quiet):
        start_s = (_now_ms() - NOON_MS) / 1000  # no hit is older than its segment
        for visit in range(visits):
            # The next visit's first click is unique, and the second never is, if and only if
            # none is seen out of order.
            at_s = start_s + visit * 31 * 60
            for other in range(60):
                busy.append(hit(at_s, link_id=2000 + other, user_agent=long))
            rng.choice(quiet).append(hit(at_s, visitor=ANA))
            busy.append(hit(at_s + 29 * 60, visitor=ANA))
            if visit % 7 == 0:
                rng.choice((busy, *quiet)).rotate()
        store = open_store(site.settings.database)
        recorder = Recorder(site.settings, store)
        batches = 1
        while await recorder.drain_once(limit=3):
            batches += 1
        await store.close()
    assert batches > 20
    rows = await site.rows(
        "SELECT sum(clicks), sum(unique_clicks) FROM click_quarter WHERE link_id = 1000"
    )
    assert tuple(map(int, rows[0])) == (2 * visits, visits)


async def test_a_clock_that_was_set_back_leaves_a_workers_hits_in_their_order(site: Site) -> None:
    with workers(site, 2) as (bent, straight):
        for second in (0, 100, 50, 120):
            bent.append(hit(second))
        for second in (10, 110):
            straight.append(hit(second))
        read = Segments(site.data_dir / "journal").read({}, 100)
    seconds = [(record.at_ms - NOON_MS) // 1000 for record in read.records]
    assert seconds == [0, 10, 100, 50, 110, 120]


async def test_whoever_came_before_is_known_however_many_come(site: Site) -> None:
    people = [number.to_bytes(16) for number in range(450)]
    for minute in (0, 1):
        # In a batch of their own each: the state is in the database, not in the process.
        numbers = await record(site, (hit(minute * 60, visitor=who) for who in people))
        assert numbers["unique_clicks"] == len(people)
    assert numbers["clicks"] == 2 * len(people)


async def test_two_recorders_at_once_count_every_hit_once(site: Site) -> None:
    hits = [hit(second, visitor=ANA) for second in range(0, 30_000, 15)]

    def drain() -> int:
        async def steps() -> int:
            store = open_store(site.settings.database)
            recorder = Recorder(site.settings, store)
            while await recorder.drain_once(limit=100):
                pass
            await store.close()
            return recorder.recorded

        return asyncio.run(steps())

    with workers(site, 3) as journals:
        for number, each in enumerate(hits):
            journals[number % 3].append(each)
        parts = await asyncio.gather(*(asyncio.to_thread(drain) for _ in range(2)))
    assert sum(parts) == len(hits)
    numbers = await site.numbers()
    assert numbers["clicks"] == len(hits)
    assert (await site.rows("SELECT count(*) FROM click"))[0][0] == len(hits)


async def test_a_recorder_that_died_before_it_deleted_a_segment_repeats_nothing(site: Site) -> None:
    with workers(site) as (journal,):
        journal.append(hit())
        await site.drain()  # recorded, and the segment is still there
        assert len(list(journal.folder.iterdir())) == 1
    for _ in range(2):
        assert await site.drain() == 0
    assert list((site.data_dir / "journal").iterdir()) == []
    assert await site.rows("SELECT * FROM journal_position") == []
    assert (await site.numbers())["clicks"] == 1


async def test_a_locked_database_only_makes_the_journal_longer(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.clicks.sqlite_store.WAIT_S", 0.05)
    monkeypatch.setattr("app.clicks.recorder.AWAY_S", 0.02)
    site = sqlite_site
    await site.add_links("abcdefgh")
    stop = asyncio.Event()
    locker = sqlite3.connect(site.data_dir / "tracklinks.db", isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    store = open_store(site.settings.database)
    recorder = Recorder(site.settings, store)
    async with site.redirecting() as redirect:
        task = asyncio.create_task(recorder.run(stop))
        for number in range(300):
            answer = await ask(
                redirect, "/abcdefgh", address=f"10.0.{number // 250}.{number % 250}"
            )
            assert answer.status == 302
            await asyncio.sleep(0.001)
        assert recorder.recorded == 0
        locker.execute("ROLLBACK")
        locker.close()
        async with asyncio.timeout(10):
            while recorder.recorded < 300:  # noqa: ASYNC110 - the recorder is asked, not waited for
                await asyncio.sleep(0.01)
    stop.set()
    await task
    assert (await site.numbers())["clicks"] == 300


async def test_a_database_that_is_away_serves_what_is_known_and_503_for_the_rest(
    sqlite_site: Site,
) -> None:
    site = sqlite_site
    await site.add_links("abcdefgh", "ijkmnpqr", "stvwxyz2")
    path = site.data_dir / "tracklinks.db"
    async with site.redirecting() as redirect:
        assert (await ask(redirect, "/abcdefgh")).status == 302
        assert (await ask(redirect, "/ijkmnpqr")).status == 302
        await site.archive("ijkmnpqr")
        await redirect._links.close()
        path.rename(path.with_suffix(".away"))
        assert (await ask(redirect, "/abcdefgh")).status == 302
        # It has changed since, nobody knows how: an archived link never redirects.
        unknown = await ask(redirect, "/ijkmnpqr")
        assert (unknown.status, unknown.location) == (503, None)
        assert unknown.headers["retry-after"]
        assert (await ask(redirect, "/stvwxyz2")).status == 503
        path.with_suffix(".away").rename(path)
        assert (await ask(redirect, "/stvwxyz2")).status == 302
        assert (await ask(redirect, "/ijkmnpqr")).status == 410


async def test_what_is_too_old_is_forgotten_and_numbers_stay(site: Site) -> None:
    now_s = (_now_ms() - NOON_MS) / 1000
    hour = 3600
    hits = [hit(now_s - 49 * hour), hit(now_s - 25 * hour), hit(now_s)]
    before = await record(site, hits)
    # One that was stored with its visitor and grew old since.
    await _execute(site, "UPDATE click SET visitor = :v, id = :id WHERE at_ms < :cut",
                   v=ANA, id=bytes(16), cut=_now_ms() - 48 * hour * 1000)  # fmt: skip
    store = open_store(site.settings.database)
    recorder = Recorder(site.settings, store)
    while await recorder.keep_house():
        pass
    await store.close()
    visitors = await site.rows("SELECT visitor IS NULL FROM click ORDER BY at_ms")
    assert [bool(row[0]) for row in visitors] == [True, False, False]
    assert (await site.rows("SELECT count(*) FROM visitor_link"))[0][0] == 1
    assert await site.numbers() == before


async def test_forgetting_goes_in_small_steps(sqlite_site: Site) -> None:
    await record(sqlite_site, [hit(-10 * 86_400) for _ in range(BATCH + 1)])
    store = open_store(sqlite_site.settings.database)
    recorder = Recorder(sqlite_site.settings, store)
    assert await recorder.keep_house() is True
    assert (await sqlite_site.rows("SELECT count(*) FROM visitor_link"))[0][0] == 1
    while await recorder.keep_house():
        pass
    assert (await sqlite_site.rows("SELECT count(*) FROM visitor_link"))[0][0] == 0
    await store.close()


async def test_a_hit_keeps_what_reports_show_and_nothing_else(site: Site) -> None:
    await record(
        site,
        [
            hit(
                referrer="https://l.instagram.com/private?secret=1",
                query="utm_source=a%20b&utm_medium=%C3%A9&utm_campaign=" + "x" * 200 + "&p=secret",
                user_agent=FACEBOOK,
                country="DE",
                is_https=True,
            )
        ],
    )
    (row,) = await site.rows("SELECT * FROM click")
    found = row._mapping
    assert found["referrer_host"] == "l.instagram.com"
    assert (found["utm_source"], found["utm_medium"]) == ("a b", "é")
    assert found["utm_campaign"] == "x" * 100
    assert (found["country"], found["device"], found["in_app"]) == ("DE", "mobile", "Facebook")
    assert (found["os"], bool(found["is_suspect"])) == ("iOS", True)
    assert "secret" not in str(row)


@pytest.mark.parametrize(
    "text", ["\0", "\ud800"[:0] + "%00%ED%A0%80", "é" * 300, "'; DROP TABLE click;--"]
)
async def test_no_text_of_a_stranger_stops_the_recorder(site: Site, text: str) -> None:
    await record(
        site,
        [hit(referrer=text, query=f"utm_source={text}&{text}", user_agent=text, fetch_mode=text)],
    )
    assert (await site.rows("SELECT count(*) FROM click"))[0][0] == 1


def _now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000


async def _execute(site: Site, sql: str, **values: Any) -> None:
    from sqlalchemy import text

    database = Database(site.url)
    async with database.writing() as session:
        await (await session.connection()).execute(text(sql), values)
    await database.close()
