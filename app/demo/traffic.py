"""Ninety days of hits on the demo program's links, as the recorder would have written them.

Each link has a reach of its own, most of it within days of the creator's post; evenings and
weekends are busier, and a few posts take off weeks later. The sums are made from the very
rows that are inserted, so reports and raw clicks agree to the last one.
"""

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from math import exp
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert
from sqlmodel import SQLModel, col, select

from app.database import WriteSession
from app.demo.audience import (
    COUNTRIES,
    EXCLUDED,
    HOURS,
    NO_PERSON,
    PEOPLE,
    SOURCES,
    WEEKDAYS,
)
from app.models import (
    Creator,
    LinkDestination,
    LinkLabel,
    Program,
    Stage,
    StageChange,
    TrackingLink,
    Verdict,
)
from app.resolvers import day_rows, link_totals
from app.resolvers.change import Change

DAYS = 90
WANTED = 36_000  # roughly: what comes of it is left to chance
BATCH = 5000
CLASSIFIER = 1
QUARTER_MS = 15 * 60 * 1000


async def send(
    change: Change,
    program: Program,
    rng: random.Random,
    progress: Callable[[str, int, int], None],
) -> None:
    """Write the hits of the last `DAYS` days, and what they add up to."""
    links = await _links(change.session, program, rng)
    zone = ZoneInfo(program.time_zone)
    hits = sorted(_hits(links, change.now, zone, rng), key=lambda hit: hit["at_ms"])
    rows = iter(hits)
    done = 0
    while batch := list(islice(rows, BATCH)):
        await _insert(change.session, "click", batch)
        done += len(batch)
        progress("Clicks", done, len(hits))
    await _insert(change.session, "click_quarter", _quarters(hits))
    await _insert(change.session, "excluded_quarter", _excluded_quarters(hits))
    await day_rows.count(change.session, program)
    await link_totals.count(change.session, program)


@dataclass(slots=True)
class _Link:
    """A link as traffic sees it. Times in milliseconds."""

    key: int
    created_ms: int
    archived_ms: int | None
    archived_on: date | None
    posted: datetime | None  # None: the creator has not posted yet, and only tries the link
    sources: dict[str, int]
    versions: list[int]  # when each destination began
    reach: float
    second_wind: date | None  # the day on which the post took off again


async def _links(session: WriteSession, program: Program, rng: random.Random) -> list[_Link]:
    """All links of the program, in an order that does not depend on their random keys."""
    found = (
        await session.exec(
            select(TrackingLink)
            .where(TrackingLink.program_id == program.id)
            .join(Creator)
            .order_by(
                col(TrackingLink.created_at),
                col(Creator.external_id),
                col(TrackingLink.destination_url),
            )
        )
    ).all()
    posted: dict[int, datetime] = {}
    changes = await session.exec(
        select(StageChange)
        .where(col(StageChange.to_stage).between(Stage.POST_REVIEW, Stage.COMPLETE))
        .order_by(col(StageChange.at).desc())
    )
    for change in changes.all():
        posted[change.enrollment_id] = change.at
    labels = {row.tracking_link_id: row.label for row in (await session.exec(select(LinkLabel)))}
    versions: dict[int, list[int]] = {}
    for row in await session.exec(select(LinkDestination).order_by(col(LinkDestination.version))):
        versions.setdefault(row.tracking_link_id, []).append(_ms(row.at))
    links = []
    for link in found:
        began = posted.get(link.enrollment_id)
        if began is not None or link.campaign_link_id is None:
            began = max(began or link.created_at, link.created_at)
            began += timedelta(days=rng.randrange(7))  # not all post on the day they may
        links.append(
            _Link(
                key=link.id,
                created_ms=_ms(link.created_at),
                archived_ms=_ms(link.archived_at) if link.archived_at else None,
                archived_on=link.archived_at.date() if link.archived_at else None,
                posted=began,
                sources={labels[link.id]: 12, "elsewhere": 1}
                if labels.get(link.id) in PEOPLE
                else SOURCES,
                versions=versions[link.id],
                reach=rng.paretovariate(1.4),
                second_wind=None
                if began is None or rng.random() > 0.06  # noqa: PLR2004 - a few
                else began.date() + timedelta(days=rng.randrange(12, 40)),
            )
        )
    return links


def _hits(
    links: Sequence[_Link], now: datetime, zone: ZoneInfo, rng: random.Random
) -> Iterator[dict[str, Any]]:
    last = now.astimezone(zone).date()
    days = [last - timedelta(days=ago) for ago in range(DAYS, -1, -1)]
    wanted = [[_wanted(link, day) for day in days] for link in links]
    scale = WANTED / sum(map(sum, wanted))
    now_ms = _ms(now)
    for link, of_days in zip(links, wanted, strict=True):
        for day, people in zip(days, of_days, strict=True):
            midnight = _ms(datetime(day.year, day.month, day.day, tzinfo=zone))
            for _ in range(int(people * scale * rng.uniform(0.75, 1.25) + rng.random())):
                (hour,) = rng.choices(range(24), HOURS)
                at = midnight + int((hour + rng.random()) * 3_600_000)
                for hit in _visit(link, at, rng):
                    if link.created_ms < hit["at_ms"] < now_ms:
                        yield hit


