"""What a viewer gets for a short link, over a real socket, and what is counted of it."""

from typing import Any

import pytest

from app.http_protocol import LimitedHttpProtocol
from tests.site import DESTINATION, PHONE, RESERVED, HttpProtocol, Site, ask, send_raw

LIVE, ARCHIVED, UNKNOWN = "sm3hkt7w", "rx9fgb2d", "nn5nnn5n"
COMMON = {
    "cache-control": "private, no-store, max-age=0",
    "x-robots-tag": "noindex, nofollow",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-content-type-options": "nosniff",
}


def get(target: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: go.brand.example", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace")


# The redirect does not depend on who reads HTTP for it. Limits of ours do.
@pytest.fixture(params=[LimitedHttpProtocol, "h11"], ids=["ours", "h11"])
def http(request: pytest.FixtureRequest) -> HttpProtocol:
    found: HttpProtocol = request.param
    return found


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", LIVE, 302),
        ("GET", LIVE.upper(), 302),
        ("HEAD", LIVE, 302),
        ("GET", ARCHIVED, 410),
        ("HEAD", ARCHIVED, 410),
        ("GET", UNKNOWN, 404),
        ("HEAD", UNKNOWN, 404),
        ("POST", LIVE, 405),
        ("DELETE", ARCHIVED, 405),
    ],
)
async def test_each_answer_has_exactly_its_headers(
    sqlite_site: Site, http: HttpProtocol, method: str, target: str, status: int
) -> None:
    await sqlite_site.add_links(LIVE, ARCHIVED)
    await sqlite_site.archive(ARCHIVED)
    async with sqlite_site.serving(http=http) as port:
        answer = await send_raw(port, get(f"/{target}", f"User-Agent: {PHONE}", method=method))
    expected = dict(COMMON)
    if status == 302:
        expected |= {"location": DESTINATION, "content-length": "0"}
    else:
        expected |= {"content-type": "text/html; charset=utf-8"}
        expected["content-length"] = answer.headers["content-length"]
        assert target not in answer.body.decode()
        assert (len(answer.body) > 0) is (method != "HEAD")
    if status == 405:
        expected["allow"] = "GET, HEAD"
    own = {"date", "server", "connection"}
    assert answer.status == status
    assert {name: answer.headers[name] for name in answer.headers.keys() - own} == expected


async def test_every_way_out_gives_the_same_answer(sqlite_site: Site) -> None:
    """The short way of our own protocol, and ASGI's messages."""
    await sqlite_site.add_links(LIVE)
    for version in ("1.1", "1.0"):
        async with sqlite_site.serving() as port, sqlite_site.redirecting() as redirect:
            request = f"GET /{LIVE} HTTP/{version}\r\nUser-Agent: {PHONE}\r\n\r\n"
            over_http = await send_raw(port, request.encode())
            as_asgi = await ask(redirect, f"/{LIVE}")
        assert over_http.headers.pop("connection", None) == (None if version == "1.1" else "close")
        assert over_http.headers.keys() - {"date", "server"} == as_asgi.headers.keys()
        assert as_asgi.headers.items() <= over_http.headers.items()


async def test_a_prefetch_is_refused_so_that_the_browser_asks_again(site: Site) -> None:
    await site.add_links(LIVE)
    async with site.redirecting() as redirect:
        for header in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"):
            answer = await ask(redirect, f"/{LIVE}", headers={header: "prefetch"})
            assert (answer.status, answer.location) == (503, None)
            assert answer.headers["retry-after"]
    await site.drain()
    assert await site.reasons() == {"prefetch": 4}


async def test_words_of_other_routes_are_no_codes(sqlite_site: Site) -> None:
    async with sqlite_site.redirecting() as redirect:
        route = redirect.route()
        for word in RESERVED:
            match, _ = route.matches({"type": "http", "raw_path": f"/{word}".encode()})
            assert match.name == "NONE"


async def test_an_archived_link_is_gone_at_the_next_request_in_every_worker(site: Site) -> None:
    codes = [f"link{number:04}" for number in range(40)]
    await site.add_links(*codes)
    async with site.redirecting() as one, site.redirecting() as two:
        for code in codes:
            for worker in (one, two):
                assert (await ask(worker, f"/{code}")).status == 302
            await site.archive(code)
            for worker in (one, two):
                answer = await ask(worker, f"/{code}")
                assert (answer.status, answer.location) == (410, None)
    await site.drain()
    numbers = await site.numbers()
    assert (numbers["clicks"] + numbers["excluded_hits"], numbers["hits_after_archive"]) == (80, 80)


async def test_a_worker_never_keeps_a_row_that_is_about_to_be_committed(sqlite_site: Site) -> None:
    """The writer died between COMMIT and its word that it was done."""
    await sqlite_site.add_links(LIVE)
    async with sqlite_site.database() as database, sqlite_site.redirecting() as redirect:
        (table,) = database._listeners
        table.changing([LIVE])
        assert (await ask(redirect, f"/{LIVE}")).status == 302
        await sqlite_site.rows("SELECT 1")
        async with database.writing() as session:
            connection = await session.connection()
            await connection.exec_driver_sql("UPDATE tracking_link SET archived_at = '2026-01-01'")
        assert (await ask(redirect, f"/{LIVE}")).status == 410


async def test_all_addresses_of_a_customer_share_what_may_be_guessed(sqlite_site: Site) -> None:
    async with sqlite_site.redirecting() as redirect:
        for number in range(30):  # of one /64
            answer = await ask(redirect, "/elsewhere", address=f"2001:db8::{number * 2_000:x}")
            assert answer.status == 404
        assert (await ask(redirect, "/elsewhere", address="2001:db8::1")).status == 429
        for another in ("2001:db8:0:1::1", "192.0.2.2"):
            assert (await ask(redirect, "/elsewhere", address=another)).status == 404


async def test_forwarded_addresses_count_from_configured_proxies_only(site: Site) -> None:
    await site.add_links(LIVE)

    async def hits(**options: Any) -> int:
        async with site.redirecting(**options) as redirect:
            for number in range(3):
                # What stands left of the nearest stranger, anybody may have written.
                hops = f"203.0.113.{number}, 198.51.100.7, 10.0.0.2"
                await ask(
                    redirect, f"/{LIVE}", headers={"X-Forwarded-For": hops}, address="10.0.0.1"
                )
        await site.drain()
        return len(await site.rows("SELECT DISTINCT visitor FROM click"))

    assert await hits(trusted_proxies=["10.0.0.0/8"]) == 1
    assert await hits() == 2  # the proxy itself
    assert await hits(trusted_proxies=["10.0.0.0/8", "198.51.100.7"]) == 5


async def test_a_destination_whose_host_became_our_own_leads_nowhere(site: Site) -> None:
    await site.add_links("bcdfghjk", destination="https://shop.brand.example/sale")
    async with site.redirecting() as redirect:
        assert (await ask(redirect, "/bcdfghjk")).status == 302
    for own in ("shop.brand.example", "brand.example", "SHOP.brand.example:8443"):
        async with site.redirecting(own_hosts=[own]) as redirect:
            for _ in range(2):  # also when it is remembered
                answer = await ask(redirect, "/bcdfghjk")
                assert (answer.status, answer.location) == (404, None)
    async with site.redirecting(own_hosts=["p.brand.example"]) as redirect:
        assert (await ask(redirect, "/bcdfghjk")).status == 302
