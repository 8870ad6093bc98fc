"""Hosts that no link of this installation may lead to. See docs/decisions/0025."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class BlockedHost(SQLModel, table=True):
    """The host and every name below it, as destinations spell them: lower-case ASCII."""

    __tablename__ = "blocked_host"

    host: str = Field(primary_key=True, max_length=253)
    note: str | None = Field(default=None, max_length=200)
    blocked_at: datetime
