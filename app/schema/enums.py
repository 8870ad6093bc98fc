"""The models' enumerations as the graph publishes them, each value with what it means."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry

from app.errors import UserErrorCode
from app.models import (
    AttributionModel,
    CampaignStatus,
    ConversionStatus,
    EntryKind,
    Precedence,
    Role,
    Stage,
)
from app.resolvers.stats import Granularity


def publish(
    enum: type[Enum], description: str, values: Mapping[str, str], *, name: str | None = None
) -> None:
    """Give the enumeration its place in the graph. Every member has a description, or this fails."""
    published: Any = strawberry.enum(enum, name=name, description=description)
    for value in published.__strawberry_definition__.values:
        value.description = values[value.name]


publish(
    CampaignStatus,
    "Where a campaign is in its life.",
    {
        "DRAFT": "Being set up. Its links already work.",
        "LIVE": "Running.",
        "PAUSED": "Held. Nothing is sent by itself; its links go on working.",
        "ARCHIVED": "Put away. Stages cannot change; its links go on working. It can be restored "
        "to `PAUSED`.",
    },
)

publish(
    Stage,
    "A step of a campaign's workflow, in the workflow's order. A campaign enables some of them.",
    {
        "CANDIDATE": "Found, and not yet asked.",
        "INVITED": "Asked to take part.",
        "APPLIED": "Wants to take part. Whoever is promoted from here gets a link of every live "
        "campaign link.",
        "DELIVERABLES": "Agreeing what is to be made.",
        "CONFIRMATION": "Confirming the terms.",
        "PRE_PAYMENT": "Being paid in advance.",
        "DRAFT": "Making a draft.",
        "DRAFT_REVIEW": "The draft is being reviewed.",
        "CONTENT_CREATION": "Making the content. In every workflow.",
        "POST_REVIEW": "The post is being reviewed.",
        "POST_PAYMENT": "Being paid.",
        "COMPLETE": "Done. In every workflow.",
        "DROPPED": "Out of the campaign. In every workflow; their links go on working.",
    },
)

publish(
    Role,
    "What an API key may do.",
    {
        "ADMIN": "Everything in the program, API keys included.",
        "MANAGER": "Run campaigns: everything but API keys and erasure.",
        "ANALYST": "Read everything but what is personal about creators.",
        "PARTNER": "Read the link sets and numbers of its campaigns.",
        "CONVERSIONS": "Report conversions, and read nothing.",
    },
    name="ApiKeyRole",
)

publish(
    Granularity,
    "The length of a step of a time series.",
    {
        "HOUR": "An hour.",
        "DAY": "A calendar day.",
        "WEEK": "A week, from Monday.",
        "MONTH": "A calendar month.",
    },
    name="TimeGranularity",
)

publish(
    AttributionModel,
    "Which click earns a conversion that several clicks in the window could have earned.",
    {
        "LAST_CLICK": "The last one before the conversion.",
        "FIRST_CLICK": "The first one in the window.",
    },
)

publish(
    Precedence,
    "What earns a conversion that came with a coupon and with a click of another link.",
    {"CLICK": "The click.", "COUPON": "The coupon's link."},
    name="CouponPrecedence",
)

publish(
    ConversionStatus,
    "Whether a conversion is credited to a link.",
    {
        "ATTRIBUTED": "Credited to a link, and counted.",
        "UNATTRIBUTED": "There is nothing to credit, or nothing yet.",
        "OUT_OF_WINDOW": "The click is too long ago.",
        "AWAITED": "A refund came before its sale, which is still awaited. Never listed.",
    },
)

publish(
    EntryKind,
    "What an entry of a conversion's ledger is.",
    {
        "SALE": "The conversion's worth as it was reported.",
        "REFUND": "A refund.",
        "CORRECTION": "A change of what the conversion is worth.",
    },
    name="ConversionEntryKind",
)

publish(
    UserErrorCode,
    "Why something asked for was not done. New values may be added: treat an unknown one as "
    "`INVALID`.",
    {
        "INVALID": "The value cannot be used.",
        "BLANK": "A value is missing or blank.",
        "TOO_LONG": "The value is too long.",
        "TOO_MANY": "There are too many items.",
        "TAKEN": "Another object already has this value.",
        "NOT_FOUND": "There is no such object that the caller may see.",
        "ARCHIVED": "The object is archived.",
        "INVALID_URL": "The URL is not an absolute http or https URL, or may not be a destination.",
        "LINK_ARCHIVED": "The link is archived, for good.",
        "TAG_ARCHIVED": "A merge tag names an archived campaign link.",
        "UNKNOWN_TAG": "A merge tag does not exist in the campaign.",
        "HOST_BLOCKED": "Whoever runs the server has blocked the host: no link may lead there.",
        "FORBIDDEN_STAGE_MOVE": "The creator cannot go to this stage from the one they are in.",
        "REFUND_TOO_LARGE": "The refunds would come to more than the conversion's worth.",
        "CONFLICT": "The same was reported before with other content. The first report stands.",
        "FORBIDDEN": "The caller's key may not do this.",
    },
)
