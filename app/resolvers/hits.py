"""The hits behind a number, one by one: what each was judged to be, and why.

DESIGN
------
Raw hits stand by link and time, so the newest of many links at once would mean to sort all of
them. The sums by day say first how far back a page reaches, and only that stretch is read.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

from sqlalchemy import func, tuple_
from sqlmodel import col, select

from app.auth import Viewer, sees
from app.database import ReadSession
from app.days import DAY_MS, QUARTER_MS
from app.errors import UserErrorCode, refuse
from app.models import Click, Detail, ProgramDays, TrackingLink, Verdict
from app.resolvers.grains import counts_of, parts_of, rows_of
from app.resolvers.pages import Page, PageArgs
from app.resolvers.periods import Period, Scope, date_after, date_before

# A day of any zone begins at most so long before or after that of UTC.
FURTHEST_MS = 15 * 3_600_000
COLUMNS = {
    Verdict.COUNTED: ("clicks",),
    Verdict.EXCLUDED: ("excluded_hits",),
    Verdict.AFTER_ARCHIVE: ("hits_after_archive",),
    None: ("clicks", "excluded_hits", "hits_after_archive"),
}


@dataclass(frozen=True, slots=True)
class Filter:
    verdict: Verdict | None = None
    # Of excluded hits.
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """From a moment to before another, in milliseconds since 1970."""

    from_ms: int
    before_ms: int


async def listed(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    key: int,
    period: Period,
    only: Filter,
    args: PageArgs,
) -> Page[Click]:
    """A page of the hits of one of these, newest first, as far as they are kept."""
    start, end = period.quarters
    whole = Stretch(start * QUARTER_MS, end * QUARTER_MS)
    position = _position(args)
    stretch = await _reach(session, viewer, scope, key, period, only, args, position, whole)
    rows = await _read(session, viewer, scope, key, only, args, position, stretch)
    if len(rows) <= args.size and stretch != whole:  # sums count what is no longer kept, too
        rows = await _read(session, viewer, scope, key, only, args, position, whole)
    more, rows = len(rows) > args.size, rows[: args.size]
    if args.is_backward:
        rows = rows[::-1]
    came_from = args.cursor is not None
    return Page(
        rows=rows,
        cursors=[_cursor(row) for row in rows],
        has_next=came_from if args.is_backward else more,
        has_previous=more if args.is_backward else came_from,
    )


async def kept_since(
    session: ReadSession, program_id: int
) -> tuple[datetime | None, datetime | None]:
    """From when on a program's clicks are kept, and its other hits. None: from the first on."""
    days = await session.get(ProgramDays, program_id)
    if days is None:
        return None, None
    return _instant(days.clicks_ms), _instant(days.excluded_ms)


def _instant(at_ms: int) -> datetime | None:
    return datetime.fromtimestamp(at_ms / 1000, UTC) if at_ms else None


async def _read(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    key: int,
    only: Filter,
    args: PageArgs,
    position: tuple[int, bytes] | None,
    stretch: Stretch,
) -> Sequence[Click]:
    chosen = select(Click).where(
        col(Click.at_ms) >= stretch.from_ms, col(Click.at_ms) < stretch.before_ms
    )
    if scope is Scope.TRACKING_LINK:
        chosen = chosen.where(col(Click.link_id) == key)
    else:
        owner = getattr(TrackingLink, scope.value)
        links = select(TrackingLink.id).where(owner == key, sees(viewer, TrackingLink))
        chosen = chosen.where(col(Click.link_id).in_(links))
    if only.reason is not None:
        chosen = chosen.where(
            col(Click.reason) == only.reason, col(Click.verdict) == Verdict.EXCLUDED
        )
    elif only.verdict is not None:
        chosen = chosen.where(col(Click.verdict) == only.verdict)
    place = tuple_(Click.at_ms, Click.id)
    if position is not None:
        chosen = chosen.where(place > position if args.is_backward else place < position)
    columns = (col(Click.at_ms), col(Click.id))
    order = [each.asc() if args.is_backward else each.desc() for each in columns]
    return (await session.exec(chosen.order_by(*order).limit(args.size + 1))).all()


async def _reach(
    session: ReadSession,
    viewer: Viewer,
    scope: Scope,
    key: int,
    period: Period,
    only: Filter,
    args: PageArgs,
    position: tuple[int, bytes] | None,
    whole: Stretch,
) -> Stretch:
    """Where enough hits for the page are, from the cursor on."""
    at_ms = whole.before_ms if position is None else position[0]
    if args.is_backward:
        at_ms = whole.from_ms if position is None else position[0]
    model = counts_of(scope, is_daily=True) if only.reason is None else parts_of(scope)
    # A day more on both sides: the rows' days may be those of another zone.
    around = Period(date_before(period.first), date_after(period.last), period.zone)
    _, statement = rows_of(viewer, scope, [key], around, model)
    if only.reason is None:
        hits = sum((func.sum(getattr(model, name)) for name in COLUMNS[only.verdict]), start=0)
        chosen = statement(model.day, hits)
    else:
        chosen = statement(model.day, func.sum(model.hits)).where(
            model.detail == Detail.REASON, model.value == only.reason
        )
    rows = (await session.exec(chosen.group_by(model.day).order_by(model.day))).all()
    # Only days that lie wholly beyond the cursor.
    if args.is_backward:
        beyond = [row for row in rows if row[0] * DAY_MS - FURTHEST_MS >= at_ms]
    else:
        beyond = [r for r in reversed(rows) if (r[0] + 1) * DAY_MS + FURTHEST_MS <= at_ms]
    for (day, _), number in zip(beyond, accumulate(int(row[1]) for row in beyond), strict=True):
        if number > args.size:
            begin_ms, end_ms = day * DAY_MS - FURTHEST_MS, (day + 1) * DAY_MS + FURTHEST_MS
            if args.is_backward:
                return Stretch(whole.from_ms, min(whole.before_ms, end_ms))
            return Stretch(max(whole.from_ms, begin_ms), whole.before_ms)
    return whole


def _cursor(row: Click) -> str:
    text = json.dumps([row.at_ms, row.id.hex()], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(args: PageArgs) -> tuple[int, bytes] | None:
    if args.cursor is None:
        return None
    try:
        padded = args.cursor + "=" * (-len(args.cursor) % 4)
        at_ms, id_ = json.loads(base64.urlsafe_b64decode(padded))
        if type(at_ms) is int and 0 <= at_ms < 1 << 48:
            return at_ms, bytes.fromhex(id_)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    where = "before" if args.is_backward else "after"
    raise refuse(UserErrorCode.INVALID, f"`{where}` is not a cursor of this list.", where)
