"""The figures of a report as tables of any length, a batch of rows at a time.

DESIGN
------
A table is read in the order of creation by keyset, each batch in a session of its own: a reader
who is slow holds no connection and no snapshot, and memory does not grow with the table. What is
made meanwhile comes at the end. The figures of a batch are those of the graph, for as many
owners at once. Batches are small, so that a table under way does not keep redirects waiting.

What could be refused is refused before the first batch: see `open_table`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import tuple_
from sqlmodel import col, select

from app import money
from app.auth import sees
from app.database import Database
from app.errors import not_found
from app.ids import encode
from app.models import ReportSection
from app.resolvers import conversion_table, reports, stats, tracking_links
from app.resolvers.breakdowns import OBJECTS, ROWS_MAX, Dimension, Split
from app.resolvers.earnings import Revenue
from app.resolvers.report_listings import LISTINGS, PREFIXES, Listing
from app.resolvers.report_subjects import DIMENSIONS, Subject
from app.resolvers.reports import Totals
from app.resolvers.stats import Granularity, Period

BATCH: Final = 250
COUNTED: Final = (
    "clicks",
    "unique_clicks",
    "suspect_clicks",
    "excluded_clicks",
    "hits_after_archive",
)
_counts = attrgetter(
    "clicks", "unique_clicks", "suspect_clicks", "excluded_hits", "hits_after_archive"
)
Row = Sequence[Any]
"""Texts, whole numbers, decimal numbers, or None for an empty cell."""


@dataclass(frozen=True, slots=True)
class Table:
    header: Sequence[str]
    batches: AsyncIterator[Sequence[Row]]


# What is no object has a table of its parts.
SPLITS: Final = {
    f"by-{by.name.lower().replace('_', '-')}": (section, by)
    for section, dimensions in DIMENSIONS.items()
    for by in dimensions
    if by not in OBJECTS
}


class Tables:
    """The tables of one report. ``link_address`` makes a short URL of a code."""

    def __init__(
        self,
        database: Database,
        subject: Subject,
        period: Period,
        granularity: Granularity,
        link_address: Callable[[str], str],
    ) -> None:
        self._database = database
        self._subject = subject
        self._period = period
        self._granularity = granularity
        self._link_address = link_address

    async def open(self, name: str) -> Table:
        """The table of this name, or a refusal. Nothing is refused any more once it is open."""
        if name in LISTINGS:
            listing = LISTINGS[name](self._subject)
            self._check(listing.section)
            currencies = await self._currencies()
            header = [*listing.columns, *self._figures_header(currencies)]
            return Table(header, self._listed(listing, currencies))
        if name in SPLITS:
            section, by = SPLITS[name]
            self._check(section)
            return await self._split(by)
        if name == "totals":
            self._check(ReportSection.TOTALS)
            return await self._totals()
        if name == "excluded":
            self._check(ReportSection.TOTALS)
            return await self._excluded()
        if name == "conversions" and self._subject.lists_conversions:
            return Table(conversion_table.HEADER, self._conversions())
        if name == "series":
            self._check(ReportSection.TIME_SERIES)
            return await self._series()
        raise not_found("table", "table")

    def _check(self, section: ReportSection) -> None:
        if not self._subject.shows(section):
            raise not_found("table", "table")

    async def _totals(self) -> Table:
        async with self._database.reading() as session:
            found = await reports.totals(session, self._subject, self._period)
        currencies = _currencies_of(found)
        header = ["from", "to", "time_zone", *self._figures_header(currencies)]
        row = [
            None if self._period.first is None else self._period.first.isoformat(),
            self._period.last.isoformat(),
            self._period.zone.key,
            *self._figures(found, currencies),
        ]
        return Table(header, _at_once([row]))

    async def _excluded(self) -> Table:
        subject = self._subject
        async with self._database.reading() as session:
            found = await stats.excluded(
                session, subject.viewer, subject.scope, [subject.key], self._period
            )
        return Table(["reason", "hits"], _at_once(list(found.get(subject.key, {}).items())))

    async def _series(self) -> Table:
        async with self._database.reading() as session:
            steps = await reports.series(session, self._subject, self._period, self._granularity)
        zone = self._period.zone
        rows = [
            [
                step.start.astimezone(zone).isoformat(),
                step.end.astimezone(zone).isoformat(),
                *_counts(step.counts)[: len(self._counted)],
            ]
            for step in steps
        ]
        return Table(["start", "end", *self._counted], _at_once(rows))

    async def _split(self, by: Dimension) -> Table:
        async with self._database.reading() as session:
            parts = await reports.split(session, self._subject, self._period, Split(by, ROWS_MAX))
        rows = [[part.name, part.clicks, part.unique_clicks] for part in parts.rows]
        if parts.other.clicks:
            rows.append(["(other)", parts.other.clicks, parts.other.unique_clicks])
        return Table([by.name.lower(), "clicks", "unique_clicks"], _at_once(rows))

    async def _listed(
        self, listing: Listing, currencies: Sequence[str]
    ) -> AsyncIterator[Sequence[Row]]:
        model, subject = listing.model, self._subject
        chosen: Any = (
            select(model.created_at, model.id, *listing.columns.values())
            .where(sees(subject.viewer, model))
            .order_by(col(model.created_at), col(model.id))
            .limit(BATCH)
        )
        statement = chosen
        while True:
            async with self._database.reading() as session:
                rows = (await session.exec(statement)).all()
                keys = [row[1] for row in rows]
                counted = await reports.totals_of(
                    session, subject, listing.scope, keys, self._period
                )
                labels: Mapping[int, Sequence[str]] = {}
                if "labels" in listing.columns:
                    labels = await tracking_links.labels(session, keys)
            yield [
                [
                    *self._cells(listing.columns, row[2:], labels),
                    *self._figures(counted[row[1]], currencies),
                ]
                for row in rows
            ]
            if len(rows) < BATCH:
                return
            last_created_at, last_key, *_ = rows[-1]
            # A plain tuple on the right: its values are bound with the columns' own types.
            statement = chosen.where(
                tuple_(model.created_at, model.id) > (last_created_at, last_key)
            )

    async def _conversions(self) -> AsyncIterator[Sequence[Row]]:
        after = None
        while True:
            async with self._database.reading() as session:
                rows, after = await conversion_table.batch(
                    session, self._subject.viewer, self._period, after, BATCH
                )
            yield rows
            if after is None:
                return

    def _cells(
        self, columns: Mapping[str, Any], values: Sequence[Any], labels: Mapping[int, Sequence[str]]
    ) -> list[Any]:
        cells = []
        for name, value in zip(columns, values, strict=True):
            cell = value
            if isinstance(value, datetime):
                cell = value.isoformat()
            elif name in PREFIXES:
                cell = encode(PREFIXES[name], value)
            elif name == "short_url":
                cell = self._link_address(value)
            elif name == "labels":
                cell = ", ".join(labels.get(value, ()))
            cells.append(cell)
        return cells

    async def _currencies(self) -> Sequence[str]:
        if not self._subject.shows_conversions:
            return ()
        async with self._database.reading() as session:
            return _currencies_of(await reports.totals(session, self._subject, self._period))

    def _figures_header(self, currencies: Sequence[str]) -> list[str]:
        header = list(self._counted)
        if self._subject.shows_conversions:
            header += ["conversions", "conversion_rate"]
            header += [
                f"{name}_{currency}"
                for currency in currencies
                for name in ("gross", "refunded", "net")
            ]
        return header

    def _figures(self, totals: Totals, currencies: Sequence[str]) -> list[Any]:
        cells: list[Any] = list(_counts(totals.counts)[: len(self._counted)])
        if totals.earned is not None:
            rate = totals.conversion_rate
            cells += [totals.earned.conversions, None if rate is None else round(rate, 6)]
            worth = dict(totals.earned.revenue)
            for currency in currencies:
                each = worth.get(currency, Revenue())
                cells += [
                    Decimal(money.text(minor, currency))
                    for minor in (each.gross, each.refunded, each.net)
                ]
        return cells

    @property
    def _counted(self) -> Sequence[str]:
        """What a reader without the totals does not get by adding rows up, either."""
        return COUNTED if self._subject.shows(ReportSection.TOTALS) else COUNTED[:2]


def _currencies_of(totals: Totals) -> list[str]:
    return sorted(currency for currency, _ in totals.earned.revenue) if totals.earned else []


async def _at_once(rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    yield rows
