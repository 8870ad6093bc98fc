"""What may be asked: the graph, one file for each noun, and one for what changes it where
that is much. This is its table of contents."""

import asyncio
from typing import Annotated

import strawberry
from strawberry.schema.config import StrawberryConfig

from app.auth import Permission
from app.errors import UserErrorCode, refuse
from app.schema.audit import AuditQuery
from app.schema.blocked_hosts import BlockedHostMutation, BlockedHostQuery
from app.schema.campaign_links import CampaignLinkMutation, CampaignLinkQuery
from app.schema.campaign_mutations import CampaignMutation
from app.schema.campaigns import CampaignQuery
from app.schema.context import Context, Info
from app.schema.conversion_mutations import ConversionMutation
from app.schema.conversion_settings import ConversionSettingsMutation
from app.schema.conversions import ConversionQuery
from app.schema.creator_mutations import CreatorMutation
from app.schema.creators import CreatorQuery
from app.schema.enrollment_mutations import EnrollmentMutation
from app.schema.enrollments import EnrollmentQuery
from app.schema.keys import KeyMutation, KeyQuery
from app.schema.link_holders import LinkHolderQuery
from app.schema.live import Subscription
from app.schema.message_sending import MessageMutation, MessageQuery
from app.schema.message_templates import MessageTemplateMutation, MessageTemplateQuery
from app.schema.nodes import NODES, Node, find
from app.schema.permissions import Needs
from app.schema.programs import ProgramMutation, ProgramQuery
from app.schema.report_shares import ReportShareMutation
from app.schema.scalars import SCALARS
from app.schema.tracking_link_mutations import TrackingLinkMutation
from app.schema.tracking_link_queries import TrackingLinkQuery

__all__ = ["Context", "published", "schema"]

NODES_MAX = 100


@strawberry.type(description="Everything that can be read.")
class Query(
    ProgramQuery,
    CampaignQuery,
    CampaignLinkQuery,
    CreatorQuery,
    EnrollmentQuery,
    TrackingLinkQuery,
    MessageTemplateQuery,
    MessageQuery,
    LinkHolderQuery,
    ConversionQuery,
    KeyQuery,
    BlockedHostQuery,
    AuditQuery,
):
    @strawberry.field(
        description="Any object by its ID, or null if there is none that the caller may see.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The object's ID.")],
    ) -> Node | None:
        return await find(info, id)

    @strawberry.field(
        description="Objects by their IDs in the order given, null where there is none that the "
        "caller may see.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="The objects' IDs, 100 at most."),
        ],
    ) -> list[Node | None] | None:
        if len(ids) > NODES_MAX:
            raise refuse(UserErrorCode.TOO_MANY, f"{NODES_MAX} IDs at most.", "ids")
        return list(await asyncio.gather(*(find(info, id_) for id_ in ids)))


@strawberry.type(
    description="Everything that can be changed. A payload is null only when the server failed or "
    "the caller may not call the field; what the caller can fix is in its `userErrors`."
)
class Mutation(
    ProgramMutation,
    CampaignMutation,
    CampaignLinkMutation,
    CreatorMutation,
    EnrollmentMutation,
    TrackingLinkMutation,
    MessageTemplateMutation,
    MessageMutation,
    ConversionSettingsMutation,
    ConversionMutation,
    ReportShareMutation,
    KeyMutation,
    BlockedHostMutation,
):
    pass


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=list(NODES.values()),
    config=StrawberryConfig(scalar_map=SCALARS),
)


def published() -> str:
    """The schema as it stands in schema.graphql. Clients know `@oneOf` without a definition."""
    text = schema.as_str().replace("directive @oneOf on INPUT_OBJECT\n\n", "", 1)
    return text.rstrip("\n") + "\n"
