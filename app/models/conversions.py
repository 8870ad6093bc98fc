"""Sales and leads that followed a click, what they are worth, and how they are reported.

A conversion's row says what holds now; the ledger behind it says how that came to be, and the
database refuses to change the ledger. Money is a whole number of the currency's smallest unit.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, LargeBinary, SmallInteger, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.models.columns import BIG, foreign_key, primary_key, text_enum


class AttributionModel(StrEnum):
    LAST_CLICK = "LAST_CLICK"
    FIRST_CLICK = "FIRST_CLICK"


class Precedence(StrEnum):
    """What earns a conversion that came with a coupon and with a click of another link."""

    CLICK = "CLICK"
    COUPON = "COUPON"


class ConversionStatus(StrEnum):
    ATTRIBUTED = "ATTRIBUTED"
    UNATTRIBUTED = "UNATTRIBUTED"
    OUT_OF_WINDOW = "OUT_OF_WINDOW"
    # A refund came, and its sale has not yet.
    AWAITED = "AWAITED"


class EntryKind(StrEnum):
    SALE = "SALE"
    REFUND = "REFUND"
    CORRECTION = "CORRECTION"


class ConversionSettings(SQLModel, table=True):
    """How a program tracks conversions. No row: it never has."""

    __tablename__ = "conversion_settings"

    program_id: int = foreign_key("program.id", primary_key=True)
    is_on: bool = False
    # The parameter that takes the click's id to the destination.
    click_parameter: str = Field(default="tlid", max_length=32)
    window_days: int = Field(default=28, sa_type=SmallInteger)
    model: AttributionModel = Field(
        default=AttributionModel.LAST_CLICK, sa_type=text_enum(AttributionModel, name="model")
    )
    precedence: Precedence = Field(
        default=Precedence.CLICK, sa_type=text_enum(Precedence, name="precedence")
    )
    # What a conversion is worth that says nothing itself.
    fixed_amount: int | None = Field(default=None, sa_type=BIG)
    fixed_currency: str | None = Field(default=None, max_length=3)
    # The currencies that are taken; none here, and all are.
    currencies: list[str] = Field(default_factory=list, sa_type=JSON)
    # The hosts whose pages may report; none here, and any may.
    sites: list[str] = Field(default_factory=list, sa_type=JSON)


class ConversionSecret(SQLModel, table=True):
    """What a brand's server signs its reports with. Kept as it is: a signature needs it."""

    __tablename__ = "conversion_secret"
    __table_args__ = (Index(None, "program_id", "created_at", "id"),)

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    name: str = Field(max_length=200)
    secret: str = Field(max_length=64)
    created_at: datetime
    revoked_at: datetime | None = None


class CreatorCoupon(SQLModel, table=True):
    """A code that a buyer types in, and the link that earns what it brings."""

    __tablename__ = "creator_coupon"
    __table_args__ = (
        UniqueConstraint("program_id", "code"),
        Index(None, "program_id", "created_at", "id"),
        Index(None, "tracking_link_id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    campaign_id: int = foreign_key("campaign.id")
    tracking_link_id: int = foreign_key("tracking_link.id")
    # Lower case: shops match coupons without case.
    code: str = Field(max_length=64)
    created_at: datetime
    archived_at: datetime | None = None


class Conversion(SQLModel, table=True):
    __table_args__ = (
        UniqueConstraint("program_id", "type", "unique_key"),
        Index(None, "program_id", "created_at", "id"),
        Index(None, "campaign_id", "created_at", "id"),
        Index(None, "tracking_link_id", "created_at", "id"),
        Index(
            "ix_conversion_look_at",
            "look_at",
            sqlite_where=text("look_at IS NOT NULL"),
            postgresql_where=text("look_at IS NOT NULL"),
        ),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    type: str = Field(max_length=64)
    # "o:" and the order id, or "c:" and the last click's: what makes it the same conversion.
    unique_key: str = Field(max_length=130)
    order_id: str | None = Field(default=None, max_length=128)
    # Whether somebody with a key reported it, or only a page that anybody can imitate.
    is_verified: bool

    # What it is said to be due to: the ids of clicks, a coupon, the link of a coupon or a code.
    click_ids: list[str] = Field(default_factory=list, sa_type=JSON)
    coupon: str | None = Field(default=None, max_length=64)
    claimed_link_id: int | None = foreign_key("tracking_link.id", nullable=True, default=None)
    # The program's rules when it was first reported: a later change of them changes no figure.
    window_days: int = Field(sa_type=SmallInteger)
    model: AttributionModel = Field(sa_type=text_enum(AttributionModel, name="model"))
    precedence: Precedence = Field(sa_type=text_enum(Precedence, name="precedence"))

    # What is made of that.
    status: ConversionStatus = Field(sa_type=text_enum(ConversionStatus, name="status"))
    # Why nobody is credited, for programs; empty where somebody is.
    reason: str = Field(default="", max_length=32)
    campaign_id: int | None = foreign_key("campaign.id", nullable=True, default=None)
    tracking_link_id: int | None = foreign_key("tracking_link.id", nullable=True, default=None)
    click_id: bytes | None = Field(default=None, sa_type=LargeBinary(16))
    is_credited_by_hand: bool = False

    # What the report said it is worth, to know a repeat by; and what it is worth, the fixed value
    # and corrections included, refunds not. None where that is nothing.
    reported_amount: int | None = Field(default=None, sa_type=BIG)
    amount: int | None = Field(default=None, sa_type=BIG)
    currency: str | None = Field(default=None, max_length=3)
    refunded: int = Field(default=0, sa_type=BIG)
    # When it happened, as it is counted; and as it was said, if anything was.
    occurred_at: datetime
    stated_at: datetime | None = None
    created_at: datetime
    # When to look next for clicks of it that were not recorded yet; None once all are.
    look_at: datetime | None = None


class ConversionEntry(SQLModel, table=True):
    """One line of a conversion's ledger: never changed, never deleted."""

    __tablename__ = "conversion_entry"
    __table_args__ = (
        UniqueConstraint("program_id", "idempotency_key"),
        Index(None, "conversion_id", "at", "id"),
    )

    id: int = primary_key()
    program_id: int = foreign_key("program.id")
    conversion_id: int = foreign_key("conversion.id")
    kind: EntryKind = Field(sa_type=text_enum(EntryKind, name="kind"))
    # A sale's worth, a refund's amount, or by how much a correction changes the worth.
    amount: int | None = Field(default=None, sa_type=BIG)
    currency: str | None = Field(default=None, max_length=3)
    at: datetime
    # None when a signature or a page reported it, or the command line.
    key_id: int | None = foreign_key("api_key.id", nullable=True, default=None)
    reason: str = Field(default="", max_length=500)
    # The caller's own: the same again does nothing.
    idempotency_key: str | None = Field(default=None, max_length=128)


class ConversionQuarter(SQLModel, table=True):
    """How a link's conversions add up, by the quarter of an hour in which they happened.

    As `ClickQuarter`, and for each currency; the empty one is of conversions without worth. A
    refund is in the quarter of its sale.
    """

    __tablename__ = "conversion_quarter"

    link_id: int = Field(primary_key=True, sa_type=BIG)
    quarter: int = Field(primary_key=True)
    currency: str = Field(primary_key=True, max_length=3)
    conversions: int = 0
    # Those that only a page reported: a part of `conversions`.
    unverified_conversions: int = 0
    gross: int = Field(default=0, sa_type=BIG)
    refunded: int = Field(default=0, sa_type=BIG)
    # Gross less refunded of the verified ones: what creators may be paid by.
    payable: int = Field(default=0, sa_type=BIG)
