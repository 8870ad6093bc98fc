"""What changes tracking links: making, editing, archiving and replacing them."""

from typing import Any

import strawberry

from app import models
from app.resolvers import tracking_links
from app.resolvers.change import Change
from app.schema.link_holders import LinkEndPayload, notice, notify
from app.schema.messages import NoticeInput
from app.schema.mutations import (
    UserError,
    given,
    idempotency_key,
    key,
    mutation,
    outcome,
    user_errors,
)
from app.schema.tracking_links import TrackingLink


@strawberry.input(description="What `createTrackingLink` takes.")
class CreateTrackingLinkInput:
    enrollment_id: strawberry.ID = strawberry.field(
        description="The creator's place in the campaign."
    )
    destination_url: str = strawberry.field(
        description="Where the link leads: an http or https URL, or one without a scheme for https."
    )
    labels: list[str] = strawberry.field(
        default_factory=list,
        description="What tells this link from others with the same destination: 10 at most.",
    )
    code: str | None = strawberry.field(
        default=None,
        description="A code of the caller's choice: 3 to 64 of a-z, 0-9, `-` and `_`, never used "
        "before. A random one when left out.",
    )
    idempotency_key: str | None = idempotency_key()


@strawberry.type(description="What `createTrackingLink` answers.")
class CreateTrackingLinkPayload:
    tracking_link: TrackingLink | None = outcome("The new link, or null if there are errors.")
    user_errors: list[UserError] = user_errors()

    def remembered(self) -> dict[str, Any]:
        return {"link": self.tracking_link and self.tracking_link.row.id}

    @classmethod
    async def recalled(cls, change: Change, answer: dict[str, Any]) -> "CreateTrackingLinkPayload":
        (row,) = (await change.find(models.TrackingLink, {answer["link"]})).values()
        return cls(tracking_link=TrackingLink.of(row))


@strawberry.input(description="What `updateTrackingLink` takes. What is left out stays.")
class UpdateTrackingLinkInput:
    id: strawberry.ID = strawberry.field(description="The link to change.")
    destination_url: strawberry.Maybe[str] = strawberry.field(
        description="A new destination. Not on a campaign-level link."
    )
    labels: strawberry.Maybe[list[str]] = strawberry.field(
        description="New labels in place of the old."
    )


@strawberry.type(description="What `updateTrackingLink` answers.")
class UpdateTrackingLinkPayload:
    tracking_link: TrackingLink | None = outcome(
        "The link as it is now, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `archiveTrackingLink` takes.")
class ArchiveTrackingLinkInput:
    id: strawberry.ID = strawberry.field(description="The link to archive.")
    notice: NoticeInput | None = notice()


@strawberry.type(description="What `archiveTrackingLink` answers.")
class ArchiveTrackingLinkPayload(LinkEndPayload):
    tracking_link: TrackingLink | None = outcome("The archived link, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(
    description="What `replaceTrackingLink` takes. What is left out is as on the old link."
)
class ReplaceTrackingLinkInput:
    id: strawberry.ID = strawberry.field(
        description="The link to replace. It is archived, unless it is already."
    )
    destination_url: strawberry.Maybe[str] = strawberry.field(
        description="Where the new link leads. Not for a campaign-level link."
    )
    labels: strawberry.Maybe[list[str]] = strawberry.field(description="The new link's labels.")
    code: strawberry.Maybe[str | None] = strawberry.field(
        description="A code of the caller's choice, never used before."
    )
    notice: NoticeInput | None = notice()


@strawberry.type(description="What `replaceTrackingLink` answers.")
class ReplaceTrackingLinkPayload(LinkEndPayload):
    tracking_link: TrackingLink | None = outcome("The new link, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class TrackingLinkMutation:
    @mutation(
        "Create a creator-level tracking link. It works at once, whatever the creator's stage."
    )
    async def create_tracking_link(
        self, change: Change, input: CreateTrackingLinkInput
    ) -> CreateTrackingLinkPayload:
        link = await tracking_links.create(
            change,
            key("enr", input.enrollment_id),
            destination_url=input.destination_url,
            labels=input.labels,
            code=input.code,
        )
        return CreateTrackingLinkPayload(tracking_link=TrackingLink.of(link))

    @mutation(
        "Change a creator-level tracking link. A campaign-level one is changed through its "
        "campaign link."
    )
    async def update_tracking_link(
        self, change: Change, input: UpdateTrackingLinkInput
    ) -> UpdateTrackingLinkPayload:
        link = await tracking_links.update(change, key("lnk", input.id), given(input))
        return UpdateTrackingLinkPayload(tracking_link=TrackingLink.of(link))

    @mutation(
        "Archive a tracking link, for good. It stops working at once. Again, it changes nothing."
    )
    async def archive_tracking_link(
        self, change: Change, input: ArchiveTrackingLinkInput
    ) -> ArchiveTrackingLinkPayload:
        link = await tracking_links.archive(change, key("lnk", input.id))
        told = await notify(change, link, input.notice)
        return ArchiveTrackingLinkPayload(
            tracking_link=TrackingLink.of(link), ended=link, notices=told
        )

    @mutation(
        "Archive a link and make a new one in its place, under a new code. The old one stays "
        "archived and does not forward."
    )
    async def replace_tracking_link(
        self, change: Change, input: ReplaceTrackingLinkInput
    ) -> ReplaceTrackingLinkPayload:
        link = await tracking_links.replace(change, key("lnk", input.id), given(input))
        old = await change.get(models.TrackingLink, link.replaces_id, "tracking link", "id")
        told = await notify(change, old, input.notice)
        return ReplaceTrackingLinkPayload(
            tracking_link=TrackingLink.of(link), ended=old, notices=told
        )
