"""A change under way: in which transaction, by whom, when. Every resolver that writes takes one."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import insert
from sqlmodel import SQLModel, col

from app.auth import Viewer, visible
from app.database import WriteSession
from app.errors import not_found
from app.ids import new_id
from app.messages.addresses import Addresses
from app.models import AuditEntry

Model = TypeVar("Model", bound=SQLModel)


@dataclass(frozen=True, slots=True)
class Change:
    """One mutation. Its session commits when the mutation returns, and not if it raises."""

    session: WriteSession
    viewer: Viewer
    now: datetime
    # The installation's rules for destinations: returns the URL to store, or raises.
    check_destination: Callable[[str], str]
    # What messages are filled with. None where nothing is sent by itself: the command line.
    addresses: Addresses | None = None

    async def get(self, model: type[Model], key: int | None, noun: str, *path: str) -> Model:
        """The row, locked until the end; refused as "no such `noun`" if the viewer can't see it."""
        if key is not None:
            statement = visible(self.viewer, model).where(col(model.id) == key)  # type: ignore[attr-defined] # all but link tables have one
            row = (await self.session.exec(statement.with_for_update())).one_or_none()
            if row is not None:
                return row
        raise not_found(noun, *path)

    async def find(self, model: type[Model], keys: Collection[int | None]) -> dict[int, Model]:
        """The rows that the viewer can see, by their keys."""
        column = col(model.id)  # type: ignore[attr-defined] # as above
        found = await self.session.exec(visible(self.viewer, model).where(column.in_(keys)))
        return {row.id: row for row in found.all()}  # type: ignore[attr-defined]

    async def insert(self, model: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert rows in one statement, however many."""
        values = list(rows)
        if values:
            await self.session.exec(insert(model), params=values)

    async def record(
        self, action: str, subject_type: str, program_id: int | None, changes: Mapping[int, Any]
    ) -> None:
        """One audit entry for each subject: its key, and what of it is new.

        Without ``program_id`` the subjects are programs, each with a log of its own.
        """
        await self.record_each(action, subject_type, program_id, changes.items())

    async def record_each(
        self,
        action: str,
        subject_type: str,
        program_id: int | None,
        changes: Iterable[tuple[int, Mapping[str, Any]]],
    ) -> None:
        """As `record`, of subjects that may come several times."""
        await self.insert(
            AuditEntry,
            (
                {
                    "id": new_id(),
                    "program_id": subject_id if program_id is None else program_id,
                    "at": self.now,
                    "key_id": self.viewer.key_id,
                    "action": action,
                    "subject_type": subject_type,
                    "subject_id": subject_id,
                    "changes": {name: _plain(value) for name, value in new.items()},
                }
                for subject_id, new in changes
            ),
        )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
