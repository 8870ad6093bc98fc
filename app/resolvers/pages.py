"""Pages of a list that stay right while the list changes, and cost the same at its end.

DESIGN
------
Keyset paging: a cursor holds the order's name, the row's value in that order and its key, and
the next page is what comes after that pair. Nothing is skipped or repeated when rows are made
in between, and the last page costs what the first did. The key breaks ties, so every order is
total. A cursor of another order is refused, not guessed at.

The value may stand beside the list's own table (`Beside`), so it is selected with each row. One
that changes meanwhile moves its row: a walk may then meet it again, or not at all.

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


@dataclass(frozen=True, slots=True)
class Beside:
    """A table with a row of numbers for some of the listed rows, found by their keys."""

    model: type[SQLModel]
    key: str


def parse_text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    value.encode()  # or a lone surrogate would fail later, in the database
    return value


def parse_number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError(value)
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
    # Where the column stands if not in the listed table. Without a row there, it is 0.
    beside: Beside | None = None


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


def cursor_of(row: SQLModel, value: Any, order: Order) -> str:
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
        if (name, is_descending) == (order.name, order.is_descending):
            return order.parse(value), parse_number(key)
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
    placed, ordering = _placed(model, statement, order, args)
    page = placed.order_by(*ordering).limit(args.size + 1).subquery()
    # A select that began with rows alone yields rows alone: another one around it yields pairs.
    pairs = select(aliased(model, page), page.c.ordered_by)
    found = await session.exec(
        pairs.order_by(*_ordering(page.c.ordered_by, page.c.id, order, args))
    )
    return _page(found.all(), order, args)


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
    within = statement.where(column.in_(parent_ids))
    if len(parent_ids) == 1:  # an index and a limit beat numbering all of the parent's rows
        return {parent_ids[0]: await paginate(session, model, within, order, args)}
    placed, ordering = _placed(model, within, order, args)
    place = func.row_number().over(partition_by=column, order_by=ordering)
    numbered = placed.add_columns(place.label("place")).subquery()
    alias = aliased(model, numbered)
    found = await session.exec(
        select(alias, numbered.c.ordered_by)
        .where(numbered.c.place <= args.size + 1)
        .order_by(numbered.c.place)
    )
    rows: dict[int, list[tuple[Row, Any]]] = {}
    for row, value in found.all():
        rows.setdefault(getattr(row, parent), []).append((row, value))
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


def _placed(
    model: type[SQLModel], statement: SelectOfScalar[Any], order: Order, args: PageArgs
) -> tuple[Any, list[ColumnElement[Any]]]:
    """The rows from the cursor on, each with what it is ordered by; and how to sort them."""
    value: Any
    key: Any = col(model.id)  # type: ignore[attr-defined] # as above
    if order.beside is None:
        value = col(getattr(model, order.column))
    else:
        beside = order.beside.model
        statement = statement.outerjoin(beside, getattr(beside, order.beside.key) == key)
        value = func.coalesce(getattr(beside, order.column), 0)
    downward = order.is_descending is not args.is_backward
    position = _position(args, order)
    if position is not None:
        # A plain tuple on the right: its values are bound with the columns' own types.
        pair = tuple_(value, key)
        statement = statement.where(pair < position if downward else pair > position)
    placed = statement.add_columns(value.label("ordered_by"))
    return placed, _ordering(value, key, order, args)


def _ordering(value: Any, key: Any, order: Order, args: PageArgs) -> list[ColumnElement[Any]]:
    downward = order.is_descending is not args.is_backward
    return [each.desc() if downward else each.asc() for each in (value, key)]


def _page(found: Sequence[tuple[Row, Any]], order: Order, args: PageArgs) -> Page[Row]:
    more, found = len(found) > args.size, found[: args.size]
    if args.is_backward:
        found = found[::-1]
    came_from = args.cursor is not None
    return Page(
        rows=[row for row, _ in found],
        cursors=[cursor_of(row, value, order) for row, value in found],
        has_next=came_from if args.is_backward else more,
        has_previous=more if args.is_backward else came_from,
    )
