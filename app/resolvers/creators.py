"""Creators: the people of a program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.models import Creator, Enrollment, Program
from app.resolvers.change import Change
from app.resolvers.filters import among, by_archived, containing
from app.resolvers.inputs import Form

PERSONAL = {"email", "first_name", "last_name", "display_name", "handle"}


async def create(change: Change, program_id: int | None, values: Mapping[str, Any]) -> Creator:
    program = await change.get(Program, program_id, "program", "program_id")
    checked = await _checked(change, program.id, None, dict(values))
    creator = Creator(program_id=program.id, created_at=change.now, **checked)
    change.session.add(creator)
    await change.session.flush()
    await _record(change, "createCreator", creator, checked)
    return creator


async def update(change: Change, key: int | None, changes: Mapping[str, Any]) -> Creator:
    creator = await change.get(Creator, key, "creator", "id")
    if creator.erased_at is not None:
        raise refuse(UserErrorCode.ARCHIVED, "The creator's personal data was erased.", "id")
    checked = await _checked(change, creator.program_id, creator.id, dict(changes))
    creator.sqlmodel_update(checked)
    await _record(change, "updateCreator", creator, checked)
    return creator


async def archive(change: Change, key: int | None) -> Creator:
    """Put a creator away. Their links go on working; again, it changes nothing."""
    creator = await change.get(Creator, key, "creator", "id")
    if creator.archived_at is None:
        creator.archived_at = change.now
        await _record(change, "archiveCreator", creator, {})
    return creator


async def _record(change: Change, action: str, creator: Creator, values: Mapping[str, Any]) -> None:
    # Which fields changed, but not to what: the audit log outlives an erasure.
    said = {name: "…" if name in PERSONAL else value for name, value in values.items()}
    await change.record(action, "crt", creator.program_id, {creator.id: said})


async def _checked(
    change: Change, program_id: int, key: int | None, values: dict[str, Any]
) -> dict[str, Any]:
    form = Form()
    if "handle" in values:
        values["handle"] = form.handle(values["handle"], "handle")
    if "display_name" in values:
        values["display_name"] = form.text(values["display_name"], "display_name")
    for name in ("first_name", "last_name"):
        if name in values:
            values[name] = form.optional_text(values[name], name, max_length=100)
    if "email" in values:
        values["email"] = form.email(values["email"], "email")
    if "external_id" in values:
        values["external_id"] = form.optional_text(values["external_id"], "external_id")
    form.check()
    for name in ("handle", "external_id"):
        if values.get(name) is not None:
            taken = select(Creator.id).where(
                Creator.program_id == program_id,
                col(getattr(Creator, name)) == values[name],
                Creator.id != key,
            )
            if (await change.session.exec(taken)).first() is not None:
                form.fault(UserErrorCode.TAKEN, "Another creator of the program has this.", name)
    form.check()
    return values


@dataclass(frozen=True, slots=True)
class Filter:
    archived: bool | None = False
    campaign_ids: tuple[int, ...] | None = None
    external_ids: tuple[str, ...] | None = None
    query: str | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[Creator]:
    """The creators that the viewer can see and the filter lets through."""
    rows = visible(viewer, Creator).where(
        *by_archived(Creator, only.archived), *among(Creator.external_id, only.external_ids)
    )
    if only.campaign_ids is not None:
        enrolled = select(Enrollment.creator_id).where(
            col(Enrollment.campaign_id).in_(only.campaign_ids)
        )
        rows = rows.where(col(Creator.id).in_(enrolled))
    return rows.where(*containing(only.query, Creator.handle, Creator.display_name))


async def find(session: ReadSession, viewer: Viewer, **by: Any) -> Sequence[Creator]:
    """The visible creators with these values of columns: two programs may share a handle."""
    conditions = [col(getattr(Creator, name)) == value for name, value in by.items()]
    return (await session.exec(visible(viewer, Creator).where(*conditions).limit(2))).all()
