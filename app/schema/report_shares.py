"""Shared reports in the graph."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.auth import Permission
from app.models import ReportSection
from app.resolvers import report_shares
from app.resolvers.change import Change
from app.schema.connections import After, Before, Connection, First, Last, connect
from app.schema.context import Info
from app.schema.enums import publish
from app.schema.mutations import UserError, key, mutation, outcome, user_errors
from app.schema.nodes import Node, node

if TYPE_CHECKING:
    from app.schema.campaigns import Campaign
    from app.schema.programs import Program

CAMPAIGNS = strawberry.lazy("app.schema.campaigns")
PROGRAMS = strawberry.lazy("app.schema.programs")

publish(
    ReportSection,
    "A part of a report that can be shared or kept back.",
    {
        "TOTALS": "The totals, and the excluded hits by reason.",
        "TIME_SERIES": "Clicks over time.",
        "CAMPAIGNS": "Clicks by campaign, in the report of a program.",
        "CREATORS": "Clicks by creator, with names and handles. Never with e-mail addresses.",
        "LINKS": "Clicks by campaign link, and the tracking links.",
        "LABELS": "Clicks by label.",
        "AUDIENCE": "Clicks by what visitors bring: referrer, country, device.",
        "CONVERSIONS": "Conversions and what they are worth, wherever the other sections have "
        "figures. Nothing where the program tracks none.",
    },
)


@node
@strawberry.type(
    description="A report that whoever has its address can read, until it is revoked. Only keys that "
    "may share see shares."
)
class ReportShare(Node):
    prefix = "shr"
    model = models.ReportShare

    name: str = strawberry.field(description="The name shown to staff: for whom it is.")
    sections: list[ReportSection] = strawberry.field(description="The parts that it shows.")
    created_at: datetime = strawberry.field(description="When it was created.")
    expires_at: datetime | None = strawberry.field(
        description="When it closes by itself, or null if never."
    )
    revoked_at: datetime | None = strawberry.field(
        description="When it was revoked, for good, or null while it is open."
    )

    @classmethod
    def of(cls, row: models.ReportShare) -> "ReportShare":
        return cls(
            id=cls.id_of(row),
            row=row,
            name=row.name,
            sections=[ReportSection(section) for section in row.sections],
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )

    @classmethod
    async def load(cls, info: Info, key: int | None) -> "ReportShare | None":
        """As for every node, but only for who may share: the address is all that opens it."""
        if not info.context.viewer.may(Permission.MANAGE):
            return None
        return await super().load(info, key)

    @strawberry.field(
        description="The page's address, which is all that it takes to read the report."
    )
    def url(self, info: Info) -> str:
        return info.context.addresses.report(self.row.id)

    @strawberry.field(description="The program that the report is of or in.")
    async def program(self, info: Info) -> Annotated["Program", PROGRAMS]:
        from app.schema.programs import Program

        return await Program.load(info, self.row.program_id)

    @strawberry.field(
        description="The campaign that the report is of, or null when it is of all of the program."
    )
    async def campaign(self, info: Info) -> Annotated["Campaign", CAMPAIGNS] | None:
        from app.schema.campaigns import Campaign

        return await Campaign.load(info, self.row.campaign_id)


async def shares_of(
    info: Info, column: str, key: int, page: tuple[int | None, str | None, int | None, str | None]
) -> Connection[ReportShare]:
    """The shares of the program or campaign that the column names."""
    found: Connection[ReportShare] = await connect(
        info, "shr", report_shares.listed, None, page, parent=(column, key)
    )
    return found


@strawberry.interface(description="Something whose report can be shared.")
class Shareable(Node):
    @strawberry.field(
        description="The shares of its report, revoked ones too, newest first; those of its "
        "campaigns' reports are among a program's. Empty for keys that may not share."
    )
    async def report_shares(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ReportShare]:
        column = "program_id" if isinstance(self.row, models.Program) else "campaign_id"
        return await shares_of(info, column, self.row.id, (first, after, last, before))


@strawberry.input(description="What `createReportShare` takes.")
class CreateReportShareInput:
    program_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The program whose report to share. Give this or `campaignId`.",
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The campaign whose report to share. Give this or `programId`.",
    )
    name: str = strawberry.field(description="A name to know it by: for whom it is.")
    sections: list[ReportSection] = strawberry.field(
        default_factory=lambda: list(ReportSection),
        description="The parts to show. All of them when left out, conversions included.",
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it closes by itself."
    )


@strawberry.type(description="What `createReportShare` answers.")
class CreateReportSharePayload:
    report_share: ReportShare | None = outcome("The share, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `revokeReportShare` takes.")
class RevokeReportShareInput:
    id: strawberry.ID = strawberry.field(description="The share to revoke.")


@strawberry.type(description="What `revokeReportShare` answers.")
class RevokeReportSharePayload:
    report_share: ReportShare | None = outcome("The revoked share, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.type
class ReportShareMutation:
    @mutation(
        "Share the report of a campaign or of a program: a page, and its figures as CSV, for "
        "whoever has the address."
    )
    async def create_report_share(
        self, change: Change, input: CreateReportShareInput
    ) -> CreateReportSharePayload:
        row = await report_shares.create(
            change,
            program_id=_given("prg", input.program_id),
            campaign_id=_given("cmp", input.campaign_id),
            name=input.name,
            sections=input.sections,
            expires_at=input.expires_at,
        )
        return CreateReportSharePayload(report_share=ReportShare.of(row))

    @mutation(
        "Close a shared report, for good. From the next request on its address leads nowhere. Again, "
        "it changes nothing."
    )
    async def revoke_report_share(
        self, change: Change, input: RevokeReportShareInput
    ) -> RevokeReportSharePayload:
        row = await report_shares.revoke(change, key("shr", input.id))
        return RevokeReportSharePayload(report_share=ReportShare.of(row))


def _given(prefix: str, id_: strawberry.ID | None) -> int | None:
    """None where it was left out; 0, which nothing has, for garbage."""
    return None if id_ is None else key(prefix, id_) or 0
