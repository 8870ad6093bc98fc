"""Message templates in the graph."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.auth import Permission
from app.messages.tags import parse
from app.models import Stage
from app.resolvers import message_templates
from app.resolvers.change import Change
from app.schema.connections import ArchiveState
from app.schema.context import Info
from app.schema.messages import MergeTag, may_read, merge_tags
from app.schema.mutations import UserError, given, key, mutation, outcome, user_errors
from app.schema.nodes import NODES, Archivable, node
from app.schema.permissions import Needs

if TYPE_CHECKING:
    from app.schema.campaigns import Campaign

CAMPAIGNS = strawberry.lazy("app.schema.campaigns")
BROKEN = (
    "Why it can't be sent as it is: it names a link that was archived since. Empty when it can."
)
SENDS_ON = (
    "The stage on coming to which each creator gets it by itself, once, or null. Nothing is sent "
    "by itself while the campaign is paused or archived."
)


@node
@strawberry.type(description="A message to reuse.")
class MessageTemplate(Archivable):
    prefix = "mtp"
    model = models.MessageTemplate

    name: str = strawberry.field(description="The name shown to staff.")
    subject: str = strawberry.field(description="The subject line, merge tags included.")
    body: str = strawberry.field(description="The body, merge tags included.")
    sends_on_stage: Stage | None = strawberry.field(description=SENDS_ON)
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    def of(cls, row: models.MessageTemplate) -> "MessageTemplate":
        return cls(
            id=cls.id_of(row),
            row=row,
            name=row.name,
            subject=row.subject,
            body=row.body,
            sends_on_stage=row.sends_on_stage,
            created_at=row.created_at,
            archived_at=row.archived_at,
        )

    @classmethod
    async def load(cls, info: Info, key: int | None) -> "MessageTemplate | None":
        # A partner's key reads link sets, not what is said to creators.
        return await super().load(info, key) if may_read(info) else None

    @strawberry.field(description="The campaign it belongs to.")
    async def campaign(self, info: Info) -> Annotated["Campaign", CAMPAIGNS]:
        return await NODES["cmp"].load(info, self.row.campaign_id)

    @strawberry.field(description="The live merge tags of the campaign that it uses.")
    async def merge_tags(self, info: Info) -> list[MergeTag]:
        used = {tag.reference for text in (self.subject, self.body) for tag in parse(text).tags}
        known = await merge_tags(info, self.row.campaign_id)
        return [tag for tag in known if tag.token.strip("{}") in used]

    @strawberry.field(description="Whether it can't be sent as it is.")
    async def is_broken(self, info: Info) -> bool:
        return bool(await self._problems(info))

    @strawberry.field(description=BROKEN)
    async def problems(self, info: Info) -> list[str]:
        return await self._problems(info)

    async def _problems(self, info: Info) -> list[str]:
        links = await info.context.loaders.campaign_links.load(self.row.campaign_id) or []
        return message_templates.problems(self.row, links)


@strawberry.input(description="Which message templates to list.")
class MessageTemplateFilterInput:
    archived: ArchiveState = strawberry.field(
        default=ArchiveState.ACTIVE, description="Which of them to list by archive state."
    )

    def as_filter(self) -> message_templates.Filter:
        return message_templates.Filter(archived=self.archived.value)


@strawberry.input(description="What `createMessageTemplate` takes.")
class CreateMessageTemplateInput:
    campaign_id: strawberry.ID = strawberry.field(description="The campaign it belongs to.")
    name: str = strawberry.field(description="The name shown to staff.")
    subject: str = strawberry.field(description="The subject line. It may hold merge tags.")
    body: str = strawberry.field(description="The body. It may hold merge tags.")
    sends_on_stage: Stage | None = strawberry.field(default=None, description=SENDS_ON)


@strawberry.type(description="What `createMessageTemplate` answers.")
class CreateMessageTemplatePayload:
    message_template: MessageTemplate | None = outcome(
        "The new template, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `updateMessageTemplate` takes. What is left out stays.")
class UpdateMessageTemplateInput:
    id: strawberry.ID = strawberry.field(description="The template to change.")
    name: strawberry.Maybe[str] = strawberry.field(description="A new name.")
    subject: strawberry.Maybe[str] = strawberry.field(description="A new subject line.")
    body: strawberry.Maybe[str] = strawberry.field(description="A new body.")
    sends_on_stage: strawberry.Maybe[Stage | None] = strawberry.field(
        description="Another stage, or null to stop sending it by itself."
    )


@strawberry.type(description="What `updateMessageTemplate` answers.")
class UpdateMessageTemplatePayload:
    message_template: MessageTemplate | None = outcome(
        "The template as it is now, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `archiveMessageTemplate` takes.")
class ArchiveMessageTemplateInput:
    id: strawberry.ID = strawberry.field(description="The template to archive.")


@strawberry.type(description="What `archiveMessageTemplate` answers.")
class ArchiveMessageTemplatePayload:
    message_template: MessageTemplate | None = outcome(
        "The archived template, or null if there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.type
class MessageTemplateQuery:
    @strawberry.field(
        description="A message template by its ID.", extensions=[Needs(Permission.READ)]
    )
    async def message_template(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The template's ID.")],
    ) -> MessageTemplate | None:
        return await MessageTemplate.find(info, id)


@strawberry.type
class MessageTemplateMutation:
    @mutation("Create a message template.")
    async def create_message_template(
        self, change: Change, input: CreateMessageTemplateInput
    ) -> CreateMessageTemplatePayload:
        template = await message_templates.create(
            change,
            key("cmp", input.campaign_id),
            {
                "name": input.name,
                "subject": input.subject,
                "body": input.body,
                "sends_on_stage": input.sends_on_stage,
            },
        )
        return CreateMessageTemplatePayload(message_template=MessageTemplate.of(template))

    @mutation("Change a message template. What was sent stays as it was.")
    async def update_message_template(
        self, change: Change, input: UpdateMessageTemplateInput
    ) -> UpdateMessageTemplatePayload:
        template = await message_templates.update(change, key("mtp", input.id), given(input))
        return UpdateMessageTemplatePayload(message_template=MessageTemplate.of(template))

    @mutation("Archive a message template, for good. Again, it changes nothing.")
    async def archive_message_template(
        self, change: Change, input: ArchiveMessageTemplateInput
    ) -> ArchiveMessageTemplatePayload:
        template = await message_templates.archive(change, key("mtp", input.id))
        return ArchiveMessageTemplatePayload(message_template=MessageTemplate.of(template))
