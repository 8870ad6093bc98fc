"""The tables of the first release.

A released migration never changes: the next change is the next file. So nothing is imported
from the models, whose tables are those of today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
ORIGINAL = sa.text("campaign_link_id IS NOT NULL AND replaces_id IS NULL")

# Children before the tables that they refer to.
TABLES = (
    "journal_position",
    "visitor_link",
    "excluded_quarter",
    "click_quarter",
    "click",
    "idempotency_key",
    "audit_entry",
    "link_label",
    "link_destination",
    "tracking_link",
    "campaign_link",
    "stage_change",
    "enrollment",
    "creator",
    "api_key_campaign",
    "campaign",
    "api_key",
    "program",
)


def upgrade() -> None:
    _programs_and_keys()
    _campaigns_and_creators()
    _links()
    _clicks()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def _programs_and_keys() -> None:
    op.create_table(
        "program",
        _key("id"),
        _text("name", 200),
        _text("time_zone", 64),
        _number("unique_window_minutes"),
        _time("created_at"),
        _time("archived_at", nullable=True),
        _primary_key("program", "id"),
    )
    op.create_table(
        "api_key",
        _key("id"),
        _key("program_id", nullable=True),
        _text("name", 200),
        _text("kid", 16),
        _bytes("secret_hash", 32),
        _text("role", 16),
        _time("created_at"),
        _time("expires_at", nullable=True),
        _time("revoked_at", nullable=True),
        _time("last_used_at", nullable=True),
        _primary_key("api_key", "id"),
        _foreign_key("api_key", "program_id", "program"),
        sa.UniqueConstraint("kid", name="uq_api_key_kid"),
        sa.CheckConstraint(
            "role IN ('ADMIN', 'MANAGER', 'ANALYST', 'PARTNER', 'CONVERSIONS')",
            name=op.f("ck_api_key_role"),
        ),
    )
    _index("api_key", "program_id")
    op.create_table(
        "audit_entry",
        _key("id"),
        _key("program_id"),
        _time("at"),
        _key("key_id", nullable=True),
        _text("action", 64),
        _text("subject_type", 8),
        _key("subject_id"),
        sa.Column("changes", sa.JSON(), nullable=False),
        _primary_key("audit_entry", "id"),
        _foreign_key("audit_entry", "program_id", "program"),
        _foreign_key("audit_entry", "key_id", "api_key"),
    )
    _index("audit_entry", "program_id", "at", "id")
    _index("audit_entry", "subject_id", "at", "id")
    op.create_table(
        "idempotency_key",
        _key("program_id"),
        _text("mutation", 64),
        _text("key", 200),
        _bytes("request_hash", 32),
        sa.Column("answer", sa.JSON(), nullable=False),
        _time("at"),
        _primary_key("idempotency_key", "program_id", "mutation", "key"),
    )


def _campaigns_and_creators() -> None:
    op.create_table(
        "campaign",
        _key("id"),
        _key("program_id"),
        _text("name", 200),
        _text("slug", 200),
        _text("status", 16),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("stages", sa.JSON(), nullable=False),
        _time("created_at"),
        _time("archived_at", nullable=True),
        _primary_key("campaign", "id"),
        _foreign_key("campaign", "program_id", "program"),
        sa.CheckConstraint(
            "status IN ('DRAFT', 'LIVE', 'PAUSED', 'ARCHIVED')", name=op.f("ck_campaign_status")
        ),
    )
    _index("campaign", "program_id", "created_at", "id")
    op.create_table(
        "api_key_campaign",
        _key("key_id"),
        _key("campaign_id"),
        _primary_key("api_key_campaign", "key_id", "campaign_id"),
        _foreign_key("api_key_campaign", "key_id", "api_key"),
        _foreign_key("api_key_campaign", "campaign_id", "campaign"),
    )
    op.create_table(
        "creator",
        _key("id"),
        _key("program_id"),
        _text("handle", 100),
        _text("display_name", 200),
        _text("first_name", 100, nullable=True),
        _text("last_name", 100, nullable=True),
        _text("email", 320, nullable=True),
        _text("external_id", 200, nullable=True),
        _time("created_at"),
        _time("archived_at", nullable=True),
        _time("erased_at", nullable=True),
        _primary_key("creator", "id"),
        _foreign_key("creator", "program_id", "program"),
        sa.UniqueConstraint("program_id", "handle", name="uq_creator_program_id_handle"),
        sa.UniqueConstraint("program_id", "external_id", name="uq_creator_program_id_external_id"),
    )
    _index("creator", "program_id", "created_at", "id")
    op.create_table(
        "enrollment",
        _key("id"),
        _key("program_id"),
        _key("campaign_id"),
        _key("creator_id"),
        _small("stage"),
        _time("stage_changed_at"),
        _time("created_at"),
        _primary_key("enrollment", "id"),
        _foreign_key("enrollment", "program_id", "program"),
        _foreign_key("enrollment", "campaign_id", "campaign"),
        _foreign_key("enrollment", "creator_id", "creator"),
        sa.UniqueConstraint(
            "campaign_id", "creator_id", name="uq_enrollment_campaign_id_creator_id"
        ),
    )
    _index("enrollment", "campaign_id", "created_at", "id")
    _index("enrollment", "campaign_id", "stage", "id")
    _index("enrollment", "creator_id", "created_at", "id")
    op.create_table(
        "stage_change",
        _key("id"),
        _key("enrollment_id"),
        _time("at"),
        _small("from_stage", nullable=True),
        _small("to_stage"),
        _key("key_id", nullable=True),
        _primary_key("stage_change", "id"),
        _foreign_key("stage_change", "enrollment_id", "enrollment"),
        _foreign_key("stage_change", "key_id", "api_key"),
    )
    _index("stage_change", "enrollment_id", "at", "id")


def _links() -> None:
    op.create_table(
        "campaign_link",
        _key("id"),
        _key("program_id"),
        _key("campaign_id"),
        _text("name", 200),
        _text("destination_url", 2048),
        _text("tag_key", 64),
        sa.Column("utm", sa.JSON(), nullable=False),
        _time("created_at"),
        _time("archived_at", nullable=True),
        _primary_key("campaign_link", "id"),
        _foreign_key("campaign_link", "program_id", "program"),
        _foreign_key("campaign_link", "campaign_id", "campaign"),
        sa.UniqueConstraint("campaign_id", "tag_key", name="uq_campaign_link_campaign_id_tag_key"),
    )
    _index("campaign_link", "campaign_id", "created_at", "id")
    op.create_table(
        "tracking_link",
        _key("id"),
        _key("program_id"),
        _key("campaign_id"),
        _key("creator_id"),
        _key("enrollment_id"),
        _key("campaign_link_id", nullable=True),
        _text("code", 64),
        _text("destination_url", 2048),
        _number("destination_version"),
        _key("replaces_id", nullable=True),
        _time("created_at"),
        _time("changed_at"),
        _time("archived_at", nullable=True),
        _primary_key("tracking_link", "id"),
        _foreign_key("tracking_link", "program_id", "program"),
        _foreign_key("tracking_link", "campaign_id", "campaign"),
        _foreign_key("tracking_link", "creator_id", "creator"),
        _foreign_key("tracking_link", "enrollment_id", "enrollment"),
        _foreign_key("tracking_link", "campaign_link_id", "campaign_link"),
        _foreign_key("tracking_link", "replaces_id", "tracking_link"),
        sa.UniqueConstraint("code", name="uq_tracking_link_code"),
        sa.UniqueConstraint("replaces_id", name="uq_tracking_link_replaces_id"),
    )
    # One for each creator and campaign link, ever; replacements hang on their predecessor.
    op.create_index(
        "uq_tracking_link_campaign_link_id_creator_id",
        "tracking_link",
        ["campaign_link_id", "creator_id"],
        unique=True,
        sqlite_where=ORIGINAL,
        postgresql_where=ORIGINAL,
    )
    for column in ("program_id", "campaign_id", "creator_id", "enrollment_id", "campaign_link_id"):
        _index("tracking_link", column, "created_at", "id")
    for column in ("program_id", "campaign_id"):
        _index("tracking_link", column, "changed_at", "id")
    op.create_table(
        "link_destination",
        _key("tracking_link_id"),
        _number("version"),
        _text("url", 2048),
        _time("at"),
        _primary_key("link_destination", "tracking_link_id", "version"),
        _foreign_key("link_destination", "tracking_link_id", "tracking_link"),
    )
    op.create_table(
        "link_label",
        _key("tracking_link_id"),
        _text("label", 100),
        _number("place"),
        _primary_key("link_label", "tracking_link_id", "label"),
        _foreign_key("link_label", "tracking_link_id", "tracking_link"),
    )
    _index("link_label", "label", "tracking_link_id")


def _clicks() -> None:
    op.create_table(
        "click",
        _bytes("id", 16),
        _key("link_id"),
        _key("at_ms"),
        _number("destination_version"),
        _small("verdict"),
        _text("reason", 64),
        _small("classifier"),
        sa.Column("is_unique", sa.Boolean(), nullable=False),
        sa.Column("is_suspect", sa.Boolean(), nullable=False),
        _bytes("visitor", 16, nullable=True),
        _text("referrer_host", 253),
        _text("country", 2),
        _text("device", 16),
        _text("browser", 64),
        _text("os", 64),
        _text("in_app", 64),
        _text("utm_source", 100),
        _text("utm_medium", 100),
        _text("utm_campaign", 100),
        _primary_key("click", "id", "link_id"),
    )
    _index("click", "link_id", "at_ms")
    op.create_table(
        "click_quarter",
        _key("link_id"),
        _number("quarter"),
        _number("clicks"),
        _number("unique_clicks"),
        _number("suspect_clicks"),
        _number("excluded_hits"),
        _number("hits_after_archive"),
        _primary_key("click_quarter", "link_id", "quarter"),
    )
    op.create_table(
        "excluded_quarter",
        _key("link_id"),
        _number("quarter"),
        _text("reason", 64),
        _number("hits"),
        _primary_key("excluded_quarter", "link_id", "quarter", "reason"),
    )
    op.create_table(
        "visitor_link",
        _key("link_id"),
        _bytes("visitor", 16),
        _key("last_ms"),
        _key("unique_ms"),
        _primary_key("visitor_link", "link_id", "visitor"),
    )
    _index("visitor_link", "last_ms")
    op.create_table(
        "journal_position",
        _text("segment", 100),
        _key("position"),
        _primary_key("journal_position", "segment"),
    )


def _key(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, BIG, autoincrement=False, nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _small(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), nullable=nullable)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _bytes(name: str, length: int, *, nullable: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(length), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=nullable)


def _primary_key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _foreign_key(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
