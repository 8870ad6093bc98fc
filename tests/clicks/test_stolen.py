"""Who steals a whole installation learns nothing of who clicked two days ago.

DESIGN
------
The thief has every file of the data folder and of the database's server, every value of every
table, and the settings with their secrets. They know a person's address and browser, and the way in
which visitors are hashed. Whatever could be a day key is tried as one: each window of 32 and of 16
bytes of each file, each value, and what may be derived from a secret and a date.

And they know more than any thief would: all hashes that were ever stored, not only those that
are left. If one of them can be computed, the key is still somewhere.

A limit: what a disk keeps of a file that was deleted is not looked at. Two things are left out because
they can change nothing: what was on the disk before any key was made, and what is
between the ends of a run of zeros.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b, sha256, sha512
from itertools import product
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.clicks.addresses import packed
from app.clicks.recorder import Recorder, open_store
from app.clicks.rollups import VISITOR_MS
from app.clicks.visitors import DAY_MS, KEY_BYTES
from tests.clicks.installation import an_installation, files_of, values_of
from tests.clicks.people import Clock, heads_of, request_of, statuses
from tests.site import PHONE, Site

CODE = "abcdefgh"
FIRST_DAY = 20_781
DAYS = 4
CLICKS_A_DAY = 50
HOUR_MS = DAY_MS // 24
KNOWN = "203.0.113.77"
# What is hashed of the known person: the program, the address and the browser.
HASHED = b"\x08" + (1).to_bytes(8) + b"\x04" + packed(KNOWN) + PHONE.encode()
SIGNED_WITH = "a secret of the operator, in the settings"
PAGE = 4096


def new_parts(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[bytes]:
    """What has come onto the disks, each part with so much around it that no key is cut."""
    around = KEY_BYTES - 1
    for name, content in after.items():
        old = before.get(name, b"")
        for at in range(0, len(content), PAGE):
            if content[at : at + PAGE] != old[at : at + PAGE]:
                part = content[max(at - around, 0) : at + PAGE + around]
                yield re.sub(rb"\0{65,}", bytes(64), part)


def windows(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        for size in (KEY_BYTES, KEY_BYTES // 2):
            for at in range(len(part) - size + 1):
                yield part[at : at + size]


def derived(secrets: Iterable[bytes]) -> Iterator[bytes]:
    """As others make the key of a day, or of a month."""
    dates = set[str]()
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        date = datetime.fromtimestamp(day * DAY_MS / 1000, UTC)
        for each in (date, date.replace(day=1)):
            dates |= {str(day), f"{each:%Y-%m-%d}", f"{each:%Y%m%d}", f"{each:%Y-%m}", str(each)}
            dates |= {each.isoformat(), each.ctime(), str(int(each.timestamp()))}
    for secret, date_ in product({b"", *secrets}, {b"", *(each.encode() for each in dates)}):
        for text in (secret + date_, date_ + secret, secret + b":" + date_):
            yield from (text[:64], sha256(text).digest(), sha512(text).digest())
            yield from (sha256(text).hexdigest().encode(), blake2b(text, digest_size=32).digest())
        yield blake2b(date_, key=secret[:64], digest_size=32).digest()


async def computed(
    site: Site, before: Mapping[str, bytes], stored: Collection[bytes]
) -> set[bytes]:
    """Which of the stored hashes are the known person's, under anything that may be a key."""
    values = [
        value if isinstance(value, bytes) else str(value).encode()
        for value in await values_of(site)
    ]
    secrets = [str(value).encode() for value in site.settings.model_dump().values()]
    secrets.append(SIGNED_WITH.encode())
    found = set[bytes]()
    for keys in (
        windows(new_parts(before, await files_of(site))),
        derived(secrets),
        (value[:64] for value in values),
    ):
        # A million of them: no call between one and the next.
        hashes = (blake2b(HASHED, digest_size=16, key=key).digest() for key in keys)
        found |= {each for each in hashes if each in stored}
    return found


async def keep_house(site: Site) -> None:
    await site.drain()
    store = open_store(site.settings.database)
    recorder = Recorder(site.settings, store)
    while await recorder.keep_house():
        pass
    await store.close()


async def click(site: Site, addresses: Iterable[str]) -> None:
    requests = [request_of(CODE, x_forwarded_for=address) for address in addresses]
    async with site.serving(trusted_proxies=["127.0.0.1"]) as port:
        assert statuses(await heads_of(port, requests)) == [302] * len(requests)


async def steal_twice(site: Site, clock: Clock) -> None:
    site.options["signing_secret"] = SecretStr(SIGNED_WITH)
    await site.add_links(CODE)
    before = await files_of(site)
    days = range(FIRST_DAY, FIRST_DAY + DAYS)
    day_of = dict[bytes, int]()
    for day in days:
        clock.now_ms = day * DAY_MS + 12 * HOUR_MS
        await click(site, [KNOWN, *(f"10.0.0.{n}" for n in range(1, CLICKS_A_DAY))])
        await keep_house(site)
        rows = await site.rows(
            "SELECT visitor FROM click WHERE at_ms = :at AND visitor IS NOT NULL", at=clock.now_ms
        )
        day_of |= {bytes(visitor): day for (visitor,) in rows}
    assert Counter(day_of.values()) == dict.fromkeys(days, CLICKS_A_DAY)

    # Of the last two days, and of no other, the thief knows that the person came.
    found = await computed(site, before, day_of)
    assert sorted(day_of[each] for each in found) == [*days][-2:]

    clock.now_ms += VISITOR_MS + 1
    await click(site, ["10.0.0.1"])
    await keep_house(site)
    (key,) = (site.data_dir / "day-keys").iterdir()
    assert int(key.name) == clock.now_ms // DAY_MS
    nulled = await site.rows("SELECT visitor IS NULL, count(*) FROM click GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in nulled] == [(False, 1), (True, DAYS * CLICKS_A_DAY)]
    assert len(await site.rows("SELECT * FROM visitor_link")) == 1
    assert await computed(site, before, day_of) == set()


def test_two_days_later_a_stolen_installation_tells_nobody_who_clicked(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with an_installation(engine, tmp_path / "site") as site:
        clock = Clock(FIRST_DAY * DAY_MS, monkeypatch)
        asyncio.run(steal_twice(site, clock))
