"""People come, are counted, and nothing that a whole server keeps or tells says who they were.

DESIGN
------
Whoever clicks has a marker in all that they send, and then every file of the installation is
read as bytes, and everything that it answers. Texts are searched for as they are. Of an address
also what a program may have made of it: packed, in either order, hexadecimal, a number.

An IPv4 address packs into four bytes, and four bytes chance writes too: among the ids and hashes of
ten thousand clicks it finds one of sixteen addresses about once in fifty times. So the addresses
are few, sent by hundreds of people each, and none that is there before anybody came. One that
is found is sent again to another installation, from the beginning: what a server keeps is there again,
and chance in one of a hundred thousand times. IPv6 networks are all different, one for each
person, and of these it need not be asked: what all of them begin with has six bytes.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.auth import OPERATOR
from app.clicks.addresses import packed
from app.ids import encode
from app.models import Role
from app.pages import report_words
from app.resolvers import keys
from app.resolvers.breakdowns import Dimension
from app.resolvers.change import Change
from tests.clicks.installation import an_installation, files_of, values_of
from tests.clicks.people import heads_of, request_of, statuses
from tests.server import LOG, request, serving
from tests.site import NOW, PHONE, Site

CODE = "abcdefgh"
RECORDED_S = 60
IPV4, IPV6 = "198.18.", "2001:db8:bad:"
IPV4_ADDRESSES = 16
# What judges a hit waits in the journal for the recorder, and goes with it.
JUDGED = ("AgentMarker", "ReferrerMarker", "QueryMarker")
NEVER = (IPV4, IPV6, "CookieMarker", "PathMarker")
# Stored of every click, so a search that does not find it searches in the wrong place.
STORED = b"news.example"
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
HITS = """query($id: ID!, $after: String) { node(id: $id) { ... on Measurable { stats {
    hits(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes {
        at verdict reason isUnique isSuspect referrerHost country device browser os inApp } } } } } }"""
CREATOR = (
    "query($id: ID!) { creatorExport(id: $id) node(id: $id) { ... on Creator { managerUrl } } }"
)
SHARE = """mutation($id: ID!) { createReportShare(input: {programId: $id, name: "All"}) {
    reportShare { url } } }"""


def holds(kept: Mapping[str, bytes], pattern: bytes) -> list[str]:
    return [name for name, content in kept.items() if pattern in content]


def ipv4_in(kept: Mapping[str, bytes]) -> Iterator[bytes]:
    """Whatever looks like a packed address of ours, however it is spelled."""
    begin = packed(f"{IPV4}0.0")[:2]
    for content in kept.values():
        for found in re.finditer(re.escape(begin), content):
            yield content[found.start() : found.start() + 4]
        for found in re.finditer(re.escape(begin[::-1]), content):
            yield content[found.end() - 4 : found.end()][::-1]
        for found in re.finditer(rb"c612[0-9a-f]{4}|C612[0-9A-F]{4}", content):
            yield bytes.fromhex(found[0].decode())
        for found in re.finditer(rb"332[0-9]{7}", content):
            yield int(found[0]).to_bytes(4)


def addresses_to_send(before: Mapping[str, bytes]) -> list[str]:
    taken = set(ipv4_in(before))
    every = (f"{IPV4}{255 - number}.{number * 37 % 256}" for number in range(256))
    return [address for address in every if packed(address) not in taken][:IPV4_ADDRESSES]


def requests_of(people: int, addresses: list[str]) -> Iterator[bytes]:
    """The click of each person, with all that could name them; and at times a code that is none."""
    for person in range(people):
        address = addresses[person // 2 % IPV4_ADDRESSES]
        if person % 2:
            address = f"{IPV6}{person:x}::{person:x}"
        for path in (CODE, *([f"PathMarker{person}"] if person % 50 == 0 else [])):
            yield request_of(
                f"{path}?p=QueryMarker{person}",
                x_forwarded_for=address,
                user_agent=f"{PHONE} AgentMarker{person}",
                referer=f"https://news.example/ReferrerMarker{person}?u=ReferrerMarker",
                cookie=f"who=CookieMarker{person}",
            )


def check(kept: Mapping[str, bytes], markers: tuple[str, ...]) -> None:
    """That no text and no network of anybody is in any file."""
    network = packed(IPV6 + ":")[:6]
    texts = (*markers, network.hex(), network.hex().upper())
    for pattern in (network, network[::-1], *(text.encode() for text in texts)):
        assert holds(kept, pattern) == [], pattern


def told_by(address: str, key: str, people: int) -> Iterator[bytes]:
    """Everything that the server answers about clicks: figures, exports, tables, pages, single hits."""
    bearer = {"Authorization": f"Bearer {key}"}

    def get(path: str) -> bytes:
        status, text = request(address, "GET", path.removeprefix(address), **bearer)
        assert status == 200, path
        return text

    def ask(query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables})
        status, text = request(
            address, "POST", "/graphql", body, content_type="application/json", **bearer
        )
        assert status == 200, text
        answers.append(text)
        return json.loads(text)["data"]

    answers: list[bytes] = []
    yield get("/metrics")
    program, campaign, creator = (encode(kind, 1) for kind in ("prg", "cmp", "crt"))
    for subject in (program, campaign):
        for table in TABLES:
            if (subject, table) != (campaign, "campaigns"):
                yield get(f"/reports/{subject}/{table}.csv?range=7d")
    yield get(ask(SHARE, id=program)["createReportShare"]["reportShare"]["url"])
    about = ask(CREATOR, id=creator)
    assert "Ada" in about["creatorExport"]
    yield get(about["node"]["managerUrl"])
    count, after = 0, None
    while count == 0 or after is not None:
        hits = ask(HITS, id=program, after=after)["node"]["stats"]["hits"]
        count += len(hits["nodes"])
        after = hits["pageInfo"]["endCursor"] if hits["pageInfo"]["hasNextPage"] else None
    assert count == people
    yield from answers


async def operator_key(site: Site) -> str:
    async with site.database() as database, database.writing() as session:
        change = Change(session, OPERATOR, NOW, check_destination=str)
        _, text = await keys.create(change, name="Tests", role=Role.ADMIN)
    return text


async def addresses_kept(site: Site, people: int) -> set[str]:
    """Let them click, and check all else: the IPv4 addresses of which four bytes were found."""
    await site.add_links(CODE)
    key = await operator_key(site)
    before = await files_of(site)
    addresses = addresses_to_send(before)

    async def files() -> dict[str, bytes]:
        """But for what has not changed since before anybody came."""
        found = await files_of(site)
        return {name: text for name, text in found.items() if before.get(name) != text}

    options = {"METRICS": "true", "TRUSTED_PROXIES": '["127.0.0.1"]'}
    options["GRAPHQL_COST_PER_MINUTE"] = "1000000000"
    environment = {f"TRACKLINKS_{name}": value for name, value in options.items()}
    with serving(
        site.settings, module="tests.loud", **environment, TRACKLINKS_RECORDER="off"
    ) as address:
        clicks = list(requests_of(people, addresses))
        answers = statuses(await heads_of(int(address.rpartition(":")[2]), clicks))
        assert answers.count(302) == people
        assert answers.count(404) == people / 50
        journaled = await files()
    assert any("journal" in name for name in holds(journaled, STORED))
    check(journaled, NEVER)

    with serving(site.settings, module="tests.loud", **environment) as address:
        async with asyncio.timeout(RECORDED_S):
            while (await site.rows("SELECT count(*) FROM click"))[0][0] < people:  # noqa: ASYNC110 - another process's rows
                await asyncio.sleep(0.05)
        told = b"\n".join(told_by(address, key, people))
        served = await files()
    assert f"news.example,{people}".encode() in told
    assert served[LOG].count(b"DEBUG") > 10
    assert any("-wal" in name or "pg_wal" in name for name in holds(served, STORED))
    left = await files()
    assert any("tracklinks.db" in name or "/base/" in name for name in holds(left, STORED))
    rows = repr(await values_of(site)).encode()
    assert STORED in rows
    for kept in (served, left, {"told": told, "rows": rows}):
        check(kept, (*NEVER, *JUDGED))
    found = {each for kept in (journaled, served, left, {"told": told}) for each in ipv4_in(kept)}
    return {address for address in addresses if packed(address) in found}


@pytest.mark.parametrize("people", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_nothing_that_is_kept_or_told_names_a_person(
    engine: str, people: int, tmp_path: Path
) -> None:
    with an_installation(engine, tmp_path / "first") as site:
        found = asyncio.run(addresses_kept(site, people))
    if found:
        with an_installation(engine, tmp_path / "second") as site:
            found &= asyncio.run(addresses_kept(site, people))
    assert found == set()
