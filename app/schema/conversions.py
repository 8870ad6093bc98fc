"""Conversions in the graph: what followed a click, and what it is worth."""

from datetime import datetime
from typing import Annotated

import strawberry

from app import models
from app.auth import Permission
from app.models import ConversionStatus, EntryKind
from app.resolvers import conversions
from app.schema.connections import After, Before, Connection, First, Last, connect, keys, texts
from app.schema.context import Info
from app.schema.money import Money
from app.schema.nodes import Node, node
from app.schema.permissions import Needs
from app.schema.tracking_links import TrackingLink


@strawberry.type(description="A line of a conversion's ledger. It is never changed.")
class ConversionEntry:
    kind: EntryKind = strawberry.field(description="What it is.")
    amount: Money | None = strawberry.field(
        description="A sale's worth, if it has one; what was refunded; or by how much a "
        "correction changes the worth."
    )
    reason: str = strawberry.field(description="Why, as the caller said; empty for a sale.")
    at: datetime = strawberry.field(description="When it was entered.")


@node
@strawberry.type(description="A sale or lead that is due to a link, or could be.")
class Conversion(Node):
    prefix = "cnv"
    model = models.Conversion

    status: ConversionStatus = strawberry.field(description="Whether it is credited to a link.")
    reason: str | None = strawberry.field(
        description="Why it is not, or null if it is: `no_click`, `unknown_click`, "
        "`filtered_click` or `out_of_window`."
    )
    type: str = strawberry.field(description="What happened, like `purchase`.")
    order_id: str | None = strawberry.field(
        description="The shop's order ID, which with the type makes it one of its kind."
    )
    click_id: str | None = strawberry.field(description="The click that earned it, if one did.")
    coupon: str | None = strawberry.field(description="The coupon that came with it.")
    is_verified: bool = strawberry.field(
        description="Whether a caller with a key or a secret reported it. What only a page has "
        "said is counted apart and is not payable."
    )
    is_credited_by_hand: bool = strawberry.field(
        description="Whether `creditConversion` credited it."
    )
    value: Money | None = strawberry.field(
        description="What it is worth, corrections included, or null without worth."
    )
    refunded: Money | None = strawberry.field(
        description="What of that was refunded, or null without worth."
    )
    occurred_at: datetime = strawberry.field(description="When it happened, as it is counted.")
    created_at: datetime = strawberry.field(description="When it was reported.")

    @classmethod
    def of(cls, row: models.Conversion) -> "Conversion":
        return cls(
            id=cls.id_of(row),
            row=row,
            status=row.status,
            reason=row.reason or None,
            type=row.type,
            order_id=row.order_id,
            click_id=None if row.click_id is None else row.click_id.hex(),
            coupon=row.coupon,
            is_verified=row.is_verified,
            is_credited_by_hand=row.is_credited_by_hand,
            value=Money.or_none(row.amount, row.currency),
            refunded=Money.or_none(None if row.amount is None else row.refunded, row.currency),
            occurred_at=row.occurred_at,
            created_at=row.created_at,
        )

    @classmethod
    async def load(cls, info: Info, key: int | None) -> "Conversion | None":
        """As for every node, but only for who may read conversions, and none that is awaited."""
        if not info.context.viewer.may(Permission.READ):
            return None
        found: Conversion | None = await super().load(info, key)
        awaited = found is not None and found.row.status is ConversionStatus.AWAITED
        return None if awaited else found

    @strawberry.field(
        description="The link that is credited with it. Null unless `status` is `ATTRIBUTED`."
    )
    async def tracking_link(self, info: Info) -> TrackingLink | None:
        if not info.context.viewer.may(Permission.READ_LINKS):
            return None  # who only reports conversions reads nothing by the way
        return await TrackingLink.load(info, self.row.tracking_link_id)

    @strawberry.field(description="Its ledger, oldest first, 100 lines at most.")
    async def entries(self, info: Info) -> list[ConversionEntry]:
        found = await info.context.loaders.ledger.load(self.row.id) or ()
        return [
            ConversionEntry(
                kind=each.kind,
                amount=Money.or_none(each.amount, each.currency),
                reason=each.reason,
                at=each.at,
            )
            for each in found
        ]


@strawberry.input(description="Which conversions to list.")
class ConversionFilterInput:
    program_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these programs, 100 at most."
    )
    campaign_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those credited to links in these campaigns, 100 at most.",
    )
    tracking_link_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those credited to these links, 100 at most.",
    )
    statuses: list[ConversionStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those with one of these statuses."
    )
    types: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these types, 100 at most."
    )
    order_ids: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these orders, 100 at most."
    )
    is_verified: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Only verified ones, or only the others."
    )

    def as_filter(self) -> conversions.Filter:
        return conversions.Filter(
            program_ids=keys("prg", self.program_ids, "program_ids"),
            campaign_ids=keys("cmp", self.campaign_ids, "campaign_ids"),
            tracking_link_ids=keys("lnk", self.tracking_link_ids, "tracking_link_ids"),
            statuses=tuple(self.statuses) if isinstance(self.statuses, list) else None,
            types=texts(self.types, "types"),
            order_ids=texts(self.order_ids, "order_ids"),
            is_verified=self.is_verified if isinstance(self.is_verified, bool) else None,
        )


@strawberry.type
class ConversionQuery:
    @strawberry.field(description="A conversion by its ID.", extensions=[Needs(Permission.READ)])
    async def conversion(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The conversion's ID.")],
    ) -> Conversion | None:
        return await Conversion.find(info, id)

    @strawberry.field(
        description="All conversions that the caller may see, uncredited ones too, newest first.",
        extensions=[Needs(Permission.READ)],
    )
    async def conversions(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: ConversionFilterInput | None = None,
    ) -> Connection[Conversion] | None:
        return await connect(
            info,
            "cnv",
            conversions.listed,
            filter.as_filter() if filter else conversions.Filter(),
            (first, after, last, before),
        )
