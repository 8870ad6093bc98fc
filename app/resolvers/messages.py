"""Messages: sent, previewed, and what was sent before.

DESIGN
------
Sending locks the recipients' enrollments in the order of their keys, as moving them does, then
plans (see `mail_merge`), makes the links that are missing and queues the messages, all in one
transaction. What the text can't name is refused before anything is made. Delivery is another
matter: see `app.messages.delivery`.

A caller's idempotency key is unique in a program, and its row holds what the first call
answered. Two calls with one key at the same moment meet at the unique index; the second is
tried again and finds the answer of the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import false
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Permission, Viewer, visible
from app.database import ReadSession
from app.errors import UserErrorCode, not_found, refuse
from app.messages.addresses import Addresses
from app.models import (
    Campaign,
    CampaignLink,
    CampaignStatus,
    Enrollment,
    Message,
    MessageLink,
    MessageStatus,
    MessageTemplate,
    TrackingLink,
)
from app.resolvers import message_batches
from app.resolvers.change import Change
from app.resolvers.filters import among
from app.resolvers.inputs import Form, size
from app.resolvers.mail_merge import Merge, Plan, SkipReason
from app.resolvers.message_queue import Sending, had_by, queue, recipients_of
from app.resolvers.message_templates import Text, campaign_links, check_form, check_tags, problems

BATCH_MAX = 1000
PREVIEW_MAX = 20
KEY_MAX = 200
LISTED_MAX = 100


@dataclass(frozen=True, slots=True)
class Content:
    """What to send: a template, or a text of its own in a campaign."""

    template_id: int | None = None
    campaign_id: int | None = None
    subject: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What one recipient would get."""

    plan: Plan
    subject: str
    body: str
    # Of which sending would make the recipient's link.
    to_make: list[CampaignLink]


async def send(
    change: Change,
    content: Content,
    enrollment_ids: Sequence[int | None],
    *,
    idempotency_key: str,
    again: bool = False,
) -> list[Sending]:
    """Queue a message to each recipient, one result for each in the order given.

    The same idempotency key again returns the first results and sends nothing. A template does
    not go to those who have had it, unless ``again``.
    """
    size(enrollment_ids, BATCH_MAX, "enrollment_ids")
    form = Form()
    key = form.text(idempotency_key, "idempotency_key", max_length=KEY_MAX)
    form.check()
    campaign, template = await _place(change.session, change.viewer, content)
    asked = [content.template_id, content.campaign_id, content.subject, content.body, again]
    fingerprint = message_batches.fingerprint_of([*asked, *enrollment_ids])
    first = await message_batches.first(change, campaign, key, fingerprint)
    if first is not None:
        return first
    wanted = {each for each in enrollment_ids if each is not None}
    enrollments = await recipients_of(change.session, change.viewer, campaign, wanted, locked=True)
    links = await campaign_links(change.session, [campaign.id], locked=True)
    merge = _merge(change.addresses, campaign, template, content, links.get(campaign.id, []))
    had = set() if again else await had_by(change, template, enrollments)
    sendings = await queue(
        change, campaign, merge, list(enrollments.values()), template=template, past=had
    )
    done = {each.enrollment.id: each for each in sendings if each.enrollment is not None}
    results = [
        done.get(each or 0, Sending(None, reason=SkipReason.NOT_FOUND)) for each in enrollment_ids
    ]
    await message_batches.keep(change, campaign, key, fingerprint, results)
    return results


async def notify(
    change: Change,
    campaign_id: int,
    values: Mapping[str, str],
    enrollment_ids: Sequence[int],
) -> list[Sending]:
    """Queue a notice in the transaction of the change that it is about. A fault in its text
    undoes the change."""
    form, checked = Form(), dict(values)
    check_form(form, checked, "notice")
    form.check()
    content = Content(None, campaign_id, checked["subject"], checked["body"])
    campaign, _ = await _place(change.session, change.viewer, content)
    sendings: list[Sending] = []
    for start in range(0, len(enrollment_ids), BATCH_MAX):
        wanted = set(enrollment_ids[start : start + BATCH_MAX])
        recipients = await recipients_of(
            change.session, change.viewer, campaign, wanted, locked=True
        )
        links = await campaign_links(change.session, [campaign.id], locked=True)
        merge = _merge(
            change.addresses, campaign, None, content, links.get(campaign.id, []), "notice"
        )
        sendings += await queue(change, campaign, merge, list(recipients.values()))
    return sendings


async def send_automatically(change: Change, arrived: Sequence[Enrollment]) -> list[Sending]:
    """Queue what the campaigns' templates send to creators who have just come to a stage.

    Never twice the same template to a creator; nothing in a campaign that is paused. What can't
    be sent is left out with its reason: it never stands in the way of a move.
    """
    if change.addresses is None or not arrived:
        return []
    campaign_ids = {enrollment.campaign_id for enrollment in arrived}
    found = await change.session.exec(
        select(MessageTemplate, Campaign)
        .join(Campaign, col(MessageTemplate.campaign_id) == col(Campaign.id))
        .where(
            col(MessageTemplate.campaign_id).in_(campaign_ids),
            col(MessageTemplate.sends_on_stage).in_({each.stage for each in arrived}),
            col(MessageTemplate.archived_at).is_(None),
            col(Campaign.status).not_in((CampaignStatus.PAUSED, CampaignStatus.ARCHIVED)),
        )
        .order_by(col(MessageTemplate.id))
    )
    due = found.all()
    if not due:
        return []
    links = await campaign_links(change.session, campaign_ids, locked=True)
    sendings: list[Sending] = []
    for template, campaign in due:
        recipients = [
            each
            for each in arrived
            if each.campaign_id == campaign.id and each.stage is template.sends_on_stage
        ]
        available = links.get(campaign.id, [])
        if problems(template, available):
            sendings += [
                Sending(each, template=template, reason=SkipReason.BROKEN_TEMPLATE)
                for each in recipients
            ]
            continue
        merge = Merge(campaign, _text(template), available, change.addresses)
        had = await had_by(change, template, {each.id: each for each in recipients})
        fresh = [each for each in recipients if each.id not in had]
        sendings += await queue(
            change, campaign, merge, fresh, template=template, is_automatic=True
        )
    return sendings


