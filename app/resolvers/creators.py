"""Creators: the people of a program."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, sees, visible
from app.database import ReadSession
from app.errors import Fault, Refused, UserErrorCode, refuse
from app.ids import encode, new_id
from app.models import Creator, Enrollment, Program, StageChange, TrackingLink
from app.resolvers import message_queue
from app.resolvers.change import Change
from app.resolvers.filters import among, by_archived, containing
from app.resolvers.inputs import Form, size

BATCH_MAX = 1000
PERSONAL = {"email", "first_name", "last_name", "display_name", "handle", "external_id"}
UNIQUE = ("handle", "external_id")


@dataclass(slots=True)
class Result:
    """What came of one creator of a batch."""

    creator: Creator | None = None
    faults: Sequence[Fault] = ()


async def create(change: Change, program_id: int | None, values: Mapping[str, Any]) -> Creator:
    (result,) = await create_each(change, program_id, [values])
    if result.creator is None:
        raise Refused(*result.faults)
    return result.creator


async def create_each(
    change: Change, program_id: int | None, items: Sequence[Mapping[str, Any]]
) -> list[Result]:
    """One creator for each item that nothing is wrong with, in a constant number of statements."""
    size(items, BATCH_MAX, "creators")
    program = await change.get(Program, program_id, "program", "program_id")
    forms = [_formed(item) for item in items]
    taken = {name: await _taken(change, program.id, name, forms) for name in UNIQUE}
    results = []
    for values, faults in forms:
        wrong = faults + _claim(values, taken)
        if wrong:
            results.append(Result(faults=wrong))
            continue
        creator = Creator(id=new_id(), program_id=program.id, created_at=change.now, **values)
        results.append(Result(creator))
    made = [result.creator for result in results if result.creator is not None]
    await change.insert(Creator, (creator.model_dump() for creator in made))
    said = {
        creator.id: _said(values)
        for (values, _), creator in zip(forms, (result.creator for result in results), strict=True)
        if creator is not None
    }
    await change.record("createCreator", "crt", program.id, said)
    return results


async def update(change: Change, key: int | None, changes: Mapping[str, Any]) -> Creator:
    creator = await change.get(Creator, key, "creator", "id")
    if creator.erased_at is not None:
        raise refuse(UserErrorCode.ARCHIVED, "The creator's personal data was erased.", "id")
    values, faults = _formed(changes)
    new = {name: value for name, value in values.items() if value != getattr(creator, name)}
    taken = {name: await _taken(change, creator.program_id, name, [(new, [])]) for name in UNIQUE}
    faults += _claim(new, taken)
    if "email" in new and not faults and await _is_elsewhere(change, creator):
        message = "The creator also takes part in campaigns that your key is not for."
        faults.append(Fault(UserErrorCode.FORBIDDEN, message, ("email",)))
    if faults:
        raise Refused(*faults)
    creator.sqlmodel_update(values)
    await change.record("updateCreator", "crt", creator.program_id, {creator.id: _said(values)})
    return creator


async def _is_elsewhere(change: Change, creator: Creator) -> bool:
    """Whether the creator is in a campaign that is hidden from the viewer.

    What a message says of the creator's page opens all their campaigns, so whoever sees some of
    them must not lead the messages elsewhere.
    """
    seen = select(Enrollment.id).where(sees(change.viewer, Enrollment))
    elsewhere = select(Enrollment.id).where(
        Enrollment.creator_id == creator.id, col(Enrollment.id).not_in(seen)
    )
    return (await change.session.exec(elsewhere.limit(1))).first() is not None


async def archive(change: Change, key: int | None) -> Creator:
    """Put a creator away. Their links go on working; again, it changes nothing."""
    creator = await change.get(Creator, key, "creator", "id")
    if creator.archived_at is None:
        creator.archived_at = change.now
        await change.record("archiveCreator", "crt", creator.program_id, {creator.id: {}})
    return creator


async def erase(change: Change, key: int | None) -> Creator:
    """Forget who a creator is, for good. Their links go on, and all that was counted stays."""
    # First, like whoever sends: a message is queued before this and blanked, or after it, when
    # there is no address to send it to.
    theirs = visible(change.viewer, Enrollment).where(Enrollment.creator_id == key)
    await change.session.exec(theirs.order_by(col(Enrollment.id)).with_for_update())
    creator = await change.get(Creator, key, "creator", "id")
    if creator.erased_at is None:
        await message_queue.blank(change, creator)
        creator.sqlmodel_update(
            {
                "handle": f"erased-{secrets.token_hex(8)}",
                "display_name": "Erased creator",
                "first_name": None,
                "last_name": None,
                "email": None,
                "external_id": None,
                "erased_at": change.now,
                "archived_at": creator.archived_at or change.now,
            }
        )
        await change.record("eraseCreator", "crt", creator.program_id, {creator.id: {}})
    return creator


async def export(session: ReadSession, viewer: Viewer, key: int) -> dict[str, Any] | None:
    """Everything that is kept about a creator, as plain values. None if the viewer sees none."""
    creator = (await session.exec(visible(viewer, Creator).where(Creator.id == key))).one_or_none()
    if creator is None:
        return None
    enrollments = await session.exec(
        visible(viewer, Enrollment).where(Enrollment.creator_id == key)
    )
    links = await session.exec(visible(viewer, TrackingLink).where(TrackingLink.creator_id == key))
    of_creator = select(Enrollment.id).where(Enrollment.creator_id == key)
    changes = await session.exec(
        visible(viewer, StageChange).where(col(StageChange.enrollment_id).in_(of_creator))
    )
    return {
        "creator": _exported("crt", creator),
        "enrollments": [_exported("enr", row) for row in enrollments.all()],
        "stage_changes": [_exported("stc", row) for row in changes.all()],
        "tracking_links": [_exported("lnk", row) for row in links.all()],
    }


def _exported(prefix: str, row: SQLModel) -> dict[str, Any]:
    """A row with public ids in place of keys."""
    prefixes = {"id": prefix, "program_id": "prg", "campaign_id": "cmp", "creator_id": "crt"}
    prefixes |= {"enrollment_id": "enr", "campaign_link_id": "cml", "replaces_id": "lnk"}
    prefixes |= {"key_id": "key"}
    values = row.model_dump(mode="json")
    return {
        name: encode(prefixes[name], value) if value is not None and name in prefixes else value
        for name, value in values.items()
    }


async def revoke_manager_link(change: Change, key: int | None) -> Creator:
    """Stop every address of the creator's Campaign Manager page that is out, at once. The next
    message brings a new one."""
    creator = await change.get(Creator, key, "creator", "creator_id")
    creator.manager_version += 1
    await change.record("revokeManagerLink", "crt", creator.program_id, {creator.id: {}})
    return creator


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    # Which fields changed, but not to what: the audit log outlives an erasure.
    return {name: "…" if name in PERSONAL else value for name, value in values.items()}


def _formed(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The values to store, and what is wrong with those that were given."""
    form, values = Form(), dict(given)
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
    return values, form.faults


async def _taken(
    change: Change,
    program_id: int,
    name: str,
    forms: Sequence[tuple[Mapping[str, Any], Sequence[Fault]]],
) -> set[str]:
    """Which of these handles or keys somebody in the program has already."""
    wanted = {values[name] for values, faults in forms if values.get(name) and not faults}
    if not wanted:
        return set()
    column = col(getattr(Creator, name))
    found = select(column).where(Creator.program_id == program_id, column.in_(wanted))
    return set((await change.session.exec(found)).all())


def _claim(values: Mapping[str, Any], taken: Mapping[str, set[str]]) -> list[Fault]:
    """What of these values is taken; what is not, is from now on."""
    faults = []
    for name, others in taken.items():
        value = values.get(name)
        if value and value in others:
            message = "Another creator of the program has this."
            faults.append(Fault(UserErrorCode.TAKEN, message, (name,)))
        elif value:
            others.add(value)
    return faults


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
    conditions = [
        condition
        for name, value in by.items()
        for condition in among(getattr(Creator, name), [value])
    ]
    return (await session.exec(visible(viewer, Creator).where(*conditions).limit(2))).all()
