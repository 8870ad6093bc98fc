"""Who comes twice, each time at another worker: whether that is one click or two, exactly."""

import asyncio
from collections import defaultdict
from typing import Any, NamedTuple

import pytest

from app.clicks.classifier import DUPLICATE, PREFETCH, Verdict
from tests.clicks.taps import tapping
from tests.site import Site

CODE = "abcdefgh"
WORKERS = 4
PROXIES = {"TRACKLINKS_TRUSTED_PROXIES": '["127.0.0.1"]'}
# So much longer may a busy machine take.
PATIENCE_S = 60
# Of the pairs, so many must have come as far apart as was meant, or the machine was too busy.
NEARLY_ALL = 0.95


class Stored(NamedTuple):
    at_ms: int
    verdict: Verdict
    reason: str
    visitor: bytes
    is_unique: bool


def address_of(visitor: int) -> str:
    return f"10.{visitor >> 16}.{visitor >> 8 & 255}.{visitor & 255}"


def target_of(visitor: int) -> str:
    """Who it was is read back from the stored hit."""
    return f"/{CODE}?utm_campaign={visitor}"


async def pairs_of(site: Site, visitors: int) -> dict[int, tuple[Stored, Stored]]:
    """Each visitor's two hits, in the order in which they came."""
    rows = await site.rows(
        "SELECT utm_campaign, at_ms, verdict, reason, visitor, is_unique FROM click ORDER BY at_ms"
    )
    found: dict[int, list[Stored]] = defaultdict(list)
    for visitor, at_ms, verdict, *rest in rows:
        found[int(visitor)].append(Stored(at_ms, Verdict(verdict), *rest))
    assert sorted(found) == list(range(visitors))
    assert {len(hits) for hits in found.values()} == {2}
    pairs = {visitor: (first, second) for visitor, (first, second) in found.items()}
    assert all(first.visitor == second.visitor for first, second in pairs.values())
    assert len({first.visitor for first, _ in pairs.values()}) == visitors
    return pairs


async def test_a_tap_a_second_after_its_prefetch_is_a_click_each_of_a_thousand_times(
    site: Site,
) -> None:
    await site.add_links(CODE)
    visitors, workers, statuses = 1000, 2, [0] * 2000

    async with tapping(site, workers, **PROXIES) as taps:

        async def person(visitor: int) -> None:
            await asyncio.sleep(visitor / 500)
            what = (target_of(visitor), address_of(visitor))
            first = await taps.hit(visitor % workers, *what, "Sec-Purpose: prefetch")
            await asyncio.sleep(1)
            second = await taps.hit((visitor + 1) % workers, *what)
            statuses[2 * visitor : 2 * visitor + 2] = first, second

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*map(person, range(visitors)))

    assert statuses == [503, 302] * visitors
    for prefetch, tap in (await pairs_of(site, visitors)).values():
        assert 990 <= tap.at_ms - prefetch.at_ms < 10_000  # so that it could be a duplicate
        assert prefetch[1:3] == (Verdict.EXCLUDED, PREFETCH)
        assert tap[1:3] == (Verdict.COUNTED, "")
        assert tap.is_unique
    numbers = await site.numbers()
    assert numbers == {
        "clicks": visitors,
        "unique_clicks": visitors,
        "excluded_hits": visitors,
        "hits_after_archive": 0,
    }
    assert await site.reasons() == {PREFETCH: visitors}


class Taken(NamedTuple):
    """How many visitors come twice, how far apart, and what counts as one click."""

    visitors: int
    window_s: int
    gaps_s: tuple[float, ...]
    clicks: tuple[int, ...]
    starting_s: float


FEW = Taken(500, 3, (0, 0.3, 2.8, 3.2, 6), (1, 1, 1, 2, 2), starting_s=2)
MANY = Taken(10_000, 10, (0, 1, 9.9, 10.1, 60), (1, 1, 1, 2, 2), starting_s=60)


@pytest.mark.parametrize(
    "taken", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"]
)
async def test_a_double_tap_is_one_click_and_a_return_another_over_four_workers(
    site: Site, taken: Taken
) -> None:
    """How far apart a pair came is what the server stored; nearly all must be as was meant."""
    await site.add_links(CODE)
    kinds = len(taken.gaps_s)
    environment = PROXIES | {"TRACKLINKS_DUPLICATE_WINDOW_S": str(taken.window_s)}
    statuses: list[int] = []

    async with tapping(site, WORKERS, **environment) as taps:

        async def person(visitor: int) -> None:
            await asyncio.sleep(visitor * taken.starting_s / taken.visitors)
            gap_s = taken.gaps_s[visitor % kinds]
            what: Any = (target_of(visitor), address_of(visitor))
            first = taps.hit(visitor % WORKERS, *what)
            second = taps.hit((visitor + 1) % WORKERS, *what)
            if gap_s:
                statuses.append(await first)
                await asyncio.sleep(gap_s)
                statuses.append(await second)
            else:
                statuses.extend(await asyncio.gather(first, second))

        async with asyncio.timeout(taken.starting_s + max(taken.gaps_s) + PATIENCE_S):
            await asyncio.gather(*map(person, range(taken.visitors)))

    assert statuses == [302] * 2 * taken.visitors
    clicks = [0] * kinds
    meant = [0] * kinds
    for visitor, hits in (await pairs_of(site, taken.visitors)).items():
        kind = visitor % kinds
        apart_ms = hits[1].at_ms - hits[0].at_ms
        is_double = apart_ms <= taken.window_s * 1000
        judged = [hit[1:3] for hit in hits]
        assert sorted(judged) == sorted(
            [
                (Verdict.COUNTED, ""),
                (Verdict.EXCLUDED, DUPLICATE) if is_double else (Verdict.COUNTED, ""),
            ]
        ), (visitor, hits)
        clicks[kind] += sum(verdict is Verdict.COUNTED for verdict, _ in judged)
        meant[kind] += is_double == (taken.clicks[kind] == 1)
    of_each = taken.visitors // kinds
    assert min(meant) >= NEARLY_ALL * of_each, meant
    for kind, once in enumerate(taken.clicks):
        missed = of_each - meant[kind]
        assert clicks[kind] == once * of_each + (missed if once == 1 else -missed)
    numbers = await site.numbers()
    assert numbers["clicks"] == sum(clicks)
    assert numbers["excluded_hits"] == 2 * taken.visitors - sum(clicks)
    assert await site.reasons() == {DUPLICATE: numbers["excluded_hits"]}
    print(f"counted {clicks} of {of_each} visitors each; as meant: {meant}")  # noqa: T201 - figures for the record