async def preview(
    session: ReadSession,
    viewer: Viewer,
    content: Content,
    enrollment_ids: Sequence[int | None],
    addresses: Addresses,
) -> list[Preview]:
    """What each recipient would get, in the order given; those that are not there are left out.
    Nothing is written."""
    size(enrollment_ids, PREVIEW_MAX, "enrollment_ids")
    campaign, template = await _place(session, viewer, content)
    wanted = {each for each in enrollment_ids if each is not None}
    recipients = await recipients_of(session, viewer, campaign, wanted)
    available = (await campaign_links(session, [campaign.id])).get(campaign.id, [])
    merge = _merge(addresses, campaign, template, content, available)
    in_order = [recipients[each] for each in dict.fromkeys(enrollment_ids) if each in recipients]
    plans = await merge.plan(session, in_order)
    return [
        Preview(
            plan,
            *merge.fill_in(plan, {}),
            to_make=[link for link in available if link.id in plan.to_make],
        )
        for plan in plans
    ]


async def _place(
    session: ReadSession, viewer: Viewer, content: Content
) -> tuple[Campaign, MessageTemplate | None]:
    """The campaign that the content belongs to. Not locked: the enrollments come first."""
    template, campaign_id = None, content.campaign_id
    if content.template_id is not None:
        sought = visible(viewer, MessageTemplate).where(MessageTemplate.id == content.template_id)
        template = (await session.exec(sought)).one_or_none()
        if template is None:
            raise not_found("message template", "content", "template_id")
        if template.archived_at is not None:
            message = "The template is archived: use another one."
            raise refuse(UserErrorCode.ARCHIVED, message, "content", "template_id")
        campaign_id = template.campaign_id
    found = visible(viewer, Campaign).where(Campaign.id == campaign_id)
    campaign = (await session.exec(found)).one_or_none()
    if campaign is None:
        raise not_found("campaign", "content", "one_off", "campaign_id")
    return campaign, template


def _text(template: MessageTemplate) -> Text:
    return Text.of(template.subject, template.body)


def _merge(
    addresses: Addresses | None,
    campaign: Campaign,
    template: MessageTemplate | None,
    content: Content,
    available: Sequence[CampaignLink],
    *path: str,
) -> Merge:
    """The text, checked against the campaign's links; refused if anything is wrong with it."""
    form = Form()
    if template is not None:
        text, path = _text(template), ("content", "template_id")
    else:
        values = {"subject": content.subject, "body": content.body}
        path = path or ("content", "one_off")
        check_form(form, values, *path)
        form.check()
        text = Text.of(**values)
    check_tags(form, text, available, *path)
    form.check()
    assert addresses is not None  # noqa: S101 - only the command line has none, and sends nothing
    return Merge(campaign, text, available, addresses)


@dataclass(frozen=True, slots=True)
class Filter:
    statuses: tuple[MessageStatus, ...] | None = None
    tracking_link_id: int | None = None
    campaign_link_id: int | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[Message]:
    """The messages that the viewer can see and the filter lets through. A key that reads link
    sets alone sees none."""
    rows = visible(viewer, Message).where(*among(Message.status, only.statuses))
    if not viewer.may(Permission.READ):
        return rows.where(false())
    held = select(MessageLink.message_id)
    if only.tracking_link_id is not None:
        held = held.where(MessageLink.tracking_link_id == only.tracking_link_id)
    elif only.campaign_link_id is not None:
        held = held.join(
            TrackingLink, col(MessageLink.tracking_link_id) == col(TrackingLink.id)
        ).where(TrackingLink.campaign_link_id == only.campaign_link_id)
    else:
        return rows
    return rows.where(col(Message.id).in_(held))


async def links_of(session: ReadSession, keys: Sequence[int]) -> dict[int, list[TrackingLink]]:
    """The tracking links that each of these messages holds, 100 at most."""
    pair = select(col(MessageLink.message_id), TrackingLink).join(
        TrackingLink, col(MessageLink.tracking_link_id) == col(TrackingLink.id)
    )
    order = (col(TrackingLink.created_at), col(TrackingLink.id))
    found = await session.exec(pair.where(col(MessageLink.message_id).in_(keys)).order_by(*order))
    links: dict[int, list[TrackingLink]] = {}
    for message_id, link in found.all():
        links.setdefault(message_id, []).append(link)
    return {key: each[:LISTED_MAX] for key, each in links.items()}


async def with_link(session: ReadSession, keys: Sequence[int]) -> dict[int, list[Message]]:
    """The messages that hold each of these tracking links, newest first, 100 at most."""
    pair = select(col(MessageLink.tracking_link_id), Message).join(
        Message, col(MessageLink.message_id) == col(Message.id)
    )
    newest = (col(Message.created_at).desc(), col(Message.id).desc())
    found = await session.exec(
        pair.where(col(MessageLink.tracking_link_id).in_(keys)).order_by(*newest)
    )
    holding: dict[int, list[Message]] = {}
    for link_id, message in found.all():
        holding.setdefault(link_id, []).append(message)
    return {key: each[:LISTED_MAX] for key, each in holding.items()}
