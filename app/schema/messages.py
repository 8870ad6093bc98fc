"""Messages in the graph: merge tags, what was sent to creators, and sending."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from app import models
from app.auth import Permission
from app.messages import tags
from app.messages.addresses import without_tokens
from app.models import MessageStatus
from app.resolvers import messages
from app.resolvers.mail_merge import SkipReason
from app.resolvers.message_queue import Sending
from app.schema.context import Info
from app.schema.enums import publish
from app.schema.nodes import NODES, Node, node

if TYPE_CHECKING:
    from app.schema.campaign_links import CampaignLink
    from app.schema.enrollments import Enrollment
    from app.schema.message_templates import MessageTemplate
    from app.schema.tracking_links import TrackingLink

CAMPAIGN_LINKS = strawberry.lazy("app.schema.campaign_links")
ENROLLMENTS = strawberry.lazy("app.schema.enrollments")
TEMPLATES = strawberry.lazy("app.schema.message_templates")
TRACKING_LINKS = strawberry.lazy("app.schema.tracking_links")

publish(
    MessageStatus,
    "How far a message has come.",
    {
        "QUEUED": "In the outbox: it goes out at the next attempt. Without a mail server in the "
        "settings it stays here.",
        "SENT": "The mail server has taken it.",
        "FAILED": "Given up. `error` says why.",
    },
)
publish(
    SkipReason,
    "Why a message did not go to a creator. New values may be added.",
    {
        "NOT_FOUND": "There is no such enrollment in the campaign that the caller may see.",
        "ALREADY_SENT": "The creator has had this template before.",
        "NO_EMAIL": "The creator has no e-mail address.",
        "DROPPED": "The creator was dropped and lacks a link that the message names; none is made "
        "for them.",
        "LINK_ARCHIVED": "The creator's own link of a campaign link that the message names is "
        "archived.",
        "NO_LINKS": "`{{all_tracking_links}}` has nothing to list.",
        "MISSING_VALUE": "A merge tag stands for a value that the creator does not have, and gives "
        "no fallback. `missing` names it.",
        "BROKEN_TEMPLATE": "The template that the stage sends by itself names a link that is "
        "archived.",
    },
    name="MessageSkipReason",
)


class MergeTagKind(Enum):
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    CREATOR_NAME = "creator_name"
    CAMPAIGN_NAME = "campaign_name"
    CAMPAIGN_MANAGER_LINK = "campaign_manager_link"
    TRACKING_LINK = "tracking_link"
    ALL_TRACKING_LINKS = "all_tracking_links"


publish(
    MergeTagKind,
    "What a merge tag stands for.",
    {
        "FIRST_NAME": "The creator's first name.",
        "LAST_NAME": "The creator's last name.",
        "CREATOR_NAME": "The name that the creator goes by.",
        "CAMPAIGN_NAME": "The campaign's name.",
        "CAMPAIGN_MANAGER_LINK": "The address of the creator's own Campaign Manager page.",
        "TRACKING_LINK": "The creator's own link of one campaign link.",
        "ALL_TRACKING_LINKS": "All live links of the creator in the campaign, one a line.",
    },
)
LABELS = {
    MergeTagKind.FIRST_NAME: "First name",
    MergeTagKind.LAST_NAME: "Last name",
    MergeTagKind.CREATOR_NAME: "Creator name",
    MergeTagKind.CAMPAIGN_NAME: "Campaign name",
    MergeTagKind.CAMPAIGN_MANAGER_LINK: "Campaign Manager link",
    MergeTagKind.ALL_TRACKING_LINKS: "All tracking links",
}


@strawberry.type(
    description="A placeholder in a message that each creator's own value replaces when the "
    "message is sent."
)
class MergeTag:
    token: str = strawberry.field(
        description="The text to put into the message, like `{{tracking_link.summer_sale}}`."
    )
    label: str = strawberry.field(description="What to show in a picker.")
    kind: MergeTagKind = strawberry.field(description="What it stands for.")
    campaign_link: Annotated["CampaignLink", CAMPAIGN_LINKS] | None = strawberry.field(
        default=None,
        description="The campaign link whose links it stands for, on a `TRACKING_LINK` tag.",
    )


async def merge_tags(info: Info, campaign_id: int) -> list[MergeTag]:
    """What a message of the campaign can hold."""
    always = [
        MergeTag(token=f"{{{{{name}}}}}", label=LABELS[MergeTagKind(name)], kind=MergeTagKind(name))
        for name in tags.NAMES
    ]
    links = await info.context.loaders.campaign_links.load(campaign_id) or []
    return always + [
        MergeTag(
            token=tags.token(link.tag_key),
            label=link.name,
            kind=MergeTagKind.TRACKING_LINK,
            campaign_link=NODES["cml"].of(link),
        )
        for link in links
        if link.archived_at is None
    ]


@node
@strawberry.type(
    description="A message to one creator as it was sent, every merge tag filled in. It never "
    "changes."
)
class Message(Node):
    prefix = "msg"
    model = models.Message

    status: MessageStatus = strawberry.field(description="How far it has come.")
    is_automatic: bool = strawberry.field(
        description="Whether it was sent by itself, because the creator came to a stage."
    )
    created_at: datetime = strawberry.field(description="When it was queued.")
    sent_at: datetime | None = strawberry.field(
        description="When the mail server took it, or null if it has not."
    )
    attempts: int = strawberry.field(description="How often it was tried to send it.")
    next_attempt_at: datetime | None = strawberry.field(
        description="When it is tried next, or null if it is not."
    )

    @classmethod
    def of(cls, row: models.Message) -> "Message":
        is_waiting = row.status is MessageStatus.QUEUED
        return cls(
            id=cls.id_of(row),
            row=row,
            status=row.status,
            is_automatic=row.is_automatic,
            created_at=row.created_at,
            sent_at=row.sent_at,
            attempts=row.attempts,
            next_attempt_at=row.next_attempt_at if is_waiting else None,
        )

    @classmethod
    async def load(cls, info: Info, key: int | None) -> Any:
        # A partner's key reads link sets, not what was said to creators.
        return await super().load(info, key) if may_read(info) else None

    # The text names the creator and holds the address of their page: it is personal.

    @strawberry.field(
        description="The subject line as sent. Null for keys that may not read what is personal."
    )
    def subject(self, info: Info) -> str | None:
        return shown(info, self.row.subject) if _may_read_text(info) else None

    @strawberry.field(
        description="The body as sent. Null for keys that may not read what is personal; without "
        "the address of the creator's page for keys that are limited to some campaigns."
    )
    def body(self, info: Info) -> str | None:
        return shown(info, self.row.body) if _may_read_text(info) else None

    @strawberry.field(
        description="The address it goes to. Null for keys that may not read what is personal."
    )
    def to_address(self, info: Info) -> str | None:
        return self.row.to_address if _may_read_text(info) else None

    @strawberry.field(
        description="What the mail server said to the last attempt that failed, or null. Null for "
        "keys that may not read what is personal."
    )
    def error(self, info: Info) -> str | None:
        return (self.row.error or None) if _may_read_text(info) else None

    @strawberry.field(description="Whom it is for, and in which campaign.")
    async def enrollment(self, info: Info) -> Annotated["Enrollment", ENROLLMENTS]:
        return await NODES["enr"].load(info, self.row.enrollment_id)

    @strawberry.field(description="The template it was made from, or null for a one-off message.")
    async def template(self, info: Info) -> Annotated["MessageTemplate", TEMPLATES] | None:
        return await NODES["mtp"].load(info, self.row.template_id)

    @strawberry.field(description="The tracking links that it holds, 100 at most.")
    async def tracking_links(self, info: Info) -> list[Annotated["TrackingLink", TRACKING_LINKS]]:
        rows = await info.context.loaders.message_links.load(self.row.id) or []
        return [NODES["lnk"].of(row) for row in rows]


@strawberry.input(description="Which messages to list.")
class MessageFilterInput:
    statuses: list[MessageStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those with one of these statuses."
    )

    def as_filter(self) -> messages.Filter:
        statuses = self.statuses
        return messages.Filter(tuple(statuses) if isinstance(statuses, list) else None)


def may_read(info: Info) -> bool:
    return info.context.viewer.may(Permission.READ)


def _may_read_text(info: Info) -> bool:
    return info.context.viewer.may(Permission.READ_PERSONAL)


def shown(info: Info, text: str) -> str:
    """A message's text. The creator's page shows all their campaigns, and whoever has its
    address opens it: a key that is limited to some does not read it here either."""
    return text if info.context.viewer.campaign_ids is None else without_tokens(text)


async def messages_with(info: Info, tracking_link_id: int) -> list[Message]:
    """The messages that hold this link, newest first."""
    if not may_read(info):
        return []
    rows = await info.context.loaders.link_messages.load(tracking_link_id) or []
    return [Message.of(row) for row in rows]


@strawberry.type(description="What came of sending to one creator.")
class SendMessageResult:
    enrollment: Annotated["Enrollment", ENROLLMENTS] | None = strawberry.field(
        description="The enrollment, or null if there is none that the caller may see."
    )
    message: Message | None = strawberry.field(
        description="The message, queued, or null if the creator was left out."
    )
    skip_reason: SkipReason | None = strawberry.field(
        description="Why the creator was left out, if they were."
    )
    missing: list[str] = strawberry.field(
        description="The merge tags that nothing could fill, as `first_name`."
    )
    generated_tracking_links: list[Annotated["TrackingLink", TRACKING_LINKS]] = strawberry.field(
        description="The links that sending generated."
    )

    @classmethod
    def of(cls, sending: Sending) -> "SendMessageResult":
        enrollment, message = sending.enrollment, sending.message
        return cls(
            enrollment=None if enrollment is None else NODES["enr"].of(enrollment),
            message=None if message is None else Message.of(message),
            skip_reason=sending.reason,
            missing=list(sending.missing),
            generated_tracking_links=[NODES["lnk"].of(link) for link in sending.made],
        )


@strawberry.input(
    description="A notice to the creators to whom a message brought the link. It goes out as part "
    "of the same change, or the change is not made."
)
class NoticeInput:
    subject: str = strawberry.field(
        description="The subject line. It may hold merge tags of the campaign."
    )
    body: str = strawberry.field(
        description="The body. It may hold merge tags of the campaign, as they are after the "
        "change: a replacement's, but not an archived link's."
    )
