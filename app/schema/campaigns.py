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
from app.resolvers.change import Change
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
from app.schema.mutations import UserError, given, key, mutation, outcome, user_errors
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


@strawberry.input(description="What `createCampaign` takes.")
class CreateCampaignInput:
    program_id: strawberry.ID = strawberry.field(description="The program it belongs to.")
    name: str = strawberry.field(description="The name.")
    starts_on: strawberry.Maybe[date | None] = strawberry.field(description="The first day.")
    ends_on: strawberry.Maybe[date | None] = strawberry.field(description="The last day.")
    stages: strawberry.Maybe[list[Stage]] = strawberry.field(
        description="The stages of its workflow; all of them when left out. CONTENT_CREATION, "
        "COMPLETE and DROPPED are always among them, INVITED and APPLIED together or not at all."
    )


@strawberry.type(description="What `createCampaign` answers.")
class CreateCampaignPayload:
    campaign: Campaign | None = outcome("The new campaign, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `updateCampaign` takes. What is left out stays.")
class UpdateCampaignInput:
    id: strawberry.ID = strawberry.field(description="The campaign to change.")
    name: strawberry.Maybe[str] = strawberry.field(description="A new name.")
    starts_on: strawberry.Maybe[date | None] = strawberry.field(
        description="A new first day. Null clears it."
    )
    ends_on: strawberry.Maybe[date | None] = strawberry.field(
        description="A new last day. Null clears it."
    )
    stages: strawberry.Maybe[list[Stage]] = strawberry.field(
        description="The stages of its workflow from now on. A stage that holds creators can't be "
        "left out."
    )


@strawberry.type(description="What `updateCampaign` answers.")
class UpdateCampaignPayload:
    campaign: Campaign | None = outcome("The campaign as it is now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `launchCampaign` takes.")
class LaunchCampaignInput:
    id: strawberry.ID = strawberry.field(description="The campaign to launch.")


@strawberry.type(description="What `launchCampaign` answers.")
class LaunchCampaignPayload:
    campaign: Campaign | None = outcome("The campaign as it is now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `pauseCampaign` takes.")
class PauseCampaignInput:
    id: strawberry.ID = strawberry.field(description="The campaign to pause.")


@strawberry.type(description="What `pauseCampaign` answers.")
class PauseCampaignPayload:
    campaign: Campaign | None = outcome("The campaign as it is now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `archiveCampaign` takes.")
class ArchiveCampaignInput:
    id: strawberry.ID = strawberry.field(description="The campaign to archive.")


@strawberry.type(description="What `archiveCampaign` answers.")
class ArchiveCampaignPayload:
    campaign: Campaign | None = outcome("The campaign as it is now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `restoreCampaign` takes.")
class RestoreCampaignInput:
    id: strawberry.ID = strawberry.field(description="The campaign to restore.")


@strawberry.type(description="What `restoreCampaign` answers.")
class RestoreCampaignPayload:
    campaign: Campaign | None = outcome("The campaign as it is now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


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


@strawberry.type
class CampaignMutation:
    @mutation("Create a campaign, in draft.")
    async def create_campaign(
        self, change: Change, input: CreateCampaignInput
    ) -> CreateCampaignPayload:
        values = {"name": input.name, **given(input, but=("program_id", "name"))}
        campaign = await campaigns.create(change, key("prg", input.program_id), values)
        return CreateCampaignPayload(campaign=Campaign.of(campaign))

    @mutation("Change a campaign.")
    async def update_campaign(
        self, change: Change, input: UpdateCampaignInput
    ) -> UpdateCampaignPayload:
        campaign = await campaigns.update(change, key("cmp", input.id), given(input))
        return UpdateCampaignPayload(campaign=Campaign.of(campaign))

    @mutation("Take a campaign from draft or paused to live. Again, it changes nothing.")
    async def launch_campaign(
        self, change: Change, input: LaunchCampaignInput
    ) -> LaunchCampaignPayload:
        campaign = await campaigns.act(change, key("cmp", input.id), campaigns.LAUNCH)
        return LaunchCampaignPayload(campaign=Campaign.of(campaign))

    @mutation("Take a campaign from live to paused. Again, it changes nothing.")
    async def pause_campaign(
        self, change: Change, input: PauseCampaignInput
    ) -> PauseCampaignPayload:
        campaign = await campaigns.act(change, key("cmp", input.id), campaigns.PAUSE)
        return PauseCampaignPayload(campaign=Campaign.of(campaign))

    @mutation("Archive a campaign. Its links go on working. Again, it changes nothing.")
    async def archive_campaign(
        self, change: Change, input: ArchiveCampaignInput
    ) -> ArchiveCampaignPayload:
        campaign = await campaigns.act(change, key("cmp", input.id), campaigns.ARCHIVE)
        return ArchiveCampaignPayload(campaign=Campaign.of(campaign))

    @mutation("Take a campaign from archived to paused.")
    async def restore_campaign(
        self, change: Change, input: RestoreCampaignInput
    ) -> RestoreCampaignPayload:
        campaign = await campaigns.act(change, key("cmp", input.id), campaigns.RESTORE)
        return RestoreCampaignPayload(campaign=Campaign.of(campaign))
