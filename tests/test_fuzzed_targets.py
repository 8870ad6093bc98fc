"""No byte, wherever it stands in a target, breaks the server, leads anywhere or comes back."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from app.settings import Settings
from tests.server import serving
from tests.world import DESTINATION, PHONE, World

CODE = b"sm3hkt7w"
CONNECTIONS = 16
PATIENCE_S = 20
# A fragment is as little part of the path as a query is, and spaces behind it are the line's.
# Any server has to take a whole URL for a target, and none looks at whose it is.
EXACT = re.compile(rb"(?:http://[^/?#]*)?/%b(?:[?#].*| *)" % CODE, re.IGNORECASE | re.DOTALL)


def every_byte_everywhere() -> Iterator[bytes]:
    """Each byte, raw and encoded, instead of each letter of the code and between them."""
    for byte in range(256):
        for spelling in (bytes([byte]), b"%%%02x" % byte, b"%%%02X" % byte):
            for place in range(len(CODE) + 1):
                for gone in (0, 1):
                    yield b"/" + CODE[:place] + spelling + CODE[place + gone :]


def wild(rng: random.Random) -> bytes:
    """Some of it, several times over, or something else altogether."""
    target = bytearray(b"/" + CODE)
    for _ in range(rng.randrange(1, 5)):
        place = rng.randrange(len(target) + 1)
        byte = rng.randrange(256)
        target[place : place + rng.randrange(3)] = rng.choice(
            [bytes([byte]), b"%%%02x" % byte, b"%%25%02x" % byte, b"..", b"//", b"/../", b"\\",
             b"\xe5\x98\x8a", b"http://evil.example/", b"?", b";", rng.randbytes(20), CODE]
        )  # fmt: skip
    return bytes(target)


def targets(count: int) -> list[bytes]:
    rng = random.Random(4)  # noqa: S311 - test data
    systematic = list(every_byte_everywhere())
    rng.shuffle(systematic)
    systematic = systematic[: count * 9 // 10]
    return systematic + [wild(rng) for _ in range(count - len(systematic))]


async def exchange(port: int, target: bytes) -> bytes:
    """What comes back for a browser's request to this target, until the server is done."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = b"Host: go.brand.example\r\nUser-Agent: %b\r\nConnection: close" % PHONE.encode()
    writer.write(b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (target, fields))
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except ConnectionResetError:  # it closed before it had read all
        return b""
    finally:
        writer.close()


async def fuzz(port: int, count: int) -> Counter[bytes]:
    """How often which answer came, without its date. Fails on any that is not allowed."""
    answers = Counter[bytes]()
    left = iter(targets(count))

    async def viewer() -> None:
        for target in left:
            answer = re.sub(rb"\r\ndate: [^\r]*", b"", await exchange(port, target))
            if EXACT.fullmatch(target):
                assert answer.startswith((b"HTTP/1.1 302 ", b"HTTP/1.1 400 ")), (target, answer)
                location = re.search(rb"\r\nlocation: ([^\r]*)", answer)
                assert location is None or location[1].startswith(DESTINATION.encode()), target
            else:
                assert b"\r\nlocation:" not in answer.lower(), (target, answer)
                answers[answer] += 1

    async with asyncio.TaskGroup() as viewers:
        for _ in range(CONNECTIONS):
            viewers.create_task(viewer())
    return answers


def fuzzed(world: World, settings: Settings, count: int) -> None:
    world.a_link(world.an_enrollment(world.a_campaign()), code=CODE.decode())
    with serving(settings, TRACKLINKS_UNKNOWN_CODES_PER_MINUTE="1000000") as address:
        answers = asyncio.run(fuzz(int(address.rpartition(":")[2]), count))
    print(f"{count} targets, {len(answers)} answers: {sorted(answers.values())}")  # noqa: T201 - the figure
    statuses = {answer[9:12] for answer in answers}
    assert {b"404", b"400"} <= statuses <= {b"404", b"400", b""}
    # A few constant answers for thousands of targets: nothing of a target comes back.
    assert len(answers) <= 5


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_no_byte_in_a_path_breaks_the_answer_or_comes_back_in_it(
    world: World, settings: Settings
) -> None:
    fuzzed(world, settings, 2_000)


@pytest.mark.slow
def test_no_byte_in_a_path_breaks_the_answer_or_comes_back_in_it_50_000_times(
    world: World, settings: Settings
) -> None:
    fuzzed(world, settings, 50_000)
