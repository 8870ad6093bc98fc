"""Report shares: reports that people outside may look at."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "report_share",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("program_id", BIG, autoincrement=False, nullable=False),
        sa.Column("campaign_id", BIG, autoincrement=False, nullable=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("sections", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_report_share"),
        sa.ForeignKeyConstraint(
            ["program_id"], ["program.id"], name="fk_report_share_program_id_program"
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name="fk_report_share_campaign_id_campaign"
        ),
    )
    for owner in ("program_id", "campaign_id"):
        columns = [owner, "created_at", "id"]
        op.create_index(f"ix_report_share_{'_'.join(columns)}", "report_share", columns)


def downgrade() -> None:
    op.drop_table("report_share")
