"""What a mutation answered under a key of the caller's choice, so that a retry gets it again."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

from app.models.columns import BIG


class IdempotencyKey(SQLModel, table=True):
    __tablename__ = "idempotency_key"

    # 0 for the installation's own key.
    program_id: int = Field(
        primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False}
    )
    mutation: str = Field(primary_key=True, max_length=64)
    key: str = Field(primary_key=True, max_length=200)
    # Of the input: the same key for something else is a mistake, and is told so.
    request_hash: bytes = Field(sa_type=LargeBinary(32))
    answer: dict[str, Any] = Field(sa_type=JSON)
    at: datetime
