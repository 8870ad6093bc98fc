"""Queues messages, with the links that they lack, and takes back what they say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import update
from sqlmodel import col, select

from app.auth import Viewer, visible
from app.database import ReadSession
from app.ids import encode, new_id
from app.models import (
    Campaign,
    Creator,
    Enrollment,
    Message,
    MessageLink,
    MessageStatus,
    MessageTemplate,
    TrackingLink,
)
from app.resolvers import link_making
from app.resolvers.change import Change
from app.resolvers.mail_merge import Merge, Plan, SkipReason


@dataclass(slots=True)
class Sending:
    """What came of sending to one recipient."""

    enrollment: Enrollment | None
    message: Message | None = None
    template: MessageTemplate | None = None
    reason: SkipReason | None = None
    missing: Sequence[str] = ()
    made: list[TrackingLink] = field(default_factory=list)


async def recipients_of(
    session: ReadSession,
    viewer: Viewer,
    campaign: Campaign,
    keys: Collection[int],
    *,
    locked: bool = False,
) -> dict[int, Enrollment]:
    """Those of a campaign that the viewer can see, by key; locked in the order of their keys."""
    rows = (
        visible(viewer, Enrollment)
        .where(Enrollment.campaign_id == campaign.id, col(Enrollment.id).in_(keys))
        .order_by(col(Enrollment.id))
    )
    found = await session.exec(rows.with_for_update() if locked else rows)
    return {enrollment.id: enrollment for enrollment in found.all()}


async def had_by(
    change: Change, template: MessageTemplate | None, recipients: Mapping[int, Enrollment]
) -> set[int]:
    """Who of them has had the template before, by hand or by itself."""
    if template is None:
        return set()
    sent = select(Message.enrollment_id).where(
        Message.template_id == template.id, col(Message.enrollment_id).in_(recipients)
    )
    return set((await change.session.exec(sent)).all())


async def queue(
    change: Change,
    campaign: Campaign,
    merge: Merge,
    enrollments: Sequence[Enrollment],
    *,
    template: MessageTemplate | None = None,
    past: Collection[int] = (),
    is_automatic: bool = False,
) -> list[Sending]:
    """Make what links the recipients lack and queue their messages. They are locked; ``past``
    are those who have had it."""
    plans = await merge.plan(change.session, enrollments, had=past)
    going = [plan for plan in plans if plan.reason is None]
    made = await _make(change, merge, going)
    messages, holds = {}, []
    for plan in going:
        own = made.get(plan.enrollment.id, {})
        subject, body = merge.fill_in(plan, own)
        message = Message(
            id=new_id(),
            program_id=campaign.program_id,
            campaign_id=campaign.id,
            enrollment_id=plan.enrollment.id,
            creator_id=plan.creator.id,
            template_id=None if template is None else template.id,
            is_automatic=is_automatic,
            to_address=plan.creator.email or "",
            subject=subject,
            body=body,
            created_at=change.now,
            next_attempt_at=change.now,
        )
        messages[plan.enrollment.id] = message
        held = {link.id for link in (*plan.reused, *own.values())}
        holds += [{"message_id": message.id, "tracking_link_id": key} for key in sorted(held)]
    await change.insert(Message, (message.model_dump() for message in messages.values()))
    await change.insert(MessageLink, holds)
    said = {
        message.id: {"enrollment": encode("enr", message.enrollment_id)}
        for message in messages.values()
    }
    await change.record("sendMessage", "msg", campaign.program_id, said)
    return [
        Sending(
            plan.enrollment,
            messages.get(plan.enrollment.id),
            template,
            plan.reason,
            plan.missing,
            list(made.get(plan.enrollment.id, {}).values()),
        )
        for plan in plans
    ]


async def blank(change: Change, creator: Creator) -> None:
    """Blank what was said to a creator, and to which address. What is waiting does not go out.
    Their enrollments are locked, so that nothing is queued meanwhile."""
    of_creator = update(Message).where(col(Message.creator_id) == creator.id)
    is_waiting = col(Message.status) == MessageStatus.QUEUED
    # A mail server's refusal quotes the address: that goes too.
    await change.session.exec(of_creator.values(to_address="", subject="", body="", error=""))
    await change.session.exec(
        of_creator.where(is_waiting).values(
            status=MessageStatus.FAILED, error="The creator's personal data was erased."
        )
    )


async def _make(
    change: Change, merge: Merge, plans: Sequence[Plan]
) -> dict[int, dict[int, TrackingLink]]:
    """The missing links, by enrollment and campaign link. Who is past Applied gets those of the
    whole list, if there is one; the others only those that the text names."""
    whole: list[Enrollment] = []
    named: list[Enrollment] = []
    for enrollment in (plan.enrollment for plan in plans if plan.to_make):
        earns_all = merge.lists_all_links and enrollment.stage.is_past_applied
        (whole if earns_all else named).append(enrollment)
    links: list[TrackingLink] = []
    if whole:
        links += await link_making.ensure(change, whole)
    if named:
        links += await link_making.ensure(change, named, campaign_link_ids=merge.named_ids)
    made: dict[int, dict[int, TrackingLink]] = {}
    for link in links:
        assert link.campaign_link_id is not None  # noqa: S101 - that is what was made
        made.setdefault(link.enrollment_id, {})[link.campaign_link_id] = link
    return made
