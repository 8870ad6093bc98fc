"""Visitors are told apart for a day, and nobody can find out later who they were."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from app.clicks.addresses import packed
from app.clicks.visitors import BRIDGE_MS, DAY_MS, DayKeys, Visitors
from app.models import ConversionSettings, Verdict
from tests.clicks.people import Clock, heads_of, locations, request_of, statuses
from tests.site import PHONE, Site

DAY = 20_781
NOON = DAY * DAY_MS + DAY_MS // 2
PROGRAM = b"\x08" + (1).to_bytes(8)
OTHER_PROGRAM = b"\x08" + (2).to_bytes(8)
ADDRESS = packed("203.0.113.77")


def test_every_worker_and_every_restart_knows_the_same_visitor(tmp_path: Path) -> None:
    workers = [Visitors(DayKeys(tmp_path)) for _ in range(4)]
    hashes = {worker.of(PROGRAM, ADDRESS, b"agent", NOON) for worker in workers}
    assert len(hashes) == 1


def test_workers_that_begin_a_day_together_know_the_same_visitor(tmp_path: Path) -> None:
    """Whoever is first tidies up, and leaves alone what the others are just making."""
    days, together = 200, Barrier(4)

    def worker() -> list[bytes]:
        visitors, found = Visitors(DayKeys(tmp_path)), []
        for day in range(days):
            together.wait(10)
            found.append(visitors.of(PROGRAM, ADDRESS, b"agent", NOON + day * DAY_MS)[0])
        return found

    with ThreadPoolExecutor(4) as pool:
        of_workers = [each.result() for each in [pool.submit(worker) for _ in range(4)]]
    assert [len(set(of_day)) for of_day in zip(*of_workers, strict=True)] == [1] * days


def test_programs_days_addresses_and_agents_tell_visitors_apart(tmp_path: Path) -> None:
    visitors = Visitors(DayKeys(tmp_path))
    found = {
        visitors.of(PROGRAM, ADDRESS, b"agent", NOON)[0],
        visitors.of(OTHER_PROGRAM, ADDRESS, b"agent", NOON)[0],
        visitors.of(PROGRAM, ADDRESS, b"agent", NOON + DAY_MS)[0],
        visitors.of(PROGRAM, packed("203.0.113.78"), b"agent", NOON)[0],
        visitors.of(PROGRAM, ADDRESS, b"agen", NOON)[0],
        visitors.of(PROGRAM, ADDRESS[:-1], ADDRESS[-1:] + b"agent", NOON)[0],
    }
    assert len(found) == 6


def test_an_ipv6_customer_is_one_visitor(tmp_path: Path) -> None:
    assert packed("2001:db8::1") == packed("2001:db8::ffff:1") != packed("2001:db8:0:1::1")
    assert packed("::ffff:203.0.113.77") == ADDRESS
    assert packed("<script>") == b""


def test_the_first_hour_of_a_day_still_knows_yesterdays_visitors(tmp_path: Path) -> None:
    visitors = Visitors(DayKeys(tmp_path))
    yesterday, _ = visitors.of(PROGRAM, ADDRESS, b"agent", DAY * DAY_MS - 1)
    today, before = visitors.of(PROGRAM, ADDRESS, b"agent", DAY * DAY_MS)
    assert before == yesterday != today
    assert visitors.of(PROGRAM, ADDRESS, b"agent", DAY * DAY_MS + BRIDGE_MS) == (today, None)


def test_a_day_key_is_random_private_and_gone_after_48_hours(tmp_path: Path) -> None:
    keys = DayKeys(tmp_path / "keys")
    key = keys.of(DAY)
    (path,) = keys.folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert key == keys.of(DAY) != DayKeys(tmp_path / "elsewhere").of(DAY)
    crashed = path.with_name(f"{path.name}.77.abcd")  # while it made one
    crashed.write_bytes(b"half")
    keys.forget_old((DAY + 2) * DAY_MS - 1)
    assert keys.known(DAY) == key
    keys.forget_old((DAY + 2) * DAY_MS)
    assert keys.known(DAY) is None
    assert list(keys.folder.iterdir()) == []


def test_a_key_that_another_process_is_making_is_left_alone(tmp_path: Path) -> None:
    """Or that process would count everyone anew, by a key that it has alone."""
    keys = DayKeys(tmp_path)
    draft = tmp_path / f"{DAY:08}.77.0a1b2c3d"
    draft.write_bytes(bytes(32))
    keys.forget_old((DAY + 2) * DAY_MS - 1)
    assert draft.exists()
    keys.forget_old((DAY + 2) * DAY_MS)
    assert not draft.exists()


def test_half_a_day_key_is_made_anew(tmp_path: Path) -> None:
    keys = DayKeys(tmp_path)
    keys.of(DAY)
    keys._path(DAY).write_bytes(b"half")
    assert len(keys.of(DAY)) == 32


def test_a_folder_that_cannot_be_written_stops_no_viewer(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert len(DayKeys(tmp_path / "file").of(DAY)) == 32


WISHES = {
    "Sec-GPC": {"sec_gpc": "1"},
    "DNT": {"dnt": "1"},
    "both": {"sec_gpc": "1", "dnt": "1"},
}


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "by ASGI"])
async def test_who_asks_not_to_be_followed_is_counted_and_not_known(
    site: Site, wish: str, at_once: bool
) -> None:
    """Between others, whose clicks' ids the destination gets: conversions are tracked."""
    await site.add_links("abcdefgh")
    async with site.database() as database, database.writing() as session:
        session.add(ConversionSettings(program_id=1, is_on=True))
    silent = [request_of(path, **WISHES[wish]) for path in ("abcdefgh", "abcdefgh?a=1")] * 10
    others = [request_of("abcdefgh?a=1", sec_gpc="0", user_agent=f"{PHONE} {n}") for n in range(20)]
    async with site.serving(at_once=at_once) as port:
        to_silent = locations(await heads_of(port, silent))
        to_others = locations(await heads_of(port, others))
    plain, with_query = (
        f"https://brand.example/summer-sale?utm_source=creator{more}#top" for more in ("", "&a=1")
    )
    assert to_silent == [plain, with_query] * 10
    before, after = with_query.split("#")
    ids = {found.removeprefix(f"{before}&tlid=").removesuffix(f"#{after}") for found in to_others}

    await site.drain()
    rows = await site.rows("SELECT id, visitor, verdict FROM click")
    assert {bytes(id_).hex() for id_, visitor, _ in rows if visitor is not None} == ids
    unknown = [verdict for _, visitor, verdict in rows if visitor is None]
    assert unknown == [Verdict.COUNTED] * 20
    assert (await site.rows("SELECT count(*) FROM visitor_link"))[0][0] == len(ids) == 20
    numbers = await site.numbers()
    assert (numbers["clicks"], numbers["unique_clicks"]) == (40, 20)


