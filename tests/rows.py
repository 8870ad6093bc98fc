"""One row for every table, for tests that are about tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.database import Database
from app.models import (
    ApiKey,
    ApiKeyCampaign,
    AttributionModel,
    AuditEntry,
    BlockedHost,
    Campaign,
    CampaignDay,
    CampaignLink,
    CampaignPart,
    Click,
    ClickQuarter,
    Conversion,
    ConversionEntry,
    ConversionQuarter,
    ConversionSecret,
    ConversionSettings,
    ConversionStatus,
    Creator,
    CreatorCoupon,
    DestinationUtm,
    Detail,
    Enrollment,
    EntryKind,
    ExcludedQuarter,
    IdempotencyKey,
    JournalPosition,
    LinkDay,
    LinkDestination,
    LinkLabel,
    LinkPart,
    LinkTotal,
    Message,
    MessageBatch,
    MessageLink,
    MessageStatus,
    MessageTemplate,
    Precedence,
    Program,
    ProgramDays,
    ReportShare,
    RestatedQuarter,
    Role,
    Stage,
    StageChange,
    TrackingLink,
    Verdict,
    VisitorLink,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHOP = "https://shop.example/"
PROGRAM, KEY, CAMPAIGN, CREATOR, ENROLLMENT, CAMPAIGN_LINK = 1, 2, 3, 4, 5, 6
LINK = (1 << 63) - 1  # the largest key that there is
ARCHIVED_LINK, ARCHIVED_CAMPAIGN_LINK = 8, 9
TEMPLATE, MESSAGE = 12, 13
CONVERSION = 14


def link(id: int, code: str, **values: Any) -> TrackingLink:
    """A creator-level link of the one creator."""
    return TrackingLink(
        **{
            "id": id,
            "program_id": PROGRAM,
            "campaign_id": CAMPAIGN,
            "creator_id": CREATOR,
            "enrollment_id": ENROLLMENT,
            "code": code,
            "destination_url": SHOP,
            "created_at": NOW,
            **values,
        }
    )


def one_of_each() -> Sequence[Any]:
    """Parents first. Of links there is a live one and an archived one."""
    owner: dict[str, Any] = {"program_id": PROGRAM, "created_at": NOW}
    campaign_link: dict[str, Any] = {**owner, "campaign_id": CAMPAIGN, "destination_url": SHOP}
    visitor = bytes(16)
    return (
        Program(id=PROGRAM, name="Acme", created_at=NOW),
        ApiKey(id=KEY, **owner, name="CI", kid="k", secret_hash=bytes(32), role=Role.ADMIN),
        Campaign(id=CAMPAIGN, **owner, name="Spring", slug="spring"),
        ApiKeyCampaign(key_id=KEY, campaign_id=CAMPAIGN),
        AuditEntry(
            id=10, program_id=PROGRAM, at=NOW, action="x", subject_type="lnk", subject_id=LINK
        ),
        IdempotencyKey(
            program_id=PROGRAM, mutation="x", key="k", request_hash=bytes(32), answer={}, at=NOW
        ),
        BlockedHost(host="bad.example", blocked_at=NOW),
        Creator(id=CREATOR, **owner, handle="ada", display_name="Ada"),
        Enrollment(
            id=ENROLLMENT,
            **owner,
            campaign_id=CAMPAIGN,
            creator_id=CREATOR,
            stage=Stage.APPLIED,
            stage_changed_at=NOW,
        ),
        StageChange(id=11, enrollment_id=ENROLLMENT, at=NOW, to_stage=Stage.APPLIED),
        CampaignLink(id=CAMPAIGN_LINK, **campaign_link, name="Shop", tag_key="shop"),
        CampaignLink(id=ARCHIVED_CAMPAIGN_LINK, **campaign_link, name="Old", tag_key="old"),
        link(LINK, "live", campaign_link_id=CAMPAIGN_LINK),
        link(ARCHIVED_LINK, "archived"),
        LinkDestination(tracking_link_id=LINK, version=1, url=SHOP, at=NOW),
        DestinationUtm(tracking_link_id=LINK, version=1, source="tiktok"),
        LinkLabel(tracking_link_id=LINK, label="story", place=0),
        LinkLabel(tracking_link_id=ARCHIVED_LINK, label="story", place=0),
        MessageTemplate(
            id=TEMPLATE, **owner, campaign_id=CAMPAIGN, name="Hello", subject="Hello", body="Hello"
        ),
        MessageBatch(
            id=14,
            **owner,
            campaign_id=CAMPAIGN,
            idempotency_key="1",
            fingerprint=bytes(32),
            outcomes=[],
        ),
        Message(
            id=MESSAGE,
            **owner,
            campaign_id=CAMPAIGN,
            enrollment_id=ENROLLMENT,
            creator_id=CREATOR,
            template_id=TEMPLATE,
            to_address="ada@example.com",
            subject="Hello",
            body="Hello",
            status=MessageStatus.SENT,
            sent_at=NOW,
            next_attempt_at=NOW,
        ),
        MessageLink(message_id=MESSAGE, tracking_link_id=LINK),
        Click(
            id=bytes(16),
            link_id=LINK,
            at_ms=0,
            destination_version=1,
            verdict=Verdict.COUNTED,
            classifier=1,
            is_unique=True,
            is_suspect=False,
        ),
        ClickQuarter(link_id=LINK, quarter=0, clicks=1),
        ExcludedQuarter(link_id=LINK, quarter=0, reason="head", hits=1),
        RestatedQuarter(
            link_id=LINK, quarter=0, at_ms=0, reason="head", classifier=1, verdict=Verdict.COUNTED
        ),
        LinkDay(link_id=LINK, day=0, clicks=1),
        LinkPart(link_id=LINK, detail=Detail.DEVICE, day=0, value="mobile", hits=1),
        CampaignDay(campaign_id=CAMPAIGN, day=0, clicks=1),
        CampaignPart(campaign_id=CAMPAIGN, detail=Detail.DEVICE, day=0, value="mobile", hits=1),
        LinkTotal(link_id=LINK, clicks=1, last_click_ms=0),
        ProgramDays(program_id=PROGRAM),
        VisitorLink(link_id=LINK, visitor=visitor, last_ms=0, unique_ms=0),
        JournalPosition(segment="0", position=0),
        ConversionSettings(program_id=PROGRAM),
        ConversionSecret(id=12, **owner, name="Shop", secret="s"),  # noqa: S106 - of no use
        CreatorCoupon(id=13, **owner, campaign_id=CAMPAIGN, tracking_link_id=LINK, code="ada10"),
        Conversion(
            id=CONVERSION,
            **owner,
            type="purchase",
            unique_key="o:1001",
            order_id="1001",
            is_verified=True,
            window_days=28,
            model=AttributionModel.LAST_CLICK,
            precedence=Precedence.CLICK,
            status=ConversionStatus.ATTRIBUTED,
            campaign_id=CAMPAIGN,
            tracking_link_id=LINK,
            occurred_at=NOW,
        ),
        ConversionEntry(
            id=15, program_id=PROGRAM, conversion_id=CONVERSION, kind=EntryKind.SALE, at=NOW
        ),
        ConversionQuarter(link_id=LINK, quarter=0, currency="EUR", conversions=1),
        ReportShare(id=16, **owner, campaign_id=CAMPAIGN, name="Agency", sections=["TOTALS"]),
    )


async def insert_one_of_each(database: Database) -> None:
    async with database.writing() as session:
        for row in one_of_each():
            session.add(row)
            await session.flush()  # in our order: there are no relationships to tell it by
    async with database.writing() as session:
        (await session.get_one(TrackingLink, ARCHIVED_LINK)).archived_at = NOW
        (await session.get_one(CampaignLink, ARCHIVED_CAMPAIGN_LINK)).archived_at = NOW
