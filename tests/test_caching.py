"""No cache answers for us: each request for a link is ours to answer, and is counted."""

import itertools

import pytest

from tests.cache import Cache
from tests.server import serving
from tests.site import PHONE, Site

LIVE, ARCHIVED, UNKNOWN = "sm3hkt7w", "rx9fgb2d", "nn5nnn5n"
TIMES = 100
AGENT = f"User-Agent: {PHONE}"
VALIDATORS = ('If-None-Match: "x"', "If-Modified-Since: Tue, 24 Nov 2099 00:00:00 GMT")
CASES = {
    302: ("GET", LIVE),
    410: ("GET", ARCHIVED),
    404: ("GET", UNKNOWN),
    405: ("PUT", LIVE),
    503: ("GET", LIVE, "Sec-Purpose: prefetch"),
}
# By which cache, with which method and conditions: a proxy's in all ways, and a browser's own.
WAYS = [(True, *way) for way in itertools.product(("GET", "HEAD"), ((), VALIDATORS))]
WAYS.append((False, "GET", ()))
KEPT = {"etag", "last-modified", "expires", "age"}


async def ask_often(cache: Cache, status: int, method: str, *fields: str) -> None:
    for _ in range(TIMES):
        answer = await cache.ask(method, *fields)
        assert answer.status == status
        assert not answer.headers.keys() & KEPT
    assert cache.forwarded == TIMES


async def test_a_hundred_equal_requests_reach_us_a_hundred_times(site: Site) -> None:
    await site.add_links(LIVE, ARCHIVED)
    await site.archive(ARCHIVED)
    enough = {"TRACKLINKS_UNKNOWN_CODES_PER_MINUTE": str(len(WAYS) * TIMES)}
    with serving(site.settings, TRACKLINKS_RECORDER="off", **enough) as address:
        port = int(address.rpartition(":")[2])
        for status, (is_shared, asked, conditions) in itertools.product(CASES, WAYS):
            verb, code, *fields = CASES[status]
            method = asked if verb == "GET" else verb
            # A HEAD is nobody's prefetch: it is answered as it would have been.
            expected = 302 if (status, method) == (503, "HEAD") else status
            cache = Cache(port, is_shared=is_shared)
            await ask_often(cache, expected, method, f"/{code}", AGENT, *fields, *conditions)
    await site.drain()
    numbers = await site.numbers()
    # The link itself, and all that again as a prefetch.
    assert numbers["clicks"] + numbers["excluded_hits"] == 2 * len(WAYS) * TIMES
    assert numbers["hits_after_archive"] == len(WAYS) * TIMES


async def test_neither_is_the_word_kept_that_somebody_asks_too_often(site: Site) -> None:
    async with site.serving(unknown_codes_per_minute=1) as port:
        assert (await Cache(port, is_shared=False).ask("GET", f"/{UNKNOWN}", AGENT)).status == 404
        for is_shared, method, conditions in WAYS:
            cache = Cache(port, is_shared=is_shared)
            await ask_often(cache, 429, method, f"/{UNKNOWN}", AGENT, *conditions)


async def test_neither_is_the_word_kept_that_a_link_cannot_be_looked_up(site: Site) -> None:
    """The other 503, of a database that does not answer as it should."""
    async with site.database() as database, database.writing() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("ALTER TABLE tracking_link RENAME TO elsewhere")
    async with site.serving() as port:
        for is_shared, method, conditions in WAYS:
            cache = Cache(port, is_shared=is_shared)
            await ask_often(cache, 503, method, f"/{LIVE}", AGENT, *conditions)


@pytest.mark.parametrize("is_shared", [True, False])
async def test_the_cache_of_these_tests_keeps_what_it_may(
    sqlite_site: Site, *, is_shared: bool
) -> None:
    """A page of somebody else, who says nothing of caches."""
    async with sqlite_site.serving() as port:
        cache = Cache(port, is_shared=is_shared)
        for _ in range(TIMES):
            assert (await cache.ask("GET", "/a/page", AGENT)).status == 404
    assert cache.forwarded == 1
