"""What sends messages, and what it would send."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from app.auth import Permission
from app.errors import Refused, UserErrorCode, refuse
from app.resolvers import messages
from app.resolvers.change import Change
from app.resolvers.mail_merge import SkipReason
from app.schema.context import Info
from app.schema.messages import (
    CAMPAIGN_LINKS,
    ENROLLMENTS,
    TRACKING_LINKS,
    SendMessageResult,
    shown,
)
from app.schema.mutations import UserError, key, mutation, user_errors
from app.schema.nodes import NODES
from app.schema.permissions import Needs

if TYPE_CHECKING:
    from app.schema.campaign_links import CampaignLink
    from app.schema.enrollments import Enrollment
    from app.schema.tracking_links import TrackingLink


@strawberry.type(
    description="A message as one creator would get it. Nothing was sent or generated."
)
class MessagePreview:
    enrollment: Annotated["Enrollment", ENROLLMENTS] = strawberry.field(
        description="Whom it is rendered for."
    )
    subject: str = strawberry.field(description="The rendered subject line.")
    body: str = strawberry.field(
        description="The rendered body. A link that sending would make shows as a placeholder."
    )
    reused_tracking_links: list[Annotated["TrackingLink", TRACKING_LINKS]] = strawberry.field(
        description="The creator's links that it would hold and that exist."
    )
    campaign_links_to_generate: list[Annotated["CampaignLink", CAMPAIGN_LINKS]] = strawberry.field(
        description="The campaign links of which sending would generate the creator's link."
    )
    skip_reason: SkipReason | None = strawberry.field(
        description="Why the creator would be left out, if they would."
    )
    missing: list[str] = strawberry.field(
        description="The merge tags that nothing can fill, as `first_name`."
    )


@strawberry.type(description="Messages as they would be sent.")
class PreviewMessagePayload:
    previews: list[MessagePreview] = strawberry.field(
        default_factory=list,
        description="One for each creator that the caller may see, in the order given. Empty if "
        "there are errors.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list,
        description="What the caller has to fix before the message can be sent.",
    )


@strawberry.input(description="A message written for this occasion.")
class OneOffMessageInput:
    campaign_id: strawberry.ID = strawberry.field(description="The campaign it belongs to.")
    subject: str = strawberry.field(
        description="The subject line. It may hold merge tags of the campaign."
    )
    body: str = strawberry.field(description="The body. It may hold merge tags of the campaign.")


@strawberry.input(description="A message's content. Give exactly one.", one_of=True)
class MessageContentInput:
    template_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="From a template."
    )
    one_off: OneOffMessageInput | None = strawberry.field(
        default=strawberry.UNSET, description="Written for this occasion."
    )

    def as_content(self) -> messages.Content:
        one_off = self.one_off
        if isinstance(one_off, OneOffMessageInput):
            return messages.Content(
                campaign_id=key("cmp", one_off.campaign_id),
                subject=one_off.subject,
                body=one_off.body,
            )
        if isinstance(self.template_id, str):
            return messages.Content(template_id=key("mtp", self.template_id) or 0)
        raise refuse(UserErrorCode.BLANK, "Give a template or a text.", "content")


@strawberry.input(description="What `previewMessage` takes.")
class PreviewMessageInput:
    content: MessageContentInput = strawberry.field(description="What to render.")
    enrollment_ids: list[strawberry.ID] = strawberry.field(description="For whom, 20 at most.")


@strawberry.input(description="What `sendMessage` takes.")
class SendMessageInput:
    content: MessageContentInput = strawberry.field(description="What to send.")
    enrollment_ids: list[strawberry.ID] = strawberry.field(
        description="To whom, 1,000 at most. All in the campaign of the content."
    )
    idempotency_key: str = strawberry.field(
        description="A key of the caller's own choice, unique in the program. The same call with "
        "the same key returns the first results and sends nothing."
    )
    include_past_recipients: bool = strawberry.field(
        default=False, description="Whether a template also goes to those who have had it."
    )


@strawberry.type(description="What `sendMessage` answers.")
class SendMessagePayload:
    results: list[SendMessageResult] = strawberry.field(
        default_factory=list,
        description="One for each creator, in the order given. Empty if there are errors.",
    )
    user_errors: list[UserError] = user_errors()


@strawberry.type
class MessageQuery:
    @strawberry.field(
        description="A message as creators would get it. Writes nothing.",
        extensions=[Needs(Permission.READ_PERSONAL)],
        metadata={"cost": 20},
    )
    async def preview_message(
        self,
        info: Info,
        input: Annotated[PreviewMessageInput, strawberry.argument(description="What, for whom.")],
    ) -> PreviewMessagePayload | None:
        context = info.context
        try:
            async with context.database.reading() as session:
                found = await messages.preview(
                    session,
                    context.viewer,
                    input.content.as_content(),
                    [key("enr", id_) for id_ in input.enrollment_ids],
                    context.addresses,
                )
        except Refused as refused:
            return PreviewMessagePayload(
                user_errors=[UserError.of(each) for each in refused.faults]
            )
        return PreviewMessagePayload(previews=[_preview(info, each) for each in found])


def _preview(info: Info, found: messages.Preview) -> MessagePreview:
    plan = found.plan
    return MessagePreview(
        enrollment=NODES["enr"].of(plan.enrollment),
        subject=shown(info, found.subject),
        body=shown(info, found.body),
        reused_tracking_links=[NODES["lnk"].of(link) for link in plan.reused],
        campaign_links_to_generate=[NODES["cml"].of(link) for link in found.to_make],
        skip_reason=plan.reason,
        missing=list(plan.missing),
    )


@strawberry.type
class MessageMutation:
    @mutation(
        "Send a message to creators. The links that its merge tags stand for and that a creator "
        "does not have yet are generated with it. A tag that the campaign has not, or has no more, "
        "stops the whole send before anything is sent or made.",
        cost=100,
    )
    async def send_message(self, change: Change, input: SendMessageInput) -> SendMessagePayload:
        sendings = await messages.send(
            change,
            input.content.as_content(),
            [key("enr", id_) for id_ in input.enrollment_ids],
            idempotency_key=input.idempotency_key,
            again=input.include_past_recipients,
        )
        return SendMessagePayload(results=[SendMessageResult.of(each) for each in sendings])
