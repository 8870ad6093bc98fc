"""Who guesses codes is slowed down; who follows a link is not, wherever they come from."""

import asyncio
import itertools
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from app.codes import new_codes
from tests.server import serving
from tests.site import PHONE, Site

LIVE = "sm3hkt7w"
GUESSES = 10_000
BUDGET = 30  # in a minute, as the settings have it
AT_ONCE = 10
MINUTE_S = 60
PATIENCE_S = 30
GET = b"GET /%b HTTP/1.1\r\nUser-Agent: " + PHONE.encode() + b"\r\n\r\n"


@dataclass
class Guess:
    status: int
    sent_at: float
    answered_at: float


async def guess(port: int, codes: Sequence[str]) -> list[Guess]:
    """Ask for these codes in turn, on a connection of their own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for start in range(0, len(codes), AT_ONCE):
        some = codes[start : start + AT_ONCE]
        sent_at = time.monotonic()
        writer.write(b"".join(GET % code.encode() for code in some))
        for _ in some:
            async with asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                (length,) = re.findall(rb"\r\ncontent-length: (\d+)", head)
                await reader.readexactly(int(length))
            found.append(Guess(int(head[9:12]), sent_at, time.monotonic()))
    writer.close()
    await writer.wait_closed()
    return found


async def test_of_ten_thousand_guesses_thirty_a_minute_are_answered_and_a_viewer_goes_on(
    site: Site,
) -> None:
    await site.add_links(LIVE)
    guesses: list[Guess] = []
    with serving(site.settings, TRACKLINKS_RECORDER="off") as address:
        port = int(address.rpartition(":")[2])
        # Where a new minute has just begun, until that is over too.
        while len(guesses) < GUESSES or guesses[-1].status == 404:
            guesses += await guess(port, new_codes(10 * AT_ONCE))
        (hit,) = await guess(port, [LIVE])
    assert hit.status == 302
    minutes = [
        list(each) for status, each in itertools.groupby(guesses, lambda each: each.status)
        if status == 404
    ]  # fmt: skip
    print(f"{len(guesses)} guesses, {[len(each) for each in minutes]} answered 404")  # noqa: T201 - the figures
    assert {each.status for each in guesses} == {404, 429}
    assert {len(minute) for minute in minutes} == {BUDGET}
    for one, next_ in itertools.pairwise(minutes):
        assert next_[0].answered_at - one[0].sent_at >= MINUTE_S
