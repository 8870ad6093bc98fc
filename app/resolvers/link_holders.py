"""Who has a link: the creators to whom messages brought it, and what its end would mean to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import col, select

from app.auth import Viewer, sees, visible
from app.database import ReadSession
from app.models import (
    CampaignLink,
    Message,
    MessageLink,
    MessageStatus,
    Program,
    TrackingLink,
)
from app.resolvers import stats

RECENT_DAYS = 7

Link = TrackingLink | CampaignLink


@dataclass(frozen=True, slots=True)
class Holders:
    creators: int
    messages: int
    live_links: int
    recent_clicks: int


async def of(session: ReadSession, viewer: Viewer, link: Link, *, now: datetime) -> Holders:
    """Those of a tracking link, or of all links of a campaign link."""
    distinct = (col(Message.creator_id).distinct(), col(Message.id).distinct())
    counted = _held(viewer, link, *map(func.count, distinct))
    creators, messages = (await session.exec(counted)).one()
    live = select(func.count()).select_from(
        visible(viewer, TrackingLink)
        .where(_is_of(link), col(TrackingLink.archived_at).is_(None))
        .subquery()
    )
    live_links = (await session.exec(live)).one()
    program = await session.get_one(Program, link.program_id)
    period = stats.last_days(RECENT_DAYS, ZoneInfo(program.time_zone), now=now)
    is_one = isinstance(link, TrackingLink)
    scope = stats.Scope.TRACKING_LINK if is_one else stats.Scope.CAMPAIGN_LINK
    found = await stats.totals(session, viewer, scope, [link.id], period)
    return Holders(creators, messages, live_links, found.get(link.id, stats.NOTHING).clicks)


async def enrollment_ids(session: ReadSession, viewer: Viewer, link: Link) -> Sequence[int]:
    """The enrollments that were sent a message which holds the link, each once."""
    held = _held(viewer, link, col(Message.enrollment_id)).distinct()
    return sorted((await session.exec(held)).all())


def _held(viewer: Viewer, link: Link, *columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(Message)
        .join(MessageLink, col(MessageLink.message_id) == col(Message.id))
        .join(TrackingLink, col(MessageLink.tracking_link_id) == col(TrackingLink.id))
        .where(_is_of(link), sees(viewer, Message), Message.status != MessageStatus.FAILED)
    )


def _is_of(link: Link) -> Any:
    if isinstance(link, TrackingLink):
        return col(TrackingLink.id) == link.id
    return col(TrackingLink.campaign_link_id) == link.id
