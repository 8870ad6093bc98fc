"""Makes tracking links: one, or the thousands that a promotion earns.

DESIGN
------
`ensure` is the only way in which campaign-level links come to be, whatever the trigger: a
promotion, a direct add, a message, or a call for what is missing. The callers hold the
enrollments' rows locked, so two triggers for one creator take turns; the unique index is the
second wall. It costs the same few statements for one link and for thousands.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from app import utm
from app.codes import new_codes
from app.errors import Fault, Refused, UserErrorCode, refuse
from app.ids import encode, new_id
from app.models import (
    Campaign,
    CampaignLink,
    Creator,
    DestinationUtm,
    Enrollment,
    LinkDestination,
    LinkLabel,
    TrackingLink,
)
from app.resolvers.change import Change

# Among a million links two attempts fail once in a hundred thousand million times.
CODE_ATTEMPTS = 6


async def ensure(
    change: Change,
    enrollments: Sequence[Enrollment],
    *,
    campaign_link_ids: Collection[int] | None = None,
) -> list[TrackingLink]:
    """Make the links that these creators lack, and return those made.

    For each active campaign link of an enrollment's campaign (of those named, if any are),
    unless the creator has had one, archived by hand or not. The enrollments are locked.
    """
    campaign_ids = {enrollment.campaign_id for enrollment in enrollments}
    active = select(CampaignLink).where(
        col(CampaignLink.campaign_id).in_(campaign_ids), col(CampaignLink.archived_at).is_(None)
    )
    if campaign_link_ids is not None:
        active = active.where(col(CampaignLink.id).in_(campaign_link_ids))
    # Locked, so that an archive of the campaign link comes wholly before or after.
    campaign_links = (
        await change.session.exec(active.order_by(col(CampaignLink.id)).with_for_update(read=True))
    ).all()
    if not campaign_links:
        return []
    existing = set(
        (
            await change.session.exec(
                select(TrackingLink.campaign_link_id, TrackingLink.creator_id).where(
                    col(TrackingLink.campaign_link_id).in_([link.id for link in campaign_links]),
                    col(TrackingLink.creator_id).in_({e.creator_id for e in enrollments}),
                )
            )
        ).all()
    )
    by_campaign: dict[int, list[CampaignLink]] = {}
    for campaign_link in campaign_links:
        by_campaign.setdefault(campaign_link.campaign_id, []).append(campaign_link)
    missing = [
        (enrollment, campaign_link)
        for enrollment in enrollments
        for campaign_link in by_campaign.get(enrollment.campaign_id, ())
        if (campaign_link.id, enrollment.creator_id) not in existing
    ]
    urls = await destinations_for(change, missing)
    return await insert(
        change,
        [
            Draft(enrollment, url, campaign_link_id=campaign_link.id)
            for (enrollment, campaign_link), url in zip(missing, urls, strict=True)
        ],
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """A link to be made."""

    enrollment: Enrollment
    url: str
    campaign_link_id: int | None = None
    replaces_id: int | None = None
    code: str | None = None
    labels: Sequence[str] = ()


async def insert(change: Change, drafts: Sequence[Draft]) -> list[TrackingLink]:
    if not drafts:
        return []
    fresh = iter(await _free_codes(change, sum(draft.code is None for draft in drafts)))
    links = [
        TrackingLink(
            id=new_id(),
            program_id=draft.enrollment.program_id,
            campaign_id=draft.enrollment.campaign_id,
            creator_id=draft.enrollment.creator_id,
            enrollment_id=draft.enrollment.id,
            campaign_link_id=draft.campaign_link_id,
            code=draft.code or next(fresh),
            destination_url=draft.url,
            replaces_id=draft.replaces_id,
            created_at=change.now,
            changed_at=change.now,
        )
        for draft in drafts
    ]
    await change.insert(TrackingLink, (link.model_dump() for link in links))
    await keep_destinations(change, links)
    labelled = zip(links, drafts, strict=True)
    await change.insert(
        LinkLabel,
        [row for link, draft in labelled for row in label_rows(link.id, draft.labels)],
    )
    return links


async def _free_codes(change: Change, number: int) -> list[str]:
    """Codes that no link has ever had. One in 400,000 meets a million links, so it is asked."""
    if not number:
        return []
    codes: set[str] = set()
    for attempt in range(CODE_ATTEMPTS):
        # Nearly always the first attempt does. Each later one looks harder than the one before.
        wanted = number - len(codes)
        drawn = set(new_codes(wanted if attempt == 0 else (wanted + 10) * 2**attempt)) - codes
        taken = await change.session.exec(
            select(TrackingLink.code).where(col(TrackingLink.code).in_(drawn))
        )
        codes |= drawn - set(taken.all())
        if len(codes) >= number:
            return list(codes)[:number]
    message = "No short code is free. Try again, or choose codes of your own."
    raise refuse(UserErrorCode.TAKEN, message)


async def destinations_of(
    change: Change, campaign_link: CampaignLink, links: Sequence[TrackingLink]
) -> dict[int, str]:
    """Where each of these links of a campaign link leads, its UTM template filled in."""
    enrollments = (
        await change.session.exec(
            select(Enrollment).where(
                col(Enrollment.campaign_id) == campaign_link.campaign_id,
                col(Enrollment.id).in_([link.enrollment_id for link in links]),
            )
        )
    ).all()
    by_id = {enrollment.id: enrollment for enrollment in enrollments}
    pairs = [(by_id[link.enrollment_id], campaign_link) for link in links]
    urls = await destinations_for(change, pairs)
    return {link.id: url for link, url in zip(links, urls, strict=True)}


async def destinations_for(
    change: Change, pairs: Sequence[tuple[Enrollment, CampaignLink]]
) -> list[str]:
    """The campaign link's destination for each pair, with its UTM template filled in."""
    templated = [pair for pair in pairs if pair[1].utm]
    if not templated:
        return [campaign_link.destination_url for _, campaign_link in pairs]
    creators = await change.session.exec(
        select(Creator.id, Creator.handle).where(
            col(Creator.id).in_({enrollment.creator_id for enrollment, _ in templated})
        )
    )
    handles: dict[int, str] = dict(creators.all())
    campaigns = await change.session.exec(
        select(Campaign.id, Campaign.slug).where(
            col(Campaign.id).in_({link.campaign_id for _, link in templated})
        )
    )
    slugs: dict[int, str] = dict(campaigns.all())
    urls = []
    for enrollment, campaign_link in pairs:
        values = {
            "creator.handle": handles.get(enrollment.creator_id, ""),
            "creator.id": encode("crt", enrollment.creator_id),
            "campaign.slug": slugs.get(campaign_link.campaign_id, ""),
            "campaign.id": encode("cmp", campaign_link.campaign_id),
            "link.key": campaign_link.tag_key,
        }
        try:
            urls.append(utm.apply(campaign_link.destination_url, campaign_link.utm, values))
        except utm.BadUtm as bad:
            raise Refused(Fault(UserErrorCode.TOO_LONG, bad.message, ("utm",))) from bad
    return urls


async def keep_destinations(change: Change, links: Iterable[TrackingLink]) -> None:
    """Write down where these links lead from now on, and by which UTM reports know it."""
    destinations, parameters = [], []
    for link in links:
        version = {"tracking_link_id": link.id, "version": link.destination_version}
        destinations.append({**version, "url": link.destination_url, "at": change.now})
        source, medium, campaign = utm.of_url(link.destination_url)
        if source or medium or campaign:
            parameters.append({**version, "source": source, "medium": medium, "campaign": campaign})
    await change.insert(LinkDestination, destinations)
    await change.insert(DestinationUtm, parameters)


def label_rows(key: int, labels: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"tracking_link_id": key, "label": label, "place": place}
        for place, label in enumerate(labels)
    ]
