"""The schema of the database, as steps from nothing to now.

DESIGN
------
An upgrade is one transaction on both engines, and one at a time: whoever comes second waits,
then finds nothing left to do. So several workers may start at once, and an upgrade that fails
leaves the database as it was. PostgreSQL waits at an advisory lock; SQLite at a lock file
beside the database, because two connections that switch a new file to WAL at the same moment
fail at once, whatever their busy timeout.

SQLite can't alter most of a table: it is copied, dropped and renamed. With foreign keys on,
dropping the old one would delete the rows that refer to it, so they are off meanwhile and
checked before the commit.

Alembic keeps what it is working on in globals: one upgrade at a time in one process.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

# Any number that nobody else on the same server uses: "Tracklin" in ASCII.
ADVISORY_LOCK = 0x547261636B6C696E


class DatabaseTooNew(Exception):
    """A later version of Tracklinks has changed the database: this one must not touch it."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database is at revision {revision}, which this version of Tracklinks does not "
            "know: a newer version has upgraded it. Run that version, or restore a backup."
        )


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to ``revision``, creating it where it is a file that does not exist.

    All of it or, if anything is raised, nothing. Does nothing the second time. Raises
    `DatabaseTooNew` before anything is changed.
    """
    await _migrate(url, lambda config: command.upgrade(config, revision), to=revision)


async def downgrade(url: str, revision: str) -> None:
    """Take the database back to ``revision``; to nothing, with all its rows, by "base"."""
    await _migrate(url, lambda config: command.downgrade(config, revision), to=revision)


async def current(url: str) -> str | None:
    """The revision that the database is at. None when it is empty or does not exist."""
    where = make_url(url)
    if _is_sqlite(where) and not _file(where).exists():
        return None
    async with _connected(where, begin="BEGIN") as connection:
        return await connection.run_sync(_revision_of)


async def pending(url: str) -> bool:
    """Whether an upgrade has anything to do. Raises `DatabaseTooNew`."""
    revision = await current(url)
    _refuse_newer(revision)
    return revision != _scripts().get_current_head()


async def _migrate(url: str, run: Callable[[Config], None], *, to: str) -> None:
    where = make_url(url)
    if not _is_sqlite(where):
        async with _connected(where) as connection, connection.begin():
            await connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))
            # Tables are locked against each other's use: better to give up than to make every
            # request queue behind a migration that waits for one long report.
            await connection.execute(text("SET LOCAL lock_timeout = '30s'"))
            await connection.run_sync(_run, run)
        return
    path = _file(where)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Left where it is afterwards: to remove it would take it from under whoever waits.
    with path.with_name(f"{path.name}.migrating").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        # Every worker comes here when it starts: without need none stops whoever writes, nor reads
        # the whole database to check it.
        if to == "head" and not await pending(url):
            return
        async with _connected(where) as connection, connection.begin():
            await connection.run_sync(_run, run)
            broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
            if broken:
                raise RuntimeError(f"the migration would leave broken references: {broken[:5]}")


def _run(connection: Connection, run: Callable[[Config], None]) -> None:
    _refuse_newer(_revision_of(connection))
    config = _config()
    config.attributes["connection"] = connection
    run(config)


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise DatabaseTooNew(revision)


def _config() -> Config:
    config = Config()
    # ConfigParser would take a percent sign in the path for a reference.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _file(url: URL) -> Path:
    return Path(url.database or "").absolute()


@asynccontextmanager
async def _connected(url: URL, begin: str = "BEGIN IMMEDIATE") -> AsyncIterator[AsyncConnection]:
    if _is_sqlite(url):
        file = URL.create("sqlite+aiosqlite", database=str(_file(url)))
        engine = create_async_engine(file, poolclass=NullPool)
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(
            engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin)
        )
    else:
        engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.isolation_level = None  # ours are the transactions, not the driver's
    cursor = connection.cursor()
    # Foreign keys can be switched outside of a transaction only.
    for pragma in ("busy_timeout=60000", "journal_mode=WAL", "foreign_keys=OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
