"""Creators in the graph."""

import json
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.auth import Permission
from app.resolvers import creators, enrollments, pages, tracking_links
from app.resolvers.stats import Scope
from app.schema.connections import (
    After,
    ArchiveState,
    Before,
    Connection,
    First,
    Last,
    OrderDirection,
    connect,
    keys,
    ordered,
    texts,
)
from app.schema.context import Info
from app.schema.enums import publish
from app.schema.mutations import key
from app.schema.nodes import Archivable, Measurable, node
from app.schema.permissions import Needs
from app.schema.scalars import URL

if TYPE_CHECKING:
    from app.schema.enrollments import Enrollment, EnrollmentFilterInput, EnrollmentOrderInput
    from app.schema.tracking_links import (
        TrackingLink,
        TrackingLinkFilterInput,
        TrackingLinkOrderInput,
    )

ENROLLMENTS = strawberry.lazy("app.schema.enrollments")
TRACKING_LINKS = strawberry.lazy("app.schema.tracking_links")


@node
@strawberry.type(description="A person who shares links.")
class Creator(Archivable, Measurable):
    prefix = "crt"
    model = models.Creator
    scope = Scope.CREATOR

    handle: str = strawberry.field(
        description="The public handle, unique in the program, without a leading `@`."
    )
    display_name: str = strawberry.field(description="The name shown to people.")
    first_name: str | None = strawberry.field(
        description="The first name, for messages. Null when unknown."
    )
    last_name: str | None = strawberry.field(
        description="The last name, for messages. Null when unknown."
    )
    external_id: str | None = strawberry.field(
        description="The caller's own key for this creator, unique in the program when set."
    )
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    def of(cls, row: models.Creator) -> "Creator":
        return cls(
            id=cls.id_of(row),
            row=row,
            handle=row.handle,
            display_name=row.display_name,
            first_name=row.first_name,
            last_name=row.last_name,
            external_id=row.external_id,
            created_at=row.created_at,
            archived_at=row.archived_at,
        )

    @strawberry.field(
        description="The address that messages go to. Null when unknown, and for keys that may "
        "not read what is personal."
    )
    def email(self, info: Info) -> str | None:
        return self.row.email if info.context.viewer.may(Permission.READ_PERSONAL) else None

    @strawberry.field(
        description="The address of the creator's own Campaign Manager page: it opens for whoever "
        "has it. Null for keys that may not manage campaigns or are limited to some, because the "
        "page shows all of them; and once the creator is erased."
    )
    def manager_url(self, info: Info) -> URL | None:
        row: models.Creator = self.row
        viewer = info.context.viewer
        may_open = viewer.may(Permission.MANAGE) and viewer.campaign_ids is None
        if not may_open or row.erased_at is not None:
            return None
        return URL(info.context.addresses.manager(row.id, row.manager_version))

    @strawberry.field(description="The campaigns the creator takes part in.")
    async def enrollments(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated["EnrollmentFilterInput", ENROLLMENTS] | None = None,
        order_by: Annotated["EnrollmentOrderInput", ENROLLMENTS] | None = None,
    ) -> Connection[Annotated["Enrollment", ENROLLMENTS]]:
        return await connect(
            info,
            "enr",
            enrollments.listed,
            filter.as_filter() if filter else enrollments.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
            parent=("creator_id", self.row.id),
        )

    @strawberry.field(
        description="All of the creator's tracking links in all campaigns, campaign-level and "
        "creator-level."
    )
    async def tracking_links(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated["TrackingLinkFilterInput", TRACKING_LINKS] | None = None,
        order_by: Annotated["TrackingLinkOrderInput", TRACKING_LINKS] | None = None,
    ) -> Connection[Annotated["TrackingLink", TRACKING_LINKS]]:
        return await connect(
            info,
            "lnk",
            tracking_links.listed,
            filter.as_filter() if filter else tracking_links.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
            parent=("creator_id", self.row.id),
        )


@strawberry.input(description="Which creators to list.")
class CreatorFilterInput:
    archived: ArchiveState = strawberry.field(
        default=ArchiveState.ACTIVE, description="Which of them to list by archive state."
    )
    campaign_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those who take part in these campaigns, 100 at most.",
    )
    external_ids: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those with these external IDs, 100 at most."
    )
    query: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those whose handle or name contains this text, ignoring case.",
    )

    def as_filter(self) -> creators.Filter:
        return creators.Filter(
            archived=self.archived.value,
            campaign_ids=keys("cmp", self.campaign_ids, "campaign_ids"),
            external_ids=texts(self.external_ids, "external_ids"),
            query=self.query or None,
        )


class CreatorOrderField(Enum):
    CREATED_AT = pages.NEWEST_FIRST
    HANDLE = pages.Order("HANDLE", "handle")


publish(
    CreatorOrderField,
    "What creators can be ordered by.",
    {"CREATED_AT": "When it was created.", "HANDLE": "The handle."},
)


@strawberry.input(description="How to order creators.")
class CreatorOrderInput:
    field: CreatorOrderField = strawberry.field(
        default=CreatorOrderField.CREATED_AT, description="What to order by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The direction."
    )

    def as_order(self) -> pages.Order:
        return ordered(self.field.value, self.direction)


@strawberry.input(description="Which creator. Give exactly one.", one_of=True)
class CreatorByInput:
    id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The ID.")
    handle: str | None = strawberry.field(
        default=strawberry.UNSET, description="The handle, with or without a leading `@`."
    )
    external_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="The caller's own key."
    )


@strawberry.type
class CreatorQuery:
    @strawberry.field(
        description="Everything that is kept about a creator, as a JSON text to hand over to "
        "them: the person, their enrollments with all changes of stage, and their links. Null if "
        "there is none.",
        extensions=[Needs(Permission.ADMINISTER)],
        metadata={"cost": 100},
    )
    async def creator_export(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The creator's ID.")],
    ) -> str | None:
        async with info.context.database.reading() as session:
            data = await creators.export(session, info.context.viewer, key("crt", id) or 0)
        return None if data is None else json.dumps(data, ensure_ascii=False)

    @strawberry.field(
        description="A creator by one of their keys. Null too where the caller sees several "
        "programs and more than one has this handle or key.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def creator(
        self,
        info: Info,
        by: Annotated[CreatorByInput, strawberry.argument(description="Which creator.")],
    ) -> Creator | None:
        if by.id:
            return await Creator.find(info, by.id)
        if by.handle:
            wanted = {"handle": by.handle.removeprefix("@").lower()}
        else:
            wanted = {"external_id": by.external_id or ""}
        async with info.context.database.reading() as session:
            found = await creators.find(session, info.context.viewer, **wanted)
        return Creator.of(found[0]) if len(found) == 1 else None

    @strawberry.field(
        description="All creators that the caller may see.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def creators(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: CreatorFilterInput | None = None,
        order_by: CreatorOrderInput | None = None,
    ) -> Connection[Creator] | None:
        return await connect(
            info,
            "crt",
            creators.listed,
            filter.as_filter() if filter else creators.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
        )
