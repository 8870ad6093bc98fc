"""A campaign-level tracking link: one destination, from which each creator gets a link.

Nobody clicks it. The database refuses to delete one, and to change an archived one.
"""

from datetime import datetime

from sqlalchemy import JSON, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.models.columns import foreign_key, primary_key


class CampaignLink(SQLModel, table=True):
    __tablename__ = "campaign_link"
    __table_args__ = (
        UniqueConstraint("campaign_id", "tag_key"),
        Index(None, "campaign_id", "created_at", "id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    campaign_id: int = foreign_key("campaign.id")
    name: str = Field(max_length=200)
    destination_url: str = Field(max_length=2048)
    # KEY of `{{tracking_link.KEY}}`: made from the first name, and kept when it is renamed.
    tag_key: str = Field(max_length=64)
    # UTM parameters, name to template, put on the destination where it has none of its own.
    utm: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime
    archived_at: datetime | None = None
