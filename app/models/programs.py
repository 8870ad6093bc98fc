"""Everything of one brand, and the boundary that no key can look across."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.models.columns import primary_key


class Program(SQLModel, table=True):
    id: int = primary_key()
    name: str = Field(max_length=200)
    # IANA name: whose days reports count in when the caller names no other.
    time_zone: str = Field(default="UTC", max_length=64)
    # A visitor's next click on the same link is unique again after this long: 1 to 1440.
    unique_window_minutes: int = Field(default=30)
    created_at: datetime
    archived_at: datetime | None = None
