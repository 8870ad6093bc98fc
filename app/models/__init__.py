"""What is stored: one SQLModel class for each table, one file for each noun."""

from app.models.audit import AuditEntry
from app.models.blocked_hosts import BlockedHost
from app.models.campaign_links import CampaignLink
from app.models.campaigns import REQUIRED_STAGES, Campaign, CampaignStatus, Stage
from app.models.clicks import (
    CampaignDay,
    CampaignPart,
    Click,
    ClickQuarter,
    Detail,
    ExcludedQuarter,
    JournalPosition,
    LinkDay,
    LinkPart,
    LinkTotal,
    ProgramDays,
    RestatedQuarter,
    Verdict,
    VisitorLink,
)
from app.models.columns import metadata
from app.models.conversions import (
    AttributionModel,
    Conversion,
    ConversionEntry,
    ConversionQuarter,
    ConversionSecret,
    ConversionSettings,
    ConversionStatus,
    CreatorCoupon,
    EntryKind,
    Precedence,
)
from app.models.creators import Creator
from app.models.enrollments import Enrollment, StageChange
from app.models.idempotency import IdempotencyKey
from app.models.keys import ApiKey, ApiKeyCampaign, Role
from app.models.messages import (
    Message,
    MessageBatch,
    MessageLink,
    MessageStatus,
    MessageTemplate,
)
from app.models.programs import Program
from app.models.reports import ReportSection, ReportShare
from app.models.tracking_links import DestinationUtm, LinkDestination, LinkLabel, TrackingLink

__all__ = [
    "REQUIRED_STAGES",
    "ApiKey",
    "ApiKeyCampaign",
    "AttributionModel",
    "AuditEntry",
    "BlockedHost",
    "Campaign",
    "CampaignDay",
    "CampaignLink",
    "CampaignPart",
    "CampaignStatus",
    "Click",
    "ClickQuarter",
    "Conversion",
    "ConversionEntry",
    "ConversionQuarter",
    "ConversionSecret",
    "ConversionSettings",
    "ConversionStatus",
    "Creator",
    "CreatorCoupon",
    "DestinationUtm",
    "Detail",
    "Enrollment",
    "EntryKind",
    "ExcludedQuarter",
    "IdempotencyKey",
    "JournalPosition",
    "LinkDay",
    "LinkDestination",
    "LinkLabel",
    "LinkPart",
    "LinkTotal",
    "Message",
    "MessageBatch",
    "MessageLink",
    "MessageStatus",
    "MessageTemplate",
    "Precedence",
    "Program",
    "ProgramDays",
    "ReportSection",
    "ReportShare",
    "RestatedQuarter",
    "Role",
    "Stage",
    "StageChange",
    "TrackingLink",
    "Verdict",
    "VisitorLink",
    "metadata",
]
