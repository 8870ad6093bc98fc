"""A campaign, and the workflow that its creators walk through."""

from datetime import date, datetime
from enum import IntEnum, StrEnum

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from app.models.columns import foreign_key, primary_key, text_enum


class CampaignStatus(StrEnum):
    DRAFT = "DRAFT"
    LIVE = "LIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"


class Stage(IntEnum):
    """A step of the workflow, in its order. Stored: never renumber, put new ones in the gaps."""

    CANDIDATE = 10
    INVITED = 20
    APPLIED = 30
    DELIVERABLES = 40
    CONFIRMATION = 50
    PRE_PAYMENT = 60
    DRAFT = 70
    DRAFT_REVIEW = 80
    CONTENT_CREATION = 90
    POST_REVIEW = 100
    POST_PAYMENT = 110
    COMPLETE = 120
    DROPPED = 900

    @property
    def is_past_applied(self) -> bool:
        return Stage.APPLIED < self < Stage.DROPPED


# In every campaign's workflow; INVITED and APPLIED come and go together.
REQUIRED_STAGES = frozenset({Stage.CONTENT_CREATION, Stage.COMPLETE, Stage.DROPPED})


class Campaign(SQLModel, table=True):
    __table_args__ = (Index(None, "program_id", "created_at", "id"),)

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    name: str = Field(max_length=200)
    # What `{campaign.slug}` of a UTM template stands for.
    slug: str = Field(max_length=200)
    status: CampaignStatus = Field(
        default=CampaignStatus.DRAFT, sa_type=text_enum(CampaignStatus, name="status")
    )
    starts_on: date | None = None
    ends_on: date | None = None
    # The numbers of the enabled stages, ascending.
    stages: list[int] = Field(default_factory=lambda: [int(stage) for stage in Stage], sa_type=JSON)
    created_at: datetime
    archived_at: datetime | None = None

    def has_stage(self, stage: Stage) -> bool:
        return int(stage) in self.stages

    def stage_after(self, stage: Stage) -> Stage | None:
        """The next enabled stage, or None at the end of the workflow and outside it."""
        if stage is Stage.DROPPED:
            return None
        later = [Stage(n) for n in self.stages if stage < n < Stage.DROPPED]
        return min(later, default=None)

    @property
    def first_stage(self) -> Stage:
        return Stage(min(self.stages))
