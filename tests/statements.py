"""Counts the statements that a database is sent: the alarm for one query too many."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from app.database import Database

_HOUSEKEEPING = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA")
# What the server does by itself, whenever its time comes.
_IN_BACKGROUND = {"attribution", "delivery"}


@dataclass
class Statements:
    statements: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.statements)

    def __str__(self) -> str:
        return "\n".join(self.statements)


@contextmanager
def count_statements(database: Database) -> Iterator[Statements]:
    """What requests send to ``database`` meanwhile, transactions aside.

    A statement for many rows counts once, as it is sent once.
    """
    found = Statements()

    def heard(*args: Any) -> None:
        statement: str = args[2]
        task = asyncio.current_task()
        if task is not None and task.get_name() in _IN_BACKGROUND:
            return
        if not statement.lstrip().upper().startswith(_HOUSEKEEPING):
            found.statements.append(statement)

    # On PostgreSQL reader and writer are one.
    engines = {engine.sync_engine for engine in database.engines}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", heard)
    try:
        yield found
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", heard)
