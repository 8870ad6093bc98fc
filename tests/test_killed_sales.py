"""kill -9 while shops report: each order that was acknowledged is there, once, whatever was killed.

The whole of `tracklinks serve`, with clicks, sales and refunds at once, and shops that report again
what was not acknowledged, as the documents tell them to.
"""

import asyncio
import random

import pytest

from tests.shops import AWAY, compare_sales, open_shops
from tests.site import Site
from tests.storms import CLIENTS, LINKS, Server, Storm, all_codes, compare, stored_clicks
from tests.test_crash import MANY_CLIENTS, MANY_LINKS


async def _hold(
    site: Site,
    *,
    workers: int,
    kills: int,
    single_kills: int,
    clients: int = CLIENTS,
    links: int = LINKS,
    shops: int = 4,
) -> int:
    """Returns how many calls of shops had broken off before they were acknowledged."""
    await site.add_links(*all_codes(clients, links))
    rng = random.Random(kills + single_kills)  # noqa: S311 - test data
    server = Server(site, workers, is_whole=True)
    # Not as fast as they can: shops must have their turns.
    storm = Storm(server.port, clients, links, pause_s=clients / 200)
    market = await open_shops(site, storm, shops)
    server.start()
    try:
        async with storm.blowing(), market.selling():
            for strike in server.strikes(rng, kills=kills, single_kills=single_kills):
                await storm.more(rng.randrange(50, 300))
                await market.more(rng.randrange(5, 20))
                await market.calling()  # and somewhere in it
                await asyncio.sleep(rng.random() * 0.005)
                strike()
            await storm.more(100)
            await market.more(20)
        server.stop()
    finally:
        server.kill_if_running()
    # All come at once to a server that begins, and PostgreSQL may not answer each of them in time.
    away = [head for head in storm.wrong if head.startswith(AWAY)]
    assert len(away) == len(storm.wrong)
    await site.drain()
    await compare(site, storm)
    await compare_sales(site, market)
    refunds = sum(order.refunded > 0 for order in market.orders.values())
    print(  # noqa: T201 - the figures
        f"{workers} workers, {kills} + {single_kills} kills: clicks sent {storm.sent.total()}, "
        f"answered {storm.answered.total()} and {len(away)} with 503, stored {await stored_clicks(site)}; {market.told} calls of "
        f"shops, {market.broken} of them after they had broken off: {len(market.orders)} orders and "
        f"{refunds} refunds, each once"
    )
    return market.broken


@pytest.mark.parametrize(
    ("engine", "workers", "kills", "single_kills"),
    [("sqlite", 2, 1, 1), ("postgresql", 1, 2, 0)],
    indirect=["engine"],
)
async def test_a_killed_server_keeps_each_sale_that_it_acknowledged_once(
    site: Site, workers: int, kills: int, single_kills: int
) -> None:
    await _hold(site, workers=workers, kills=kills, single_kills=single_kills)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills", "single_kills"), [(1, 20, 0), (4, 10, 70)])
async def test_two_hundred_kills_lose_and_double_no_sale(
    site: Site, workers: int, kills: int, single_kills: int
) -> None:
    """A hundred on each engine."""
    broken = await _hold(
        site,
        workers=workers,
        kills=kills,
        single_kills=single_kills,
        clients=MANY_CLIENTS,
        links=MANY_LINKS,
        shops=8,
    )
    assert broken > 0  # or nothing was tried
