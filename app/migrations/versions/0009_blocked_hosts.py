"""Blocked hosts: where no link may lead."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "blocked_host",
        sa.Column("host", sa.String(253), nullable=False),
        sa.Column("note", sa.String(200), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_blocked_host"),
    )


def downgrade() -> None:
    op.drop_table("blocked_host")
