"""Campaign links: one destination, from which each creator gets a link of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.errors import UserErrorCode, refuse
from app.messages.tags import tag_key
from app.models import Campaign, CampaignLink, Enrollment, Stage, TrackingLink
from app.resolvers import blocked_hosts, link_making, tracking_links
from app.resolvers.change import Change
from app.resolvers.filters import by_archived
from app.resolvers.inputs import Form


async def create(
    change: Change,
    campaign_id: int | None,
    *,
    name: str,
    destination_url: str,
    utm: Mapping[str, str],
    generate_for_enrolled: bool,
) -> tuple[CampaignLink, list[TrackingLink]]:
    """A campaign link. Who is past Applied gets a link of it now only if that is asked for."""
    campaign = await change.get(Campaign, campaign_id, "campaign", "campaign_id")
    form = Form()
    values: dict[str, Any] = {
        "name": form.text(name, "name"),
        "destination_url": await blocked_hosts.destination(
            change, form, destination_url, "destination_url"
        ),
        "utm": form.utm(utm, "utm"),
    }
    form.check()
    taken = await change.session.exec(
        select(CampaignLink.tag_key).where(CampaignLink.campaign_id == campaign.id)
    )
    campaign_link = CampaignLink(
        program_id=campaign.program_id,
        campaign_id=campaign.id,
        tag_key=tag_key(values["name"], set(taken.all())),
        created_at=change.now,
        **values,
    )
    change.session.add(campaign_link)
    await change.session.flush()
    await change.record(
        "createCampaignLink", "cml", campaign.program_id, {campaign_link.id: values}
    )
    made: list[TrackingLink] = []
    if generate_for_enrolled:
        made = await generate_missing(change, campaign_link_id=campaign_link.id)
    return campaign_link, made


async def update(change: Change, key: int | None, changes: Mapping[str, Any]) -> CampaignLink:
    """Change the name, the destination or the UTM template.

    A new destination holds for the next click of every live link. The merge tag stays.
    """
    campaign_link = await change.get(CampaignLink, key, "campaign link", "id")
    if campaign_link.archived_at is not None:
        message = "Archived links can't be edited or reactivated. Create a new one."
        raise refuse(UserErrorCode.LINK_ARCHIVED, message, "id")
    form, values = Form(), dict(changes)
    if "name" in values:
        values["name"] = form.text(values["name"], "name")
    if "destination_url" in values:
        values["destination_url"] = await blocked_hosts.destination(
            change, form, values["destination_url"], "destination_url"
        )
    if "utm" in values:
        values["utm"] = form.utm(values["utm"], "utm")
    form.check()
    campaign_link.sqlmodel_update(values)
    if "destination_url" in values or "utm" in values:
        links = await _live_links(change, campaign_link)
        urls = await link_making.destinations_of(change, campaign_link, links)
        moved = [link for link in links if urls[link.id] != link.destination_url]
        await tracking_links.redirect_to(change, moved, urls)
    await change.record(
        "updateCampaignLink", "cml", campaign_link.program_id, {campaign_link.id: values}
    )
    return campaign_link


async def archive(change: Change, key: int | None) -> tuple[CampaignLink, int]:
    """Archive it for good, and all its links with it. Returns how many of them stopped."""
    campaign_link = await change.get(CampaignLink, key, "campaign link", "id")
    if campaign_link.archived_at is not None:
        return campaign_link, 0
    campaign_link.archived_at = change.now
    await change.session.flush()
    links = await _live_links(change, campaign_link)
    await tracking_links.stop(change, links)
    await change.record(
        "archiveCampaignLink",
        "cml",
        campaign_link.program_id,
        {campaign_link.id: {"archived_tracking_links": len(links)}},
    )
    return campaign_link, len(links)


async def generate_missing(
    change: Change,
    *,
    campaign_id: int | None = None,
    campaign_link_id: int | None = None,
    enrollment_id: int | None = None,
) -> list[TrackingLink]:
    """Make the links that creators past Applied lack, in one campaign, of one campaign link or
    for one enrollment. Again, it makes nothing."""
    scope, only = visible(change.viewer, Enrollment), None
    if campaign_link_id is not None:
        campaign_link = await change.get(
            CampaignLink, campaign_link_id, "campaign link", "campaign_link_id"
        )
        scope = scope.where(Enrollment.campaign_id == campaign_link.campaign_id)
        only = {campaign_link.id}
    elif enrollment_id is not None:
        enrollment = await change.get(Enrollment, enrollment_id, "enrollment", "enrollment_id")
        scope = scope.where(Enrollment.id == enrollment.id)
    else:
        campaign = await change.get(Campaign, campaign_id, "campaign", "campaign_id")
        scope = scope.where(Enrollment.campaign_id == campaign.id)
    earning = scope.where(
        col(Enrollment.stage) > Stage.APPLIED, col(Enrollment.stage) < Stage.DROPPED
    )
    locked = earning.order_by(col(Enrollment.id)).with_for_update()
    enrollments = (await change.session.exec(locked)).all()
    made = await link_making.ensure(change, enrollments, campaign_link_ids=only)
    for program_id in {link.program_id for link in made}:
        await change.record(
            "generateMissingLinks",
            "lnk",
            program_id,
            {link.id: {} for link in made if link.program_id == program_id},
        )
    return made


async def _live_links(change: Change, campaign_link: CampaignLink) -> list[TrackingLink]:
    return list(
        (
            await change.session.exec(
                select(TrackingLink)
                .where(
                    TrackingLink.campaign_link_id == campaign_link.id,
                    col(TrackingLink.archived_at).is_(None),
                )
                .order_by(col(TrackingLink.id))
                .with_for_update()
            )
        ).all()
    )


@dataclass(frozen=True, slots=True)
class Filter:
    archived: bool | None = False


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[CampaignLink]:
    """The campaign links that the viewer can see and the filter lets through."""
    return visible(viewer, CampaignLink).where(*by_archived(CampaignLink, only.archived))
