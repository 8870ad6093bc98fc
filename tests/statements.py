"""Counts the statements that a database is sent: the alarm for one query too many."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from app.database import Database

_HOUSEKEEPING = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA")


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
    """What readers and writers of ``database`` send meanwhile, transactions aside.

    A statement for many rows counts once, as it is sent once.
    """
    found = Statements()

    def heard(*args: Any) -> None:
        statement: str = args[2]
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
