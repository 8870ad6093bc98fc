"""Loads what many fields ask for at once: one statement for a page, however long it is.

Each loader gathers the keys of all fields that are being resolved and asks the database once,
in a session of its own. They live as long as the operation.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar
from strawberry.dataloader import DataLoader

from app.auth import Viewer, visible
from app.database import Database, ReadSession
from app.models import TrackingLink
from app.resolvers import (
    breakdowns,
    conversion_settings,
    earnings,
    ledger,
    link_totals,
    message_templates,
    messages,
    pages,
    stats,
    tracking_links,
)
from app.resolvers import keys as api_keys

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Group = TypeVar("Group", bound=Hashable)
Row = TypeVar("Row", bound=SQLModel)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as it was asked for: equal ones are loaded together, for all their parents."""

    model: type[SQLModel]
    # The select of all its rows, from the viewer and the filter.
    rows: Callable[[Viewer, Any], SelectOfScalar[Any]]
    filter: Any
    order: pages.Order
    args: pages.PageArgs
    # The column that names the parent; None for a list of the root.
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """What to count: equal ones are counted together, for all that they are asked of."""

    scope: stats.Scope
    period: stats.Period
    granularity: stats.Granularity | None = None


class _Loader(DataLoader[Key, Any]):
    """Fields that ask for the same wait for one future. When a field fails, graphql-core stops
    the ones beside it: without a shield that would cancel the future, and with it the fields
    elsewhere in the operation, whose caller would then read no answer at all."""

    def load(self, key: Key) -> Awaitable[Any]:
        return asyncio.shield(super().load(key))


