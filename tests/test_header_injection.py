"""Whatever is stored or asked for, an answer has the headers that it should have, and no other."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote

from sqlmodel import col, select

from app.models import ConversionSettings, DestinationUtm, LinkLabel, TrackingLink
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
ALWAYS = ["connection", "content-length", "date"]
# For each status and length of a body that may come: the names of all header lines, each as often
# as it is there.
EXPECTED = {
    (302, 0): sorted([*ALWAYS, *COMMON, "location"]),
    (404, 88): sorted([*ALWAYS, *COMMON, "content-type"]),
    (404, 9): sorted([*ALWAYS, "content-type"]),  # not even a code
    (400, 30): sorted([*ALWAYS, "content-type"]),  # not even HTTP
}
CONNECTIONS = 8
FIELDS = ("path", "query", "fragment", "label", "utm", "parameter")
LIVE = "sm3hkt7w"
QUERIES = ("?b={}", "?{}=1", "?a=1&b={}&c")


async def check(port: int, target: bytes) -> int:
    """Ask for the target, on a connection of its own until it is closed. Returns the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = b"User-Agent: %b\r\nConnection: close" % PHONE.encode()
    writer.write(b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (target, fields))
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    assert not set(status_line + b"".join(lines)) - set(range(0x20, 0x7F)), answer
    status = int(status_line.split()[1])
    headers = [line.decode().split(": ", 1) for line in lines]
    assert len(body) == int(dict(headers)["content-length"]), (target, answer)
    assert sorted(name for name, _ in headers) == EXPECTED[status, len(body)], (target, answer)
    if status == 302:
        location = dict(headers)["location"]
        assert location.startswith("https://brand.example/"), location
        assert " " not in location
    return status


async def check_all(address: str, targets: Iterable[str]) -> Counter[int]:
    """How many were answered with which status."""
    port = int(address.rpartition(":")[2])
    left, statuses = iter(targets), Counter[int]()

    async def viewer() -> None:
        for target in left:
            statuses[await check(port, target.encode())] += 1

    async with asyncio.TaskGroup() as viewers:
        for _ in range(CONNECTIONS):
            viewers.create_task(viewer())
    return statuses


def storable(site: Site) -> list[str]:
    """PostgreSQL keeps no NUL."""
    return [text for text in INJECTIONS if site.url.startswith("sqlite") or "\0" not in text]


def as_code(at: int, text: str) -> str:
    return f"{text[:20]}{at:03}"


async def plant(site: Site) -> None:
    """A link with each injection in each field, put past all that is checked when links are made:
    by hand, in the database."""
    texts = dict(enumerate(storable(site)))
    await site.add_links(*(f"{field}{at:03}" for field in FIELDS[:-1] for at in texts))
    await site.add_links(*(as_code(at, text) for at, text in texts.items()))
    for at in texts:
        await site.add_links(f"parameter{at:03}", program=2 + at)
    async with site.database() as database, database.writing() as session:
        codes = [f"{field}{at:03}" for field in FIELDS for at in texts]
        named = select(TrackingLink).where(col(TrackingLink.code).in_(codes))
        for link in (await session.exec(named)).all():
            field, text = link.code[:-3], texts[int(link.code[-3:])]
            link.destination_url = "https://brand.example/" + {
                "path": text, "query": f"?a={text}", "fragment": f"#{text}"
            }.get(field, "")  # fmt: skip
            if field == "label":
                session.add(LinkLabel(tracking_link_id=link.id, label=text, place=0))
            elif field == "utm":
                utm = {"source": text, "medium": text, "campaign": text}
                session.add(DestinationUtm(tracking_link_id=link.id, version=1, **utm))
            elif field == "parameter":
                program = link.program_id
                session.add(
                    ConversionSettings(program_id=program, is_on=True, click_parameter=text[:32])
                )


def make(world: World) -> list[str]:
    """Links whose labels or UTM hold some injections, where the graph takes them. Their codes."""
    campaign = world.a_campaign()
    few = INJECTIONS[:: len(WHAT) - 1]  # each break, and each of what follows one
    for injection in few:
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
    with_utm = [link["code"] for link in world.promote(ana)[0]["links"]]
    labelled = []
    for injection in few:
        payload = world.change(
            "createTrackingLink",
            "trackingLink { code }",
            enrollmentId=ana,
            destinationUrl="https://brand.example/",
            labels=[injection],
        )
        assert (payload["trackingLink"] is None) == bool(payload["userErrors"])
        if payload["trackingLink"] is not None:
            labelled.append(payload["trackingLink"]["code"])
    assert min(len(with_utm), len(labelled)) > 5
    return with_utm + labelled


def test_nothing_that_is_stored_or_asked_for_adds_a_header(
    site: Site, world: World, settings: Settings
) -> None:
    by_the_graph = make(world)
    asyncio.run(plant(site))
    asyncio.run(site.add_links(LIVE, destination=DESTINATION))
    texts = storable(site)
    planted = [f"{field}{at:03}" for field in FIELDS for at in range(len(texts))]
    links = [f"/{code}{query}" for code in by_the_graph + planted for query in ("", "?b=1")]
    codes = [as_code(at, text) for at, text in enumerate(texts)]
    no_links = [f"/{spelling}" for code in codes for spelling in (code, quote(code))]
    queries = [
        f"/{LIVE}{query.format(spelling)}"
        for query, text in itertools.product(QUERIES, INJECTIONS)
        for spelling in (text, quote(text))
    ]
    with serving(settings, TRACKLINKS_RECORDER="off") as address:
        followed = asyncio.run(check_all(address, links))
        missed = asyncio.run(check_all(address, no_links))
        asked = asyncio.run(check_all(address, queries))
    inputs = len(by_the_graph) + len(planted) + len(codes) + len(queries)
    print(f"{inputs} inputs: {followed}, {missed}, {asked}")  # noqa: T201 - the figure
    assert inputs > 500
    assert followed == {302: len(links)}
    assert missed.keys() == {400, 404}
    assert asked.keys() == {302, 400}
    assert asked[302] > len(queries) / 2
