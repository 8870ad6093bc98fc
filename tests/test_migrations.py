"""Upgrading: what is there stays, the result is what the models say, and once is enough."""

import asyncio
import fcntl
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app import migrations
from app.database import Database
from app.models import metadata
from tests.rows import insert_one_of_each

pytestmark = pytest.mark.breaks_sums  # rows that no recorder wrote

# Everything that PostgreSQL can tell about a table, name and definition.
CATALOG = """
    SELECT attrelid::regclass::text AS "table", attname AS name,
        concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, attidentity, attcollation,
            pg_get_expr(adbin, adrelid)) AS definition
    FROM pg_attribute
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p')
            AND relnamespace = 'public'::regnamespace)
        AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT relname, relkind::text, '' FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('r', 'i')
"""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


async def catalog(database: Database) -> set[tuple[str, ...]]:
    """The tables as the database itself describes them, in no order."""
    async with database.writing() as session:
        connection = await session.connection()
        if database.is_sqlite:
            query = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
            rows = (await connection.execute(text(query))).all()
            found = {(table, name, part) for table, name, sql in rows for part in _parts(sql or "")}
        else:
            rows = (await connection.execute(text(CATALOG))).all()
            found = {(table, name, definition) for table, name, definition in rows}
    return {row for row in found if row[0] != "alembic_version"}


def _parts(sql: str) -> list[str]:
    """The columns and constraints of a CREATE TABLE: the only place where SQLite keeps its
    CHECKs and the names. What is no CREATE TABLE is whole."""
    sql = re.sub(r"\s+", " ", sql)
    if not sql.startswith("CREATE TABLE"):
        return [sql]
    parts, depth = [""], 0
    for character in sql[sql.index("(") + 1 : sql.rindex(")")]:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


async def counts(database: Database) -> dict[str, int]:
    async with database.reading() as session:
        connection = await session.connection()
        return {
            table.name: (await connection.scalar(select(func.count()).select_from(table))) or 0
            for table in metadata.sorted_tables
        }


async def test_migrated_tables_are_those_of_the_models(empty_url: str) -> None:
    """Constraints, their names, CHECKs and partial indexes too: `alembic check` misses those."""

    async with opened(empty_url) as database:
        async with database.writing() as session:
            await (await session.connection()).run_sync(metadata.create_all)
        expected = await catalog(database)
        async with database.writing() as session:
            await (await session.connection()).run_sync(metadata.drop_all)
        assert await catalog(database) == set()

        await migrations.upgrade(empty_url)
        migrated = await catalog(database)

    assert len(migrated) > 100
    assert migrated - expected == set(), "migrations make what models do not know"
    assert expected - migrated == set(), "models know what migrations do not make"


async def test_rows_survive_a_step_down_and_up_again(engine_url: str) -> None:
    async with opened(engine_url) as database:
        await insert_one_of_each(database)
        before = await counts(database)
        assert all(before.values()), before

    await migrations.downgrade(engine_url, "0001")
    assert await migrations.current(engine_url) == "0001"
    assert await migrations.pending(engine_url)
    async with opened(engine_url) as database:
        first = {table for table, *_ in await catalog(database)}
    await migrations.upgrade(engine_url)

    async with opened(engine_url) as database:
        after = await counts(database)
    # The rows of tables that the first release did not have go down with them; what is counted
    # from the rows that stayed is counted again.
    counted = {"link_day", "link_part", "campaign_day", "campaign_part", "link_total"}
    assert all(after.pop(table) for table in counted)
    assert after == {
        table: number * (table in first) for table, number in before.items() if table not in counted
    }
    assert sum(after.values()) > 15


async def test_a_full_database_goes_down_to_nothing_and_up_again(engine_url: str) -> None:
    async with opened(engine_url) as database:
        before = await catalog(database)
        await insert_one_of_each(database)

    await migrations.downgrade(engine_url, "base")
    assert await migrations.current(engine_url) is None
    async with opened(engine_url) as database:
        assert await catalog(database) == set()

    await migrations.upgrade(engine_url)
    async with opened(engine_url) as database:
        assert await catalog(database) == before
        await insert_one_of_each(database)