class Loaders:
    def __init__(self, database: Database, viewer: Viewer) -> None:
        self._database = database
        self._viewer = viewer
        self._rows: dict[type[SQLModel], DataLoader[int, Any]] = {}
        self.page = self._grouped(self._pages)
        self.total = self._grouped(self._totals)
        self.counts = self._grouped(self._counts)
        self.excluded = self._grouped(self._excluded)
        self.restated = self._grouped(self._restated)
        self.series = self._grouped(self._series)
        self.earned = self._grouped(self._earned)
        self.earned_series = self._grouped(self._earned_series)
        self.earned_parts = self._grouped(self._earned_parts)
        self.breakdown = self._grouped(self._breakdowns)
        self.labels = self._each(tracking_links.labels)
        self.key_campaigns = self._each(api_keys.campaigns)
        self.destinations = self._each(tracking_links.destinations)
        self.campaign_links = self._each(message_templates.campaign_links)
        self.message_links = self._each(messages.links_of)
        self.link_messages = self._each(messages.with_link)
        self.conversion_settings = self._each(conversion_settings.of_programs)
        self.conversion_secrets = self._each(conversion_settings.secrets_of)
        self.coupons = self._each(conversion_settings.coupons_of)
        self.ledger = self._each(ledger.entries)
        self.last_clicked = self._each(link_totals.last_clicked)
        self.replacement = self._each(self._replacements)

    def row(self, model: type[Row]) -> "DataLoader[int, Row | None]":
        """Loads visible rows by their key; None for one that the viewer can't see."""
        if model not in self._rows:

            async def load(session: ReadSession, keys: Sequence[int]) -> dict[int, Row]:
                found = await session.exec(
                    visible(self._viewer, model).where(col(model.id).in_(keys))  # type: ignore[attr-defined] # all that have ids
                )
                return {row.id: row for row in found.all()}  # type: ignore[attr-defined]

            self._rows[model] = self._each(load)
        return self._rows[model]

    def _each(
        self, load: Callable[[ReadSession, Sequence[Key]], Awaitable[dict[Key, Value]]]
    ) -> "DataLoader[Key, Any]":
        async def batch(keys: list[Key]) -> list[Value | None]:
            async with self._database.reading() as session:
                found = await load(session, keys)
            return [found.get(key) for key in keys]

        return _Loader(load_fn=batch)

    def _grouped(
        self,
        load: Callable[[ReadSession, Group, Sequence[int]], Awaitable[dict[int, Value]]],
    ) -> "DataLoader[tuple[Group, int], Any]":
        """Keys are pairs: what is asked, and of whom. One statement for each that is asked."""

        async def batch(keys: list[tuple[Group, int]]) -> list[Value | None]:
            groups: dict[Group, list[int]] = defaultdict(list)
            for group, key in keys:
                groups[group].append(key)
            async with self._database.reading() as session:
                found = {
                    group: await load(session, group, members) for group, members in groups.items()
                }
            return [found[group].get(key) for group, key in keys]

        return _Loader(load_fn=batch)

    async def _pages(
        self, session: ReadSession, listing: Listing, keys: Sequence[int]
    ) -> dict[int, pages.Page[Any]]:
        statement = listing.rows(self._viewer, listing.filter)
        if listing.parent is None:
            page = await pages.paginate(
                session, listing.model, statement, listing.order, listing.args
            )
            return dict.fromkeys(keys, page)
        return await pages.paginate_each(
            session,
            listing.model,
            statement,
            listing.order,
            listing.args,
            parent=listing.parent,
            parent_ids=keys,
        )

    async def _totals(
        self, session: ReadSession, listing: Listing, keys: Sequence[int]
    ) -> dict[int, int]:
        statement = listing.rows(self._viewer, listing.filter)
        if listing.parent is None:
            return dict.fromkeys(keys, await pages.count(session, statement))
        counted = await pages.count_each(
            session, listing.model, statement, parent=listing.parent, parent_ids=keys
        )
        return {key: counted.get(key, 0) for key in keys}

    async def _counts(
        self, session: ReadSession, measure: Measure, keys: Sequence[int]
    ) -> dict[int, stats.Counts]:
        return await stats.totals(session, self._viewer, measure.scope, keys, measure.period)

    async def _excluded(
        self, session: ReadSession, measure: Measure, keys: Sequence[int]
    ) -> dict[int, dict[str, int]]:
        return await stats.excluded(session, self._viewer, measure.scope, keys, measure.period)

    async def _restated(
        self, session: ReadSession, measure: Measure, keys: Sequence[int]
    ) -> dict[int, list[stats.Restated]]:
        return await stats.restated(session, self._viewer, measure.scope, keys, measure.period)

    async def _earned(
        self, session: ReadSession, measure: Measure, keys: Sequence[int]
    ) -> dict[int, earnings.Earned]:
        return await earnings.totals(session, self._viewer, measure.scope, keys, measure.period)

    async def _earned_series(
        self, session: ReadSession, measure: Measure, keys: Sequence[int]
    ) -> dict[int, list[earnings.Earned]]:
        assert measure.granularity is not None  # noqa: S101 - as below
        return await earnings.series(
            session, self._viewer, measure.scope, keys, measure.period, measure.granularity
        )

    async def _earned_parts(
        self, session: ReadSession, asked: tuple[Measure, breakdowns.Split], keys: Sequence[int]
    ) -> dict[int, earnings.EarnedParts]:
        measure, split = asked
        return await earnings.parts(
            session, self._viewer, measure.scope, keys, measure.period, split
        )

    async def _series(
        self, session: ReadSession, measure: Measure, keys: Sequence[int]
    ) -> dict[int, list[stats.Step]]:
        assert measure.granularity is not None  # noqa: S101 - a series is asked for with one
        return await stats.series(
            session, self._viewer, measure.scope, keys, measure.period, measure.granularity
        )

    async def _breakdowns(
        self, session: ReadSession, asked: tuple[Measure, breakdowns.Split], keys: Sequence[int]
    ) -> dict[int, breakdowns.Breakdown]:
        measure, split = asked
        return await breakdowns.breakdowns(
            session, self._viewer, measure.scope, keys, measure.period, split
        )

    async def _replacements(
        self, session: ReadSession, keys: Sequence[int]
    ) -> dict[int, TrackingLink]:
        found = await session.exec(
            select(TrackingLink).where(col(TrackingLink.replaces_id).in_(keys))
        )
        return {row.replaces_id: row for row in found.all() if row.replaces_id is not None}


def without_page(listing: Listing) -> Listing:
    """The list itself, whatever page of it was asked for: what `totalCount` counts."""
    return replace(listing, order=pages.NEWEST_FIRST, args=pages.PageArgs(0))
