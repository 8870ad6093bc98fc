"""What a viewer adds to a link's query never changes what the brand chose."""

import asyncio
import random
import re
from collections import Counter
from urllib.parse import parse_qs, quote_plus, urlsplit

import ada_url
import pytest
from sqlmodel import col, select

from app.clicks.queries import LONGEST_LOCATION, pass_through
from app.destinations import BadDestination, check
from app.models import TrackingLink
from tests.server import serving
from tests.site import DESTINATION, PHONE, Site

MANY = 5_000
CONNECTIONS = 8
LETTERS = "abcxyz019-._~!$'()*,:@/%|^`{}[]\"<>é北"
HOSTS = ("brand{}.example", "shop.brand{}.co.uk", "münchen{}.de", "x{}--y.test", "198.51.100.{}")
NAMES = ("a", "utm_source", "UTM_SOURCE", "x[]", "a.b", "a_b", "é", "q", "__own", "", "%zz", "tlid")
# What the server's own parser refuses in a target, and browsers encode.
NOT_IN_HTTP = re.compile(rb"[^!-~]")
# As a target may bring it: any byte but white space, and # which ends it.
BYTES = bytes(byte for byte in range(0x21, 0x100) if byte not in b"#\x7f")


def text(rng: random.Random, letters: str = LETTERS) -> str:
    length = rng.choice([0, 1, 2, 5, 20]) if rng.random() < 0.97 else rng.randrange(600)
    return "".join(rng.choices(letters, k=length))


def pairs(rng: random.Random) -> str:
    made = (f"{rng.choice(NAMES)}{rng.choice(['=', '=', ''])}{text(rng)}" for _ in range(9))
    return rng.choice("&&&;").join(list(made)[: rng.randrange(9)])


def stored(rng: random.Random) -> str:
    """A destination as it is kept: whatever can be one."""
    while True:
        port = rng.choice(["", "", f":{rng.randrange(65_536)}"])
        path = rng.choice(["", "/", f"/{text(rng)}", f"/{text(rng)}/{text(rng)}"])
        query = rng.choice(["", "?", f"?{pairs(rng)}", f"?{pairs(rng)}"])
        fragment = rng.choice(["", "#", f"#{text(rng, LETTERS + '?&=#')}"])
        host = rng.choice(HOSTS).format(rng.randrange(256))
        url = f"{rng.choice(['https', 'http'])}://{host}{port}{path}{query}{fragment}"
        try:
            return check(url, allow_private=True)
        except BadDestination:
            continue


def spelt(rng: random.Random, name: str) -> bytes:
    """The same name in one of the ways in which it can be asked for."""
    return rng.choice(
        [
            name.encode(),
            quote_plus(name).encode(),
            "".join(f"%{byte:02x}" for byte in name.encode()).encode(),
            f"{name}[]".encode(),
            f"x=1;{name}".encode(),
        ]
    )


def asked(rng: random.Random, url: str) -> bytes:
    """A viewer's query, which as a rule tries for what the destination has."""
    own = list(parse_qs(urlsplit(url).query, keep_blank_values=True)) or ["a"]
    names = [
        spelt(rng, rng.choice(own)),
        spelt(rng, rng.choice(NAMES)),
        b"fresh%d" % rng.randrange(9),
    ]
    parts = [
        name + b"=" + bytes(rng.choices(BYTES, k=rng.randrange(12)))
        for name in rng.choices(names, k=rng.randrange(1, 6))
    ]
    if rng.random() < 0.1:  # about as long as may be
        length = rng.choice([LONGEST_LOCATION - len(url) - rng.randrange(40), rng.randrange(7_000)])
        parts.append(b"long=" + b"y" * max(0, length - sum(len(part) + 1 for part in parts)))
    rng.shuffle(parts)
    return re.sub(rb"\s", b"+", b"&".join(parts))


def encoded(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def hold(url: str, query: bytes, location: str) -> str:
    """All that is promised of where a viewer is sent. Says what became of the query."""
    assert location.isascii()
    assert location.isprintable()
    assert len(location) <= LONGEST_LOCATION == 8_000 or location == url
    before, after = urlsplit(url), urlsplit(location)
    for part in ("scheme", "hostname", "port", "path", "fragment"):
        assert getattr(after, part) == getattr(before, part), (url, query, location)
    ours, theirs = ada_url.URL(url), ada_url.URL(location)
    for part in ("protocol", "hostname", "port", "pathname", "hash"):
        assert getattr(ours, part) == getattr(theirs, part), (url, query, location)
    had = parse_qs(before.query, keep_blank_values=True)
    has = parse_qs(after.query, keep_blank_values=True)
    assert {name: has.get(name) for name in had} == had, (url, query, location)
    assert after.query.startswith(before.query)
    added = parse_qs(after.query[len(before.query) :], keep_blank_values=True)
    assert not any(name.startswith("__") for name in added)
    if location != url:
        return "added"
    return "too long" if len(url) + len(query) >= LONGEST_LOCATION else "refused"


def cases(seed: int) -> list[tuple[str, bytes]]:
    rng = random.Random(seed)  # noqa: S311 - a failing run has to be repeatable
    urls = [stored(rng) for _ in range(MANY)]
    return [(url, asked(rng, url)) for url in urls]


def is_telling(seen: Counter[str]) -> bool:
    print(seen)  # noqa: T201 - the figures
    return sum(seen.values()) == MANY and min(seen.values()) > 20 and len(seen) == 3


def test_a_viewers_parameters_never_change_what_the_brand_chose() -> None:
    assert is_telling(
        Counter(hold(url, query, pass_through(url, query)) for url, query in cases(seed=3))
    )


@pytest.mark.slow
async def test_a_viewers_parameters_never_change_what_the_brand_chose_on_a_real_server(
    site: Site,
) -> None:
    tried = [(url, NOT_IN_HTTP.sub(encoded, query)) for url, query in cases(seed=4)]
    codes = [f"link-{number:04}" for number in range(MANY)]
    await site.add_links(*codes)
    async with site.database() as database, database.writing() as session:
        for link in (
            await session.exec(select(TrackingLink).order_by(col(TrackingLink.code)))
        ).all():
            link.destination_url = tried[int(link.code[5:])][0]
    seen = Counter[str]()
    left = iter(zip(codes, tried, strict=True))

    async def viewer(port: int) -> None:
        for code, (url, query) in left:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            fields = b"User-Agent: %b\r\nConnection: close" % PHONE.encode()
            writer.write(b"GET /%b?%b HTTP/1.1\r\n%b\r\n\r\n" % (code.encode(), query, fields))
            answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 302 "), (url, query, answer)
            (location,) = re.findall(rb"\r\nlocation: ([^\r]*)", answer)
            seen[hold(url, query, location.decode())] += 1

    with serving(site.settings, TRACKLINKS_RECORDER="off") as address:
        async with asyncio.TaskGroup() as viewers:
            for _ in range(CONNECTIONS):
                viewers.create_task(viewer(int(address.rpartition(":")[2])))
    assert is_telling(seen)


def test_a_location_has_eight_thousand_characters_at_most() -> None:
    room = LONGEST_LOCATION - len(DESTINATION) - len("&a=")
    assert len(pass_through(DESTINATION, b"a=" + b"x" * room)) == 8_000
    assert pass_through(DESTINATION, b"a=" + b"x" * (room + 1)) == DESTINATION
    # Encoded, each of these takes three.
    assert pass_through(DESTINATION, b"a=" + b"\xe9" * (room // 3 + 1)) == DESTINATION
