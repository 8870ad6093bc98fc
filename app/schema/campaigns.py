"""Campaigns in the graph."""

from datetime import date, datetime
from enum import Enum
from typing import Annotated

import strawberry

from app import models
from app.auth import Permission
from app.models import CampaignStatus, Stage
from app.resolvers import (
    campaign_links,
    campaigns,
    enrollments,
    message_templates,
    messages,
    pages,
    tracking_links,
)
from app.resolvers.stats import Scope
from app.schema.campaign_links import CampaignLink, CampaignLinkFilterInput
from app.schema.connections import (
    After,
    Before,
    Connection,
    First,
    Last,
    OrderDirection,
    connect,
    keys,
    ordered,
)
from app.schema.context import Info
from app.schema.enrollments import Enrollment, EnrollmentFilterInput, EnrollmentOrderInput
from app.schema.enums import publish
from app.schema.message_templates import MessageTemplate, MessageTemplateFilterInput
from app.schema.messages import MergeTag, Message, MessageFilterInput, merge_tags
from app.schema.nodes import Archivable, Measurable, node
from app.schema.permissions import Needs
from app.schema.programs import Program
from app.schema.report_shares import Shareable
from app.schema.tracking_links import (
    TrackingLink,
    TrackingLinkFilterInput,
    TrackingLinkOrderInput,
)


@node
@strawberry.type(description="A piece of work that creators take part in.")
class Campaign(Archivable, Measurable, Shareable):
    prefix = "cmp"
    model = models.Campaign
    scope = Scope.CAMPAIGN

    name: str = strawberry.field(description="The name.")
    slug: str = strawberry.field(
        description="The first name as it can stand in a URL: `{campaign.slug}` of UTM templates."
    )
    status: CampaignStatus = strawberry.field(description="Where it is in its life.")
    starts_on: date | None = strawberry.field(description="The first day, if set.")
    ends_on: date | None = strawberry.field(description="The last day, if set.")
    stages: list[Stage] = strawberry.field(
        description="The enabled stages of the workflow, in order."
    )
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    def of(cls, row: models.Campaign) -> "Campaign":
        return cls(
            id=cls.id_of(row),
            row=row,
            name=row.name,
            slug=row.slug,
            status=row.status,
            starts_on=row.starts_on,
            ends_on=row.ends_on,
            stages=[Stage(number) for number in row.stages],
            created_at=row.created_at,
            archived_at=row.archived_at,
        )

    @strawberry.field(description="The program it belongs to.")
    async def program(self, info: Info) -> Program:
        return await Program.load(info, self.row.program_id)

    @strawberry.field(description="The campaign's campaign-level tracking links, newest first.")
    async def campaign_links(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: CampaignLinkFilterInput | None = None,
    ) -> Connection[CampaignLink]:
        return await connect(
            info,
            "cml",
            campaign_links.listed,
            filter.as_filter() if filter else campaign_links.Filter(),
            (first, after, last, before),
            parent=("campaign_id", self.row.id),
        )

    @strawberry.field(
        description="The merge tags that a message of this campaign can hold, each ready to paste.",
        metadata={"cost": 5},
    )
    async def merge_tags(self, info: Info) -> list[MergeTag]:
        return await merge_tags(info, self.row.id)

    @strawberry.field(
        description="The message templates of this campaign, newest first. Empty for keys that "
        "read link sets alone."
    )
    async def message_templates(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: MessageTemplateFilterInput | None = None,
    ) -> Connection[MessageTemplate]:
        return await connect(
            info,
            "mtp",
            message_templates.listed,
            filter.as_filter() if filter else message_templates.Filter(),
            (first, after, last, before),
            parent=("campaign_id", self.row.id),
        )

    @strawberry.field(
        description="The messages of this campaign, newest first: the outbox and what was sent. "
        "Empty for keys that read link sets alone."
    )
    async def messages(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: MessageFilterInput | None = None,
    ) -> Connection[Message]:
        return await connect(
            info,
            "msg",
            messages.listed,
            filter.as_filter() if filter else messages.Filter(),
            (first, after, last, before),
            parent=("campaign_id", self.row.id),
        )

    @strawberry.field(description="The creators taking part, with their stage.")
    async def enrollments(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: EnrollmentFilterInput | None = None,
        order_by: EnrollmentOrderInput | None = None,
    ) -> Connection[Enrollment]:
        return await connect(
            info,
            "enr",
            enrollments.listed,
            filter.as_filter() if filter else enrollments.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
            parent=("campaign_id", self.row.id),
        )

    @strawberry.field(
        description="All tracking links of the campaign, campaign-level and creator-level."
    )
    async def tracking_links(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: TrackingLinkFilterInput | None = None,
        order_by: TrackingLinkOrderInput | None = None,
    ) -> Connection[TrackingLink]:
        return await connect(
            info,
            "lnk",
            tracking_links.listed,
            filter.as_filter() if filter else tracking_links.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
            parent=("campaign_id", self.row.id),
        )


@strawberry.input(description="Which campaigns to list.")
class CampaignFilterInput:
    statuses: list[CampaignStatus] = strawberry.field(
        default_factory=lambda: list(campaigns.LISTED),
        description="Only those with one of these statuses. The default leaves archived ones out.",
    )
    program_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these programs, 100 at most."
    )
    query: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those whose name contains this text, ignoring case.",
    )

    def as_filter(self) -> campaigns.Filter:
        return campaigns.Filter(
            statuses=tuple(self.statuses),
            program_ids=keys("prg", self.program_ids, "program_ids"),
            query=self.query or None,
        )


class CampaignOrderField(Enum):
    CREATED_AT = pages.NEWEST_FIRST
    NAME = pages.Order("NAME", "name")


publish(
    CampaignOrderField,
    "What campaigns can be ordered by.",
    {"CREATED_AT": "When it was created.", "NAME": "Its name."},
)


@strawberry.input(description="How to order campaigns.")
class CampaignOrderInput:
    field: CampaignOrderField = strawberry.field(
        default=CampaignOrderField.CREATED_AT, description="What to order by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The direction."
    )

    def as_order(self) -> pages.Order:
        return ordered(self.field.value, self.direction)


@strawberry.type
class CampaignQuery:
    @strawberry.field(
        description="A campaign by its ID.", extensions=[Needs(Permission.READ_LINKS)]
    )
    async def campaign(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The campaign's ID.")],
    ) -> Campaign | None:
        return await Campaign.find(info, id)

    @strawberry.field(
        description="All campaigns that the caller may see.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def campaigns(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: CampaignFilterInput | None = None,
        order_by: CampaignOrderInput | None = None,
    ) -> Connection[Campaign] | None:
        return await connect(
            info,
            "cmp",
            campaigns.listed,
            filter.as_filter() if filter else campaigns.Filter(statuses=campaigns.LISTED),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
        )
