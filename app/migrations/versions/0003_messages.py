"""Templates, messages and the links that they hold.

What was said to a creator is not rewritten afterwards. It can be blanked, all of it, when the
creator is erased.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
WAITING = sa.text("status = 'QUEUED'")
AUTOMATIC = sa.text("is_automatic")

# Children before the tables that they refer to.
TABLES = ("message_link", "message", "message_batch", "message_template")

KEPT = (
    "id",
    "program_id",
    "campaign_id",
    "enrollment_id",
    "creator_id",
    "template_id",
    "is_automatic",
    "created_at",
)
SAID = ("to_address", "subject", "body")


def _changed(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)


BLANKED = " AND ".join(f"NEW.{column} = ''" for column in SAID)

# Name, table, event, message, and for which rows.
GUARDS = (
    ("message_is_never_deleted", "message", "DELETE", "a message cannot be deleted", "TRUE"),
    (
        "message_never_changes",
        "message",
        "UPDATE",
        "what a message says, and to whom, cannot change",
        f"{_changed(KEPT)} OR ({_changed(SAID)}) AND NOT ({BLANKED})",
    ),
    (
        "message_stays_sent",
        "message",
        "UPDATE",
        "a message that was sent stays so",
        "OLD.status = 'SENT' AND (NEW.status <> 'SENT' OR OLD.sent_at <> NEW.sent_at)",
    ),
    (
        "message_link_is_never_deleted",
        "message_link",
        "DELETE",
        "which links a message holds cannot change",
        "TRUE",
    ),
    (
        "message_link_never_changes",
        "message_link",
        "UPDATE",
        "which links a message holds cannot change",
        "TRUE",
    ),
)
# PostgreSQL only, where TRUNCATE passes by the triggers for DELETE.
NEVER_EMPTIED = ("message", "message_link")


def upgrade() -> None:
    op.add_column(
        "creator", sa.Column("manager_version", sa.Integer(), server_default="1", nullable=False)
    )
    _templates_and_batches()
    _messages()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, *_ in GUARDS:
            op.execute(f"DROP TRIGGER {name}")
    else:
        for name, table, *_ in GUARDS:
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
        for table in NEVER_EMPTIED:
            op.execute(f"DROP TRIGGER {table}_is_never_emptied ON {table}")
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("creator", "manager_version")


def _templates_and_batches() -> None:
    op.create_table(
        "message_template",
        _key("id"),
        _key("program_id"),
        _key("campaign_id"),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sends_on_stage", sa.SmallInteger(), nullable=True),
        _time("created_at"),
        _time("archived_at", nullable=True),
        *_keys("message_template", "program", "campaign"),
    )
    _index("message_template", "campaign_id", "created_at", "id")
    op.create_table(
        "message_batch",
        _key("id"),
        _key("program_id"),
        _key("campaign_id"),
        sa.Column("idempotency_key", sa.String(200), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("outcomes", sa.JSON(), nullable=False),
        _time("created_at"),
        *_keys("message_batch", "program", "campaign"),
        sa.UniqueConstraint(
            "program_id", "idempotency_key", name="uq_message_batch_program_id_idempotency_key"
        ),
    )


def _messages() -> None:
    op.create_table(
        "message",
        _key("id"),
        _key("program_id"),
        _key("campaign_id"),
        _key("enrollment_id"),
        _key("creator_id"),
        _key("template_id", nullable=True),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("to_address", sa.String(320), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        _time("created_at"),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _time("next_attempt_at"),
        _time("sent_at", nullable=True),
        sa.Column("error", sa.String(300), nullable=False),
        *_keys("message", "program", "campaign", "enrollment", "creator"),
        _foreign_key("message", "template_id", "message_template"),
        sa.CheckConstraint(
            "status IN ('QUEUED', 'SENT', 'FAILED')", name=op.f("ck_message_status")
        ),
    )
    _index("message", "enrollment_id", "created_at", "id")
    _index("message", "campaign_id", "created_at", "id")
    _index("message", "template_id", "enrollment_id")
    op.create_index(
        "ix_message_outbox",
        "message",
        ["next_attempt_at", "id"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_index(
        "uq_message_automatic",
        "message",
        ["template_id", "enrollment_id"],
        unique=True,
        sqlite_where=AUTOMATIC,
        postgresql_where=AUTOMATIC,
    )
    op.create_table(
        "message_link",
        _key("message_id"),
        _key("tracking_link_id"),
        sa.PrimaryKeyConstraint("message_id", "tracking_link_id", name="pk_message_link"),
        _foreign_key("message_link", "message_id", "message"),
        _foreign_key("message_link", "tracking_link_id", "tracking_link"),
    )
    _index("message_link", "tracking_link_id", "message_id")


def _key(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, BIG, autoincrement=False, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=nullable)


def _keys(table: str, *parents: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        *(_foreign_key(table, f"{parent}_id", parent) for parent in parents),
    ]


def _foreign_key(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _guard_sqlite() -> None:
    for name, table, event, message, when in GUARDS:
        # Before 3.39 SQLite has its own words for it only.
        condition = when.replace("IS DISTINCT FROM", "IS NOT")
        op.execute(
            f"""
            CREATE TRIGGER {name} BEFORE {event} ON {table}
            WHEN {condition}
            BEGIN
                SELECT RAISE(ABORT, '{message}');
            END
            """
        )


def _guard_postgresql() -> None:
    for name, table, event, message, when in GUARDS:
        op.execute(
            f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF {when} THEN
                    RAISE restrict_violation USING MESSAGE = '{message}';
                END IF;
                RETURN coalesce(NEW, OLD);
            END
            $$
            """
        )
        op.execute(
            f"""
            CREATE TRIGGER {name} BEFORE {event} ON {table}
            FOR EACH ROW EXECUTE FUNCTION {name}()
            """
        )
    for table in NEVER_EMPTIED:
        op.execute(
            f"""
            CREATE TRIGGER {table}_is_never_emptied BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()
            """
        )
