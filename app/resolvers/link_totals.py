"""How often each link was clicked in all, and when last: what lists of links are ordered by.

DESIGN
------
A row for each link that was ever clicked, written by the recorder in the transaction of the
clicks. Archived rows of `tracking_link` never change, and a busy link's would at each batch, so
these stand beside. Lists take them by an outer join: a link without a row has no clicks, and
was clicked before all others.

Quarters of an hour are kept for good, so a total can be counted again however many raw clicks
are gone. When the last click was, only raw clicks say to the millisecond: where they are gone,
what is stored is believed if it lies in the last quarter with a click, or else that quarter's
beginning stands for it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.database import ReadSession, WriteSession
from app.days import QUARTER_MS
from app.models import Click, ClickQuarter, LinkTotal, Program, ProgramDays, TrackingLink
from app.resolvers.pages import Beside, Order, parse_number
from app.resolvers.rollups import IS_COUNTED, LINK, Calendar, Key, Rollup, Sums, counted

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BESIDE = Beside(LinkTotal, "link_id")
CLICKS = Order("CLICKS", "clicks", parse=parse_number, beside=BESIDE)
LAST_CLICKED_AT = Order("LAST_CLICKED_AT", "last_click_ms", parse=parse_number, beside=BESIDE)

COUNT = text("""
    INSERT INTO link_total (link_id, clicks, last_click_ms)
    SELECT link_id, clicks, coalesce(
        (SELECT max(at_ms) FROM click
         WHERE click.link_id = counted.link_id AND verdict = 0 AND at_ms >= counted.last_ms),
        last_ms)
    FROM (
        SELECT link_id, sum(clicks) AS clicks, max(CAST(quarter AS BIGINT)) * 900000 AS last_ms
        FROM click_quarter JOIN tracking_link ON tracking_link.id = link_id
        WHERE clicks > 0 AND program_id = :program GROUP BY link_id
    ) AS counted
""")
# Locks the row: what the next statement sees of the link's clicks is then the last word.
ADD = text("""
    INSERT INTO link_total (link_id, clicks, last_click_ms) VALUES (:link, :clicks, 0)
    ON CONFLICT (link_id) DO UPDATE SET clicks = link_total.clicks + excluded.clicks
""")
FIND_LAST = """
    UPDATE link_total SET last_click_ms = coalesce(
        (SELECT max(at_ms) FROM click
         WHERE click.link_id = :link AND verdict = 0 AND at_ms >= {last_quarter}),
        {last_quarter}, 0)
    WHERE link_id = :link
"""
LAST_QUARTER = """
    (SELECT max(CAST(quarter AS BIGINT)) * 900000 FROM click_quarter
     WHERE click_quarter.link_id = :link AND clicks > 0)
"""
DROP_EMPTY = text("DELETE FROM link_total WHERE link_id = :link AND clicks = 0")


async def last_clicked(session: ReadSession, link_ids: Sequence[int]) -> dict[int, datetime]:
    """When each of these was last clicked. One that never was is left out."""
    chosen = select(col(LinkTotal.link_id), col(LinkTotal.last_click_ms)).where(
        col(LinkTotal.link_id).in_(link_ids)
    )
    rows = await (await session.connection()).execute(chosen)
    return {link: EPOCH + timedelta(milliseconds=at_ms) for link, at_ms in rows}


async def count(session: WriteSession, program: Program) -> None:
    """Add up all clicks of a program that has no totals yet."""
    await (await session.connection()).execute(COUNT, {"program": program.id})


async def move(connection: AsyncConnection, clicks: Mapping[int, int]) -> None:
    """So many more clicks of each link, whose quarters hold them already, or fewer.

    To be the last thing that a transaction does to a link's sums, as it is the recorder's: the
    two wait for each other, and never in a ring.
    """
    if clicks:
        steps = [{"link": link, "clicks": number} for link, number in sorted(clicks.items())]
        links = [{"link": step["link"]} for step in steps]
        await connection.execute(ADD, steps)
        await connection.execute(text(FIND_LAST.format(last_quarter=LAST_QUARTER)), links)
        await connection.execute(DROP_EMPTY, links)


class LinkTotals(Rollup):
    """Unlike other sums, its rows hold some of what is gone and some of what is there."""

    def believed(
        self, calendar: Calendar, key: Key, stored: Sums | None, counted: Sums | None
    ) -> Sums | None:
        if stored is None or counted is None:
            return counted
        (_, stored_ms), (clicks, last_ms) = stored, counted
        is_gone = last_ms < calendar.clicks_ms
        is_believed = is_gone and last_ms <= stored_ms < last_ms + QUARTER_MS
        return clicks, stored_ms if is_believed else last_ms


async def _recount(session: ReadSession, links: Sequence[int], zone: str) -> dict[Key, Sums]:
    """From raw clicks as far back as all of them are there, and from quarters before."""
    since_ms = func.coalesce(col(ProgramDays.clicks_ms), 0)
    quarter, clicks = col(ClickQuarter.quarter), col(ClickQuarter.clicks)
    owner, at_ms = col(ClickQuarter.link_id), col(Click.at_ms)
    old = _with_days(select(owner, func.sum(clicks), func.max(quarter)), owner).where(
        owner.in_(links), clicks > 0, quarter < since_ms // QUARTER_MS
    )
    new = _with_days(select(LINK, func.count(), func.max(at_ms)), LINK).where(
        LINK.in_(links), IS_COUNTED, at_ms >= since_ms
    )
    sums: dict[Key, Sums] = {
        key: (number, last * QUARTER_MS)
        for key, (number, last) in (await counted(session, old.group_by(owner), 1)).items()
    }
    for key, (number, last_ms) in (await counted(session, new.group_by(LINK), 1)).items():
        sums[key] = (sums.get(key, (0, 0))[0] + number, last_ms)
    return sums


def _with_days(chosen: Any, link_id: Any) -> Any:
    """Beside each row what is known of its program's days, if anything."""
    return chosen.outerjoin(TrackingLink, col(TrackingLink.id) == link_id).outerjoin(
        ProgramDays, col(ProgramDays.program_id) == col(TrackingLink.program_id)
    )


TOTALS = LinkTotals(
    model=LinkTotal,
    keys=("link_id",),
    sums=("clicks", "last_click_ms"),
    # A link whose raw clicks are all gone is known by its quarters, restored before these.
    clicked=col(ClickQuarter.link_id),
    recount=_recount,
)
