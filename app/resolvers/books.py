"""Conversions under change: read at once, decided about in memory, written at once.

DESIGN
------
Whoever changes conversions opens the books of those concerned, be it one or hundreds; decides,
one after another, without asking the database again; and closes the books. So a list of reports
costs as many statements as one report, and each sees what those before it in the list have done,
as it would had they come alone.

Nobody books by hand. What a conversion adds to its link's figures is a function of its row:
`booked`. Closing the books adds the difference between that and what it added when they were
opened to `conversion_quarter`, in the same transaction. So the sums can be rebuilt from the rows
at any time, and nothing that can happen to a conversion needs arithmetic of its own. All of it is
booked in the quarter of an hour in which the conversion happened, refunds too: the net of a day
says what the sales of that day were worth in the end.

Rows are locked in the order of their keys, then new ones are inserted in the order of their names,
then sums are moved in the order of theirs: writers wait for each other, and never in a ring. Where
somebody else was faster with a new conversion, the unique index refuses ours, and the whole change
starts over (`app.database.is_a_race`) and finds theirs.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel, col, select

from app.database import WriteSession
from app.ids import new_id
from app.models import Conversion, ConversionEntry, ConversionStatus, EntryKind, metadata
from app.resolvers.change import Change

QUARTER_S = 900
_CONVERSIONS = metadata.tables["conversion"]
_QUARTERS = metadata.tables["conversion_quarter"]
_KEYS = ("link_id", "quarter", "currency")
_SUMS = ("conversions", "unverified_conversions", "gross", "refunded", "payable")

Key = tuple[int, int, str]
Sums = tuple[int, ...]
# Its type and its unique key: of a program's conversions, there is one of a name.
Name = tuple[str, str]


def booked(conversion: Conversion) -> tuple[Key, Sums] | None:
    """What the conversion adds to which row of `conversion_quarter`, if to any."""
    link_id = conversion.tracking_link_id
    if conversion.status is not ConversionStatus.ATTRIBUTED or link_id is None:
        return None
    gross, refunded = conversion.amount or 0, conversion.refunded
    quarter = int(conversion.occurred_at.timestamp()) // QUARTER_S
    verified = conversion.is_verified
    return (
        (link_id, quarter, conversion.currency or ""),
        (1, int(not verified), gross, refunded, gross - refunded if verified else 0),
    )


class Line(NamedTuple):
    """An entry of a ledger, as far as anything is decided by it."""

    conversion_id: int
    kind: EntryKind
    amount: int | None
    currency: str | None
    idempotency_key: str | None


class Books:
    """Opened with `take` and `find`; what is decided is in the database once they are closed."""

    def __init__(self, session: WriteSession) -> None:
        self._session = session
        self._named: dict[Name, Conversion] = {}
        # Every conversion that may change, and what it was before; None for one that is new.
        self._open: list[tuple[Conversion, dict[str, Any] | None, tuple[Key, Sums] | None]] = []
        self._entries: list[dict[str, Any]] = []
        self._ledgers: dict[int, list[Line]] = defaultdict(list)
        self._keyed: dict[str, Line] = {}

    def take(self, conversions: Iterable[Conversion]) -> None:
        """Open the books of conversions that are locked already.

        From now on the books write them, all in one statement, and not their session, which would
        write those alone that have changed alike.
        """
        for conversion in conversions:
            self._session.expunge(conversion)
            self._open.append((conversion, conversion.model_dump(), booked(conversion)))

    async def find(self, program_id: int, names: Iterable[Name]) -> Sequence[Conversion]:
        """Lock those of the names that there are, and open their books."""
        wanted = set(names)
        if not wanted:
            return ()
        found = await self._session.exec(
            select(Conversion)
            .where(
                Conversion.program_id == program_id,
                # A few more where a list has several types: they are locked for nothing.
                col(Conversion.type).in_(sorted({type_ for type_, _ in wanted})),
                col(Conversion.unique_key).in_(sorted({unique for _, unique in wanted})),
            )
            .order_by(col(Conversion.id))
            .with_for_update()
        )
        rows = {(row.type, row.unique_key): row for row in found.all()}
        self._named |= {name: row for name, row in rows.items() if name in wanted}
        self.take(self._named.values())
        return tuple(self._named.values())

    def get(self, name: Name) -> Conversion | None:
        """The conversion of this name among those that were found or added."""
        return self._named.get(name)

    def add(self, conversion: Conversion) -> None:
        """A conversion that is new. It may still change until the books are closed."""
        self._named[(conversion.type, conversion.unique_key)] = conversion
        self._open.append((conversion, None, None))

    async def read_ledgers(self, conversions: Iterable[Conversion]) -> None:
        """Know the entries of these, for `refunds_of` and `is_corrected`."""
        keys = sorted(conversion.id for conversion in conversions)
        for line in await self._lines(col(ConversionEntry.conversion_id).in_(keys)) if keys else ():
            self._ledgers[line.conversion_id].append(line)

    async def read_keys(self, program_id: int, idempotency_keys: Iterable[str]) -> None:
        """Know the program's entries of these keys, for `earlier`."""
        keys = sorted(set(idempotency_keys))
        is_keyed = col(ConversionEntry.idempotency_key).in_(keys)
        is_own = ConversionEntry.program_id == program_id
        for line in await self._lines(is_own, is_keyed) if keys else ():
            self._keyed[line.idempotency_key or ""] = line

    def strangers(self) -> set[int]:
        """The conversions of entries that were read by their keys, and that are not in the books."""
        known = {conversion.id for conversion, _, _ in self._open}
        return {line.conversion_id for line in self._keyed.values()} - known

    def refunds_of(self, conversion: Conversion) -> int:
        """The refunds in the conversion's currency, of what it is worth at most."""
        total = sum(
            line.amount or 0
            for line in self._ledgers[conversion.id]
            if line.kind is EntryKind.REFUND and line.currency == conversion.currency
        )
        return min(total, conversion.amount or 0)

    def is_corrected(self, conversion: Conversion) -> bool:
        """Whether somebody has corrected its worth, and not only a second report."""
        return any(
            line.kind is EntryKind.CORRECTION and line.idempotency_key is not None
            for line in self._ledgers[conversion.id]
        )

    def earlier(self, idempotency_key: str) -> Line | None:
        return self._keyed.get(idempotency_key)

    def enter(
        self,
        change: Change,
        conversion: Conversion,
        kind: EntryKind,
        amount: int | None,
        currency: str | None,
        *,
        reason: str = "",
        idempotency_key: str | None = None,
    ) -> None:
        """Add a line to the conversion's ledger."""
        line = Line(conversion.id, kind, amount, currency, idempotency_key)
        self._ledgers[conversion.id].append(line)
        if idempotency_key is not None:
            self._keyed[idempotency_key] = line
        self._entries.append(
            {
                "program_id": conversion.program_id,
                **line._asdict(),
                "at": change.now,
                "key_id": change.viewer.key_id,
                "reason": reason,
            }
        )

    async def close(self) -> None:
        """Write it all."""
        new, changed, columns = [], [], set()
        for conversion, before, _ in self._open:
            after = conversion.model_dump()
            if before is None:
                new.append(after)
            elif different := [name for name, value in after.items() if value != before[name]]:
                columns.update(different)
                changed.append(after)
        await self._update(changed, sorted(columns))
        new.sort(key=itemgetter("type", "unique_key"))
        await self._insert(Conversion, new)
        # Ascending, as lists of what happened at one moment go by the key.
        ids = sorted(new_id() for _ in self._entries)
        entries = [{"id": id_, **each} for id_, each in zip(ids, self._entries, strict=True)]
        await self._insert(ConversionEntry, entries)
        await self._book()

    async def _update(self, changed: list[dict[str, Any]], columns: Sequence[str]) -> None:
        if changed:
            statement = update(_CONVERSIONS).where(_CONVERSIONS.c.id == bindparam("its_id"))
            values: dict[str, Any] = {name: bindparam(f"its_{name}") for name in columns}
            rows = [{f"its_{name}": row[name] for name in ("id", *columns)} for row in changed]
            await self._execute(statement.values(values), rows)

    async def _book(self) -> None:
        moved: dict[Key, list[int]] = defaultdict(lambda: [0] * len(_SUMS))
        for conversion, _, before in self._open:
            after = booked(conversion)
            for entry, sign in ((before, -1), (after, 1)) if before != after else ():
                if entry is not None:
                    key, sums = entry
                    moved[key] = [
                        was + sign * now for was, now in zip(moved[key], sums, strict=True)
                    ]
        rows = [
            dict(zip((*_KEYS, *_SUMS), (*key, *sums), strict=True))
            for key, sums in sorted(moved.items())
            if any(sums)
        ]
        if rows:
            engine = sqlite if self._session.get_bind().dialect.name == "sqlite" else postgresql
            statement: Any = engine.insert(_QUARTERS)
            added = {name: _QUARTERS.c[name] + statement.excluded[name] for name in _SUMS}
            moving = statement.on_conflict_do_update(index_elements=_KEYS, set_=added)
            await self._execute(moving, rows)

    async def _insert(self, model: type[SQLModel], rows: list[dict[str, Any]]) -> None:
        if rows:
            await self._execute(insert(model), rows)

    async def _execute(self, statement: Any, rows: list[dict[str, Any]]) -> None:
        await (await self._session.connection()).execute(statement, rows)

    async def _lines(self, *conditions: Any) -> Iterable[Line]:
        chosen = (col(getattr(ConversionEntry, name)) for name in Line._fields)
        find = sqlalchemy.select(*chosen).where(*conditions)
        found = await (await self._session.connection()).execute(find)
        return [Line(*row) for row in found]
