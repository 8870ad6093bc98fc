"""Every table of sums, and how it is counted again from raw clicks."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, String, case, cast, func, literal_column, select, union_all
from sqlmodel import SQLModel, col

from app.database import ReadSession
from app.days import QUARTER_MS, day_of_quarter, sql_of_day
from app.models import (
    Campaign,
    CampaignDay,
    CampaignPart,
    Click,
    ClickQuarter,
    Detail,
    ExcludedQuarter,
    LinkDay,
    LinkPart,
    Program,
    ProgramDays,
    TrackingLink,
    Verdict,
)

Key = tuple[Any, ...]
Sums = tuple[int, ...]
# Of links or campaigns whose program has its days in one zone.
Recount = Callable[[ReadSession, Sequence[int], str], Awaitable[dict[Key, Sums]]]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Whose days a program's rows are, and since when its raw clicks and other hits are there."""

    zone: str = "UTC"
    clicks_ms: int = 0
    excluded_ms: int = 0


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table of sums. ``keys`` name a row, and the first of them is what it is batched by."""

    model: type[SQLModel]
    keys: tuple[str, ...]
    sums: tuple[str, ...]
    # The same of raw clicks.
    clicked: Any
    recount: Recount

    @property
    def name(self) -> str:
        return str(self.model.__tablename__)

    @property
    def batched_by(self) -> Any:
        return getattr(self.model, self.keys[0])

    async def calendars(self, session: ReadSession, batch: Sequence[int]) -> dict[int, Calendar]:
        """The calendar of each of a batch; what no program is known of has the plainest."""
        owner: Any = Campaign if self.keys[0] == "campaign_id" else TrackingLink
        columns: tuple[Any, ...] = (
            owner.id,
            func.coalesce(col(ProgramDays.zone), col(Program.time_zone)),
            func.coalesce(col(ProgramDays.clicks_ms), 0),
            func.coalesce(col(ProgramDays.excluded_ms), 0),
        )
        chosen = (
            select(*columns)
            .join(Program, col(Program.id) == owner.program_id)
            .outerjoin(ProgramDays, col(ProgramDays.program_id) == col(Program.id))
            .where(owner.id.in_(batch))
        )
        rows = await (await session.connection()).execute(chosen)
        found = {row[0]: Calendar(*row[1:]) for row in rows}
        return {key: found.get(key, Calendar()) for key in batch}

    def believed(
        self, calendar: Calendar, key: Key, stored: Sums | None, counted: Sums | None
    ) -> Sums | None:
        """What the row should be: as counted, but as stored where the raw clicks are gone."""
        named = dict(zip(self.keys, key, strict=True))
        nothing = (0,) * len(self.sums)
        sums = tuple(
            before if self._is_gone(calendar, named, name) else after
            for name, before, after in zip(
                self.sums, stored or nothing, counted or nothing, strict=True
            )
        )
        # Of rows without anything, only one that stands for hits that are gone may be there.
        return sums if any(sums) or None not in {stored, counted} else None

    def _is_gone(self, calendar: Calendar, named: dict[str, Any], column: str) -> bool:
        is_excluded = (
            column in {"excluded_hits", "hits_after_archive"}
            or "reason" in named
            or named.get("detail") == Detail.REASON
        )
        since_ms = calendar.clicks_ms
        if is_excluded:
            since_ms = max(since_ms, calendar.excluded_ms)
        quarter = since_ms // QUARTER_MS
        if "quarter" in named:
            return bool(named["quarter"] < quarter)
        return since_ms > 0 and bool(named["day"] < day_of_quarter(quarter, calendar.zone))


async def counted(session: ReadSession, statement: Any, width: int) -> dict[Key, Sums]:
    """The rows of a statement whose first ``width`` columns name a row of sums."""
    rows = await (await session.connection()).execute(statement)
    return {tuple(row[:width]): tuple(map(int, row[width:])) for row in rows}


def number_of(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


LINK = col(Click.link_id)
CAMPAIGN = col(TrackingLink.campaign_id)
QUARTER = (col(Click.at_ms) // QUARTER_MS).cast(Integer)
IS_COUNTED = col(Click.verdict) == Verdict.COUNTED
IS_EXCLUDED = col(Click.verdict) == Verdict.EXCLUDED
UNIQUE = number_of(IS_COUNTED & col(Click.is_unique))
COUNTS = ("clicks", "unique_clicks", "suspect_clicks", "excluded_hits", "hits_after_archive")
SUMS = (
    number_of(IS_COUNTED),
    UNIQUE,
    number_of(IS_COUNTED & col(Click.is_suspect)),
    number_of(IS_EXCLUDED),
    number_of(col(Click.verdict) == Verdict.AFTER_ARCHIVE),
)
# What a raw click says of itself.
DETAILS: dict[Detail, Any] = {
    Detail.DESTINATION: cast(Click.destination_version, String),
    Detail.REFERRER: col(Click.referrer_host),
    Detail.COUNTRY: col(Click.country),
    Detail.DEVICE: col(Click.device),
    Detail.BROWSER: col(Click.browser),
    Detail.OS: col(Click.os),
    Detail.IN_APP: col(Click.in_app),
}


async def _quarters(session: ReadSession, links: Sequence[int], zone: str) -> dict[Key, Sums]:
    chosen = select(LINK, QUARTER, *SUMS).where(LINK.in_(links)).group_by(LINK, QUARTER)
    return await counted(session, chosen, 2)


async def _reasons(session: ReadSession, links: Sequence[int], zone: str) -> dict[Key, Sums]:
    reason = col(Click.reason)
    chosen = (
        select(LINK, QUARTER, reason, func.count())
        .where(LINK.in_(links), IS_EXCLUDED)
        .group_by(LINK, QUARTER, reason)
    )
    return await counted(session, chosen, 3)


def _days(owner: Any) -> Recount:
    async def recount(session: ReadSession, keys: Sequence[int], zone: str) -> dict[Key, Sums]:
        day = _day(zone)
        chosen = _of(owner, keys, owner, day, *SUMS).group_by(owner, day)
        return await counted(session, chosen, 2)

    return recount


def _parts(owner: Any) -> Recount:
    async def recount(session: ReadSession, keys: Sequence[int], zone: str) -> dict[Key, Sums]:
        day = _day(zone)
        reason = col(Click.reason)
        parts = [
            _of(owner, keys, owner, _number(Detail.REASON), day, reason, func.count(), _number(0))
            .where(IS_EXCLUDED)
            .group_by(owner, day, reason)
        ]
        for detail, value in DETAILS.items():
            if owner is LINK or detail is not Detail.DESTINATION:
                chosen = _of(owner, keys, owner, _number(detail), day, value, func.count(), UNIQUE)
                parts.append(chosen.where(IS_COUNTED).group_by(owner, day, value))
        return await counted(session, union_all(*parts), 4)

    return recount


def _of(owner: Any, keys: Sequence[int], *columns: Any) -> Any:
    chosen = select(*columns).select_from(Click)
    if owner is CAMPAIGN:
        chosen = chosen.join(TrackingLink, col(TrackingLink.id) == LINK)
    return chosen.where(owner.in_(keys))


def _day(zone: str) -> Any:
    return literal_column(sql_of_day("click.at_ms", zone), Integer)


def _number(value: int) -> Any:
    return literal_column(str(int(value)), Integer)


ROLLUPS = (
    Rollup(ClickQuarter, ("link_id", "quarter"), COUNTS, LINK, _quarters),
    Rollup(ExcludedQuarter, ("link_id", "quarter", "reason"), ("hits",), LINK, _reasons),
    Rollup(LinkDay, ("link_id", "day"), COUNTS, LINK, _days(LINK)),
    Rollup(
        LinkPart,
        ("link_id", "detail", "day", "value"),
        ("hits", "unique_hits"),
        LINK,
        _parts(LINK),
    ),
    Rollup(CampaignDay, ("campaign_id", "day"), COUNTS, col(Campaign.id), _days(CAMPAIGN)),
    Rollup(
        CampaignPart,
        ("campaign_id", "detail", "day", "value"),
        ("hits", "unique_hits"),
        col(Campaign.id),
        _parts(CAMPAIGN),
    ),
)
