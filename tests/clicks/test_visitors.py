"""Visitors are told apart for a day, and nobody can find out later who they were."""

from hashlib import blake2b
from pathlib import Path

import pytest

from app.clicks.addresses import packed
from app.clicks.visitors import BRIDGE_MS, DAY_MS, DayKeys, Visitors
from tests.site import PHONE, Site, ask

DAY = 20_781
NOON = DAY * DAY_MS + DAY_MS // 2
PROGRAM = b"\x08" + (1).to_bytes(8)
OTHER_PROGRAM = b"\x08" + (2).to_bytes(8)
ADDRESS = packed("203.0.113.77")


def test_every_worker_and_every_restart_knows_the_same_visitor(tmp_path: Path) -> None:
    workers = [Visitors(DayKeys(tmp_path)) for _ in range(4)]
    hashes = {worker.of(PROGRAM, ADDRESS, b"agent", NOON) for worker in workers}
    assert len(hashes) == 1


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
    keys.forget_old((DAY + 2) * DAY_MS - 1)
    assert keys.known(DAY) == key
    keys.forget_old((DAY + 2) * DAY_MS)
    assert keys.known(DAY) is None
    assert list(keys.folder.iterdir()) == []


def test_half_a_day_key_is_made_anew(tmp_path: Path) -> None:
    keys = DayKeys(tmp_path)
    keys.of(DAY)
    keys._path(DAY).write_bytes(b"half")
    assert len(keys.of(DAY)) == 32


def test_a_folder_that_cannot_be_written_stops_no_viewer(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert len(DayKeys(tmp_path / "file").of(DAY)) == 32


async def test_a_stolen_installation_tells_nobody_who_clicked(sqlite_site: Site) -> None:
    """Two days later: everything that is left is tried against a known address and browser."""
    await sqlite_site.add_links("abcdefgh")
    async with sqlite_site.redirecting() as redirect:
        await ask(redirect, "/abcdefgh", address="203.0.113.77")
    await sqlite_site.drain()
    ((visitor, at_ms),) = await sqlite_site.rows("SELECT visitor, at_ms FROM click")
    keys = DayKeys(sqlite_site.data_dir / "day-keys")

    def candidates() -> set[bytes]:
        data = PROGRAM + bytes([4]) + ADDRESS + PHONE.encode()
        files = [
            path.read_bytes()[:32] for path in sqlite_site.data_dir.rglob("*") if path.is_file()
        ]
        return {blake2b(data, digest_size=16, key=key).digest() for key in files}

    assert visitor in candidates()
    keys.forget_old(at_ms + 2 * DAY_MS)
    assert visitor not in candidates()


@pytest.mark.parametrize("header", ["Sec-GPC", "DNT"])
async def test_who_asks_not_to_be_followed_is_counted_and_not_known(
    site: Site, header: str
) -> None:
    await site.add_links("abcdefgh")
    async with site.redirecting() as redirect:
        for _ in range(3):
            answer = await ask(redirect, "/abcdefgh?a=1", headers={header: "1"})
            assert answer.location == "https://brand.example/summer-sale?utm_source=creator&a=1#top"
    await site.drain()
    assert await site.rows("SELECT visitor FROM click") == [(None,)] * 3
    assert await site.rows("SELECT * FROM visitor_link") == []
    numbers = await site.numbers()
    assert (numbers["clicks"], numbers["unique_clicks"]) == (3, 0)


async def test_nobody_can_be_followed_from_one_brand_to_another(site: Site) -> None:
    """The same thousand people at two brands: nothing stored of one occurs at the other."""
    await site.add_links("abcdefgh")
    await site.add_links("ijkmnpqr", program=2)
    people = 1000
    async with site.redirecting() as redirect:
        for number in range(people):
            for code in ("abcdefgh", "ijkmnpqr"):
                await ask(redirect, f"/{code}", address=f"10.0.{number // 250}.{number % 250}")
    await site.drain()
    rows = await site.rows("SELECT DISTINCT link_id, visitor FROM click")
    assert len(rows) == len({visitor for _, visitor in rows}) == 2 * people
