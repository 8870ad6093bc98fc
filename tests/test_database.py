"""What `app.database` promises, on both engines."""

from datetime import UTC, datetime

from sqlmodel import select

from app.database import Database
from app.models import Program

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


async def test_what_was_written_can_be_read(database: Database) -> None:
    async with database.writing() as session:
        session.add(Program(id=1, name="Acme", created_at=NOW))

    async with database.reading() as session:
        program = (await session.exec(select(Program))).one()
    assert (program.name, program.created_at) == ("Acme", NOW)
