"""Pages of a list that stay right while the list changes, and cost the same at its end.

DESIGN
------
Keyset paging: a cursor holds the order's name, the row's value in that order and its key, and
the next page is what comes after that pair. Nothing is skipped or repeated when rows are made
in between, and the last page costs what the first did. The key breaks ties, so every order is
total. A cursor of another order is refused, not guessed at.

A list inside a list is one statement for all parents, whatever their number: the rows are
numbered within their parent, and each parent gets its own page of them.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import func, tuple_
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.ids import LARGEST

DEFAULT_SIZE = 20
MAX_SIZE = 100

Row = TypeVar("Row", bound=SQLModel)


def parse_text(value: Any) -> str:
    """A text as the database may hold it: a forged cursor may have anything in its place."""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    value.encode()  # half of a surrogate pair is a ValueError
    return value


def parse_instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(value)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is ordered by: a column that is never null, and a direction."""

    name: str
    column: str
    is_descending: bool = False
    # How the column's value is read back from a cursor.
    parse: Callable[[Any], Any] = field(default=parse_text, compare=False)


NEWEST_FIRST = Order("CREATED_AT", "created_at", is_descending=True, parse=parse_instant)
OLDEST_FIRST = Order("CREATED_AT", "created_at", parse=parse_instant)


@dataclass(frozen=True, slots=True)
class PageArgs:
    """Which page: as the caller asked, checked and with the default filled in."""

    size: int
    is_backward: bool = False
    cursor: str | None = None


def page_args(
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> PageArgs:
    """One direction, 0 to 100 items, 20 when nothing is said."""
    if first is not None and last is not None:
        raise refuse(UserErrorCode.INVALID, "Give either `first` or `last`, not both.", "last")
    is_backward = last is not None or (first is None and before is not None)
    if is_backward and after is not None:
        raise refuse(UserErrorCode.INVALID, "`after` goes with `first`.", "after")
    if not is_backward and before is not None:
        raise refuse(UserErrorCode.INVALID, "`before` goes with `last`.", "before")
    name, size = ("last", last) if last is not None else ("first", first)
    if size is None:
        size = DEFAULT_SIZE
    if not 0 <= size <= MAX_SIZE:
        raise refuse(UserErrorCode.INVALID, f"`{name}` must be from 0 to {MAX_SIZE}.", name)
    return PageArgs(size, is_backward=is_backward, cursor=before if is_backward else after)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


EMPTY: Page[Any] = Page((), (), has_next=False, has_previous=False)


def cursor_of(row: SQLModel, order: Order) -> str:
    value = getattr(row, order.column)
    if isinstance(value, datetime):
        value = value.isoformat()
    text = json.dumps([order.name, order.is_descending, value, row.id], separators=(",", ":"))  # type: ignore[attr-defined] # every table that is listed has one
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(args: PageArgs, order: Order) -> tuple[Any, int] | None:
    if args.cursor is None:
        return None
    where = "before" if args.is_backward else "after"
    try:
        padded = args.cursor + "=" * (-len(args.cursor) % 4)
        name, is_descending, value, key = json.loads(base64.urlsafe_b64decode(padded))
        is_of_order = (name, is_descending) == (order.name, order.is_descending)
        if is_of_order and type(key) is int and 0 < key <= LARGEST:
            return order.parse(value), key
    except (ValueError, TypeError, OverflowError, RecursionError):
        pass
    raise refuse(UserErrorCode.INVALID, f"`{where}` is not a cursor of this list and order.", where)


async def paginate(
    session: ReadSession,
    model: type[Row],
    statement: SelectOfScalar[Any],
    order: Order,
    args: PageArgs,
) -> Page[Row]:
    """A page of the model's rows that the statement selects."""
    ordered = _after(model, statement, order, args).order_by(*_ordering(model, order, args))
    rows = (await session.exec(ordered.limit(args.size + 1))).all()
    return _page(rows, order, args)


async def paginate_each(
    session: ReadSession,
    model: type[Row],
    statement: SelectOfScalar[Any],
    order: Order,
    args: PageArgs,
    *,
    parent: str,
    parent_ids: Sequence[int],
) -> dict[int, Page[Row]]:
    """The same page for each of many parents, in one statement."""
    column: ColumnElement[Any] = getattr(model, parent)
    within = _after(model, statement, order, args).where(column.in_(parent_ids))
    if len(parent_ids) == 1:  # an index and a limit beat numbering all of the parent's rows
        return {parent_ids[0]: await paginate(session, model, within, order, args)}
    place = func.row_number().over(partition_by=column, order_by=_ordering(model, order, args))
    numbered = within.add_columns(place.label("place")).subquery()
    alias = aliased(model, numbered)
    found = await session.exec(
        select(alias).where(numbered.c.place <= args.size + 1).order_by(numbered.c.place)
    )
    rows: dict[int, list[Row]] = {}
    for row in found.all():
        rows.setdefault(getattr(row, parent), []).append(row)
    return {key: _page(rows.get(key, []), order, args) for key in parent_ids}


async def count(session: ReadSession, statement: SelectOfScalar[Any]) -> int:
    """How many rows the statement selects."""
    counted = select(func.count()).select_from(statement.subquery())
    return (await session.exec(counted)).one()


async def count_each(
    session: ReadSession,
    model: type[SQLModel],
    statement: SelectOfScalar[Any],
    *,
    parent: str,
    parent_ids: Sequence[int],
) -> Mapping[int, int]:
    """How many rows of each parent the statement selects; a parent without any is left out."""
    within = statement.where(getattr(model, parent).in_(parent_ids)).subquery()
    column = within.c[parent]
    counted = select(column, func.count()).group_by(column)
    return dict((await session.exec(counted)).all())


def _ordering(model: type[SQLModel], order: Order, args: PageArgs) -> list[ColumnElement[Any]]:
    columns = [col(getattr(model, order.column)), col(model.id)]  # type: ignore[attr-defined]
    downward = order.is_descending is not args.is_backward
    return [column.desc() if downward else column.asc() for column in columns]


def _after(
    model: type[SQLModel], statement: SelectOfScalar[Any], order: Order, args: PageArgs
) -> SelectOfScalar[Any]:
    position = _position(args, order)
    if position is None:
        return statement
    # A plain tuple on the right: its values are bound with the columns' own types.
    pair = tuple_(getattr(model, order.column), model.id)  # type: ignore[attr-defined]
    downward = order.is_descending is not args.is_backward
    return statement.where(pair < position if downward else pair > position)


def _page(rows: Sequence[Row], order: Order, args: PageArgs) -> Page[Row]:
    more, rows = len(rows) > args.size, rows[: args.size]
    if args.is_backward:
        rows = rows[::-1]
    came_from = args.cursor is not None
    return Page(
        rows=rows,
        cursors=[cursor_of(row, order) for row in rows],
        has_next=came_from if args.is_backward else more,
        has_previous=more if args.is_backward else came_from,
    )
