"""Report pages that were shared by their address: of what, which parts, and until when."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from app.models.columns import foreign_key, primary_key


class ReportSection(StrEnum):
    """A part of a report that can be shared or kept back."""

    TOTALS = "TOTALS"
    TIME_SERIES = "TIME_SERIES"
    CAMPAIGNS = "CAMPAIGNS"
    CREATORS = "CREATORS"
    LINKS = "LINKS"
    LABELS = "LABELS"
    AUDIENCE = "AUDIENCE"
    CONVERSIONS = "CONVERSIONS"


class ReportShare(SQLModel, table=True):
    __tablename__ = "report_share"
    __table_args__ = (
        Index(None, "program_id", "created_at", "id"),
        Index(None, "campaign_id", "created_at", "id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    # None: the report of the whole program.
    campaign_id: int | None = foreign_key("campaign.id", nullable=True, default=None)
    name: str = Field(max_length=200)
    sections: list[str] = Field(sa_type=JSON)
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_open(self, *, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
