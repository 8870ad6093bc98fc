"""What a creator's Campaign Manager page shows: their campaigns, their links, their clicks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlmodel import col, select

from app.auth import OPERATOR
from app.database import ReadSession
from app.models import Campaign, CampaignLink, Creator, Program, TrackingLink
from app.resolvers import stats, tracking_links
from app.resolvers.mail_merge import name_of

DAYS = 30


@dataclass(frozen=True, slots=True)
class Link:
    row: TrackingLink
    # Of its campaign link, or its labels, or where it leads.
    name: str
    clicks: int
    # The last 30 days, oldest first.
    days: Sequence[int]


@dataclass(slots=True)
class CampaignLinks:
    campaign: Campaign
    live: list[Link] = field(default_factory=list)
    archived: list[Link] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    creator: Creator
    program: Program
    campaigns: list[CampaignLinks]

    @property
    def clicks(self) -> int:
        return sum(link.clicks for each in self.campaigns for link in each.live + each.archived)


async def find(session: ReadSession, creator_id: int, version: int) -> Creator | None:
    """The creator of a token, or None: erased, or the token was revoked."""
    creator = await session.get(Creator, creator_id)
    is_good = creator and creator.manager_version == version and creator.erased_at is None
    return creator if is_good else None


async def page(session: ReadSession, creator: Creator, *, now: datetime) -> Page:
    """Everything on the page, in a constant number of statements. Newest campaigns first; the
    campaign's own links first in each."""
    program = await session.get_one(Program, creator.program_id)
    found = await session.exec(
        select(TrackingLink, Campaign, CampaignLink)
        .join(Campaign, col(TrackingLink.campaign_id) == col(Campaign.id))
        .join(
            CampaignLink,
            col(TrackingLink.campaign_link_id) == col(CampaignLink.id),
            isouter=True,
        )
        .where(TrackingLink.creator_id == creator.id)
        .order_by(
            col(Campaign.created_at).desc(),
            col(Campaign.id),
            col(TrackingLink.campaign_link_id).is_(None),
            col(TrackingLink.created_at),
            col(TrackingLink.id),
        )
    )
    rows = found.all()
    keys = [link.id for link, _, _ in rows]
    labels = await tracking_links.labels(session, keys)
    zone = ZoneInfo(program.time_zone)
    whole = stats.all_time(zone, now=now)
    recent = stats.last_days(DAYS, zone, now=now)
    one = stats.Scope.TRACKING_LINK
    # The keys are the creator's own, so there is nobody to hide anything from.
    clicks = await stats.totals(session, OPERATOR, one, keys, whole)
    days = await stats.series(session, OPERATOR, one, keys, recent, stats.Granularity.DAY)
    campaigns: dict[int, CampaignLinks] = {}
    for row, campaign, campaign_link in rows:
        if row.campaign_link_id is None:
            name = name_of(row, labels.get(row.id, []))
        else:
            name = campaign_link.name
        link = Link(
            row,
            name,
            clicks.get(row.id, stats.NOTHING).clicks,
            [step.counts.clicks for step in days[row.id]],
        )
        place = campaigns.setdefault(campaign.id, CampaignLinks(campaign))
        (place.live if row.archived_at is None else place.archived).append(link)
    return Page(creator, program, list(campaigns.values()))


async def live_link(session: ReadSession, creator: Creator, code: str) -> TrackingLink | None:
    """The creator's own live link of this code."""
    found = select(TrackingLink).where(
        TrackingLink.code == code,
        TrackingLink.creator_id == creator.id,
        col(TrackingLink.archived_at).is_(None),
    )
    return (await session.exec(found)).one_or_none()
