"""What the database itself refuses, whoever asks and with whatever code.

Help centre: "Archived links stop working immediately and can't be reactivated." and "Tracking
links can't be deleted, but they can be archived." Everything measured hangs on these rows, so
no bug and no console may bend them.

A released migration never changes: the next change is the next file. On SQLite a batch
operation makes its table anew and so drops the table's triggers: such a migration creates
them again.
"""

from dataclasses import dataclass

from alembic import op

revision = "0002"
down_revision = "0001"


@dataclass(frozen=True)
class Guard:
    """Refuse ``event`` on ``table`` for a row of which ``when`` is true."""

    name: str
    table: str
    event: str
    message: str
    when: str = "TRUE"


def changed(*columns: str) -> str:
    return " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)


def archived(*links: str) -> str:
    """Whether any of these tracking links is."""
    return (
        "EXISTS (SELECT 1 FROM tracking_link AS link"  # noqa: S608 - our own column names
        f" WHERE link.id IN ({', '.join(links)}) AND link.archived_at IS NOT NULL)"
    )


GUARDS = (
    Guard(
        "tracking_link_is_never_deleted",
        "tracking_link",
        "DELETE",
        "a tracking link cannot be deleted, only archived",
    ),
    Guard(
        "tracking_link_stays_archived",
        "tracking_link",
        "UPDATE",
        "an archived link cannot change",
        "OLD.archived_at IS NOT NULL",
    ),
    Guard(
        "tracking_link_stays_whose_it_is",
        "tracking_link",
        "UPDATE",
        "the code and the owner of a link cannot change",
        changed(
            "id",
            "program_id",
            "campaign_id",
            "creator_id",
            "enrollment_id",
            "campaign_link_id",
            "code",
            "replaces_id",
            "created_at",
        ),
    ),
    Guard(
        "tracking_link_replaces_its_like",
        "tracking_link",
        "INSERT",
        "a link can only replace an archived one of the same creator and campaign",
        "NEW.replaces_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tracking_link AS replaced"
        " WHERE replaced.id = NEW.replaces_id"
        " AND replaced.archived_at IS NOT NULL"
        " AND replaced.creator_id = NEW.creator_id"
        " AND replaced.campaign_id = NEW.campaign_id"
        " AND replaced.campaign_link_id IS NOT DISTINCT FROM NEW.campaign_link_id)",
    ),
    Guard(
        "campaign_link_is_never_deleted",
        "campaign_link",
        "DELETE",
        "a campaign link cannot be deleted, only archived",
    ),
    Guard(
        "campaign_link_stays_archived",
        "campaign_link",
        "UPDATE",
        "an archived link cannot change",
        "OLD.archived_at IS NOT NULL",
    ),
    Guard(
        "campaign_link_stays_whose_it_is",
        "campaign_link",
        "UPDATE",
        "the tag and the campaign of a link cannot change",
        changed("id", "program_id", "campaign_id", "tag_key", "created_at"),
    ),
    Guard(
        "link_destination_is_never_deleted",
        "link_destination",
        "DELETE",
        "where a link led cannot be deleted",
    ),
    Guard(
        "link_destination_never_changes",
        "link_destination",
        "UPDATE",
        "where a link led cannot change: add the next version",
    ),
    Guard(
        "link_label_is_not_added_to_an_archived_link",
        "link_label",
        "INSERT",
        "an archived link cannot change",
        archived("NEW.tracking_link_id"),
    ),
    Guard(
        "link_label_of_an_archived_link_never_changes",
        "link_label",
        "UPDATE",
        "an archived link cannot change",
        archived("OLD.tracking_link_id", "NEW.tracking_link_id"),
    ),
    Guard(
        "link_label_of_an_archived_link_is_never_deleted",
        "link_label",
        "DELETE",
        "an archived link cannot change",
        archived("OLD.tracking_link_id"),
    ),
    Guard(
        "stage_change_is_never_deleted",
        "stage_change",
        "DELETE",
        "the history of a creator in a campaign cannot be deleted",
    ),
    Guard(
        "stage_change_never_changes",
        "stage_change",
        "UPDATE",
        "the history of a creator in a campaign cannot change",
    ),
    Guard(
        "audit_entry_is_never_deleted",
        "audit_entry",
        "DELETE",
        "an audit entry cannot be deleted",
    ),
    Guard(
        "audit_entry_never_changes",
        "audit_entry",
        "UPDATE",
        "an audit entry cannot change",
    ),
)

# PostgreSQL only, where TRUNCATE passes by the triggers for DELETE.
NEVER_EMPTIED = (
    "tracking_link",
    "campaign_link",
    "link_destination",
    "stage_change",
    "audit_entry",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _upgrade_sqlite()
    else:
        _upgrade_postgresql()


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for guard in GUARDS:
            op.execute(f"DROP TRIGGER {guard.name}")
        return
    for guard in GUARDS:
        op.execute(f"DROP TRIGGER {guard.name} ON {guard.table}")
        op.execute(f"DROP FUNCTION {guard.name}()")
    for table in NEVER_EMPTIED:
        op.execute(f"DROP TRIGGER {table}_is_never_emptied ON {table}")
    op.execute("DROP FUNCTION refuse_truncate()")


def _upgrade_sqlite() -> None:
    for guard in GUARDS:
        # Before 3.39 SQLite has its own words for it only.
        when = guard.when.replace("IS NOT DISTINCT FROM", "IS")
        when = when.replace("IS DISTINCT FROM", "IS NOT")
        op.execute(
            f"""
            CREATE TRIGGER {guard.name} BEFORE {guard.event} ON {guard.table}
            WHEN {when}
            BEGIN
                SELECT RAISE(ABORT, '{guard.message}');
            END
            """
        )


def _upgrade_postgresql() -> None:
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
    op.execute(
        """
        CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE restrict_violation USING MESSAGE = 'links and their history cannot be deleted';
        END
        $$
        """
    )
    for table in NEVER_EMPTIED:
        op.execute(
            f"""
            CREATE TRIGGER {table}_is_never_emptied BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate()
            """
        )
