"""What is said to creators: templates, messages as they were sent, and the links they hold.

A message is the outbox and the record in one: what is QUEUED is waiting to go out. The database
refuses to change what was said; it lets the text be blanked, whole, when somebody is erased.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.models.campaigns import Stage
from app.models.columns import IntEnumType, foreign_key, primary_key, text_enum

WAITING = text("status = 'QUEUED'")
AUTOMATIC = text("is_automatic")


class MessageStatus(StrEnum):
    QUEUED = "QUEUED"  # waits in the outbox, for the first attempt or for another one
    SENT = "SENT"  # taken by the mail server
    FAILED = "FAILED"  # given up: the error says why


class MessageTemplate(SQLModel, table=True):
    __tablename__ = "message_template"
    __table_args__ = (Index(None, "campaign_id", "created_at", "id"),)

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    campaign_id: int = foreign_key("campaign.id")
    name: str = Field(max_length=200)
    subject: str = Field(max_length=200)
    body: str = Field(sa_type=Text)
    # Sent by itself to whoever comes to this stage; None: only when somebody sends it.
    sends_on_stage: Stage | None = Field(default=None, sa_type=IntEnumType(Stage))
    created_at: datetime
    archived_at: datetime | None = None


class MessageBatch(SQLModel, table=True):
    """One call that sent a message, by the caller's own key, and what it answered."""

    __tablename__ = "message_batch"
    __table_args__ = (UniqueConstraint("program_id", "idempotency_key"),)

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    campaign_id: int = foreign_key("campaign.id")
    idempotency_key: str = Field(max_length=200)
    # Of what was asked: the same key with something else is a mistake.
    fingerprint: bytes = Field(sa_type=LargeBinary(32))
    # One for each recipient, in the order given: see `resolvers.message_batches`.
    outcomes: list[dict[str, Any]] = Field(sa_type=JSON)
    created_at: datetime


class Message(SQLModel, table=True):
    """A message to one creator, every tag filled in."""

    __table_args__ = (
        Index(None, "enrollment_id", "created_at", "id"),
        Index(None, "campaign_id", "created_at", "id"),
        Index(None, "template_id", "enrollment_id"),
        Index(
            "ix_message_outbox",
            "next_attempt_at",
            "id",
            sqlite_where=WAITING,
            postgresql_where=WAITING,
        ),
        # By itself a template goes to a creator once, whatever brings them to the stage again.
        Index(
            "uq_message_automatic",
            "template_id",
            "enrollment_id",
            unique=True,
            sqlite_where=AUTOMATIC,
            postgresql_where=AUTOMATIC,
        ),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    campaign_id: int = foreign_key("campaign.id")
    enrollment_id: int = foreign_key("enrollment.id")
    creator_id: int = foreign_key("creator.id")
    # None on a one-off message.
    template_id: int | None = foreign_key("message_template.id", nullable=True, default=None)
    is_automatic: bool = False
    to_address: str = Field(max_length=320)
    subject: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    created_at: datetime
    status: MessageStatus = Field(
        default=MessageStatus.QUEUED, sa_type=text_enum(MessageStatus, name="status")
    )
    attempts: int = 0
    # Not before then. A worker that takes the message moves it on, past the time that it may need.
    next_attempt_at: datetime
    sent_at: datetime | None = None
    # What the mail server said to the last attempt that failed.
    error: str = Field(default="", max_length=300)


class MessageLink(SQLModel, table=True):
    """A tracking link that a message holds: who has which link."""

    __tablename__ = "message_link"
    __table_args__ = (Index(None, "tracking_link_id", "message_id"),)

    message_id: int = foreign_key("message.id", primary_key=True)
    tracking_link_id: int = foreign_key("tracking_link.id", primary_key=True)
