"""A small program with a year of random hits, recorded for real, and what it must add up to."""

import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import SQLModel, select

from app import utm
from app.clicks.kinds import judged
from app.clicks.recorder import open_store
from app.clicks.records import Record
from app.database import Database
from app.models import (
    Campaign,
    CampaignLink,
    Click,
    Creator,
    DestinationUtm,
    Enrollment,
    LinkDestination,
    LinkLabel,
    Program,
    Stage,
    TrackingLink,
    Verdict,
)
from app.resolvers.breakdowns import Dimension
from app.resolvers.stats import Counts
from tests.clicks.hits import record
from tests.rows import NOW
from tests.site import PHONE

# Where the clock was changed, or the day begins oddly.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Santiago",  # changes the clock at midnight
    "UTC",
)
CHANGES = ("03-08", "03-29", "04-05", "09-06", "10-04", "10-25", "11-01")
LAPTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/138.0.0.0 Safari/537.36"
)
AGENTS = (
    PHONE,
    PHONE,
    LAPTOP,
    "Twitterbot/1.0",
)
REFERRERS = ("", "https://www.instagram.com/", "https://youtube.com/watch?v=1")
COUNTRIES = ("", "DE", "NP", "AU")
PROGRAM = 1


async def add_program(
    database: Database, *, creators: int = 3, zone: str = "UTC"
) -> list[TrackingLink]:
    """Two campaigns with two campaign links each, and a creator-level link for each creator."""
    owner: dict[str, Any] = {"program_id": PROGRAM, "created_at": NOW}
    links = []
    async with database.writing() as session:
        session.add(Program(id=PROGRAM, name="Acme", time_zone=zone, created_at=NOW))
        await session.flush()
        for creator in range(1, creators + 1):
            session.add(Creator(id=creator, **owner, handle=f"c{creator}", display_name="C"))
        for campaign in (1, 2):
            session.add(Campaign(id=campaign, **owner, name=f"C{campaign}", slug=f"c{campaign}"))
        await session.flush()
        for campaign in (1, 2):
            for place in (1, 2):
                key, name = campaign * 10 + place, f"l{campaign}{place}"
                url = f"https://shop.example/?utm_source=s{place}&utm_campaign=c{campaign}"
                values: dict[str, Any] = {"name": name, "tag_key": name, "destination_url": url}
                session.add(CampaignLink(id=key, **owner, campaign_id=campaign, **values))
        await session.flush()
        for campaign in (1, 2):
            for creator in range(1, creators + 1):
                enrollment = campaign * 1000 + creator
                session.add(
                    Enrollment(
                        id=enrollment,
                        **owner,
                        campaign_id=campaign,
                        creator_id=creator,
                        stage=Stage.APPLIED,
                        stage_changed_at=NOW,
                    )
                )
                await session.flush()
                for place in (0, 1, 2):
                    key = enrollment * 10 + place
                    source = f"?utm_source=s{place}&utm_campaign=c{campaign}" if place else ""
                    link = TrackingLink(
                        id=key,
                        **owner,
                        campaign_id=campaign,
                        creator_id=creator,
                        enrollment_id=enrollment,
                        campaign_link_id=campaign * 10 + place if place else None,
                        code=f"code{key}",
                        destination_url=f"https://shop.example/{source}",
                    )
                    session.add(link)
                    await session.flush()
                    session.add_all(_beside(link, labels=(creator + place) % 3))
                    links.append(link)
    return links


def _beside(link: TrackingLink, *, labels: int) -> Iterator[SQLModel]:
    """Its labels, and two destinations: hits may have gone to either."""
    for order, label in enumerate(("story", "reel")[:labels]):
        yield LinkLabel(tracking_link_id=link.id, label=label, place=order)
    url = link.destination_url
    for version, to in enumerate((url, url.replace("=s", "=t")), start=1):
        yield LinkDestination(tracking_link_id=link.id, version=version, url=to, at=NOW)
        source, medium, campaign = utm.of_url(to)
        if source:
            named = {"source": source, "medium": medium, "campaign": campaign}
            yield DestinationUtm(tracking_link_id=link.id, version=version, **named)


