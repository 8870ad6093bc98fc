"""The conditions that lists share. Each returns what to pass to ``where``: nothing, or one."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import or_
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import SQLModel, col

Conditions = tuple[ColumnElement[bool], ...]


def among(column: Any, values: Collection[Any] | None) -> Conditions:
    """One of these values; None lets everything through, and nothing in it nothing."""
    return () if values is None else (col(column).in_(values),)


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
    return (or_(*(col(column).icontains(text.strip(), autoescape=True) for column in columns)),)
