"""One creator's unique link: what is shared and clicked.

The database itself holds the promises that outlive any code: a code is never used twice, a
creator has one link for each campaign link, nothing is deleted, and an archived link never
changes again. A replacement points back at the link it replaces, so that even replacing
leaves the archived row as it was.
"""

from datetime import UTC, datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.models.columns import foreign_key, primary_key

ORIGINAL = text("campaign_link_id IS NOT NULL AND replaces_id IS NULL")


class TrackingLink(SQLModel, table=True):
    __tablename__ = "tracking_link"
    __table_args__ = (
        # One for each creator and campaign link, ever; replacements hang on their predecessor.
        Index(
            "uq_tracking_link_campaign_link_id_creator_id",
            "campaign_link_id",
            "creator_id",
            unique=True,
            sqlite_where=ORIGINAL,
            postgresql_where=ORIGINAL,
        ),
        Index(None, "campaign_id", "created_at", "id"),
        Index(None, "creator_id", "created_at", "id"),
        Index(None, "enrollment_id", "created_at", "id"),
        Index(None, "campaign_link_id", "created_at", "id"),
        Index(None, "program_id", "created_at", "id"),
        Index(None, "program_id", "changed_at", "id"),
        Index(None, "campaign_id", "changed_at", "id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    campaign_id: int = foreign_key("campaign.id")
    creator_id: int = foreign_key("creator.id")
    enrollment_id: int = foreign_key("enrollment.id")
    # None on a creator-level link.
    campaign_link_id: int | None = foreign_key("campaign_link.id", nullable=True, default=None)
    # Lower case; requests are matched without case.
    code: str = Field(max_length=64, unique=True)
    destination_url: str = Field(max_length=2048)
    # Which row of LinkDestination that is.
    destination_version: int = 1
    # The archived link that this one was made in place of.
    replaces_id: int | None = foreign_key(
        "tracking_link.id", nullable=True, default=None, unique=True
    )
    created_at: datetime
    # When anything of the above, the labels, or the next was last new.
    changed_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    archived_at: datetime | None = None


class LinkDestination(SQLModel, table=True):
    """Where a link led, and from when. Each click names the version that it was sent to."""

    __tablename__ = "link_destination"

    tracking_link_id: int = foreign_key("tracking_link.id", primary_key=True)
    version: int = Field(primary_key=True)
    url: str = Field(max_length=2048)
    at: datetime


class DestinationUtm(SQLModel, table=True):
    """What a destination's own UTM parameters say, for reports to group by. No row: nothing."""

    __tablename__ = "destination_utm"

    tracking_link_id: int = foreign_key("tracking_link.id", primary_key=True)
    version: int = Field(primary_key=True)
    # Empty where the URL has no such parameter.
    source: str = Field(default="", max_length=200)
    medium: str = Field(default="", max_length=200)
    campaign: str = Field(default="", max_length=200)


class LinkLabel(SQLModel, table=True):
    """What tells two links with one destination apart, in the order that was given."""

    __tablename__ = "link_label"
    __table_args__ = (Index(None, "label", "tracking_link_id"),)

    tracking_link_id: int = foreign_key("tracking_link.id", primary_key=True)
    label: str = Field(max_length=100, primary_key=True)
    place: int
