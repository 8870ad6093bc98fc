"""The conditions that lists share. Each returns what to pass to ``where``: nothing, or one."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import false, or_
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import SQLModel, col

# Nothing searched is longer than a URL; SQLite refuses patterns beyond 50,000 characters.
LONGEST_SEARCH = 2048

Conditions = tuple[ColumnElement[bool], ...]


def among(column: Any, values: Collection[Any] | None) -> Conditions:
    """One of these values; None lets everything through, and nothing in it nothing."""
    if values is None:
        return ()
    return (col(column).in_([value for value in values if is_storable(value)]),)


def is_storable(value: Any) -> bool:
    """Whether a row can hold it at all: PostgreSQL fails on a NUL, where nothing should be found."""
    return not isinstance(value, str) or "\0" not in value


def by_archived(model: type[SQLModel], archived: bool | None) -> Conditions:
    """Archived ones only, live ones only, or, for None, both."""
    if archived is None:
        return ()
    column: Any = model
    at = col(column.archived_at)
    return (at.is_not(None) if archived else at.is_(None),)


def containing(text: str | None, *columns: Any) -> Conditions:
    """The text in one of these columns, ignoring case; `%` and `_` are letters like others."""
    if not text or not text.strip():
        return ()
    if len(text) > LONGEST_SEARCH or not is_storable(text):
        return (false(),)
    return (or_(*(col(column).icontains(text.strip(), autoescape=True) for column in columns)),)
