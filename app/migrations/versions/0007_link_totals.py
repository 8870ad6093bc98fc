"""Link totals: what lists of links are ordered by, counted from quarters of an hour for good.

When a link was last clicked is said by its last raw click; where that is gone, by the quarter of
an hour that it was in.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COUNT = """
    INSERT INTO link_total (link_id, clicks, last_click_ms)
    SELECT link_id, clicks, coalesce(
        (SELECT max(at_ms) FROM click
         WHERE click.link_id = counted.link_id AND verdict = 0 AND at_ms >= counted.last_ms),
        last_ms)
    FROM (
        SELECT link_id, sum(clicks) AS clicks, max(CAST(quarter AS BIGINT)) * 900000 AS last_ms
        FROM click_quarter WHERE clicks > 0 GROUP BY link_id
    ) AS counted
"""


def upgrade() -> None:
    op.create_table(
        "link_total",
        *(
            sa.Column(name, BIG, autoincrement=False, nullable=False)
            for name in ("link_id", "clicks", "last_click_ms")
        ),
        sa.PrimaryKeyConstraint("link_id", name="pk_link_total"),
    )
    op.execute(COUNT)


def downgrade() -> None:
    op.drop_table("link_total")
