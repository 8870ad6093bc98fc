"""Programs in the graph."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.auth import Permission
from app.resolvers import campaigns, pages, programs
from app.resolvers.change import Change
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
    ordered,
)
from app.schema.context import Info
from app.schema.enums import publish
from app.schema.mutations import UserError, given, key, mutation, outcome, user_errors
from app.schema.nodes import Archivable, Measurable, node
from app.schema.permissions import Needs
from app.schema.report_shares import Shareable
from app.schema.scalars import TimeZone

if TYPE_CHECKING:
    from app.schema.campaigns import Campaign, CampaignFilterInput, CampaignOrderInput
    from app.schema.conversion_settings import ConversionSettings

CAMPAIGNS = strawberry.lazy("app.schema.campaigns")
CONVERSION_SETTINGS = strawberry.lazy("app.schema.conversion_settings")


@node
@strawberry.type(description="Everything of one brand: its campaigns, creators and keys.")
class Program(Archivable, Measurable, Shareable):
    prefix = "prg"
    model = models.Program
    scope = Scope.PROGRAM

    name: str = strawberry.field(description="The name.")
    time_zone: TimeZone = strawberry.field(
        description="Whose days reports count in when the caller names no other."
    )
    unique_window_minutes: int = strawberry.field(
        description="How long after a unique click the same visitor's next one on the same link "
        "is not unique, in minutes."
    )
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    def of(cls, row: models.Program) -> "Program":
        return cls(
            id=cls.id_of(row),
            row=row,
            name=row.name,
            time_zone=TimeZone(row.time_zone),
            unique_window_minutes=row.unique_window_minutes,
            created_at=row.created_at,
            archived_at=row.archived_at,
        )

    @strawberry.field(
        description="How this program tracks conversions. Null for who may read link sets only."
    )
    async def conversion_settings(
        self, info: Info
    ) -> Annotated["ConversionSettings", CONVERSION_SETTINGS] | None:
        from app.schema.conversion_settings import ConversionSettings

        return await ConversionSettings.of_program(info, self.row.id)

    @strawberry.field(description="The campaigns of this program.")
    async def campaigns(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated["CampaignFilterInput", CAMPAIGNS] | None = None,
        order_by: Annotated["CampaignOrderInput", CAMPAIGNS] | None = None,
    ) -> Connection[Annotated["Campaign", CAMPAIGNS]]:
        return await connect(
            info,
            "cmp",
            campaigns.listed,
            filter.as_filter() if filter else campaigns.Filter(statuses=campaigns.LISTED),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
            parent=("program_id", self.row.id),
        )


@strawberry.input(description="Which programs to list.")
class ProgramFilterInput:
    archived: ArchiveState = strawberry.field(
        default=ArchiveState.ACTIVE, description="Which of them to list by archive state."
    )
    query: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those whose name contains this text, ignoring case.",
    )

    def as_filter(self) -> programs.Filter:
        return programs.Filter(archived=self.archived.value, query=self.query or None)


class ProgramOrderField(Enum):
    CREATED_AT = pages.NEWEST_FIRST
    NAME = pages.Order("NAME", "name")


publish(
    ProgramOrderField,
    "What programs can be ordered by.",
    {"CREATED_AT": "When it was created.", "NAME": "Its name."},
)


@strawberry.input(description="How to order programs.")
class ProgramOrderInput:
    field: ProgramOrderField = strawberry.field(
        default=ProgramOrderField.CREATED_AT, description="What to order by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The direction."
    )

    def as_order(self) -> pages.Order:
        return ordered(self.field.value, self.direction)


@strawberry.input(description="What `createProgram` takes.")
class CreateProgramInput:
    name: str = strawberry.field(description="The name.")
    time_zone: TimeZone = strawberry.field(
        default=TimeZone("UTC"),
        description="Whose days reports count in when the caller names no other.",
    )
    unique_window_minutes: int = strawberry.field(
        default=30,
        description="How long after a unique click the same visitor's next one on the same link "
        "is not unique: 1 to 1440 minutes.",
    )


@strawberry.type(description="What `createProgram` answers.")
class CreateProgramPayload:
    program: Program | None = outcome("The new program, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `updateProgram` takes. What is left out stays.")
class UpdateProgramInput:
    id: strawberry.ID = strawberry.field(description="The program to change.")
    name: strawberry.Maybe[str] = strawberry.field(description="A new name.")
    time_zone: strawberry.Maybe[TimeZone] = strawberry.field(
        description="A new time zone. Reports are of its days from now on, also of the past; only "
        "days before `clicksKeptSince` stay those of the old one."
    )
    unique_window_minutes: strawberry.Maybe[int] = strawberry.field(
        description="A new window for unique clicks, 1 to 1440 minutes. It holds from now on."
    )


@strawberry.type(description="What `updateProgram` answers.")
class UpdateProgramPayload:
    program: Program | None = outcome("The program as it is now, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class ProgramQuery:
    @strawberry.field(description="A program by its ID.", extensions=[Needs(Permission.READ_LINKS)])
    async def program(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The program's ID.")],
    ) -> Program | None:
        return await Program.find(info, id)

    @strawberry.field(
        description="The programs that the caller may see, which is one for every key but the "
        "installation's own.",
        extensions=[Needs(Permission.READ_LINKS)],
    )
    async def programs(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: ProgramFilterInput | None = None,
        order_by: ProgramOrderInput | None = None,
    ) -> Connection[Program] | None:
        return await connect(
            info,
            "prg",
            programs.listed,
            filter.as_filter() if filter else programs.Filter(),
            (first, after, last, before),
            order=order_by.as_order() if order_by else pages.NEWEST_FIRST,
        )


@strawberry.type
class ProgramMutation:
    @mutation("Create a program. Needs the installation's own key.", needs=Permission.INSTALL)
    async def create_program(
        self, change: Change, input: CreateProgramInput
    ) -> CreateProgramPayload:
        program = await programs.create(
            change,
            name=input.name,
            time_zone=input.time_zone,
            unique_window_minutes=input.unique_window_minutes,
        )
        return CreateProgramPayload(program=Program.of(program))

    @mutation("Change a program.", needs=Permission.ADMINISTER)
    async def update_program(
        self, change: Change, input: UpdateProgramInput
    ) -> UpdateProgramPayload:
        program = await programs.update(change, key("prg", input.id), given(input))
        return UpdateProgramPayload(program=Program.of(program))
