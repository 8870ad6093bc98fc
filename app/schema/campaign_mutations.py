"""What changes campaigns: making and editing them, and their life cycle."""

from datetime import date

import strawberry

from app.models import Stage
from app.resolvers import campaigns
from app.resolvers.change import Change
from app.schema.campaigns import Campaign
from app.schema.mutations import UserError, given, key, mutation, outcome, user_errors


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
