"""Conversions: how a program tracks them, what was reported, the ledger and its sums.

The ledger can only grow, a conversion stays what it was reported as, and neither is deleted:
what creators are paid by hangs on them.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
WAITING = sa.text("look_at IS NOT NULL")
MODELS = "model IN ('LAST_CLICK', 'FIRST_CLICK')"
PRECEDENCES = "precedence IN ('CLICK', 'COUPON')"

# Children before the tables that they refer to.
TABLES = (
    "conversion_quarter",
    "conversion_entry",
    "conversion",
    "creator_coupon",
    "conversion_secret",
    "conversion_settings",
)


@dataclass(frozen=True)
class Guard:
    """Refuse ``event`` on ``table`` for a row of which ``when`` is true."""

    name: str
    table: str
    event: str
    message: str
    when: str = "TRUE"


GUARDS = (
    Guard(
        "conversion_is_never_deleted",
        "conversion",
        "DELETE",
        "a conversion cannot be deleted",
    ),
    Guard(
        "conversion_stays_what_it_is",
        "conversion",
        "UPDATE",
        "the program, the type and the order of a conversion cannot change",
        " OR ".join(
            f"OLD.{column} IS DISTINCT FROM NEW.{column}"
            for column in ("id", "program_id", "type", "unique_key", "order_id")
        ),
    ),
    Guard(
        "conversion_entry_is_never_deleted",
        "conversion_entry",
        "DELETE",
        "an entry of the ledger cannot be deleted",
    ),
    Guard(
        "conversion_entry_never_changes",
        "conversion_entry",
        "UPDATE",
        "an entry of the ledger cannot change: add another",
    ),
)
# PostgreSQL only, where TRUNCATE passes by the triggers for DELETE.
NEVER_EMPTIED = ("conversion", "conversion_entry")


def upgrade() -> None:
    _settings()
    _conversions()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        for guard in GUARDS:
            op.execute(f"DROP FUNCTION {guard.name}()")


def _settings() -> None:
    op.create_table(
        "conversion_settings",
        _key("program_id"),
        _flag("is_on"),
        _text("click_parameter", 32),
        _small("window_days"),
        _text("model", 16),
        _text("precedence", 16),
        _key("fixed_amount", nullable=True),
        _text("fixed_currency", 3, nullable=True),
        sa.Column("currencies", sa.JSON(), nullable=False),
        sa.Column("sites", sa.JSON(), nullable=False),
        _primary_key("conversion_settings", "program_id"),
        _foreign_key("conversion_settings", "program_id", "program"),
        sa.CheckConstraint(MODELS, name=op.f("ck_conversion_settings_model")),
        sa.CheckConstraint(PRECEDENCES, name=op.f("ck_conversion_settings_precedence")),
    )
    op.create_table(
        "conversion_secret",
        _key("id"),
        _key("program_id"),
        _text("name", 200),
        _text("secret", 64),
        _time("created_at"),
        _time("revoked_at", nullable=True),
        _primary_key("conversion_secret", "id"),
        _foreign_key("conversion_secret", "program_id", "program"),
    )
    _index("conversion_secret", "program_id", "created_at", "id")
    op.create_table(
        "creator_coupon",
        _key("id"),
        _key("program_id"),
        _key("campaign_id"),
        _key("tracking_link_id"),
        _text("code", 64),
        _time("created_at"),
        _time("archived_at", nullable=True),
        _primary_key("creator_coupon", "id"),
        _foreign_key("creator_coupon", "program_id", "program"),
        _foreign_key("creator_coupon", "campaign_id", "campaign"),
        _foreign_key("creator_coupon", "tracking_link_id", "tracking_link"),
        sa.UniqueConstraint("program_id", "code", name="uq_creator_coupon_program_id_code"),
    )
    _index("creator_coupon", "program_id", "created_at", "id")
    _index("creator_coupon", "tracking_link_id")


def _conversions() -> None:
    op.create_table(
        "conversion",
        _key("id"),
        _key("program_id"),
        _text("type", 64),
        _text("unique_key", 130),
        _text("order_id", 128, nullable=True),
        _flag("is_verified"),
        sa.Column("click_ids", sa.JSON(), nullable=False),
        _text("coupon", 64, nullable=True),
        _key("claimed_link_id", nullable=True),
        _small("window_days"),
        _text("model", 16),
        _text("precedence", 16),
        _text("status", 16),
        _text("reason", 32),
        _key("campaign_id", nullable=True),
        _key("tracking_link_id", nullable=True),
        sa.Column("click_id", sa.LargeBinary(16), nullable=True),
        _flag("is_credited_by_hand"),
        _key("reported_amount", nullable=True),
        _key("amount", nullable=True),
        _text("currency", 3, nullable=True),
        _key("refunded"),
        _time("occurred_at"),
        _time("stated_at", nullable=True),
        _time("created_at"),
        _time("look_at", nullable=True),
        _primary_key("conversion", "id"),
        _foreign_key("conversion", "program_id", "program"),
        _foreign_key("conversion", "claimed_link_id", "tracking_link"),
        _foreign_key("conversion", "campaign_id", "campaign"),
        _foreign_key("conversion", "tracking_link_id", "tracking_link"),
        sa.UniqueConstraint(
            "program_id", "type", "unique_key", name="uq_conversion_program_id_type_unique_key"
        ),
        sa.CheckConstraint(MODELS, name=op.f("ck_conversion_model")),
        sa.CheckConstraint(PRECEDENCES, name=op.f("ck_conversion_precedence")),
        sa.CheckConstraint(
            "status IN ('ATTRIBUTED', 'UNATTRIBUTED', 'OUT_OF_WINDOW', 'AWAITED')",
            name=op.f("ck_conversion_status"),
        ),
    )
    for column in ("program_id", "campaign_id", "tracking_link_id"):
        _index("conversion", column, "created_at", "id")
    op.create_index(
        "ix_conversion_look_at",
        "conversion",
        ["look_at"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_table(
        "conversion_entry",
        _key("id"),
        _key("program_id"),
        _key("conversion_id"),
        _text("kind", 16),
        _key("amount", nullable=True),
        _text("currency", 3, nullable=True),
        _time("at"),
        _key("key_id", nullable=True),
        _text("reason", 500),
        _text("idempotency_key", 128, nullable=True),
        _primary_key("conversion_entry", "id"),
        _foreign_key("conversion_entry", "program_id", "program"),
        _foreign_key("conversion_entry", "conversion_id", "conversion"),
        _foreign_key("conversion_entry", "key_id", "api_key"),
        sa.UniqueConstraint(
            "program_id",
            "idempotency_key",
            name="uq_conversion_entry_program_id_idempotency_key",
        ),
        sa.CheckConstraint(
            "kind IN ('SALE', 'REFUND', 'CORRECTION')", name=op.f("ck_conversion_entry_kind")
        ),
    )
    _index("conversion_entry", "conversion_id", "at", "id")
    op.create_table(
        "conversion_quarter",
        _key("link_id"),
        _number("quarter"),
        _text("currency", 3),
        _number("conversions"),
        _number("unverified_conversions"),
        _key("gross"),
        _key("refunded"),
        _key("payable"),
        _primary_key("conversion_quarter", "link_id", "quarter", "currency"),
    )


def _guard_sqlite() -> None:
    for guard in GUARDS:
        # Before 3.39 SQLite has its own words for it only.
        when = guard.when.replace("IS DISTINCT FROM", "IS NOT")
        op.execute(
            f"""
            CREATE TRIGGER {guard.name} BEFORE {guard.event} ON {guard.table}
            WHEN {when}
            BEGIN
                SELECT RAISE(ABORT, '{guard.message}');
            END
            """
        )


def _guard_postgresql() -> None:
    # An integrity error, as on SQLite, so that callers need not tell the engines apart.
    for guard in GUARDS:
        op.execute(
            f"""
            CREATE FUNCTION {guard.name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF {guard.when} THEN
                    RAISE restrict_violation USING MESSAGE = '{guard.message}';
                END IF;
                RETURN coalesce(NEW, OLD);
            END
            $$
            """
        )
        op.execute(
            f"""
            CREATE TRIGGER {guard.name} BEFORE {guard.event} ON {guard.table}
            FOR EACH ROW EXECUTE FUNCTION {guard.name}()
            """
        )
    for table in NEVER_EMPTIED:  # the function is of the first guards
        op.execute(
            f"""
            CREATE TRIGGER {table}_is_never_emptied BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()
            """
        )


def _key(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, BIG, autoincrement=False, nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=nullable)


def _primary_key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _foreign_key(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))
