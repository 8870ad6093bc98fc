"""Mail merge: what a message becomes for each recipient, before anything is written.

DESIGN
------
`plan` looks and decides: who is left out and why, which of their links a message would hold,
which would have to be made. Sending and previewing both begin with it, so a preview can't
promise what a send then does otherwise. It costs the same few statements for one recipient and
for a thousand.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from sqlmodel import col, select

from app.database import ReadSession
from app.messages import tags
from app.messages.addresses import Addresses
from app.models import Campaign, CampaignLink, Creator, Enrollment, Stage, TrackingLink
from app.resolvers import tracking_links
from app.resolvers.message_templates import Text

# What a preview shows for a link that sending would make.
TO_BE_MADE = "[link made when this is sent]"


class SkipReason(StrEnum):
    """Why a message does not go to a recipient. Published: values are added, never renamed."""

    NOT_FOUND = "NOT_FOUND"
    ALREADY_SENT = "ALREADY_SENT"
    NO_EMAIL = "NO_EMAIL"
    DROPPED = "DROPPED"
    LINK_ARCHIVED = "LINK_ARCHIVED"
    NO_LINKS = "NO_LINKS"
    MISSING_VALUE = "MISSING_VALUE"
    BROKEN_TEMPLATE = "BROKEN_TEMPLATE"


@dataclass(slots=True)
class Plan:
    """One recipient's message."""

    enrollment: Enrollment
    creator: Creator
    reason: SkipReason | None = None
    # The tags that nothing can fill.
    missing: tuple[str, ...] = ()
    # By campaign link: the recipient's live link, or None where sending makes it.
    tagged: dict[int, TrackingLink | None] = field(default_factory=dict)
    # What the list of all tracking links holds, in its order; the campaign's links first.
    listed: list[CampaignLink] = field(default_factory=list)
    own: list[TrackingLink] = field(default_factory=list)

    @property
    def reused(self) -> list[TrackingLink]:
        return [link for link in self.tagged.values() if link is not None] + self.own

    @property
    def to_make(self) -> list[int]:
        """The campaign links of which sending makes the recipient's link."""
        return [key for key, link in self.tagged.items() if link is None]


