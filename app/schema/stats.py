"""Clicks and conversions in a period: one shape for links and for everything that they add up to."""

from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import strawberry

from app.errors import UserErrorCode, refuse
from app.models import Program
from app.resolvers import breakdowns, earnings, stats
from app.resolvers.earnings import NOTHING, Earned
from app.resolvers.pages import page_args
from app.schema.breakdowns import ByArgument, LimitArgument, StatsBreakdown
from app.schema.context import Info
from app.schema.earnings import Earnings
from app.schema.loaders import Measure
from app.schema.scalars import TimeZone

if TYPE_CHECKING:
    from app.schema.hits import HitConnection, HitFilterInput, Reconciliation, Restatement

HITS = strawberry.lazy("app.schema.hits")


# As those of `app.schema.connections`, which needs this module first.
First = Annotated[
    int | None,
    strawberry.argument(description="How many, from the beginning: 0 to 100, 20 by default."),
]
After = Annotated[
    str | None, strawberry.argument(description="Only what comes after the item of this cursor.")
]
Last = Annotated[int | None, strawberry.argument(description="How many, from the end: 0 to 100.")]
Before = Annotated[
    str | None, strawberry.argument(description="Only what comes before the item of this cursor.")
]


@strawberry.input(description="A stretch of days, both ends included.")
class DateRangeInput:
    from_: date = strawberry.field(name="from", description="The first day.")
    to: date = strawberry.field(description="The last day.")


@strawberry.input(description="A period to count. Give exactly one.", one_of=True)
class StatsRangeInput:
    last_days: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="This many days up to and including today, 1 to 3660.",
    )
    between: DateRangeInput | None = strawberry.field(
        default=strawberry.UNSET, description="Between two days."
    )


RangeArgument = Annotated[
    StatsRangeInput | None,
    strawberry.argument(description="The period, in calendar days of the time zone."),
]
ZoneArgument = Annotated[
    TimeZone | None,
    strawberry.argument(
        description="Whose days to use, in the period and the series. The default is the program's."
    ),
]


@strawberry.type(description="Excluded hits of one reason.")
class ExcludedHits:
    reason: str = strawberry.field(
        description="Why these are not clicks, like `head`, `prefetch` or `bot:…`."
    )
    hits: int = strawberry.field(description="How many there were.")


@strawberry.type(
    description="The counts of one step of time. Its `revenue` has each currency of all the steps."
)
class StatsPoint(Earnings):
    start: datetime = strawberry.field(description="When the step begins.")
    end: datetime = strawberry.field(
        description="When the step ends, which is when the next one begins."
    )
    clicks: int = strawberry.field(description="Clicks by people.")
    unique_clicks: int = strawberry.field(description="Unique clicks by people.")
    excluded_clicks: int = strawberry.field(description="Hits that are not clicks.")
    of: strawberry.Private["Stats"]
    measure: strawberry.Private[Measure]
    place: strawberry.Private[int]

    async def _earned(self, info: Info) -> Earned | None:
        if not await self.of.is_tracking(info):
            return None
        steps = await info.context.loaders.earned_series.load((self.measure, self.of.key))
        counted: Earned = steps[self.place]
        return counted


