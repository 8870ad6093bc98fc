"""In the graph: who has a link, to know before and after it is archived."""

from typing import Annotated, Any

import strawberry

from app.auth import Permission
from app.models import CampaignLink, TrackingLink
from app.resolvers import link_holders, messages
from app.resolvers.change import Change
from app.schema.connections import After, Before, Connection, First, Last, connect
from app.schema.context import Info
from app.schema.messages import Message, NoticeInput, SendMessageResult
from app.schema.nodes import find
from app.schema.permissions import Needs


@strawberry.type(
    description="Who has a link, or the links of a campaign link, from messages that were sent or "
    "are queued."
)
class LinkHolders:
    row: strawberry.Private[Any]
    creator_count: int = strawberry.field(description="How many creators were sent it.")
    message_count: int = strawberry.field(description="How many messages hold it.")
    active_tracking_link_count: int = strawberry.field(
        description="How many live links there are: what archiving stops."
    )
    clicks_last_7_days: int = strawberry.field(
        description="The clicks of the last 7 days, today included, in the program's time zone."
    )

    @strawberry.field(description="The messages that hold it, newest first.")
    async def messages(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Message]:
        is_one = isinstance(self.row, TrackingLink)
        only = messages.Filter(
            tracking_link_id=self.row.id if is_one else None,
            campaign_link_id=None if is_one else self.row.id,
        )
        return await connect(info, "msg", messages.listed, only, (first, after, last, before))


async def _holders(info: Info, row: Any) -> LinkHolders:
    context = info.context
    async with context.database.reading() as session:
        found = await link_holders.of(session, context.viewer, row, now=context.now)
    return LinkHolders(
        row=row,
        creator_count=found.creators,
        message_count=found.messages,
        active_tracking_link_count=found.live_links,
        clicks_last_7_days=found.recent_clicks,
    )


@strawberry.type
class LinkEndPayload:
    """What the payloads have in common that end a link."""

    ended: strawberry.Private[Any] = None
    notices: list[SendMessageResult] = strawberry.field(
        default_factory=list,
        description="What came of the notice, one for each creator who was sent the link. Empty "
        "without one, and when the link had been archived before.",
    )

    @strawberry.field(
        description="Who has the link that stopped working, or null if there are errors.",
        metadata={"cost": 5},
    )
    async def holders(self, info: Info) -> LinkHolders | None:
        return None if self.ended is None else await _holders(info, self.ended)


def notice() -> Any:
    return strawberry.field(
        default=None,
        description="What to tell the creators who were sent the link. Nothing when left out.",
    )


async def notify(
    change: Change, link: TrackingLink | CampaignLink, notice: NoticeInput | None
) -> list[SendMessageResult]:
    """Send the notice, if the link has ended with this very change."""
    if notice is None or link.archived_at != change.now:
        return []
    recipients = await link_holders.enrollment_ids(change.session, change.viewer, link)
    text = {"subject": notice.subject, "body": notice.body}
    sendings = await messages.notify(change, link.campaign_id, text, recipients)
    return [SendMessageResult.of(each) for each in sendings]


@strawberry.type
class LinkHolderQuery:
    @strawberry.field(
        description="What archiving a link would mean: who has it, and how it is clicked. Null if "
        "there is no such link that the caller may see.",
        extensions=[Needs(Permission.READ)],
    )
    async def archive_preview(
        self,
        info: Info,
        id: Annotated[
            strawberry.ID,
            strawberry.argument(description="The ID of a tracking link or of a campaign link."),
        ],
    ) -> LinkHolders | None:
        found = await find(info, id)
        row = None if found is None else found.row
        return await _holders(info, row) if isinstance(row, TrackingLink | CampaignLink) else None
