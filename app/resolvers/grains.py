"""Which sums answer a report: days where they are the program's own, quarters of an hour elsewhere.

DESIGN
------
Day rows are counted in the zone of each program, which is what reports ask for when nothing
else is said. Any other zone is answered exactly too, from quarters of an hour, which costs a
busy link up to ninety times the rows. Campaigns and programs have day rows of their own, the
sums of their links', so their reports cost by days however many links there are.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from app.auth import Viewer, sees
from app.database import ReadSession
from app.models import (
    Campaign,
    CampaignDay,
    CampaignLink,
    CampaignPart,
    ClickQuarter,
    Creator,
    Enrollment,
    LinkDay,
    LinkPart,
    Program,
    ProgramDays,
    TrackingLink,
)
from app.resolvers.periods import Period, Scope

OWNERS: dict[Scope, Any] = {
    Scope.TRACKING_LINK: TrackingLink,
    Scope.ENROLLMENT: Enrollment,
    Scope.CREATOR: Creator,
    Scope.CAMPAIGN_LINK: CampaignLink,
    Scope.CAMPAIGN: Campaign,
    Scope.PROGRAM: Program,
}
OF_CAMPAIGNS = frozenset({Scope.CAMPAIGN, Scope.PROGRAM})


async def zones_of(session: ReadSession, scope: Scope, keys: Sequence[int]) -> dict[int, str]:
    """Whose days the day rows of each of these are."""
    owner = OWNERS[scope]
    zone = func.coalesce(col(ProgramDays.zone), col(Program.time_zone))
    program_id = owner.id if owner is Program else owner.program_id
    chosen: Any = select(owner.id, zone)
    if owner is not Program:
        chosen = chosen.join(Program, col(Program.id) == program_id)
    chosen = chosen.outerjoin(ProgramDays, col(ProgramDays.program_id) == program_id)
    return dict((await session.exec(chosen.where(owner.id.in_(keys)))).all())


async def by_grain(
    session: ReadSession, scope: Scope, keys: Sequence[int], period: Period
) -> list[tuple[bool, list[int]]]:
    """These keys in two groups at most: whether day rows answer the period, and for which."""
    zones = await zones_of(session, scope, keys)
    groups: dict[bool, list[int]] = defaultdict(list)
    for key in keys:
        groups[zones.get(key) == period.zone.key].append(key)
    return list(groups.items())


def counts_of(scope: Scope, *, is_daily: bool) -> Any:
    """The table that holds the counts."""
    if not is_daily:
        return ClickQuarter
    return CampaignDay if scope in OF_CAMPAIGNS else LinkDay


def parts_of(scope: Scope) -> Any:
    """The table of the day's parts."""
    return CampaignPart if scope in OF_CAMPAIGNS else LinkPart


def rows_of(
    viewer: Viewer, scope: Scope, keys: Sequence[int], period: Period, model: Any
) -> tuple[Any, Any]:
    """The column that says whose a row is, and a select of columns over the right rows."""
    holder: Any
    if model in {CampaignDay, CampaignPart}:
        holder, own_key = Campaign, model.campaign_id
        owner = own_key if scope is Scope.CAMPAIGN else col(Campaign.program_id)
    else:
        holder, own_key = TrackingLink, model.link_id
        owner = own_key if scope is Scope.TRACKING_LINK else getattr(TrackingLink, scope.value)

    def statement(*columns: Any) -> Any:
        chosen: Any = select(*columns).where(*during(model, period), owner.in_(keys))
        if owner is not own_key:
            chosen = chosen.join(holder, own_key == col(holder.id)).where(sees(viewer, holder))
        return chosen

    return owner, statement


def during(model: Any, period: Period) -> tuple[Any, Any]:
    """The conditions for a row to be within the period."""
    is_daily = hasattr(model, "day")
    start, end = period.days if is_daily else period.quarters
    at = model.day if is_daily else model.quarter
    return at >= start, at < end
