"""Tracking links: changed, archived and replaced; never deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func
from sqlalchemy import update as sql_update
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.codes import BadCode, check_custom, fold
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.models import CampaignLink, Enrollment, LinkDestination, LinkLabel, TrackingLink
from app.resolvers import blocked_hosts, link_making, pages
from app.resolvers.change import Change
from app.resolvers.filters import among, by_archived, containing
from app.resolvers.inputs import Form
from app.resolvers.link_making import Draft

DESTINATIONS_MAX = 100
# A change is stamped when its mutation begins and seen when it commits, which its deadline
# bounds. Whoever follows the changes is shown only what is older, and so misses none.
SETTLED = timedelta(seconds=10)
OLDEST_CHANGE_FIRST = pages.Order("CHANGED_AT", "changed_at", parse=pages.parse_instant)


async def create(
    change: Change,
    enrollment_id: int | None,
    *,
    destination_url: str,
    labels: Sequence[str] = (),
    code: str | None = None,
) -> TrackingLink:
    """A creator-level link. It works at once, at any stage."""
    enrollment = await change.get(Enrollment, enrollment_id, "enrollment", "enrollment_id")
    form = Form()
    url = await blocked_hosts.destination(change, form, destination_url, "destination_url")
    checked_labels = form.labels(labels, "labels")
    custom = await _custom_code(change, form, code)
    form.check()
    (link,) = await link_making.insert(
        change, [Draft(enrollment, url, code=custom, labels=checked_labels)]
    )
    await change.record(
        "createTrackingLink",
        "lnk",
        link.program_id,
        {link.id: {"destination_url": url, "labels": checked_labels, "code": link.code}},
    )
    return link


async def update(change: Change, key: int | None, changes: Mapping[str, Any]) -> TrackingLink:
    """Change a creator-level link's destination or labels; its next click goes there."""
    link = await change.get(TrackingLink, key, "tracking link", "id")
    _refuse_archived(link)
    form = Form()
    said: dict[str, Any] = {}
    if "destination_url" in changes:
        if link.campaign_link_id is not None:
            message = "This link follows its campaign link: change the destination there."
            form.fault(UserErrorCode.INVALID, message, "destination_url")
        url = await blocked_hosts.destination(
            change, form, changes["destination_url"], "destination_url"
        )
        said["destination_url"] = url
    if "labels" in changes:
        said["labels"] = form.labels(changes["labels"], "labels")
    form.check()
    if said.get("destination_url") not in (None, link.destination_url):
        await redirect_to(change, [link], {link.id: said["destination_url"]})
    if "labels" in said:
        link.changed_at = change.now
        await change.session.exec(
            delete(LinkLabel).where(col(LinkLabel.tracking_link_id) == link.id)
        )
        await change.insert(LinkLabel, link_making.label_rows(link.id, said["labels"]))
    await change.record("updateTrackingLink", "lnk", link.program_id, {link.id: said})
    return link


async def archive(change: Change, key: int | None) -> TrackingLink:
    """Stop a link for good, at the next request. Archiving again keeps the first time."""
    link = await change.get(TrackingLink, key, "tracking link", "id")
    if link.archived_at is None:
        await stop(change, [link])
        await change.record("archiveTrackingLink", "lnk", link.program_id, {link.id: {}})
    return link


async def replace(change: Change, key: int | None, changes: Mapping[str, Any]) -> TrackingLink:
    """Archive a link, unless it is, and make one in its place, under a new code.

    A creator-level link may be given another destination and labels; one of a campaign link
    leads where its campaign link does.
    """
    old = await change.get(TrackingLink, key, "tracking link", "id")
    form = Form()
    url, campaign_link = old.destination_url, None
    if old.campaign_link_id is not None:
        campaign_link = await change.get(CampaignLink, old.campaign_link_id, "campaign link", "id")
        if campaign_link.archived_at is not None:
            message = "The campaign link is archived, so nothing can stand for it. Make a new one."
            raise refuse(UserErrorCode.LINK_ARCHIVED, message, "id")
        if "destination_url" in changes:
            message = "This link follows its campaign link: change the destination there."
            form.fault(UserErrorCode.INVALID, message, "destination_url")
    else:
        url = await blocked_hosts.destination(
            change, form, changes.get("destination_url", url), "destination_url"
        )
    if "labels" in changes:
        new_labels = form.labels(changes["labels"], "labels")
    else:
        new_labels = (await labels(change.session, [old.id])).get(old.id, [])
    replaced = select(TrackingLink.id).where(TrackingLink.replaces_id == old.id)
    if (await change.session.exec(replaced)).first() is not None:
        form.fault(UserErrorCode.TAKEN, "This link has a replacement already.", "id")
    custom = await _custom_code(change, form, changes.get("code"))
    form.check()
    if old.archived_at is None:
        await stop(change, [old])
    enrollment = await change.get(Enrollment, old.enrollment_id, "enrollment", "id")
    if campaign_link is not None:
        url = (await link_making.destinations_for(change, [(enrollment, campaign_link)]))[0]
    (link,) = await link_making.insert(
        change,
        [
            Draft(
                enrollment,
                url,
                campaign_link_id=old.campaign_link_id,
                replaces_id=old.id,
                code=custom,
                labels=new_labels,
            )
        ],
    )
    await change.record(
        "replaceTrackingLink", "lnk", link.program_id, {link.id: {"replaces": old.code}}
    )
    return link


