"""Enrollments in the graph: a creator's place in a campaign, and what moves it."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.auth import Permission
from app.models import Stage
from app.resolvers import enrollments, messages, pages, tracking_links
from app.resolvers.stats import Scope
from app.schema.connections import (
    After,
    Before,
    Connection,
    First,
    Last,
    OrderDirection,
    connect,
    keys,
    ordered,
)
from app.schema.context import Info
from app.schema.creators import Creator
from app.schema.enums import publish
from app.schema.messages import Message, SendMessageResult
from app.schema.mutations import UserError
from app.schema.nodes import NODES, Measurable, Node, node
from app.schema.permissions import Needs
from app.schema.tracking_links import (
    TrackingLink,
    TrackingLinkFilterInput,
    TrackingLinkOrderInput,
)

if TYPE_CHECKING:
    from app.schema.campaigns import Campaign

CAMPAIGNS = strawberry.lazy("app.schema.campaigns")


@node
@strawberry.type(description="A creator's change of stage in a campaign.")
class StageChange(Node):
    prefix = "stc"
    model = models.StageChange

    at: datetime = strawberry.field(description="When it happened.")
    from_: Stage | None = strawberry.field(
        name="from", description="The stage before, or null when the creator joined."
    )
    to: Stage = strawberry.field(description="The stage after.")

    @classmethod
    def of(cls, row: models.StageChange) -> "StageChange":
        return cls(id=cls.id_of(row), row=row, at=row.at, from_=row.from_stage, to=row.to_stage)


@node
@strawberry.type(description="A creator's place in one campaign.")
class Enrollment(Measurable):
    prefix = "enr"
    model = models.Enrollment
    scope = Scope.ENROLLMENT

    stage: Stage = strawberry.field(description="How far the creator has come.")
    is_past_applied: bool = strawberry.field(
        description="Whether the creator has been promoted past Applied and not been dropped."
    )
    stage_changed_at: datetime = strawberry.field(
        description="When the creator came to this stage."
    )
    created_at: datetime = strawberry.field(description="When the creator joined.")

    @classmethod
    def of(cls, row: models.Enrollment) -> "Enrollment":
        return cls(
            id=cls.id_of(row),
            row=row,
            stage=row.stage,
            is_past_applied=row.stage.is_past_applied,
            stage_changed_at=row.stage_changed_at,
            created_at=row.created_at,
        )

    @strawberry.field(description="The campaign.")
    async def campaign(self, info: Info) -> Annotated["Campaign", CAMPAIGNS]:
        return await NODES["cmp"].load(info, self.row.campaign_id)

    @strawberry.field(description="The creator.")
    async def creator(self, info: Info) -> Creator:
        return await Creator.load(info, self.row.creator_id)

    @strawberry.field(description="All changes of stage, newest first.")
    async def stage_changes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[StageChange]:
        return await connect(
            info,
            "stc",
            enrollments.changes,
            None,
            (first, after, last, before),
            order=enrollments.LAST_CHANGE_FIRST,
            parent=("enrollment_id", self.row.id),
        )

    @strawberry.field(
        description="The creator's links in this campaign, campaign-level and creator-level."
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
    ) -> Connection[TrackingLink]:
        return await connect(
            info,
            "lnk",
            tracking_links.listed,
            filter.as_filter() if filter else tracking_links.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
            parent=("enrollment_id", self.row.id),
        )

    @strawberry.field(
        description="The messages to the creator in this campaign, newest first. Empty for keys "
        "that read link sets alone."
    )
    async def messages(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Message]:
        return await connect(
            info,
            "msg",
            messages.listed,
            messages.Filter(),
            (first, after, last, before),
            parent=("enrollment_id", self.row.id),
        )


@strawberry.input(description="Which enrollments to list. All given conditions must hold.")
class EnrollmentFilterInput:
    stages: list[Stage] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those in these stages."
    )
    is_past_applied: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only those past Applied, or only those not."
    )
    creator_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these creators, 100 at most."
    )
    campaign_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those in these campaigns, 100 at most."
    )

    def as_filter(self) -> enrollments.Filter:
        stages = self.stages
        return enrollments.Filter(
            stages=tuple(stages) if isinstance(stages, list) else None,
            is_past_applied=self.is_past_applied if self.is_past_applied in (True, False) else None,
            creator_ids=keys("crt", self.creator_ids, "creator_ids"),
            campaign_ids=keys("cmp", self.campaign_ids, "campaign_ids"),
        )


class EnrollmentOrderField(Enum):
    CREATED_AT = pages.NEWEST_FIRST
    STAGE_CHANGED_AT = pages.Order(
        "STAGE_CHANGED_AT", "stage_changed_at", parse=pages.parse_instant
    )
    STAGE = pages.Order("STAGE", "stage", parse=Stage)


publish(
    EnrollmentOrderField,
    "What enrollments can be ordered by.",
    {
        "CREATED_AT": "When the creator joined.",
        "STAGE_CHANGED_AT": "When the stage last changed.",
        "STAGE": "The place of the stage in the workflow.",
    },
)


@strawberry.input(description="How to order enrollments.")
class EnrollmentOrderInput:
    field: EnrollmentOrderField = strawberry.field(
        default=EnrollmentOrderField.CREATED_AT, description="What to order by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The direction."
    )

    def as_order(self) -> pages.Order:
        return ordered(self.field.value, self.direction)


@strawberry.type(description="What came of moving one creator.")
class EnrollmentResult:
    enrollment: Enrollment | None = strawberry.field(
        description="The enrollment as it is now, or null if there is none that the caller may see."
    )
    generated_tracking_links: list[TrackingLink] = strawberry.field(
        description="The links that this generated."
    )
    automatic_messages: list[SendMessageResult] = strawberry.field(
        description="What the campaign's templates sent by themselves because the creator came to "
        "the stage, or why they did not."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Why it was not done. Empty on success."
    )

    @classmethod
    def of(cls, result: enrollments.Result) -> "EnrollmentResult":
        enrollment = result.enrollment
        return cls(
            enrollment=None if enrollment is None else Enrollment.of(enrollment),
            generated_tracking_links=[TrackingLink.of(link) for link in result.links],
            automatic_messages=[SendMessageResult.of(each) for each in result.sendings],
            user_errors=[UserError.of(fault) for fault in result.faults],
        )


@strawberry.type
class EnrollmentQuery:
    @strawberry.field(
        description="An enrollment by its ID.", extensions=[Needs(Permission.READ_LINKS)]
    )
    async def enrollment(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The enrollment's ID.")],
    ) -> Enrollment | None:
        return await Enrollment.find(info, id)