async def test_processes_that_start_at_once_migrate_once(empty_url: str) -> None:
    program = (
        "import asyncio, sys; from app import migrations; print('ready', flush=True); input();"
        "asyncio.run(migrations.upgrade(sys.argv[1]))"
    )
    processes = [
        subprocess.Popen(  # noqa: ASYNC220, S603 - nothing else runs meanwhile
            [sys.executable, "-W", "error", "-c", program, empty_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert await migrations.pending(empty_url) is False


async def test_an_embedded_database_is_not_even_made_before_its_turn(tmp_path: Path) -> None:
    """The processes above seldom meet at the switch to WAL, the one thing SQLite won't wait for."""
    path = tmp_path / "tracklinks.db"
    with (tmp_path / "tracklinks.db.migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        upgrade = asyncio.create_task(migrations.upgrade(f"sqlite:///{path}"))
        done, _ = await asyncio.wait({upgrade}, timeout=0.5)
        assert not done
        assert not path.exists()
    await upgrade
    assert path.exists()


async def test_an_upgrade_that_fails_changes_nothing(empty_url: str) -> None:
    async with opened(empty_url) as database:
        async with database.writing() as session:
            await (await session.connection()).execute(
                text("CREATE TABLE journal_position (x INTEGER)")
            )
        before = await catalog(database)

        with pytest.raises(DBAPIError, match="journal_position"):
            await migrations.upgrade(empty_url)

        assert await catalog(database) == before
    assert await migrations.current(empty_url) is None


async def test_an_upgraded_database_is_left_alone(engine_url: str) -> None:
    assert await migrations.pending(engine_url) is False
    async with opened(engine_url) as database:
        await insert_one_of_each(database)
        before = await counts(database)

        await migrations.upgrade(engine_url)

        assert await counts(database) == before


async def test_a_worker_that_starts_waits_for_no_writer_and_stops_none(engine_url: str) -> None:
    """Each upgrades, and mostly there is nothing to do."""
    async with opened(engine_url) as database, database.writing() as session:
        await (await session.connection()).execute(text("SELECT 1"))  # it writes from here on
        async with asyncio.timeout(10):
            await migrations.upgrade(engine_url)


async def test_an_empty_database_is_pending(empty_url: str) -> None:
    assert await migrations.current(empty_url) is None
    assert await migrations.pending(empty_url) is True


def test_looking_at_an_embedded_database_does_not_make_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data/tracklinks.db"
    assert asyncio.run(migrations.pending(url)) is True
    assert list(tmp_path.iterdir()) == []


async def test_an_embedded_database_is_made_with_its_folder_and_for_many_readers(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a" / "data" / "tracklinks.db"
    await migrations.upgrade(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(engine_url: str) -> None:
    async with opened(engine_url) as database:
        async with database.writing() as session:
            connection = await session.connection()
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        before = await catalog(database)

        for attempt in (
            migrations.upgrade(engine_url),
            migrations.downgrade(engine_url, "base"),
            migrations.pending(engine_url),
        ):
            with pytest.raises(migrations.DatabaseTooNew, match="a newer version has upgraded it"):
                await attempt

        assert await catalog(database) == before
    assert await migrations.current(engine_url) == "9999"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_migration_that_leaves_broken_references_is_undone(engine_url: str) -> None:
    """Foreign keys are off meanwhile: a table that lost rows in its copy must not go unseen."""
    with closing(sqlite3.connect(engine_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("INSERT INTO api_key_campaign VALUES (1, 2)")  # of no key or campaign
        connection.commit()

    with pytest.raises(RuntimeError, match=r"broken references.*api_key_campaign"):
        await migrations.downgrade(engine_url, "0001")

    assert await migrations.pending(engine_url) is False
