"""The demo program: what a newcomer sees before having anything of their own.

DESIGN
------
The program is told as a story through the resolvers, each act with the time at which it
happened, so its histories, links and audit entries are those of a real program. Only the
clicks are written directly, as the recorder would: rows and their sums together.

All of it is one transaction: a demo that was interrupted was never begun. Names, stages and
clicks are the same each time; ids, codes and the key are not.
"""

import random
from collections.abc import Callable
from datetime import datetime

from sqlmodel import col, select

from app.auth import OPERATOR
from app.database import Database
from app.demo import story, traffic
from app.models import Program, ReportSection, ReportShare, Role
from app.resolvers import keys, report_shares
from app.resolvers.change import Change

Progress = Callable[[str, int, int], None]
"""Told what is being made, how much of it is done, and how much there is."""

SEED = 20_240_229


async def seed(
    database: Database,
    check_destination: Callable[[str], str],
    *,
    now: datetime,
    progress: Progress,
) -> str | None:
    """Make the demo program, and return the text of an ADMIN key for it.

    None, and nothing is done, in an installation that has a program already.
    """
    async with database.writing() as session:
        if (await session.exec(select(Program.id).limit(1))).first() is not None:
            return None
        rng = random.Random(SEED)  # noqa: S311 - a story, not a secret
        change = Change(session, OPERATOR, now, check_destination)
        program = await story.tell(change, rng, progress)
        await traffic.send(change, program, rng, progress)
        _, text = await keys.create(change, name="Demo", role=Role.ADMIN, program_id=program.id)
        await report_shares.create(
            change, program_id=program.id, name="Demo", sections=list(ReportSection)
        )
        return text


async def shared_report(database: Database) -> int | None:
    """The share of a report that was made first and is still open: the demo's own, at first."""
    async with database.reading() as session:
        found = await session.exec(
            select(ReportShare.id)
            .where(col(ReportShare.revoked_at).is_(None), col(ReportShare.expires_at).is_(None))
            .order_by(col(ReportShare.created_at))
            .limit(1)
        )
        return found.first()
