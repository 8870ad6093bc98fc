"""No cache answers for us: each request for a link is ours to answer, and is counted."""

import pytest

from tests.cache import Cache
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


@pytest.mark.parametrize("is_shared", [True, False])
async def test_a_hundred_requests_reach_us_a_hundred_times(
    sqlite_site: Site, *, is_shared: bool
) -> None:
    site = sqlite_site
    await site.add_links(LIVE, ARCHIVED)
    await site.archive(ARCHIVED)
    async with site.serving(unknown_codes_per_minute=TIMES * 10) as port:
        for method in ("GET", "HEAD"):
            for status, (verb, code, *fields) in CASES.items():
                for conditions in ((), VALIDATORS):
                    cache = Cache(port, is_shared=is_shared)
                    for _ in range(TIMES // 2):
                        answer = await cache.ask(
                            method if verb == "GET" else verb,
                            f"/{code}",
                            AGENT,
                            *fields,
                            *conditions,
                        )
                        # A HEAD is nobody's prefetch: it is answered as it would have been.
                        expected = 302 if (status, method) == (503, "HEAD") else status
                        assert answer.status == expected
                        assert not answer.headers.keys() & {
                            "etag",
                            "last-modified",
                            "expires",
                            "age",
                        }
                    assert cache.forwarded == TIMES // 2
    await site.drain()
    numbers = await site.numbers()
    assert numbers["clicks"] + numbers["excluded_hits"] == 4 * TIMES
    assert numbers["hits_after_archive"] == 2 * TIMES


async def test_neither_is_the_word_kept_that_somebody_asks_too_often(sqlite_site: Site) -> None:
    async with sqlite_site.serving(unknown_codes_per_minute=1) as port:
        cache = Cache(port, is_shared=False)
        statuses = [(await cache.ask("GET", f"/{UNKNOWN}", AGENT)).status for _ in range(TIMES)]
    assert statuses == [404] + [429] * (TIMES - 1)
    assert cache.forwarded == TIMES


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
