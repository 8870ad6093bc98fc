"""API keys: who may ask, as what, and about which campaigns."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from app.models.columns import foreign_key, primary_key, text_enum


class Role(StrEnum):
    ADMIN = "ADMIN"  # everything in the program, API keys included
    MANAGER = "MANAGER"  # runs campaigns
    ANALYST = "ANALYST"  # reads
    PARTNER = "PARTNER"  # reads the link sets and numbers of its campaigns
    CONVERSIONS = "CONVERSIONS"  # reports conversions, reads nothing


class ApiKey(SQLModel, table=True):
    __tablename__ = "api_key"

    id: int = primary_key()
    # None: the installation's own key, which sees and makes programs. Only for ADMIN.
    program_id: int | None = foreign_key("program.id", nullable=True, default=None, index=True)
    name: str = Field(max_length=200)
    # The part of the key that is no secret: finds the row, and tells keys apart in a list.
    kid: str = Field(max_length=16, unique=True)
    secret_hash: bytes = Field(sa_type=LargeBinary(32))
    role: Role = Field(sa_type=text_enum(Role, name="role"))
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    # To the minute.
    last_used_at: datetime | None = None


class ApiKeyCampaign(SQLModel, table=True):
    """The campaigns that a key is limited to; none here, and it sees all of its program."""

    __tablename__ = "api_key_campaign"

    key_id: int = foreign_key("api_key.id", primary_key=True)
    campaign_id: int = foreign_key("campaign.id", primary_key=True)