async def add_hits(
    database: Database, links: Sequence[TrackingLink], dice: random.Random, number: int
) -> None:
    """Hits all over 2026, thickest where some clock is changed."""
    moments = []
    for _ in range(number):
        day = datetime.fromisoformat(f"2026-{dice.choice(CHANGES)}T00:00+00:00")
        spread = dice.choice((1, 1, 5, 120))
        moments.append(day + timedelta(days=dice.uniform(-spread, spread)))
    records = [
        record(
            at_ms=int(moment.timestamp() * 1000),
            link_id=dice.choice(links).id,
            destination_version=dice.choice((1, 1, 2)),
            visitor=dice.choice((None, dice.randrange(40).to_bytes(16))),
            is_archived=dice.random() < 0.05,
            is_head=dice.random() < 0.05,
            user_agent=dice.choice(AGENTS),
            referrer=dice.choice(REFERRERS),
            country=dice.choice(COUNTRIES),
        )
        for moment in sorted(moments)
    ]
    await add_records(database, records)


async def add_records(database: Database, records: Sequence[Record]) -> None:
    """Record these hits, in order of their time."""
    store = open_store(database.url.render_as_string(hide_password=False))
    try:
        assert await store.add(list(map(judged, records)), [], duplicate_ms=2000, now_ms=0)
    finally:
        await store.close()


@dataclass(frozen=True)
class Hit:
    """A raw click with the link it was on."""

    at: datetime
    link: TrackingLink
    click: Click

    @property
    def utm(self) -> tuple[str, str, str]:
        """Of the destination that it went to: see `add_program`."""
        url = self.link.destination_url
        return utm.of_url(url.replace("=s", "=t") if self.click.destination_version == 2 else url)

    def local(self, zone: ZoneInfo) -> datetime:
        return self.at.astimezone(zone)


async def raw_hits(database: Database, links: Sequence[TrackingLink]) -> list[Hit]:
    by_id = {link.id: link for link in links}
    async with database.reading() as session:
        clicks = (await session.exec(select(Click))).all()
    return [
        Hit(datetime.fromtimestamp(click.at_ms / 1000, UTC), by_id[click.link_id], click)
        for click in clicks
    ]


def count(hits: Sequence[Hit]) -> Counts:
    """One at a time, without any of the product's own adding up."""
    clicks = [hit.click for hit in hits]
    counted = [click for click in clicks if click.verdict is Verdict.COUNTED]
    return Counts(
        clicks=len(counted),
        unique_clicks=sum(click.is_unique for click in counted),
        suspect_clicks=sum(click.is_suspect for click in counted),
        excluded_hits=sum(click.verdict is Verdict.EXCLUDED for click in clicks),
        hits_after_archive=sum(click.verdict is Verdict.AFTER_ARCHIVE for click in clicks),
    )


def dice_of(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret is made of it


VALUES: dict[Dimension, Callable[[Hit], Hashable]] = {
    Dimension.CAMPAIGN: lambda hit: hit.link.campaign_id,
    Dimension.CREATOR: lambda hit: hit.link.creator_id,
    Dimension.CAMPAIGN_LINK: lambda hit: hit.link.campaign_link_id,
    Dimension.TRACKING_LINK: lambda hit: hit.link.id,
}
DETAILS: dict[Dimension, Callable[[Hit], Hashable]] = {
    Dimension.UTM_SOURCE: lambda hit: hit.utm[0] or None,
    Dimension.UTM_MEDIUM: lambda hit: hit.utm[1] or None,
    Dimension.UTM_CAMPAIGN: lambda hit: hit.utm[2] or None,
    Dimension.REFERRER: lambda hit: hit.click.referrer_host or None,
    Dimension.COUNTRY: lambda hit: hit.click.country or None,
    Dimension.DEVICE: lambda hit: hit.click.device or None,
    Dimension.BROWSER: lambda hit: hit.click.browser or None,
    Dimension.OS: lambda hit: hit.click.os or None,
    Dimension.IN_APP: lambda hit: hit.click.in_app or None,
}