class Merge:
    """A text in a campaign, ready to be filled in for any recipient."""

    def __init__(
        self,
        campaign: Campaign,
        text: Text,
        campaign_links: Sequence[CampaignLink],
        addresses: Addresses,
    ) -> None:
        """The text has no faults in this campaign."""
        self._campaign = campaign
        self._text = text
        self._addresses = addresses
        self._live = [link for link in campaign_links if link.archived_at is None]
        self._named = [link for link in self._live if link.tag_key in text.link_keys]
        self._labels: dict[int, list[str]] = {}

    @property
    def named_ids(self) -> set[int]:
        """The campaign links whose tags the text holds."""
        return {link.id for link in self._named}

    @property
    def lists_all_links(self) -> bool:
        return self._text.lists_all_links

    async def plan(
        self, session: ReadSession, enrollments: Sequence[Enrollment], *, had: Collection[int] = ()
    ) -> list[Plan]:
        """One plan for each, in the order given. ``had``: enrollments that are to be left out,
        because they have had this message."""
        creator_ids = {enrollment.creator_id for enrollment in enrollments}
        found = await session.exec(select(Creator).where(col(Creator.id).in_(creator_ids)))
        creators = {creator.id: creator for creator in found.all()}
        links = await self._links(session, enrollments)
        plans = []
        for enrollment in enrollments:
            plan = Plan(enrollment, creators[enrollment.creator_id])
            self._choose_links(plan, links.get(enrollment.id, []))
            self._judge(plan, had)
            plans.append(plan)
        return plans

    async def _links(
        self, session: ReadSession, enrollments: Sequence[Enrollment]
    ) -> dict[int, list[TrackingLink]]:
        """All links that the recipients have or had, oldest first, if the text holds any."""
        if not self._named and not self.lists_all_links:
            return {}
        found = await session.exec(
            select(TrackingLink)
            .where(col(TrackingLink.enrollment_id).in_([each.id for each in enrollments]))
            .order_by(col(TrackingLink.created_at), col(TrackingLink.id))
        )
        links: dict[int, list[TrackingLink]] = {}
        for link in found.all():
            links.setdefault(link.enrollment_id, []).append(link)
        if self.lists_all_links:
            labelled = [
                link.id
                for each in links.values()
                for link in each
                if link.campaign_link_id is None and link.archived_at is None
            ]
            self._labels = await tracking_links.labels(session, labelled)
        return links

    def _choose_links(self, plan: Plan, links: Sequence[TrackingLink]) -> None:
        had = {link.campaign_link_id for link in links}
        live = {link.campaign_link_id: link for link in links if link.archived_at is None}
        for campaign_link in self._named:
            if campaign_link.id in live or campaign_link.id not in had:
                plan.tagged[campaign_link.id] = live.get(campaign_link.id)
            else:
                plan.reason = SkipReason.LINK_ARCHIVED
        is_dropped = plan.enrollment.stage is Stage.DROPPED
        if is_dropped and plan.to_make and plan.reason is None:
            plan.reason = SkipReason.DROPPED
        if not self.lists_all_links:
            return
        for campaign_link in self._live:
            earned = plan.enrollment.stage.is_past_applied and campaign_link.id not in had
            if campaign_link.id in live or campaign_link.id in plan.tagged or earned:
                plan.tagged[campaign_link.id] = live.get(campaign_link.id)
                plan.listed.append(campaign_link)
        plan.own = [
            link for link in links if link.campaign_link_id is None and link.archived_at is None
        ]

    def _judge(self, plan: Plan, had: Collection[int]) -> None:
        if plan.enrollment.id in had:
            plan.reason = SkipReason.ALREADY_SENT
        elif plan.creator.email is None:
            plan.reason = SkipReason.NO_EMAIL
        elif plan.reason is None:
            values = self._values(plan, {})
            missing = (
                *tags.render(self._text.subject, values).missing,
                *tags.render(self._text.body, values).missing,
            )
            plan.missing = tuple(dict.fromkeys(missing))
            if plan.missing:
                only_links = plan.missing == ("all_tracking_links",)
                plan.reason = SkipReason.NO_LINKS if only_links else SkipReason.MISSING_VALUE

    def fill_in(self, plan: Plan, made: Mapping[int, TrackingLink]) -> tuple[str, str]:
        """The subject and the body. ``made``: the links that the plan lacks, by campaign link;
        those that are not there either show as a placeholder."""
        values = self._values(plan, made)
        subject = tags.render(self._text.subject, values).text
        return " ".join(subject.split()), tags.render(self._text.body, values).text

    def _values(self, plan: Plan, made: Mapping[int, TrackingLink]) -> dict[str, str | None]:
        creator = plan.creator
        urls = {}
        for key, reused in plan.tagged.items():
            link = reused or made.get(key)
            urls[key] = TO_BE_MADE if link is None else self._addresses.link(link.code)
        lines = [f"{link.name}: {urls[link.id]}" for link in plan.listed]
        lines += [f"{self._name(link)}: {self._addresses.link(link.code)}" for link in plan.own]
        return {
            "first_name": creator.first_name,
            "last_name": creator.last_name,
            "creator_name": creator.display_name,
            "campaign_name": self._campaign.name,
            "campaign_manager_link": self._addresses.manager(creator.id, creator.manager_version),
            "all_tracking_links": "\n".join(lines),
            **{f"tracking_link.{link.tag_key}": urls.get(link.id) for link in self._named},
        }

    def _name(self, link: TrackingLink) -> str:
        return name_of(link, self._labels.get(link.id, []))


def name_of(link: TrackingLink, labels: Sequence[str]) -> str:
    """What a creator-level link is called: its labels, or else where it leads."""
    return ", ".join(labels) or urlsplit(link.destination_url).netloc
