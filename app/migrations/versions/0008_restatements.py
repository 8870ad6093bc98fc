"""Restated quarters: reports say which of their numbers were judged anew."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "restated_quarter",
        sa.Column("link_id", BIG, autoincrement=False, nullable=False),
        sa.Column("quarter", sa.Integer(), nullable=False),
        sa.Column("at_ms", BIG, autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("classifier", sa.SmallInteger(), nullable=False),
        sa.Column("verdict", sa.SmallInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "link_id",
            "quarter",
            "at_ms",
            "reason",
            "classifier",
            "verdict",
            name="pk_restated_quarter",
        ),
    )


def downgrade() -> None:
    op.drop_table("restated_quarter")
