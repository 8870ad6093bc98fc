"""Programs: one for each brand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.models import Program
from app.resolvers import day_rows
from app.resolvers.change import Change
from app.resolvers.filters import by_archived, containing
from app.resolvers.inputs import Form

DAY_MINUTES = 24 * 60


async def create(
    change: Change, *, name: str, time_zone: str, unique_window_minutes: int
) -> Program:
    values = _checked(
        {"name": name, "time_zone": time_zone, "unique_window_minutes": unique_window_minutes}
    )
    program = Program(created_at=change.now, **values)
    change.session.add(program)
    await change.session.flush()
    await change.record("createProgram", "prg", program.id, {program.id: values})
    return program


async def update(change: Change, key: int | None, changes: Mapping[str, Any]) -> Program:
    """Change what is in ``changes`` and leave the rest."""
    program = await change.get(Program, key, "program", "id")
    values = _checked(changes)
    zone_before = program.time_zone
    program.sqlmodel_update(values)
    if program.time_zone != zone_before:
        await day_rows.change_zone(change.session, program, zone_before)
    await change.record("updateProgram", "prg", program.id, {program.id: values})
    return program


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    form, values = Form(), dict(changes)
    if "name" in values:
        values["name"] = form.text(values["name"], "name")
    if "time_zone" in values:
        values["time_zone"] = form.time_zone(values["time_zone"], "time_zone")
    if "unique_window_minutes" in values:
        form.number(
            values["unique_window_minutes"], "unique_window_minutes", least=1, most=DAY_MINUTES
        )
    form.check()
    return values


@dataclass(frozen=True, slots=True)
class Filter:
    archived: bool | None = False
    query: str | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[Program]:
    """The programs that the viewer can see and the filter lets through."""
    rows = visible(viewer, Program).where(*by_archived(Program, only.archived))
    return rows.where(*containing(only.query, Program.name))