async def test_nobody_can_be_followed_from_one_brand_or_day_to_another(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same thousand people at two brands, on two days an hour apart, when uniqueness is
    judged across midnight: nothing that is stored of one occurs anywhere else."""
    await site.add_links("abcdefgh")
    await site.add_links("ijkmnpqr", program=2)
    people, half_an_hour = 1000, DAY_MS // 48
    clock = Clock(DAY * DAY_MS - half_an_hour, monkeypatch)
    addresses = [f"10.0.{number // 250}.{number % 250}" for number in range(people)]
    clicks = {
        code: [request_of(code, x_forwarded_for=address) for address in addresses]
        for code in ("abcdefgh", "ijkmnpqr")
    }
    async with site.serving(trusted_proxies=["127.0.0.1"]) as port:
        for code in (*clicks, "abcdefgh"):  # at the first one twice
            assert statuses(await heads_of(port, clicks[code])) == [302] * people
        clock.now_ms += 2 * half_an_hour
        for each in clicks.values():
            assert statuses(await heads_of(port, each)) == [302] * people
    await site.drain()
    rows = await site.rows(
        f"SELECT link_id, at_ms / {DAY_MS}, count(*), count(DISTINCT visitor) FROM click "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    )
    # Who comes twice is one visitor; in all other places, everybody is another one.
    assert [tuple(row) for row in rows] == [
        (1000, DAY - 1, 2 * people, people),
        (1000, DAY, people, people),
        (1001, DAY - 1, people, people),
        (1001, DAY, people, people),
    ]
    ((visitors,),) = await site.rows("SELECT count(DISTINCT visitor) FROM click")
    assert visitors == 4 * people
