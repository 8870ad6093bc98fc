"""Tracking links in the graph: what is shared and clicked."""

import asyncio
import base64
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from app import models
from app.errors import UserErrorCode, refuse
from app.messages import qr_codes
from app.resolvers import link_totals, pages, tracking_links
from app.resolvers.stats import Scope
from app.schema.connections import (
    ArchiveState,
    OrderDirection,
    keys,
    ordered,
    texts,
)
from app.schema.context import Info
from app.schema.creators import Creator
from app.schema.enums import publish
from app.schema.messages import Message, messages_with
from app.schema.nodes import NODES, Archivable, Measurable, node
from app.schema.scalars import URL

if TYPE_CHECKING:
    from app.schema.campaign_links import CampaignLink
    from app.schema.campaigns import Campaign
    from app.schema.conversion_settings import CreatorCoupon
    from app.schema.enrollments import Enrollment

CAMPAIGNS = strawberry.lazy("app.schema.campaigns")
CAMPAIGN_LINKS = strawberry.lazy("app.schema.campaign_links")
CONVERSION_SETTINGS = strawberry.lazy("app.schema.conversion_settings")
ENROLLMENTS = strawberry.lazy("app.schema.enrollments")


class TrackingLinkLevel(Enum):
    """Its values are what the resolvers' filter takes for `is_campaign_level`."""

    CAMPAIGN = True
    CREATOR = False


publish(
    TrackingLinkLevel,
    "Where a tracking link comes from.",
    {
        "CAMPAIGN": "Generated from a campaign link.",
        "CREATOR": "Made for one creator, with its own destination and labels.",
    },
)


class QrCodeFormat(Enum):
    SVG = (qr_codes.svg, "image/svg+xml")
    PNG = (qr_codes.png, "image/png")


publish(
    QrCodeFormat,
    "The kind of picture that a QR code comes as.",
    {"SVG": "A drawing: sharp at any size.", "PNG": "A picture of pixels."},
)
QR_SIZE_MIN, QR_SIZE_MAX = 64, 1024


@strawberry.type(description="Where a link led, and from when.")
class LinkDestination:
    version: int = strawberry.field(description="Counts up from 1 with each new destination.")
    url: URL = strawberry.field(description="The destination.")
    at: datetime = strawberry.field(description="Since when.")


@node
@strawberry.type(
    description="A unique link of one creator in one campaign. It is never deleted, only archived."
)
class TrackingLink(Archivable, Measurable):
    prefix = "lnk"
    model = models.TrackingLink
    scope = Scope.TRACKING_LINK

    code: str = strawberry.field(description="The code in the short URL, unique for ever.")
    destination_url: URL = strawberry.field(description="Where the link leads.")
    level: TrackingLinkLevel = strawberry.field(
        description="Whether it comes from a campaign link or was made for the creator alone."
    )
    created_at: datetime = strawberry.field(description="When it was created.")
    changed_at: datetime = strawberry.field(
        description="When it was last created, edited, given labels, or archived."
    )

    @classmethod
    def of(cls, row: models.TrackingLink) -> "TrackingLink":
        return cls(
            id=cls.id_of(row),
            row=row,
            code=row.code,
            destination_url=URL(row.destination_url),
            level=TrackingLinkLevel(row.campaign_link_id is not None),
            created_at=row.created_at,
            changed_at=row.changed_at,
            archived_at=row.archived_at,
        )

    @strawberry.field(description="The URL to share.")
    def short_url(self, info: Info) -> URL:
        return URL(f"{info.context.settings.base_url}/{self.row.code}")

    @strawberry.field(
        description="What tells this link from others with the same destination. Empty on a "
        "campaign-level link."
    )
    async def labels(self, info: Info) -> list[str]:
        return await info.context.loaders.labels.load(self.row.id) or []

    @strawberry.field(
        description="Where it has led so far, newest first, 100 at most. Each click keeps the one "
        "that it was sent to."
    )
    async def destinations(self, info: Info) -> list[LinkDestination]:
        found = await info.context.loaders.destinations.load(self.row.id)
        return [
            LinkDestination(version=each.version, url=URL(each.url), at=each.at) for each in found
        ]

    @strawberry.field(description="The live coupons that credit this link, 100 at most.")
    async def coupons(self, info: Info) -> list[Annotated["CreatorCoupon", CONVERSION_SETTINGS]]:
        found = await info.context.loaders.coupons.load(self.row.id) or ()
        return [NODES["cpn"].of(row) for row in found]

    @strawberry.field(
        description="The campaign link it was generated from, or null on a creator-level link."
    )
    async def campaign_link(self, info: Info) -> Annotated["CampaignLink", CAMPAIGN_LINKS] | None:
        return await NODES["cml"].load(info, self.row.campaign_link_id)

    @strawberry.field(description="The creator's place in the campaign.")
    async def enrollment(self, info: Info) -> Annotated["Enrollment", ENROLLMENTS]:
        return await NODES["enr"].load(info, self.row.enrollment_id)

    @strawberry.field(description="The campaign.")
    async def campaign(self, info: Info) -> Annotated["Campaign", CAMPAIGNS]:
        return await NODES["cmp"].load(info, self.row.campaign_id)

    @strawberry.field(description="The creator.")
    async def creator(self, info: Info) -> Creator:
        return await Creator.load(info, self.row.creator_id)

    @strawberry.field(
        description="The link made in place of this one, if any. This one does not forward to it."
    )
    async def replaced_by(
        self, info: Info
    ) -> Annotated["TrackingLink", strawberry.lazy("app.schema.tracking_links")] | None:
        row = await info.context.loaders.replacement.load(self.row.id)
        return None if row is None else TrackingLink.of(row)

    @strawberry.field(description="When it was last clicked by a person, or null if never.")
    async def last_clicked_at(self, info: Info) -> datetime | None:
        at: datetime | None = await info.context.loaders.last_clicked.load(self.row.id)
        return at

    @strawberry.field(
        description="The messages that hold this link, newest first, 100 at most: who still has "
        "it. Empty for keys that read link sets alone."
    )
    async def messages(self, info: Info) -> list[Message]:
        return await messages_with(info, self.row.id)

    @strawberry.field(
        description="The QR code of the short URL as a `data:` URL, to show or to save. Null once "
        "the link is archived.",
        metadata={"cost": 20},
    )
    async def qr_code(
        self,
        info: Info,
        format: Annotated[
            QrCodeFormat, strawberry.argument(description="The kind of picture.")
        ] = QrCodeFormat.SVG,
        size: Annotated[
            int,
            strawberry.argument(
                description="The width in pixels, 64 to 1024, quiet zone included. A PNG may come "
                "out smaller: each module is a whole number of pixels."
            ),
        ] = 256,
    ) -> str | None:
        if not QR_SIZE_MIN <= size <= QR_SIZE_MAX:
            message = f"`size` must be from {QR_SIZE_MIN} to {QR_SIZE_MAX}."
            raise refuse(UserErrorCode.INVALID, message, "size")
        if self.row.archived_at is not None:
            return None
        draw, media_type = format.value
        picture = await asyncio.to_thread(draw, self.short_url(info), size)
        return f"data:{media_type};base64,{base64.b64encode(picture).decode()}"

    @strawberry.field(description="The archived link that this one was made in place of, if any.")
    async def replaces(
        self, info: Info
    ) -> Annotated["TrackingLink", strawberry.lazy("app.schema.tracking_links")] | None:
        return await TrackingLink.load(info, self.row.replaces_id)


