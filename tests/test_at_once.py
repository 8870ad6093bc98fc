"""What is answered where it was read is what the application would have said, and is recorded."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.clicks.records import Record
from app.clicks.segments import Segments
from tests.site import Site, application, ask, uvicorn_serving
from tests.test_hostile_requests import AGENTS, ROWS
from tests.test_http_protocol import FOLLOW
from tests.test_redirect import ARCHIVED, LIVE

TRACKED = "tr4ck3dd"
MORE = [
    "Connection: close",
    "Connection: keep-alive",
    "Connection: Upgrade\r\nUpgrade: h2c",
    "Content-Length: 0",
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Upgrade: websocket",
    "DNT: 1",
    "Sec-GPC: 1",
    "Sec-Purpose: prefetch",
    "X-Forwarded-For: 198.51.100.1",
    "Cookie: " + "y" * 3_000,
]


def requests() -> list[bytes]:
    """The table's requests, each said and framed in other ways as well."""
    rng = random.Random(9)  # noqa: S311 - test data
    made = []
    for row in ROWS * 8:
        fields = [f"{name}: {value}" for name, value in row["headers"].items()]
        fields += ["Host: x", f"User-Agent: {AGENTS[row['ua']]}"]
        fields += rng.sample(MORE, rng.choice([0, 0, 1, 2]))
        rng.shuffle(fields)
        method = rng.choice([row["method"], "GET", "GET", "HEAD", "POST", "OPTIONS"])
        any_link = f"/{rng.choice([LIVE, ARCHIVED, TRACKED])}"
        target = row["target"].replace("{code}", LIVE) if rng.random() < 0.5 else any_link
        target += rng.choice(
            ["", "", "?a=1&utm_source=x", "?", "#f", "?é", "?a=%0d%0a#", "?tlid=1"]
        )
        version = rng.choice(["1.1", "1.1", "1.1", "1.0"])
        body = "3\r\nabc\r\n0\r\n\r\n" if "Transfer-Encoding: chunked" in fields else ""
        body = "abc" if "Content-Length: 3" in fields else body
        lines = [f"{method} {target} HTTP/{version}", *fields, "", body]
        made.append("\r\n".join(lines).encode())
    return made


async def said(port: int, request: bytes) -> list[list[str]]:
    """All that comes back, without what differs each time and without the order of headers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    async with asyncio.timeout(10):
        answers = (await reader.read()).decode("latin-1").split("\r\n\r\n")
    writer.close()
    lines = (
        [line for line in answer.split("\r\n") if not line.lower().startswith("date: ")]
        for answer in answers
    )
    return [sorted(line.partition("tlid=")[0] for line in each) for each in lines]


def recorded(site: Site) -> list[tuple[Any, ...]]:
    def facts(record: Record) -> tuple[Any, ...]:
        own = {"id", "at_ms", "visitor"}
        same = (getattr(record, name) for name in record.__struct_fields__ if name not in own)
        return (*same, record.visitor is None)

    return sorted(map(facts, Segments(site.data_dir / "journal").read({}, 10**6).records), key=str)


@pytest.mark.parametrize("behind", [b"", FOLLOW, b"GET /x"], ids=["alone", "followed", "cut"])
async def test_every_request_is_answered_and_recorded_as_by_the_application(
    sqlite_site: Site, behind: bytes
) -> None:
    await sqlite_site.add_links(LIVE, ARCHIVED)
    await sqlite_site.add_links(TRACKED, program=2)
    await sqlite_site.archive(ARCHIVED)
    async with sqlite_site.database() as database, database.writing() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "INSERT INTO conversion_settings (program_id, is_on, click_parameter, window_days, "
            "model, precedence, currencies, sites) "
            "VALUES (2, 1, 'tlid', 28, 'LAST_CLICK', 'CLICK', '[]', '[]')"
        )
    answers, records, counts = [], [], []
    for at_once in (True, False):
        options = {"unknown_codes_per_minute": 10**6, "trusted_proxies": ["127.0.0.1"]}
        async with sqlite_site.redirecting(**options) as redirect:
            async with uvicorn_serving(application(redirect, at_once=at_once)) as port:
                answers.append([await said(port, each + behind) for each in requests()])
            counts.append(redirect.answered)
        records.append(recorded(sqlite_site))
        assert await sqlite_site.drain() == len(records[-1])  # and the journal is empty
    different = [
        (request, *pair)
        for request, *pair in zip(requests(), *answers, strict=True)
        if pair[0] != pair[1]
    ]
    assert different == []
    assert counts[0] == counts[1]
    assert records[0] == records[1]
    assert len(records[0]) > 300


@pytest.fixture
async def port(sqlite_site: Site) -> AsyncIterator[int]:
    """Of a server whose application knows no link any more, so 404 is its own answer."""
    await sqlite_site.add_links(LIVE)
    async with sqlite_site.redirecting() as redirect:
        assert (await ask(redirect, f"/{LIVE}")).status == 302  # from here on it is kept
        app = application(redirect)
        app.routes.clear()
        async with uvicorn_serving(app) as port:
            yield port


async def statuses(port: int, request: bytes) -> list[str]:
    return re.findall(r"HTTP/1.1 (\d+)", str(await said(port, request)))


async def test_the_application_is_not_asked_but_for_what_is_more_than_a_click(port: int) -> None:
    assert await statuses(port, FOLLOW) == ["302"]
    for more in (b"Content-Length: 0", b"Upgrade: h2c", b"Expect: 100-continue"):
        with_more = FOLLOW.replace(b"Host: x", more)
        assert await statuses(port, with_more) == ["404"]


async def test_one_of_those_that_arrive_together_is_answered_at_once(port: int) -> None:
    """The others wait for their turn, in order: thousands must not keep everybody waiting."""
    answers = await statuses(port, FOLLOW * 3)
    assert answers == ["302", "404", "404"]
