"""What the recorder writes: every hit once, and the counters that reports read.

Counters stand at two grains. By quarters of an hour they answer for any time zone; by days,
those of the program's zone, they also say what clicks brought, and cost a report less.

Times are integers here, alike on both engines and cheap to group by: milliseconds since 1970
(UTC), and quarter hours since 1970. A quarter of an hour, not an hour, because the days of
Kathmandu (+5:45) and Lord Howe Island (+10:30) begin inside an hour; every zone of today
begins its days on a quarter.

No foreign keys: the recorder must never fail because of another table, and PostgreSQL must be
free to spread these over machines.
"""

from enum import IntEnum
from typing import Any

from sqlalchemy import Boolean, Index, LargeBinary, SmallInteger
from sqlmodel import Field, SQLModel

from app.models.columns import BIG, IntEnumType, foreign_key


class Verdict(IntEnum):
    """What a hit counts as. Stored: never renumber."""

    COUNTED = 0  # a person followed the link
    EXCLUDED = 1  # a bot, a preview, a prefetch, a duplicate …: the reason says which
    AFTER_ARCHIVE = 2  # answered 410
    TEST = 3  # our own self-test, in no figure


class Detail(IntEnum):
    """What tells the hits of a day apart. Stored: never renumber."""

    REASON = 0  # of excluded hits; all others are of clicks
    DESTINATION = 1  # the version of the link's destination; of links only
    REFERRER = 2
    COUNTRY = 3
    DEVICE = 4
    BROWSER = 5
    OS = 6
    IN_APP = 7


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


class RestatedQuarter(SQLModel, table=True):
    """Hits of a link that were judged anew, by quarter of an hour and by who judged when."""

    __tablename__ = "restated_quarter"

    link_id: int = Field(primary_key=True, sa_type=BIG)
    quarter: int = Field(primary_key=True)
    # When `tracklinks restate` was run; its batches share the moment.
    at_ms: int = Field(primary_key=True, sa_type=BIG)
    reason: str = Field(primary_key=True, max_length=64)
    # Which revision of the classifier had judged them.
    classifier: int = Field(primary_key=True, sa_type=SmallInteger)
    # What they count as from then on.
    verdict: Verdict = Field(primary_key=True, sa_type=IntEnumType(Verdict))
    hits: int = 0


# A row is found by its whole key, and there is no other index: SQLite keeps it in the key's own.
_BY_KEY: dict[str, Any] = {"sqlite_with_rowid": False}


class LinkDay(SQLModel, table=True):
    """How a link's hits add up, by day of its program."""

    __tablename__ = "link_day"
    __table_args__ = _BY_KEY

    link_id: int = Field(primary_key=True, sa_type=BIG)
    # Days since 1970, in the zone that `ProgramDays` tells.
    day: int = Field(primary_key=True)
    clicks: int = 0
    unique_clicks: int = 0
    suspect_clicks: int = 0
    excluded_hits: int = 0
    hits_after_archive: int = 0


class LinkPart(SQLModel, table=True):
    """A link's hits of a day, split by one detail: its parts add up to the day's."""

    __tablename__ = "link_part"
    __table_args__ = _BY_KEY

    link_id: int = Field(primary_key=True, sa_type=BIG)
    detail: Detail = Field(primary_key=True, sa_type=IntEnumType(Detail))
    day: int = Field(primary_key=True)
    # Empty where unknown.
    value: str = Field(primary_key=True, max_length=253)
    hits: int = 0
    unique_hits: int = 0


class CampaignDay(SQLModel, table=True):
    """The sum of the days of a campaign's links: a report costs by days, however many they are."""

    __tablename__ = "campaign_day"
    __table_args__ = _BY_KEY

    campaign_id: int = Field(primary_key=True, sa_type=BIG)
    day: int = Field(primary_key=True)
    clicks: int = 0
    unique_clicks: int = 0
    suspect_clicks: int = 0
    excluded_hits: int = 0
    hits_after_archive: int = 0


class CampaignPart(SQLModel, table=True):
    """The sum of the parts of a campaign's links, all but `Detail.DESTINATION`."""

    __tablename__ = "campaign_part"
    __table_args__ = _BY_KEY

    campaign_id: int = Field(primary_key=True, sa_type=BIG)
    detail: Detail = Field(primary_key=True, sa_type=IntEnumType(Detail))
    day: int = Field(primary_key=True)
    value: str = Field(primary_key=True, max_length=253)
    hits: int = 0
    unique_hits: int = 0


class LinkTotal(SQLModel, table=True):
    """All clicks of a link: what lists are ordered by. No row: none. Kept for good."""

    __tablename__ = "link_total"

    # Or PostgreSQL would number the rows by itself, as it does for a lone key.
    link_id: int = Field(primary_key=True, sa_type=BIG, sa_column_kwargs={"autoincrement": False})
    clicks: int = Field(sa_type=BIG)
    last_click_ms: int = Field(sa_type=BIG)


class ProgramDays(SQLModel, table=True):
    """What the days of a program's rows are, and from when on they could be counted again.

    No row: days of the program's time zone, and all of its hits are still there.
    """

    __tablename__ = "program_days"

    program_id: int = foreign_key("program.id", primary_key=True)
    # Set while the days are not yet those of the program's time zone: whose they are.
    zone: str | None = Field(default=None, max_length=64)
    # Clicks before this moment may be deleted, and excluded hits and those after archive before
    # the other. Day rows before `clicks_ms` stay as they are for good.
    clicks_ms: int = Field(default=0, sa_type=BIG)
    excluded_ms: int = Field(default=0, sa_type=BIG)


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
