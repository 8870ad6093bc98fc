"""Where tracking links are looked up, listed, and followed as they change."""

from typing import Annotated

import strawberry

from app.auth import Permission
from app.resolvers import pages, tracking_links
from app.schema.connections import (
    After,
    Before,
    Connection,
    First,
    Last,
    connect,
    keys,
)
from app.schema.context import Info
from app.schema.permissions import Needs
from app.schema.tracking_links import TrackingLink, TrackingLinkFilterInput, TrackingLinkOrderInput


@strawberry.input(description="Which links' changes to list. All given conditions must hold.")
class TrackingLinkChangeFilterInput:
    creator_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these creators, 100 at most."
    )
    campaign_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those in these campaigns, 100 at most."
    )


@strawberry.input(description="Which tracking link. Give exactly one.", one_of=True)
class TrackingLinkByInput:
    id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The ID.")
    code: str | None = strawberry.field(
        default=strawberry.UNSET, description="The code in the short URL, in upper or lower case."
    )


@strawberry.type
class TrackingLinkQuery:
    @strawberry.field(
        description="A tracking link by one of its keys.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def tracking_link(
        self,
        info: Info,
        by: Annotated[TrackingLinkByInput, strawberry.argument(description="Which link.")],
    ) -> TrackingLink | None:
        if by.id:
            return await TrackingLink.find(info, by.id)
        async with info.context.database.reading() as session:
            row = await tracking_links.by_code(session, info.context.viewer, by.code or "")
        return None if row is None else TrackingLink.of(row)

    @strawberry.field(
        description="All tracking links that the caller may see.",
        extensions=[Needs(Permission.READ_LINKS)],
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
    ) -> Connection[TrackingLink] | None:
        return await connect(
            info,
            "lnk",
            tracking_links.listed,
            filter.as_filter() if filter else tracking_links.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
        )

    @strawberry.field(
        description="All tracking links, archived ones too, in the order in which they last "
        "changed: read to the end, keep the last `endCursor`, and next time ask for what comes "
        "after it. A link that changes again comes again. A change shows 10 seconds after it was "
        "made, so that none is ever missed.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def tracking_link_changes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: TrackingLinkChangeFilterInput | None = None,
    ) -> Connection[TrackingLink] | None:
        wanted = filter or TrackingLinkChangeFilterInput()
        changed = tracking_links.Filter(
            archived=None,
            creator_ids=keys("crt", wanted.creator_ids, "creator_ids"),
            campaign_ids=keys("cmp", wanted.campaign_ids, "campaign_ids"),
            changed_before=info.context.now - tracking_links.SETTLED,
        )
        return await connect(
            info,
            "lnk",
            tracking_links.listed,
            changed,
            (first, after, last, before),
            order=tracking_links.OLDEST_CHANGE_FIRST,
        )