async def stop(change: Change, links: Sequence[TrackingLink]) -> None:
    """Archive these links, none of which is yet: their codes answer 410 from now on."""
    keys = [link.id for link in links]
    await change.session.exec(
        sql_update(TrackingLink)
        .where(col(TrackingLink.id).in_(keys), col(TrackingLink.archived_at).is_(None))
        .values(archived_at=change.now, changed_at=change.now)
    )
    for link in links:
        link.archived_at = link.changed_at = change.now
    change.session.link_changed(*(link.code for link in links))


async def redirect_to(
    change: Change, links: Sequence[TrackingLink], urls: Mapping[int, str]
) -> None:
    """Send these live links elsewhere, each to its URL, and keep where they led before."""
    for link in links:
        link.destination_url = urls[link.id]
        link.destination_version += 1
        link.changed_at = change.now
    await change.session.flush()
    await link_making.keep_destinations(change, links)
    change.session.link_changed(*(link.code for link in links))


async def labels(session: ReadSession, keys: Sequence[int]) -> dict[int, list[str]]:
    """The labels of each of these links, in their order; one without any is left out."""
    found = await session.exec(
        select(LinkLabel)
        .where(col(LinkLabel.tracking_link_id).in_(keys))
        .order_by(col(LinkLabel.place))
    )
    labels: dict[int, list[str]] = {}
    for row in found.all():
        labels.setdefault(row.tracking_link_id, []).append(row.label)
    return labels


async def destinations(
    session: ReadSession, keys: Sequence[int]
) -> dict[int, list[LinkDestination]]:
    """Where each of these links has led, newest first, the last 100."""
    version = col(LinkDestination.version)
    place = func.row_number().over(
        partition_by=col(LinkDestination.tracking_link_id), order_by=version.desc()
    )
    numbered = (
        select(LinkDestination, place.label("place"))
        .where(col(LinkDestination.tracking_link_id).in_(keys))
        .subquery()
    )
    row = aliased(LinkDestination, numbered)
    found = await session.exec(
        select(row).where(numbered.c.place <= DESTINATIONS_MAX).order_by(numbered.c.place)
    )
    destinations: dict[int, list[LinkDestination]] = {}
    for each in found.all():
        destinations.setdefault(each.tracking_link_id, []).append(each)
    return destinations


async def _custom_code(change: Change, form: Form, code: str | None) -> str | None:
    if code is None:
        return None
    try:
        custom = check_custom(code)
    except BadCode as bad:
        form.fault(UserErrorCode.INVALID, bad.message, "code")
        return None
    taken = select(TrackingLink.id).where(TrackingLink.code == custom)
    if (await change.session.exec(taken)).first() is not None:
        form.fault(UserErrorCode.TAKEN, "Another link has this code, or has had it.", "code")
    return custom


def _refuse_archived(link: TrackingLink) -> None:
    if link.archived_at is not None:
        message = "Archived links can't be edited or reactivated. Create a new one."
        raise refuse(UserErrorCode.LINK_ARCHIVED, message, "id")


@dataclass(frozen=True, slots=True)
class Filter:
    archived: bool | None = False
    creator_ids: tuple[int, ...] | None = None
    campaign_ids: tuple[int, ...] | None = None
    campaign_link_ids: tuple[int, ...] | None = None
    is_campaign_level: bool | None = None
    # All of these.
    labels: tuple[str, ...] = ()
    query: str | None = None
    # Only what was changed up to then.
    changed_before: datetime | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[TrackingLink]:
    """The tracking links that the viewer can see and the filter lets through."""
    rows = visible(viewer, TrackingLink).where(
        *by_archived(TrackingLink, only.archived),
        *among(TrackingLink.creator_id, only.creator_ids),
        *among(TrackingLink.campaign_id, only.campaign_ids),
        *among(TrackingLink.campaign_link_id, only.campaign_link_ids),
    )
    if only.is_campaign_level is not None:
        origin = col(TrackingLink.campaign_link_id)
        rows = rows.where(origin.is_not(None) if only.is_campaign_level else origin.is_(None))
    if only.changed_before is not None:
        rows = rows.where(TrackingLink.changed_at < only.changed_before)
    for label in only.labels:
        labelled = select(LinkLabel.tracking_link_id).where(*among(LinkLabel.label, [label]))
        rows = rows.where(col(TrackingLink.id).in_(labelled))
    return rows.where(*containing(only.query, TrackingLink.code, TrackingLink.destination_url))


async def by_code(session: ReadSession, viewer: Viewer, code: str) -> TrackingLink | None:
    """The visible link of this code, in upper or lower case."""
    found = visible(viewer, TrackingLink).where(TrackingLink.code == fold(code))
    return (await session.exec(found)).one_or_none()
