"""Campaign links in the graph: one destination, from which each creator gets a link."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.auth import Permission
from app.messages.tags import token
from app.resolvers import campaign_links, enrollments, pages, tracking_links
from app.resolvers.change import Change
from app.resolvers.stats import Scope
from app.schema.connections import After, ArchiveState, Before, Connection, First, Last, connect
from app.schema.context import Info
from app.schema.enrollments import Enrollment
from app.schema.link_holders import LinkEndPayload, notice, notify
from app.schema.messages import NoticeInput
from app.schema.mutations import UserError, given, key, mutation, outcome, user_errors
from app.schema.nodes import NODES, Archivable, Measurable, node
from app.schema.permissions import Needs
from app.schema.scalars import URL
from app.schema.tracking_links import (
    TrackingLink,
    TrackingLinkFilterInput,
    TrackingLinkOrderInput,
)

if TYPE_CHECKING:
    from app.schema.campaigns import Campaign

CAMPAIGNS = strawberry.lazy("app.schema.campaigns")


@strawberry.type(description="One parameter of a UTM template.")
class UtmParameter:
    name: str = strawberry.field(description="The parameter, like `utm_source`.")
    value: str = strawberry.field(
        description="Its value. `{creator.handle}`, `{creator.id}`, `{campaign.slug}`, "
        "`{campaign.id}` and `{link.key}` are filled in for each link."
    )


@strawberry.input(description="One parameter of a UTM template.")
class UtmParameterInput:
    name: str = strawberry.field(description="The parameter, like `utm_source`.")
    value: str = strawberry.field(
        description="Its value. `{creator.handle}`, `{creator.id}`, `{campaign.slug}`, "
        "`{campaign.id}` and `{link.key}` are filled in for each link."
    )


@node
@strawberry.type(
    description="A campaign-level tracking link: one destination from which each creator past "
    "Applied gets a link of their own."
)
class CampaignLink(Archivable, Measurable):
    prefix = "cml"
    model = models.CampaignLink
    scope = Scope.CAMPAIGN_LINK

    name: str = strawberry.field(description="The name shown to staff and creators.")
    destination_url: URL = strawberry.field(description="Where every creator's link of it leads.")
    merge_tag: str = strawberry.field(
        description="The merge tag that stands for each creator's link in a message, like "
        "`{{tracking_link.summer_sale}}`. Renaming does not change it."
    )
    utm: list[UtmParameter] = strawberry.field(
        description="The UTM template: put on the destination of each link, where it has no such "
        "parameter of its own."
    )
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    def of(cls, row: models.CampaignLink) -> "CampaignLink":
        return cls(
            id=cls.id_of(row),
            row=row,
            name=row.name,
            destination_url=URL(row.destination_url),
            merge_tag=token(row.tag_key),
            utm=[UtmParameter(name=name, value=value) for name, value in row.utm.items()],
            created_at=row.created_at,
            archived_at=row.archived_at,
        )

    @strawberry.field(description="The campaign it belongs to.")
    async def campaign(self, info: Info) -> Annotated["Campaign", CAMPAIGNS]:
        return await NODES["cmp"].load(info, self.row.campaign_id)

    @strawberry.field(description="The links generated from it, one for each creator.")
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
            parent=("campaign_link_id", self.row.id),
        )

    @strawberry.field(
        description="Who is past Applied and has no link of it: a message with its merge tag, or "
        "`generateMissingLinks`, would make theirs. Empty once it is archived."
    )
    async def enrollments_without_link(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Enrollment]:
        row: models.CampaignLink = self.row
        lacking = enrollments.Filter(
            is_past_applied=True,
            campaign_ids=() if row.archived_at is not None else (row.campaign_id,),
            lacking_link=row.id,
        )
        return await connect(info, "enr", enrollments.listed, lacking, (first, after, last, before))


@strawberry.input(description="Which campaign links to list.")
class CampaignLinkFilterInput:
    archived: ArchiveState = strawberry.field(
        default=ArchiveState.ACTIVE, description="Which of them to list by archive state."
    )

    def as_filter(self) -> campaign_links.Filter:
        return campaign_links.Filter(archived=self.archived.value)


@strawberry.input(description="What `createCampaignLink` takes.")
class CreateCampaignLinkInput:
    campaign_id: strawberry.ID = strawberry.field(description="The campaign it belongs to.")
    name: str = strawberry.field(description="The name shown to staff and creators.")
    destination_url: str = strawberry.field(
        description="Where the links lead: an http or https URL, or one without a scheme for https."
    )
    utm: list[UtmParameterInput] = strawberry.field(
        default_factory=list, description="The UTM template."
    )
    generate_for_enrolled: bool = strawberry.field(
        default=False,
        description="Whether creators who are past Applied already get their links at once.",
    )


@strawberry.type(description="What `createCampaignLink` answers.")
class CreateCampaignLinkPayload:
    campaign_link: CampaignLink | None = outcome(
        "The new campaign link, or null if there are errors."
    )
    generated_tracking_links: list[TrackingLink] = strawberry.field(
        default_factory=list, description="The links made at once, if that was asked for."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `updateCampaignLink` takes. What is left out stays.")
class UpdateCampaignLinkInput:
    id: strawberry.ID = strawberry.field(description="The campaign link to change.")
    name: strawberry.Maybe[str] = strawberry.field(description="A new name.")
    destination_url: strawberry.Maybe[str] = strawberry.field(
        description="A new destination. It holds for the next click of every live link of it."
    )
    utm: strawberry.Maybe[list[UtmParameterInput]] = strawberry.field(
        description="A new UTM template in place of the old."
    )


@strawberry.type(description="What `updateCampaignLink` answers.")
class UpdateCampaignLinkPayload:
    campaign_link: CampaignLink | None = outcome(
        "The campaign link as it is now, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `archiveCampaignLink` takes.")
class ArchiveCampaignLinkInput:
    id: strawberry.ID = strawberry.field(description="The campaign link to archive.")
    notice: NoticeInput | None = notice()


@strawberry.type(description="What `archiveCampaignLink` answers.")
class ArchiveCampaignLinkPayload(LinkEndPayload):
    campaign_link: CampaignLink | None = outcome(
        "The archived campaign link, or null if there are errors."
    )
    archived_tracking_link_count: int = strawberry.field(
        default=0, description="How many links stopped working just now."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="Where to look for missing links. Give exactly one.", one_of=True)
class GenerateMissingLinksInput:
    campaign_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="All campaign links and creators of a campaign."
    )
    campaign_link_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="All creators of one campaign link's campaign."
    )
    enrollment_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="All campaign links of one creator's campaign."
    )


@strawberry.type(description="What `generateMissingLinks` answers.")
class GenerateMissingLinksPayload:
    generated_tracking_links: list[TrackingLink] = strawberry.field(
        default_factory=list, description="The links that this made."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.type
class CampaignLinkQuery:
    @strawberry.field(
        description="A campaign link by its ID.", extensions=[Needs(Permission.READ_LINKS)]
    )
    async def campaign_link(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The campaign link's ID.")],
    ) -> CampaignLink | None:
        return await CampaignLink.find(info, id)


@strawberry.type
class CampaignLinkMutation:
    @mutation(
        "Add a campaign-level tracking link. Creators already past Applied get theirs with the "
        "next message that holds its merge tag, by `generateMissingLinks`, or when they are moved "
        "back to Applied and on again."
    )
    async def create_campaign_link(
        self, change: Change, input: CreateCampaignLinkInput
    ) -> CreateCampaignLinkPayload:
        campaign_link, made = await campaign_links.create(
            change,
            key("cmp", input.campaign_id),
            name=input.name,
            destination_url=input.destination_url,
            utm={each.name: each.value for each in input.utm},
            generate_for_enrolled=input.generate_for_enrolled,
        )
        return CreateCampaignLinkPayload(
            campaign_link=CampaignLink.of(campaign_link),
            generated_tracking_links=[TrackingLink.of(link) for link in made],
        )

    @mutation(
        "Change a campaign-level tracking link. A new destination holds for its live links at once."
    )
    async def update_campaign_link(
        self, change: Change, input: UpdateCampaignLinkInput
    ) -> UpdateCampaignLinkPayload:
        changes = dict(given(input))
        if "utm" in changes:
            changes["utm"] = {each.name: each.value for each in changes["utm"]}
        campaign_link = await campaign_links.update(change, key("cml", input.id), changes)
        return UpdateCampaignLinkPayload(campaign_link=CampaignLink.of(campaign_link))

    @mutation(
        "Archive a campaign link, for good. Its links stop working at once. Again, it changes "
        "nothing."
    )
    async def archive_campaign_link(
        self, change: Change, input: ArchiveCampaignLinkInput
    ) -> ArchiveCampaignLinkPayload:
        campaign_link, stopped = await campaign_links.archive(change, key("cml", input.id))
        told = await notify(change, campaign_link, input.notice)
        return ArchiveCampaignLinkPayload(
            campaign_link=CampaignLink.of(campaign_link),
            archived_tracking_link_count=stopped,
            ended=campaign_link,
            notices=told,
        )

    @mutation("Make the links that creators past Applied lack. Again, it makes nothing.", cost=100)
    async def generate_missing_links(
        self, change: Change, input: GenerateMissingLinksInput
    ) -> GenerateMissingLinksPayload:
        made = await campaign_links.generate_missing(
            change,
            campaign_id=_named("cmp", input.campaign_id),
            campaign_link_id=_named("cml", input.campaign_link_id),
            enrollment_id=_named("enr", input.enrollment_id),
        )
        return GenerateMissingLinksPayload(
            generated_tracking_links=[TrackingLink.of(link) for link in made]
        )


def _named(prefix: str, id_: strawberry.ID | None) -> int | None:
    """None where this is not the one that was given; 0, which nothing has, for garbage."""
    return (key(prefix, id_) or 0) if isinstance(id_, str) else None
