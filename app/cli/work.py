"""What commands share: a change as the operator, on a database that is up to date."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from app.settings import Settings

if TYPE_CHECKING:
    from app.database import Database
    from app.resolvers.change import Change

Result = TypeVar("Result")


async def in_change(work: "Callable[[Change], Awaitable[Result]]") -> Result:
    """Run one change as the operator, on a database that is up to date."""
    from app.auth import OPERATOR
    from app.main import destination_check
    from app.resolvers.change import Change

    async def change(database: "Database") -> Result:
        check = destination_check(Settings())
        async with database.writing() as session:
            return await work(Change(session, OPERATOR, datetime.now(UTC), check))

    return await with_database(change)


async def with_database(work: "Callable[[Database], Awaitable[Result]]") -> Result:
    from app.change_table import ChangeTable
    from app.database import Database
    from app.migrations import upgrade

    settings = Settings()
    await upgrade(settings.database)
    # Servers that run meanwhile hear of changed links.
    table = ChangeTable(settings.link_changes)
    database = Database(settings.database, listeners=[table])
    try:
        return await work(database)
    finally:
        await database.close()
        table.close()
