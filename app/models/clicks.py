"""What the recorder writes: every hit once, and the counters that reports read.

Times are integers here, alike on both engines and cheap to group by: milliseconds since 1970
(UTC), and quarter hours since 1970. A quarter of an hour, not an hour, because the days of
Kathmandu (+5:45) and Lord Howe Island (+10:30) begin inside an hour; every zone of today
begins its days on a quarter.

No foreign keys: the recorder must never fail because of another table, and PostgreSQL must be
free to spread these over machines.
"""

from enum import IntEnum

from sqlalchemy import Boolean, Index, LargeBinary, SmallInteger
from sqlmodel import Field, SQLModel

from app.models.columns import BIG, IntEnumType


class Verdict(IntEnum):
    """What a hit counts as. Stored: never renumber."""

    COUNTED = 0  # a person followed the link
    EXCLUDED = 1  # a bot, a preview, a prefetch, a duplicate …: the reason says which
    AFTER_ARCHIVE = 2  # answered 410
    TEST = 3  # our own self-test, in no figure


class Click(SQLModel, table=True):
    __table_args__ = (Index(None, "link_id", "at_ms"),)

    # UUIDv7, made at the redirect: rises with time.
    id: bytes = Field(primary_key=True, sa_type=LargeBinary(16))
    link_id: int = Field(primary_key=True, sa_type=BIG)
    at_ms: int = Field(sa_type=BIG)
    destination_version: int
    verdict: Verdict = Field(sa_type=IntEnumType(Verdict))
    # Why it is excluded; empty when it is counted. A hit that was restated as counted keeps it.
    reason: str = Field(default="", max_length=64)
    # Which revision of the classifier judged it.
    classifier: int = Field(sa_type=SmallInteger)
    is_unique: bool = Field(sa_type=Boolean)
    is_suspect: bool = Field(sa_type=Boolean)
    # A keyed hash under a day key (a file, app/clicks/visitors.py); nulled when that is gone.
    visitor: bytes | None = Field(default=None, sa_type=LargeBinary(16))
    # All below: empty where unknown.
    referrer_host: str = Field(default="", max_length=253)
    country: str = Field(default="", max_length=2)
    device: str = Field(default="", max_length=16)
    browser: str = Field(default="", max_length=64)
    os: str = Field(default="", max_length=64)
    in_app: str = Field(default="", max_length=64)
    utm_source: str = Field(default="", max_length=100)
    utm_medium: str = Field(default="", max_length=100)
    utm_campaign: str = Field(default="", max_length=100)


class ClickQuarter(SQLModel, table=True):
    """How a link's hits add up, by quarter of an hour."""

    __tablename__ = "click_quarter"

    link_id: int = Field(primary_key=True, sa_type=BIG)
    quarter: int = Field(primary_key=True)
    clicks: int = 0
    unique_clicks: int = 0
    # Counted ones that lack what a browser sends: a part of `clicks`.
    suspect_clicks: int = 0
    excluded_hits: int = 0
    hits_after_archive: int = 0


class ExcludedQuarter(SQLModel, table=True):
    """The excluded hits of a link by reason: together they are `ClickQuarter.excluded_hits`."""

    __tablename__ = "excluded_quarter"

    link_id: int = Field(primary_key=True, sa_type=BIG)
    quarter: int = Field(primary_key=True)
    reason: str = Field(primary_key=True, max_length=64)
    hits: int = 0


class VisitorLink(SQLModel, table=True):
    """When a visitor last followed a link: what uniqueness and duplicates are judged by."""

    __tablename__ = "visitor_link"

    link_id: int = Field(primary_key=True, sa_type=BIG)
    visitor: bytes = Field(primary_key=True, sa_type=LargeBinary(16))
    last_ms: int = Field(sa_type=BIG, index=True)
    unique_ms: int = Field(sa_type=BIG)


class JournalPosition(SQLModel, table=True):
    """How far into a journal segment the clicks above reach: moved in their transaction."""

    __tablename__ = "journal_position"

    segment: str = Field(primary_key=True, max_length=100)
    position: int = Field(sa_type=BIG)
