"""What `app.database` promises, on both engines."""

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest
from sqlalchemy import delete, event, func, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import select

from app import migrations
from app.database import Database
from app.models import ClickQuarter, Program
from tests.rows import NOW
from tests.statements import count_statements


class Listener:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, set[str] | None]] = []

    def changing(self, codes: Collection[str] | None) -> None:
        self.heard.append(("changing", None if codes is None else set(codes)))

    def changed(self, codes: Collection[str] | None) -> None:
        self.heard.append(("changed", None if codes is None else set(codes)))


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def heard_database(engine_url: str, listener: Listener) -> AsyncIterator[Database]:
    database = Database(engine_url, listeners=[listener])
    yield database
    await database.close()


async def names(database: Database) -> list[str]:
    async with database.reading() as session:
        return sorted(await session.exec(select(Program.name)))


@pytest.mark.breaks_sums  # rows that no recorder wrote
async def test_of_300_increments_at_once_none_is_lost(database: Database, engine_url: str) -> None:
    """Read, then write: what a deferred transaction of SQLite loses or refuses."""
    async with database.writing() as session:
        session.add(ClickQuarter(link_id=1, quarter=0))
    another_worker = Database(engine_url)

    async def add_one(database: Database) -> None:
        async with database.writing() as session:
            # The lock is for PostgreSQL, where writers are many; SQLite knows no such clause.
            statement = select(ClickQuarter).with_for_update()
            (await session.exec(statement)).one().clicks += 1

    await asyncio.gather(
        *(add_one(each) for _ in range(150) for each in (database, another_worker))
    )
    await another_worker.close()

    async with database.reading() as reader:
        assert (await reader.exec(select(ClickQuarter.clicks))).one() == 300


@pytest.mark.parametrize("raised", [ValueError, asyncio.CancelledError])
async def test_nothing_is_written_when_anything_is_raised(
    database: Database, raised: type[BaseException]
) -> None:
    async def write_and_fail() -> None:
        async with database.writing() as session:
            session.add(Program(name="Acme", created_at=NOW))
            await session.flush()
            raise raised

    with pytest.raises(raised):
        await write_and_fail()

    assert await names(database) == []


async def test_readers_do_not_see_what_is_not_committed(database: Database) -> None:
    async with database.writing() as session:
        session.add(Program(name="Acme", created_at=NOW))
        await session.flush()
        assert await names(database) == []

    assert await names(database) == ["Acme"]


async def test_a_reader_sees_one_moment_for_as_long_as_it_looks(database: Database) -> None:
    async with database.reading() as session:
        count = select(func.count()).select_from(Program)
        assert (await session.exec(count)).one() == 0
        async with database.writing() as writer:
            writer.add(Program(name="Acme", created_at=NOW))
        assert (await session.exec(count)).one() == 0


@pytest.mark.parametrize(
    "statement",
    [
        update(Program).values(name="Other"),
        delete(Program),
    ],
    ids=["update", "delete"],
)
async def test_a_reading_session_cannot_write(database: Database, statement: object) -> None:
    async with database.writing() as session:
        session.add(Program(name="Acme", created_at=NOW))

    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        async with database.reading() as reader:
            await reader.exec(statement)  # type: ignore[call-overload] # a statement of either kind
    assert await names(database) == ["Acme"]


async def test_a_connection_that_was_read_from_can_be_written_to_next(database: Database) -> None:
    """On PostgreSQL both sessions take theirs from one pool."""
    assert await names(database) == []
    async with database.writing() as session:
        session.add(Program(name="Acme", created_at=NOW))

    assert await names(database) == ["Acme"]


async def test_listeners_hear_of_changed_codes_before_and_after_the_commit(
    heard_database: Database, listener: Listener
) -> None:
    engine = heard_database.engines[1].sync_engine
    event.listen(engine, "commit", lambda _: listener.heard.append(("COMMIT", set())))

    async with heard_database.writing() as session:
        session.add(Program(name="Acme", created_at=NOW))
        session.link_changed("a", "b")
        session.link_changed("a")
        assert listener.heard == []

    assert listener.heard == [("changing", {"a", "b"}), ("COMMIT", set()), ("changed", {"a", "b"})]


async def test_listeners_hear_that_all_codes_may_change(
    heard_database: Database, listener: Listener
) -> None:
    async with heard_database.writing() as session:
        session.link_changed("a")
        session.all_links_changed()
        session.link_changed("b")

    assert listener.heard == [("changing", None), ("changed", None)]


async def test_listeners_hear_the_end_of_a_commit_that_fails_too(
    heard_database: Database, listener: Listener
) -> None:
    """They may cache the old row again, or must learn the new one: who knows what arrived."""

    async def write() -> None:
        async with heard_database.writing() as session:
            session.add(Program(id=1, name="Acme", created_at=NOW))
            session.link_changed("a")

    await write()
    listener.heard.clear()

    with pytest.raises(IntegrityError):
        await write()

    assert listener.heard == [("changing", {"a"}), ("changed", {"a"})]
    assert await names(heard_database) == ["Acme"]


async def test_listeners_hear_nothing_of_what_is_rolled_back_or_about_other_things(
    heard_database: Database, listener: Listener
) -> None:
    async def announce_and_fail() -> None:
        async with heard_database.writing() as session:
            session.link_changed("a")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        await announce_and_fail()
    async with heard_database.writing() as session:
        session.add(Program(name="Acme", created_at=NOW))

    assert listener.heard == []


async def test_the_embedded_database_may_lie_in_a_folder_of_any_name(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/100% mine #1 (ä)/tracklinks.db"
    await migrations.upgrade(url)
    database = Database(url)
    async with database.writing() as session:
        session.add(Program(name="Acme", created_at=NOW))

    assert await names(database) == ["Acme"]
    await database.close()
    assert await migrations.pending(url) is False


async def test_statements_are_counted_without_transactions(database: Database) -> None:
    with count_statements(database) as found:
        async with database.writing() as session:
            session.add_all(Program(name=f"{n}", created_at=NOW) for n in range(100))
        assert await names(database) == sorted(map(str, range(100)))

    assert found.count == 2, found
    assert [statement.split()[0] for statement in found.statements] == ["INSERT", "SELECT"]

    await names(database)
    assert found.count == 2
