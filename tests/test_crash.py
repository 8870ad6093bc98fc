"""kill -9 in a storm of clicks: every redirect that was sent is counted, and counted once."""

import asyncio
import random

import pytest

from tests.site import Site
from tests.storms import CLIENTS, LINKS, Server, Storm, all_codes, compare, stored_clicks

MANY_CLIENTS, MANY_LINKS = 64, 100


async def _storm(
    site: Site,
    *,
    workers: int,
    kills: int,
    single_kills: int,
    clients: int = CLIENTS,
    links: int = LINKS,
) -> Storm:
    await site.add_links(*all_codes(clients, links))
    rng = random.Random(kills)  # noqa: S311 - test data
    server = Server(site, workers)
    storm = Storm(server.port, clients, links)
    server.start()
    try:
        async with storm.blowing():
            for strike in server.strikes(rng, kills=kills, single_kills=single_kills):
                await storm.more(rng.randrange(50, 600))
                strike()
            await storm.more(500)
        server.stop()
    finally:
        server.kill_if_running()
    assert storm.wrong == []
    await site.drain()
    await compare(site, storm)
    return storm


# Eight on each engine; with those of `test_killed_sales`, twenty.
@pytest.mark.parametrize(("workers", "kills", "single_kills"), [(1, 2, 0), (2, 2, 4)])
async def test_killing_the_server_in_a_storm_loses_and_doubles_nothing(
    site: Site, workers: int, kills: int, single_kills: int
) -> None:
    await _storm(site, workers=workers, kills=kills, single_kills=single_kills)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills", "single_kills"), [(1, 70, 0), (4, 50, 80)])
async def test_two_hundred_kills_lose_and_double_nothing(
    site: Site, workers: int, kills: int, single_kills: int
) -> None:
    storm = await _storm(
        site,
        workers=workers,
        kills=kills,
        single_kills=single_kills,
        clients=MANY_CLIENTS,
        links=MANY_LINKS,
    )
    sent, answered = storm.sent.total(), storm.answered.total()
    print(  # noqa: T201 - the figures
        f"{workers} workers, {kills} + {single_kills} kills: sent {sent}, answered {answered}, "
        f"stored {await stored_clicks(site)}; by link 0 lost, 0 doubled"
    )


async def test_a_recorder_that_is_killed_alone_is_replaced(site: Site) -> None:
    await site.add_links(*all_codes())
    server = Server(site, 2)
    storm = Storm(server.port)
    server.start()
    try:
        async with storm.blowing():
            for _ in range(3):
                await storm.more(300)
                await asyncio.to_thread(server.kill_recorder)
            await storm.more(300)
        # Not the stop's last drain: somebody else records by now.
        answered = storm.answered.total()
        async with asyncio.timeout(20):
            while await stored_clicks(site) < answered:  # noqa: ASYNC110 - another process counts
                await asyncio.sleep(0.05)
        server.stop()
    finally:
        server.kill_if_running()
    assert storm.wrong == []
    await compare(site, storm)


async def test_a_server_that_is_stopped_has_counted_everything(site: Site) -> None:
    await site.add_links(*all_codes())
    server = Server(site, 1)
    storm = Storm(server.port)
    server.start()
    try:
        async with storm.blowing():
            await storm.more(300)
        server.stop()
    finally:
        server.kill_if_running()
    await compare(site, storm)
