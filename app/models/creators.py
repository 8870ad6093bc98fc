"""A person of a program who shares links."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.models.columns import foreign_key, primary_key


class Creator(SQLModel, table=True):
    __table_args__ = (
        UniqueConstraint("program_id", "handle"),
        UniqueConstraint("program_id", "external_id"),
        Index(None, "program_id", "created_at", "id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    # Without a leading "@", lower case. After erasure: "erased-" and random letters.
    handle: str = Field(max_length=100)
    display_name: str = Field(max_length=200)
    first_name: str | None = Field(default=None, max_length=100)
    last_name: str | None = Field(default=None, max_length=100)
    email: str | None = Field(default=None, max_length=320)
    # The caller's own key for this person.
    external_id: str | None = Field(default=None, max_length=200)
    # Counted up to revoke the addresses of their Campaign Manager page that are out.
    manager_version: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    created_at: datetime
    archived_at: datetime | None = None
    erased_at: datetime | None = None
