"""One creator in one campaign, at one stage, and how they came there."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.models.campaigns import Stage
from app.models.columns import IntEnumType, foreign_key, primary_key


class Enrollment(SQLModel, table=True):
    __table_args__ = (
        UniqueConstraint("campaign_id", "creator_id"),
        Index(None, "campaign_id", "created_at", "id"),
        Index(None, "campaign_id", "stage", "id"),
        Index(None, "creator_id", "created_at", "id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    campaign_id: int = foreign_key("campaign.id")
    creator_id: int = foreign_key("creator.id")
    stage: Stage = Field(sa_type=IntEnumType(Stage))
    stage_changed_at: datetime
    created_at: datetime


class StageChange(SQLModel, table=True):
    __tablename__ = "stage_change"
    __table_args__ = (Index(None, "enrollment_id", "at", "id"),)

    id: int = primary_key()
    enrollment_id: int = foreign_key("enrollment.id")
    at: datetime
    # None when the creator joined.
    from_stage: Stage | None = Field(default=None, sa_type=IntEnumType(Stage))
    to_stage: Stage = Field(sa_type=IntEnumType(Stage))
    # None when the command line or the server itself did it.
    key_id: int | None = foreign_key("api_key.id", nullable=True, default=None)
