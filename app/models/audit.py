"""Who changed what, and when. Written in the change's own transaction, never changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from app.models.columns import BIG, foreign_key, primary_key


class AuditEntry(SQLModel, table=True):
    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "program_id", "at", "id"),
        Index(None, "subject_id", "at", "id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    at: datetime
    # None when the command line or the server itself did it.
    key_id: int | None = foreign_key("api_key.id", nullable=True, default=None)
    # What was done, as the mutation is called: "archiveTrackingLink".
    action: str = Field(max_length=64)
    # The public id's prefix and the key of what it was done to.
    subject_type: str = Field(max_length=8)
    subject_id: int = Field(sa_type=BIG)
    # The new values, by the name of the input field; never a secret or an e-mail address.
    changes: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
