"""Day rows: what clicks bring, for links and campaigns, by days of their program's time zone.

They are counted from what is there: clicks from the raw ones, all else from quarters of an
hour. Destinations get their UTM parameters beside them, since they themselves never change.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from app import utm
from app.days import sql_of_day

revision = "0005"
down_revision = "0004"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWNERS = {"link": "click.link_id", "campaign": "tracking_link.campaign_id"}
QUARTER_AT = "(CAST(quarter AS BIGINT) * 900000)"
REASON, DESTINATION = 0, 1
# By their numbers: what a raw click says of itself.
DETAILS = {
    DESTINATION: "CAST(click.destination_version AS VARCHAR(11))",
    2: "referrer_host",
    3: "country",
    4: "device",
    5: "browser",
    6: "os",
    7: "in_app",
}
BATCH = 2_000

DAYS = """
    INSERT INTO {owner}_day ({owner}_id, day, clicks, unique_clicks, suspect_clicks, excluded_hits,
                             hits_after_archive)
    SELECT {key}, {day}, sum(clicks), sum(unique_clicks), sum(suspect_clicks), sum(excluded_hits),
        sum(hits_after_archive)
    FROM click_quarter AS click JOIN tracking_link ON tracking_link.id = click.link_id
    WHERE tracking_link.program_id = :program GROUP BY 1, 2
"""
REASONS = """
    INSERT INTO {owner}_part ({owner}_id, detail, day, value, hits, unique_hits)
    SELECT {key}, {detail}, {day}, reason, sum(hits), 0
    FROM excluded_quarter AS click JOIN tracking_link ON tracking_link.id = click.link_id
    WHERE tracking_link.program_id = :program GROUP BY 1, 3, 4
"""
PARTS = """
    INSERT INTO {owner}_part ({owner}_id, detail, day, value, hits, unique_hits)
    SELECT {key}, {detail}, {day}, {value}, count(*), sum(CASE WHEN is_unique THEN 1 ELSE 0 END)
    FROM click JOIN tracking_link ON tracking_link.id = click.link_id
    WHERE tracking_link.program_id = :program AND verdict = 0 GROUP BY 1, 3, 4
"""


def upgrade() -> None:
    for owner in OWNERS:
        _create_days(owner)
        _create_parts(owner)
    op.create_table(
        "program_days",
        _key("program_id"),
        sa.Column("zone", sa.String(64), nullable=True),
        _key("clicks_ms"),
        _key("excluded_ms"),
        _primary_key("program_days", "program_id"),
        _foreign_key("program_days", "program_id", "program"),
    )
    op.create_table(
        "destination_utm",
        _key("tracking_link_id"),
        _number("version"),
        *(sa.Column(name, sa.String(200), nullable=False) for name in ("source", "medium")),
        sa.Column("campaign", sa.String(200), nullable=False),
        _primary_key("destination_utm", "tracking_link_id", "version"),
        _foreign_key("destination_utm", "tracking_link_id", "tracking_link"),
    )
    connection = op.get_bind()
    programs = connection.execute(sa.text("SELECT id, time_zone FROM program")).all()
    for program, zone in programs:
        for statement in _counting(zone):
            connection.execute(sa.text(statement), {"program": program})
    _read_destinations(connection)


def downgrade() -> None:
    for table in ("destination_utm", "program_days"):
        op.drop_table(table)
    for owner in OWNERS:
        op.drop_table(f"{owner}_part")
        op.drop_table(f"{owner}_day")


def _counting(zone: str) -> Iterator[str]:
    of_click, of_quarter = sql_of_day("click.at_ms", zone), sql_of_day(QUARTER_AT, zone)
    for owner, key in OWNERS.items():
        yield DAYS.format(owner=owner, key=key, day=of_quarter)
        yield REASONS.format(owner=owner, key=key, day=of_quarter, detail=REASON)
        for detail, value in DETAILS.items():
            if owner == "link" or detail != DESTINATION:
                yield PARTS.format(owner=owner, key=key, day=of_click, detail=detail, value=value)


def _read_destinations(connection: sa.Connection) -> None:
    last = (-1, -1)
    while True:
        rows = connection.execute(
            sa.text(
                "SELECT tracking_link_id, version, url FROM link_destination "
                "WHERE (tracking_link_id, version) > (:link, :version) "
                "ORDER BY tracking_link_id, version LIMIT :batch"
            ),
            {"link": last[0], "version": last[1], "batch": BATCH},
        ).all()
        if not rows:
            return
        last = (rows[-1][0], rows[-1][1])
        found = [(link, version, *utm.of_url(url)) for link, version, url in rows]
        names = ("link", "version", "source", "medium", "campaign")
        values = [dict(zip(names, row, strict=True)) for row in found if any(row[2:])]
        if values:
            connection.execute(
                sa.text(
                    "INSERT INTO destination_utm "
                    "VALUES (:link, :version, :source, :medium, :campaign)"
                ),
                values,
            )


def _create_days(owner: str) -> None:
    op.create_table(
        f"{owner}_day",
        _key(f"{owner}_id"),
        _number("day"),
        _number("clicks"),
        _number("unique_clicks"),
        _number("suspect_clicks"),
        _number("excluded_hits"),
        _number("hits_after_archive"),
        _primary_key(f"{owner}_day", f"{owner}_id", "day"),
        sqlite_with_rowid=False,
    )


def _create_parts(owner: str) -> None:
    op.create_table(
        f"{owner}_part",
        _key(f"{owner}_id"),
        sa.Column("detail", sa.SmallInteger(), nullable=False),
        _number("day"),
        sa.Column("value", sa.String(253), nullable=False),
        _number("hits"),
        _number("unique_hits"),
        _primary_key(f"{owner}_part", f"{owner}_id", "detail", "day", "value"),
        sqlite_with_rowid=False,
    )


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, BIG, autoincrement=False, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def _primary_key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _foreign_key(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}")