def _wanted(link: _Link, day: date) -> float:
    """How many people this link draws on this day, in proportion to the others."""
    if link.posted is None:
        return 0.02
    age = (day - link.posted.date()).days
    if age < 0:
        return 0.0
    drawn = exp(-age / 5) + 0.08 * exp(-age / 45)
    if link.second_wind is not None and day >= link.second_wind:
        drawn += 6 * exp(-(day - link.second_wind).days / 1.5)
    if link.archived_on is not None and day > link.archived_on:
        drawn *= 0.2  # most creators have taken it down
    return min(link.reach, 25) * drawn * WEEKDAYS[day.weekday()]


def _visit(link: _Link, at: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """One person's hits, or a machine's."""
    if rng.random() < 0.13:  # noqa: PLR2004 - bots, previews and prefetches
        (reason,) = rng.choices(list(EXCLUDED), list(EXCLUDED.values()))
        yield _hit(link, at, rng, NO_PERSON, "", reason=reason)
        return
    (source,) = rng.choices(list(link.sources), list(link.sources.values()))
    (person,) = rng.choices(list(PEOPLE[source]), list(PEOPLE[source].values()))
    (country,) = rng.choices(list(COUNTRIES), list(COUNTRIES.values()))
    yield _hit(link, at, rng, person, country, is_unique=True)
    again = rng.random()
    if again < 0.05:  # noqa: PLR2004 - an impatient second tap
        at += rng.randrange(300, 9_000)
        yield _hit(link, at, rng, person, country, reason="duplicate")
    elif again < 0.22:  # noqa: PLR2004 - comes back within the unique window
        at += rng.randrange(30_000, 25 * 60_000)
        yield _hit(link, at, rng, person, country)


def _hit(
    link: _Link,
    at: int,
    rng: random.Random,
    person: tuple[str, str, str, str, str],
    country: str,
    *,
    reason: str = "",
    is_unique: bool = False,
) -> dict[str, Any]:
    verdict = Verdict.EXCLUDED if reason else Verdict.COUNTED
    if link.archived_ms is not None and at >= link.archived_ms:
        verdict = Verdict.AFTER_ARCHIVE
    is_counted = verdict is Verdict.COUNTED
    device, browser, system, in_app, referrer = person
    return {
        "id": _click_id(at, rng),
        "link_id": link.key,
        "at_ms": at,
        "destination_version": max(bisect_right(link.versions, at), 1),
        "verdict": verdict,
        "reason": reason,
        "classifier": CLASSIFIER,
        "is_unique": is_counted and is_unique,
        "is_suspect": is_counted and rng.random() < 0.015,  # noqa: PLR2004 - headers were stripped
        "visitor": None,  # as with every click whose day's salt is gone
        "referrer_host": referrer,
        "country": country,
        "device": device,
        "browser": browser,
        "os": system,
        "in_app": in_app,
        "utm_source": "",
        "utm_medium": "",
        "utm_campaign": "",
    }


def _click_id(at: int, rng: random.Random) -> bytes:
    """A UUIDv7 of that time."""
    drawn = rng.getrandbits(74)
    high, low = drawn >> 62, drawn & ((1 << 62) - 1)
    return (at << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low).to_bytes(16, "big")


def _quarters(hits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[tuple[int, int], dict[str, Any]] = {}
    for hit in hits:
        link_id, quarter = hit["link_id"], hit["at_ms"] // QUARTER_MS
        row = sums.get((link_id, quarter))
        if row is None:
            row = sums[link_id, quarter] = {
                "link_id": link_id,
                "quarter": quarter,
                "clicks": 0,
                "unique_clicks": 0,
                "suspect_clicks": 0,
                "excluded_hits": 0,
                "hits_after_archive": 0,
            }
        row["clicks"] += hit["verdict"] is Verdict.COUNTED
        row["unique_clicks"] += hit["is_unique"]
        row["suspect_clicks"] += hit["is_suspect"]
        row["excluded_hits"] += hit["verdict"] is Verdict.EXCLUDED
        row["hits_after_archive"] += hit["verdict"] is Verdict.AFTER_ARCHIVE
    return list(sums.values())


def _excluded_quarters(hits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    sums = Counter(
        (hit["link_id"], hit["at_ms"] // QUARTER_MS, hit["reason"])
        for hit in hits
        if hit["verdict"] is Verdict.EXCLUDED
    )
    return [
        {"link_id": link_id, "quarter": quarter, "reason": reason, "hits": number}
        for (link_id, quarter, reason), number in sums.items()
    ]


async def _insert(session: WriteSession, table: str, rows: Sequence[dict[str, Any]]) -> None:
    # The table, not the model: for thousands of rows the mapper alone would take a second.
    await session.exec(insert(SQLModel.metadata.tables[table]), params=rows)


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
