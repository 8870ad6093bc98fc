"""Whatever is stored or asked for, an answer has the headers that it should have, and no other."""

import asyncio
import itertools
from urllib.parse import quote

import pytest

from app.settings import Settings
from tests.server import serving
from tests.site import DESTINATION, PHONE, Site
from tests.test_redirect import COMMON
from tests.world import World

BREAKS = (
    *("\r\n", "\n", "\r", "\r\n\r\n", "\0", "\x0b", "\x0c", "\x1e", "\x7f", "\x85", "\u2028"),
    *("%0d%0a", "%0D%0A", "%0a", "%00", "%25%30%64%25%30%61", "%E5%98%8A%E5%98%8D", " ", "\t"),
    # Their last bytes are CR and LF, for who cuts characters to bytes.
    "\u560a\u560d",
)
WHAT = ("X-Evil: 1", "Set-Cookie: a=b", "Location: https://evil.example/", " HTTP/1.1", "é")
INJECTIONS = [f"a{break_}{what}" for break_, what in itertools.product(BREAKS, WHAT)]
OURS = sorted([*COMMON, "location", "content-length", "connection", "date", "server"])
WITH_400 = ["connection", "content-length", "content-type", "date", "server"]


async def names(port: int, target: bytes) -> tuple[int, list[str], str]:
    """The status, the names of all header lines, and the location."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = b"User-Agent: %b\r\nConnection: close" % PHONE.encode()
    writer.write(b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (target, fields))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    assert not set(head) & {0, 0x0B, 0x0C, 0x7F}
    assert not set(b"".join(lines)) & {0x0A, 0x0D}
    code = int(status.split()[1])
    assert code == 400 or not body
    headers = [line.decode("ascii").split(": ", 1) for line in lines]
    location = next((value for name, value in headers if name == "location"), "")
    return code, sorted(name for name, _ in headers), location


async def check(port: int, target: bytes) -> int:
    status, found, location = await names(port, target)
    assert status in {302, 400}
    assert found == (OURS if status == 302 else WITH_400), (target, found)
    if status == 302:
        assert location.startswith("https://brand.example/"), location
        assert location.isprintable()
        assert " " not in location
    return status


@pytest.mark.parametrize("part", ["path", "query", "fragment"])
async def test_no_stored_destination_adds_a_header(sqlite_site: Site, part: str) -> None:
    """Put past all that is checked when a link is made: by hand, in the database."""
    before = {"path": "", "query": "?a=", "fragment": "#"}[part]
    for number, injection in enumerate(INJECTIONS):
        url = f"https://brand.example/{before}{injection}"
        await sqlite_site.add_links(f"code{number:04}", destination=url)
    async with sqlite_site.serving() as port:
        for number in range(len(INJECTIONS)):
            for query in (b"", b"?b=1"):
                assert await check(port, b"/code%04d%b" % (number, query)) == 302


@pytest.mark.parametrize("shape", ["?b={}", "?{}=1", "?a=1&b={}&c"])
async def test_nothing_that_is_asked_for_adds_a_header(sqlite_site: Site, shape: str) -> None:
    await sqlite_site.add_links("abcdefgh", destination=DESTINATION)
    followed = 0
    async with sqlite_site.serving() as port:
        for injection in INJECTIONS:
            for spelling in (injection, quote(injection)):
                target = f"/abcdefgh{shape.format(spelling)}".encode()
                followed += await check(port, target) == 302
    assert followed > len(INJECTIONS)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_no_utm_value_and_no_label_adds_a_header(world: World, settings: Settings) -> None:
    campaign = world.a_campaign()
    for injection in INJECTIONS:
        payload = world.change(
            "createCampaignLink",
            "campaignLink { id }",
            campaignId=campaign,
            name=world.name("Link "),
            destinationUrl="https://brand.example/",
            utm=[{"name": "utm_source", "value": injection}],
        )
        assert (payload["campaignLink"] is None) == bool(payload["userErrors"])
    ana = world.an_enrollment(campaign)
    made = [link["code"] for link in world.promote(ana)[0]["links"]]
    with_utm = len(made)
    for injection in INJECTIONS:
        payload = world.change(
            "createTrackingLink",
            "trackingLink { code }",
            enrollmentId=ana,
            destinationUrl="https://brand.example/",
            labels=[injection],
        )
        assert (payload["trackingLink"] is None) == bool(payload["userErrors"])
        if payload["trackingLink"] is not None:
            made.append(payload["trackingLink"]["code"])
    assert with_utm > 20
    assert len(made) > with_utm + 20
    ours = [name for name in OURS if name != "server"]

    async def follow_all(port: int) -> None:
        for code in made:
            status, found, location = await names(port, b"/" + code.encode())
            assert (status, found) == (302, ours)
            assert location.startswith("https://brand.example/")

    with serving(settings) as address:
        asyncio.run(follow_all(int(address.rpartition(":")[2])))
