"""Clicks as they are counted: a subscription over whatever adds up.

DESIGN
------
Each subscriber's numbers are read from the counters once a second, so they are right whichever
worker was clicked and whichever recorder counted. Nothing is queued: what comes in between two
looks is one event. Only the last two days are added up again; what is older is added up once.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import strawberry

from app.auth import Permission
from app.database import ReadSession
from app.resolvers import stats
from app.schema.context import Context, Info
from app.schema.nodes import NODES, Measurable
from app.schema.permissions import check

LOOK_S = 1.0
SETTLED_DAYS = 2
UTC_ZONE = ZoneInfo("UTC")


@strawberry.input(description="What to watch. Give exactly one.", one_of=True)
class ClickCountsScopeInput:
    program_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="All links of a program."
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="All links of a campaign."
    )
    campaign_link_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="All links of a campaign link."
    )
    tracking_link_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="One link."
    )

    def given(self) -> tuple[str, str]:
        """The prefix that the ID must have, and the ID."""
        named = {
            "prg": self.program_id,
            "cmp": self.campaign_id,
            "cml": self.campaign_link_id,
            "lnk": self.tracking_link_id,
        }
        return next((prefix, id_) for prefix, id_ in named.items() if isinstance(id_, str))


@strawberry.type(description="All counts so far, at one moment.")
class ClickCounts:
    at: datetime = strawberry.field(description="When they were read.")
    clicks: int = strawberry.field(description="Clicks by people, ever.")
    unique_clicks: int = strawberry.field(description="Unique clicks by people, ever.")
    excluded_clicks: int = strawberry.field(description="Hits that are not clicks, ever.")
    hits_after_archive: int = strawberry.field(description="Hits that were answered 410, ever.")
    new_clicks: int = strawberry.field(
        description="Clicks since the event before; 0 in the first one."
    )


@strawberry.type(description="Everything that can be watched.")
class Subscription:
    @strawberry.subscription(
        description="Counts of clicks as they come in: the present ones at once, then again "
        "whenever they have changed, at most once a second. Ends when the object can't be seen."
    )
    async def click_counts(
        self,
        info: Info,
        scope: Annotated[ClickCountsScopeInput, strawberry.argument(description="What to watch.")],
    ) -> AsyncIterator[ClickCounts]:
        check(info, Permission.READ_LINKS)
        prefix, id_ = scope.given()
        found: Measurable | None = await NODES[prefix].find(info, id_)
        if found is None:
            return
        settled = datetime.now(UTC).date() - timedelta(days=SETTLED_DAYS)
        async with info.context.database.reading() as session:
            old = await _sum(info.context, session, found, stats.FIRST_DAY, settled)
        last: stats.Counts | None = None
        while True:
            async with info.context.database.reading() as session:
                recent = settled + timedelta(days=1)
                counts = old + await _sum(info.context, session, found, recent, stats.LAST_DAY)
            if counts != last:
                yield ClickCounts(
                    at=datetime.now(UTC),
                    clicks=counts.clicks,
                    unique_clicks=counts.unique_clicks,
                    excluded_clicks=counts.excluded_hits,
                    hits_after_archive=counts.hits_after_archive,
                    new_clicks=0 if last is None else counts.clicks - last.clicks,
                )
                last = counts
            await asyncio.sleep(LOOK_S)


async def _sum(
    context: Context, session: ReadSession, node: Measurable, first: date, last: date
) -> stats.Counts:
    period = stats.Period(first, last, UTC_ZONE)
    key: int = node.row.id
    found = await stats.totals(session, context.viewer, node.scope, [key], period)
    return found.get(key, stats.NOTHING)
