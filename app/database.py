"""One database, opened twice: many readers, one writer.

DESIGN
------
On SQLite, readers are opened ``mode=ro`` and the writer is a pool of one that begins with
``BEGIN IMMEDIATE``. With the driver's own transactions, 245 of 300 concurrent updates were
lost without an error, and a deferred BEGIN failed 250 of 300 at once; so the driver's are
switched off and the rule is the pool. On PostgreSQL both sessions use one pool; a reading
session is a read-only transaction.

A function asks for the least it needs: `ReadSession` to look, `WriteSession` to change. A
session belongs to one coroutine, so a query field or a loader's batch opens its own
``reading()``, and a mutation opens exactly one ``writing()``. It commits at the end, and
rolls back if anything is raised.

Whoever changes what a short code leads to says so with ``session.link_changed(code)``, or with
``session.all_links_changed()``. The listeners hear of it twice: before COMMIT, so that nobody
caches the old row from then on, and after it, when the new row is there to be read.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

READERS = 8
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}


class ReadSession(AsyncSession):
    """Looks and changes nothing: the connection itself refuses to write."""


class WriteSession(ReadSession):
    """The one session of a mutation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # None: all there are.
        self.changed_codes: set[str] | None = set()

    def link_changed(self, *codes: str) -> None:
        """These codes lead elsewhere, or nowhere, once this session commits."""
        if self.changed_codes is not None:
            self.changed_codes.update(codes)

    def all_links_changed(self) -> None:
        """Any code may lead elsewhere, or nowhere, once this session commits."""
        self.changed_codes = None


class LinkListener(Protocol):
    """Who wants to know that short codes change, all of them if None: the redirect's cache."""

    def changing(self, codes: Collection[str] | None) -> None: ...
    def changed(self, codes: Collection[str] | None) -> None: ...


class Database:
    """Opens sessions. ``url`` is ``sqlite:///path`` or ``postgresql://…``, without a driver."""

    def __init__(self, url: str, *, listeners: Sequence[LinkListener] = ()) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._listeners = listeners
        if self.is_sqlite:
            self._reader = _sqlite_engine(self.url, read_only=True)
            self._writer = _sqlite_engine(self.url, read_only=False)
        else:
            self._reader = self._writer = create_async_engine(
                self.url.set(drivername="postgresql+asyncpg"),
                pool_size=READERS,
                max_overflow=READERS,
                pool_pre_ping=True,
                hide_parameters=True,  # what people wrote belongs in no log
            )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ReadSession]:
        """A consistent view of the database, for as long as the block lasts."""
        async with ReadSession(self._reader, expire_on_commit=False) as session:
            if not self.is_sqlite:
                await session.connection(
                    execution_options={
                        "isolation_level": "REPEATABLE READ",
                        "postgresql_readonly": True,
                    }
                )
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[WriteSession]:
        """One transaction: all of the block, or nothing of it."""
        async with WriteSession(self._writer, expire_on_commit=False) as session:
            yield session
            codes = session.changed_codes
            listeners = () if codes == set() else self._listeners
            for listener in listeners:
                listener.changing(codes)
            try:
                await session.commit()
            finally:
                for listener in listeners:
                    listener.changed(codes)

    async def close(self) -> None:
        await self._reader.dispose()
        await self._writer.dispose()

    @property
    def engines(self) -> tuple[AsyncEngine, AsyncEngine]:
        """The reader's and the writer's, for those who count statements."""
        return self._reader, self._writer


def is_a_race(error: DBAPIError) -> bool:
    """Whether a transaction failed because another was faster, so that to try again may help."""
    # 40001 serialization failure, 40P01 deadlock, as PostgreSQL has them.
    return isinstance(error, IntegrityError) or getattr(error.orig, "sqlstate", None) in {
        "40001",
        "40P01",
    }


def is_away(error: Exception) -> bool:
    """Whether the database can't be asked now, or can't take any more, so that waiting may help."""
    if isinstance(error, OSError | NoConnection):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorcode & 0xFF in _SQLITE_AWAY
    # 08 no connection, 53 no disk, memory or connection left, 57 ended by its operator.
    return error.connection_invalidated or str(getattr(error.orig, "sqlstate", None))[:2] in {
        "08",
        "53",
        "57",
    }


def _sqlite_engine(url: URL, *, read_only: bool) -> AsyncEngine:
    path = Path(url.database or "").absolute()
    engine = create_async_engine(
        URL.create(
            "sqlite+aiosqlite",
            # To SQLite it is an address: a path with %, # or ? in it would be another one.
            database=f"file:{quote(str(path))}",
            query={"mode": "ro" if read_only else "rwc", "uri": "true"},
        ),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=READERS if read_only else 1,
        max_overflow=0,
        # A caller waits for the one writer as long as a busy database may keep it.
        pool_timeout=30,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    event.listen(engine.sync_engine, "begin", _begin("BEGIN" if read_only else "BEGIN IMMEDIATE"))
    return engine


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # ours are the transactions, not the driver's
    cursor = connection.cursor()
    for pragma in (
        "busy_timeout=10000",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        # Or INSERT OR REPLACE would delete a link without the trigger that refuses it.
        "recursive_triggers=ON",
        # What was erased is overwritten with zeros.
        "secure_delete=ON",
        "mmap_size=268435456",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(statement: str) -> Callable[[Any], None]:
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)

    return begin
