"""People come, are counted, and nothing that a whole server keeps or tells says who they were."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.clicks.addresses import packed
from app.ids import encode
from app.pages import report_words
from app.resolvers.breakdowns import Dimension
from tests.server import request, serving
from tests.site import PHONE, Site

CODE = "abcdefgh"
CONNECTIONS = 8
RECORDED_S = 60
IPV4, IPV6 = "198.18.", "2001:db8:bad:"
# What judges a hit waits in the journal for the recorder, and goes with it.
JUDGED = ("AgentMarker", "ReferrerMarker", "QueryMarker")
NEVER = (IPV4, IPV6, "CookieMarker", "PathMarker")
SPLITS = (
    Dimension.UTM_SOURCE,
    Dimension.REFERRER,
    Dimension.IN_APP,
    Dimension.DEVICE,
    Dimension.BROWSER,
    Dimension.OS,
    Dimension.COUNTRY,
)
TABLES = (
    *("totals", "series", "campaigns", "creators", "links", "excluded"),
    *map(report_words.table_of, SPLITS),
)


def address_of(person: int) -> str:
    if person % 2:
        return f"{IPV6}{person:x}::{person:x}"
    return f"{IPV4}{person // 250}.{person % 250}"


def requests_of(person: int) -> Iterator[bytes]:
    """The click of one person, with all that could name them; and a code that is none."""
    for path in (CODE, *([f"PathMarker{person}"] if person % 50 == 0 else [])):
        yield (
            f"GET /{path}?p=QueryMarker{person} HTTP/1.1\r\nHost: go.brand.example\r\n"
            f"X-Forwarded-For: {address_of(person)}\r\nUser-Agent: {PHONE} AgentMarker{person}\r\n"
            f"Referer: https://news.example/ReferrerMarker{person}?u=ReferrerMarker\r\n"
            f"Cookie: who=CookieMarker{person}\r\n\r\n"
        ).encode()


async def click(port: int, people: range) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for person in people:
        for sent in requests_of(person):
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 302 " if CODE.encode() in sent else b"HTTP/1.1 404 ")
    writer.close()


def files_of(folder: Path) -> bytes:
    """Whatever lies in the data folder: database, its log, journal, change table, what was said."""
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"".join(kept)


def check(kept: bytes, people: int, markers: Sequence[str]) -> None:
    assert not [marker for marker in markers if marker.encode() in kept]
    # As bytes: IPv6 by what all of them begin with. That of IPv4 is so short that chance has it too.
    assert packed(address_of(1))[:6] not in kept
    begin = re.escape(packed(address_of(0))[:2])
    assert len(re.findall(begin + rb"[\x00-\x28]", kept, re.DOTALL)) < people / 10


@pytest.mark.parametrize("people", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_nothing_that_is_kept_or_told_names_a_person(
    site: Site, operator_key: str, people: int
) -> None:
    await site.add_links(CODE)
    environment = {
        "TRACKLINKS_METRICS": "true",
        "TRACKLINKS_TRUSTED_PROXIES": '["127.0.0.1"]',
    }
    with serving(site.settings, TRACKLINKS_RECORDER="off", **environment) as address:
        port = int(address.rpartition(":")[2])
        parts = [range(first, people, CONNECTIONS) for first in range(CONNECTIONS)]
        await asyncio.gather(*(click(port, part) for part in parts))
        journaled = files_of(site.data_dir)
    assert b"news.example" in journaled
    check(journaled, people, NEVER)

    with serving(site.settings, **environment) as address:
        async with asyncio.timeout(RECORDED_S):
            while (await site.rows("SELECT count(*) FROM click"))[0][0] < people:  # noqa: ASYNC110 - another process's rows
                await asyncio.sleep(0.05)
        told = [request(address, "GET", "/metrics")]
        bearer = f"Bearer {operator_key}"
        for subject in (encode("prg", 1), encode("cmp", 1)):
            for table in TABLES:
                if (subject, table) != (encode("cmp", 1), "campaigns"):
                    path = f"/reports/{subject}/{table}.csv?range=7d"
                    told.append(request(address, "GET", path, Authorization=bearer))
        kept = files_of(site.data_dir)
    assert {status for status, _ in told} == {200}
    texts = b"".join(text for _, text in told)
    assert f"news.example,{people}".encode() in texts
    rows = b"".join([await _rows(site, table) for table in await _tables(site)])
    assert b"news.example" in rows
    check(texts + rows + kept + files_of(site.data_dir), people, (*NEVER, *JUDGED))


async def _tables(site: Site) -> list[str]:
    sql = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if site.url.startswith("sqlite")
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    return [name for (name,) in await site.rows(sql)]


async def _rows(site: Site, table: str) -> bytes:
    """As text, and what is binary as it is."""
    rows = await site.rows(f"SELECT * FROM {table}")
    values = [value for row in rows for value in row]
    return str(values).encode() + b"".join(v for v in values if isinstance(v, bytes))