@strawberry.input(description="Which tracking links to list. All given conditions must hold.")
class TrackingLinkFilterInput:
    archived: ArchiveState = strawberry.field(
        default=ArchiveState.ACTIVE, description="Which of them to list by archive state."
    )
    creator_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these creators, 100 at most."
    )
    campaign_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those in these campaigns, 100 at most."
    )
    campaign_link_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of these campaign links, 100 at most."
    )
    level: TrackingLinkLevel | None = strawberry.field(
        default=strawberry.UNSET, description="Only those of this level."
    )
    labels: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Only those that carry all of these labels."
    )
    query: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only those whose code or destination contains this text, ignoring case.",
    )

    def as_filter(self) -> tracking_links.Filter:
        return tracking_links.Filter(
            archived=self.archived.value,
            creator_ids=keys("crt", self.creator_ids, "creator_ids"),
            campaign_ids=keys("cmp", self.campaign_ids, "campaign_ids"),
            campaign_link_ids=keys("cml", self.campaign_link_ids, "campaign_link_ids"),
            is_campaign_level=self.level.value if self.level else None,
            labels=texts(self.labels, "labels") or (),
            query=self.query or None,
        )


class TrackingLinkOrderField(Enum):
    CREATED_AT = pages.NEWEST_FIRST
    CODE = pages.Order("CODE", "code")
    CLICKS = link_totals.CLICKS
    LAST_CLICKED_AT = link_totals.LAST_CLICKED_AT


publish(
    TrackingLinkOrderField,
    "What tracking links can be ordered by.",
    {
        "CREATED_AT": "When it was created.",
        "CODE": "The code in the short URL.",
        "CLICKS": "All clicks by people so far. They grow while pages are read: a link that is "
        "clicked meanwhile may come again, or not at all.",
        "LAST_CLICKED_AT": "When it was last clicked by a person; never-clicked ones count as "
        "oldest. It moves while pages are read: a link that is clicked meanwhile may come again, "
        "or not at all.",
    },
)


@strawberry.input(description="How to order tracking links.")
class TrackingLinkOrderInput:
    field: TrackingLinkOrderField = strawberry.field(
        default=TrackingLinkOrderField.CREATED_AT, description="What to order by."
    )
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.DESC, description="The direction."
    )

    def as_order(self) -> pages.Order:
        return ordered(self.field.value, self.direction)