@strawberry.type(
    description="Counted clicks and conversions of something in a period. Sums over links equal their campaign's "
    "figures, and sums over campaigns their program's."
)
class Stats(Earnings):
    from_: date | None = strawberry.field(
        name="from", description="The first day counted, or null for the beginning of time."
    )
    to: date = strawberry.field(description="The last day counted.")
    time_zone: TimeZone = strawberry.field(description="Whose days these are.")
    clicks: int = strawberry.field(description="Clicks by people.")
    unique_clicks: int = strawberry.field(
        description="Clicks by people with no earlier unique click by the same visitor on the "
        "same link within the program's window, 30 minutes by default."
    )
    suspect_clicks: int = strawberry.field(
        description="Clicks that lack what browsers send along: a part of `clicks`."
    )
    excluded_clicks: int = strawberry.field(
        description="Hits by bots, previews and prefetches, which are in no other figure."
    )
    hits_after_archive: int = strawberry.field(
        description="Hits that were answered 410, as the link was archived or led to a blocked "
        "host. They are in no other figure."
    )
    scope: strawberry.Private[stats.Scope]
    key: strawberry.Private[int]
    program_id: strawberry.Private[int]
    period: strawberry.Private[stats.Period]

    async def is_tracking(self, info: Info) -> bool:
        settings = await info.context.loaders.conversion_settings.load(self.program_id)
        return settings is not None and settings.is_on

    async def _earned(self, info: Info) -> Earned | None:
        if not await self.is_tracking(info):
            return None
        measure = Measure(self.scope, self.period)
        return await info.context.loaders.earned.load((measure, self.key)) or NOTHING

    @strawberry.field(
        description="The excluded hits by reason, most first. They add up to `excludedClicks`.",
        metadata={"cost": 5},
    )
    async def excluded_by_reason(self, info: Info) -> list[ExcludedHits]:
        measure = Measure(self.scope, self.period)
        found = await info.context.loaders.excluded.load((measure, self.key))
        return [ExcludedHits(reason=reason, hits=hits) for reason, hits in (found or {}).items()]

    @strawberry.field(
        description="The same counts in steps of time, oldest first, with zeros where nothing "
        "happened. All time begins with the first hit or conversion. At most 1000 steps, or the "
        "request is refused.",
        metadata={"cost": 10},
    )
    async def time_series(
        self,
        info: Info,
        granularity: Annotated[
            stats.Granularity, strawberry.argument(description="The length of a step.")
        ] = stats.Granularity.DAY,
    ) -> list[StatsPoint]:
        measure = Measure(self.scope, self.period, granularity)
        found = await info.context.loaders.series.load((measure, self.key))
        if not found:
            return []
        # All time has a first day now, so that what was earned falls into the same steps.
        first = found[0].start.astimezone(self.period.zone).date()
        measure = replace(measure, period=replace(self.period, first=first))
        return [
            StatsPoint(
                start=step.start,
                end=step.end,
                clicks=step.counts.clicks,
                unique_clicks=step.counts.unique_clicks,
                excluded_clicks=step.counts.excluded_hits,
                of=self,
                measure=measure,
                place=place,
            )
            for place, step in enumerate(found)
        ]

    @strawberry.field(
        description="The clicks and conversions split by one dimension, most clicks first. What the "
        "clicks brought, from `UTM_SOURCE` on, is counted by days of the program's time zone only.",
        metadata={"cost": 20},
    )
    async def breakdown(
        self, info: Info, by: ByArgument, limit: LimitArgument = 10
    ) -> StatsBreakdown:
        split = breakdowns.Split(by, limit)
        measure = Measure(self.scope, self.period)
        if earnings.can_split(by) and await self.is_tracking(info):
            parts = await info.context.loaders.earned_parts.load(((measure, split), self.key))
            return StatsBreakdown.of(by, parts.breakdown, [*parts.parts, parts.other])
        found = await info.context.loaders.breakdown.load(((measure, split), self.key))
        return StatsBreakdown.of(by, found or breakdowns.Breakdown())

    @strawberry.field(
        description="The hits behind these numbers one by one, newest first, as far as they are "
        "kept: numbers stay, single hits go after a time. Not for keys of partners.",
        metadata={"cost": 50},
    )
    async def hits(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated["HitFilterInput", HITS] | None = None,
    ) -> Annotated["HitConnection", HITS]:
        from app.schema.hits import connect

        args = page_args(first, after, last, before)
        return await connect(info, self.scope, self.key, self.program_id, self.period, filter, args)

    @strawberry.field(
        description="How the hits become these numbers, in one line.", metadata={"cost": 1}
    )
    async def reconciliation(self, info: Info) -> Annotated["Reconciliation", HITS]:
        from app.schema.hits import Reconciliation

        earned = await self._earned(info)
        return Reconciliation(
            hits=self.clicks + self.excluded_clicks + self.hits_after_archive,
            excluded=self.excluded_clicks,
            after_archive=self.hits_after_archive,
            clicks=self.clicks,
            unique_clicks=self.unique_clicks,
            conversions=None if earned is None else earned.conversions,
        )

    @strawberry.field(
        description="What of these numbers was judged anew after it was first counted, newest first: "
        "why a report can differ from one of before. Empty where nothing was.",
        metadata={"cost": 5},
    )
    async def restatements(self, info: Info) -> list[Annotated["Restatement", HITS]]:
        from app.schema.hits import Restatement

        measure = Measure(self.scope, self.period)
        found = await info.context.loaders.restated.load((measure, self.key))
        return [Restatement.of(each) for each in found or ()]

    @strawberry.field(
        description="The same of as many days right before, to compare with. Null for all time.",
        metadata={"cost": 3},
    )
    async def previous(self, info: Info) -> "Stats | None":
        before = self.period.previous
        if before is None:
            return None
        return await _counted(info, self.scope, self.key, self.program_id, before)


async def measure(
    info: Info,
    scope: stats.Scope,
    row: Any,
    range_: StatsRangeInput | None,
    time_zone: str | None,
) -> Stats:
    """The counts of a row of the database, in the period that was asked for."""
    period = await _period(info, row, range_, time_zone)
    program_id = row.id if isinstance(row, Program) else row.program_id
    return await _counted(info, scope, row.id, program_id, period)


async def _counted(
    info: Info, scope: stats.Scope, key: int, program_id: int, period: stats.Period
) -> Stats:
    counts = await info.context.loaders.counts.load((Measure(scope, period), key))
    counts = counts or stats.NOTHING
    return Stats(
        from_=period.first,
        to=period.last,
        time_zone=TimeZone(period.zone.key),
        clicks=counts.clicks,
        unique_clicks=counts.unique_clicks,
        suspect_clicks=counts.suspect_clicks,
        excluded_clicks=counts.excluded_hits,
        hits_after_archive=counts.hits_after_archive,
        scope=scope,
        key=key,
        program_id=program_id,
        period=period,
    )


async def _period(
    info: Info, row: Any, range_: StatsRangeInput | None, time_zone: str | None
) -> stats.Period:
    if time_zone is None:
        program = row
        if not isinstance(row, Program):
            program = await info.context.loaders.row(Program).load(row.program_id)
        time_zone = program.time_zone if program is not None else "UTC"
    zone = ZoneInfo(time_zone)
    if range_ is None:
        return stats.all_time(zone, now=info.context.now)
    if range_.last_days:
        return stats.last_days(range_.last_days, zone, now=info.context.now)
    if range_.between:
        return stats.between(range_.between.from_, range_.between.to, zone)
    raise refuse(UserErrorCode.INVALID, "Give `lastDays` from 1, or `between`.", "range")
