"""Enrollments: who is in a campaign, at which stage, and what moving them brings about.

DESIGN
------
Every change of stage goes through `_move`, so that a *crossing* (from Applied or before, or
from outside the campaign, to past Applied) generates links in the same transaction whatever
brought it about. A batch locks its enrollments in the order of their keys, so two batches of
the same creators take turns and cannot wait for each other.

One creator's failure undoes nobody else's move: each item has its own result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, update
from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.errors import Fault, UserErrorCode, refuse
from app.ids import new_id
from app.models import (
    Campaign,
    CampaignStatus,
    Creator,
    Enrollment,
    Stage,
    StageChange,
    TrackingLink,
)
from app.resolvers import link_making, messages, pages
from app.resolvers.change import Change
from app.resolvers.filters import among
from app.resolvers.inputs import size
from app.resolvers.message_queue import Sending

BATCH_MAX = 1000


@dataclass(slots=True)
class Result:
    """What came of one item of a batch."""

    enrollment: Enrollment | None
    links: list[TrackingLink] = field(default_factory=list)
    # What the campaign's templates sent to the creator by themselves, or why they did not.
    sendings: list[Sending] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


async def enroll(
    change: Change,
    campaign_id: int | None,
    creator_ids: Sequence[int | None],
    *,
    stage: Stage | None = None,
) -> list[Result]:
    """Add creators to a campaign, in its first stage or another.

    One who is in it already stays where they are. A stage past Applied earns links at once.
    """
    size(creator_ids, BATCH_MAX, "creator_ids")
    campaign = await change.get(Campaign, campaign_id, "campaign", "campaign_id")
    _refuse_archived(campaign, "campaign_id")
    stage = stage or campaign.first_stage
    if not campaign.has_stage(stage):
        message = f"The campaign's workflow has no {stage.name}."
        raise refuse(UserErrorCode.FORBIDDEN_STAGE_MOVE, message, "stage")
    wanted = [key for key in creator_ids if key is not None]
    found = await change.session.exec(
        visible(change.viewer, Creator).where(
            Creator.program_id == campaign.program_id, col(Creator.id).in_(wanted)
        )
    )
    creators = {creator.id: creator for creator in found.all()}
    already = await change.session.exec(
        select(Enrollment).where(
            Enrollment.campaign_id == campaign.id, col(Enrollment.creator_id).in_(wanted)
        )
    )
    enrollments = {enrollment.creator_id: enrollment for enrollment in already.all()}
    made: list[Enrollment] = []
    results = []
    for place, key in enumerate(creator_ids):
        creator = creators.get(key) if key is not None else None
        if creator is None:
            results.append(_failed(None, _absent("creator", "creator_ids", place)))
            continue
        if creator.archived_at is not None and creator.id not in enrollments:
            fault = Fault(
                UserErrorCode.ARCHIVED,
                "The creator is archived.",
                ("creator_ids", str(place)),
            )
            results.append(_failed(None, fault))
            continue
        if creator.id not in enrollments:
            enrollments[creator.id] = Enrollment(
                id=new_id(),
                program_id=campaign.program_id,
                campaign_id=campaign.id,
                creator_id=creator.id,
                stage=stage,
                stage_changed_at=change.now,
                created_at=change.now,
            )
            made.append(enrollments[creator.id])
        results.append(Result(enrollments[creator.id]))
    await change.insert(Enrollment, (enrollment.model_dump() for enrollment in made))
    await _keep(change, [(enrollment, None) for enrollment in made])
    if stage.is_past_applied:
        _hand_out(results, await link_making.ensure(change, made))
    await _send(change, made, results)
    await change.record(
        "enrollCreators",
        "enr",
        campaign.program_id,
        {enrollment.id: {"stage": stage.name} for enrollment in made},
    )
    return results


async def promote(change: Change, keys: Sequence[int | None]) -> list[Result]:
    """Move each to the next enabled stage of its campaign."""
    return await _move(change, keys, "promoteEnrollments", to=None)


async def move(change: Change, keys: Sequence[int | None], stage: Stage) -> list[Result]:
    """Move each to this stage, forward or back. Moving to the present stage does nothing."""
    return await _move(change, keys, "moveEnrollments", to=stage)


async def drop(change: Change, keys: Sequence[int | None]) -> list[Result]:
    """Take each out of the workflow. Their links go on working: posts are out."""
    return await _move(change, keys, "dropEnrollments", to=Stage.DROPPED)


async def _move(
    change: Change, keys: Sequence[int | None], action: str, *, to: Stage | None
) -> list[Result]:
    size(keys, BATCH_MAX, "enrollment_ids")
    wanted = {key for key in keys if key is not None}
    locked = (
        visible(change.viewer, Enrollment)
        .where(col(Enrollment.id).in_(wanted))
        .order_by(col(Enrollment.id))
        .with_for_update()
    )
    enrollments = {row.id: row for row in (await change.session.exec(locked)).all()}
    campaigns = await _campaigns(change, enrollments)
    results: list[Result] = []
    moved: dict[int, tuple[Enrollment, Stage]] = {}
    for place, key in enumerate(keys):
        enrollment = enrollments.get(key) if key is not None else None
        if enrollment is None:
            results.append(_failed(None, _absent("enrollment", "enrollment_ids", place)))
            continue
        if enrollment.id in moved:  # named twice in one call: moved once
            results.append(Result(enrollment))
            continue
        before = enrollment.stage
        after = _next(campaigns[enrollment.campaign_id], before, to, place)
        if isinstance(after, Fault):
            results.append(_failed(enrollment, after))
            continue
        if after is not before:
            moved[enrollment.id] = (enrollment, before)
            enrollment.stage, enrollment.stage_changed_at = after, change.now
        results.append(Result(enrollment))
    await _store(change, [enrollment for enrollment, _ in moved.values()])
    await _keep(change, list(moved.values()))
    crossed = [
        enrollment
        for enrollment, before in moved.values()
        if enrollment.stage.is_past_applied and not before.is_past_applied
    ]
    _hand_out(results, await link_making.ensure(change, crossed) if crossed else [])
    await _send(change, [enrollment for enrollment, _ in moved.values()], results)
    for program_id in {enrollment.program_id for enrollment, _ in moved.values()}:
        said = {
            enrollment.id: {"stage": enrollment.stage.name}
            for enrollment, _ in moved.values()
            if enrollment.program_id == program_id
        }
        await change.record(action, "enr", program_id, said)
    return results


def _next(campaign: Campaign, before: Stage, to: Stage | None, place: int) -> Stage | Fault:
    """Where the enrollment goes, or why it can't."""
    path = ("enrollment_ids", str(place))
    if campaign.status is CampaignStatus.ARCHIVED:
        message = "The campaign is archived: restore it before moving its creators."
        return Fault(UserErrorCode.ARCHIVED, message, path)
    if to is not None:
        if campaign.has_stage(to):
            return to
        message = f"The campaign's workflow has no {to.name}."
        return Fault(UserErrorCode.FORBIDDEN_STAGE_MOVE, message, path)
    after = campaign.stage_after(before)
    if after is None:
        message = f"There is no stage after {before.name}: move the creator instead."
        return Fault(UserErrorCode.FORBIDDEN_STAGE_MOVE, message, path)
    return after


async def _campaigns(change: Change, enrollments: Mapping[int, Enrollment]) -> dict[int, Campaign]:
    keys = {enrollment.campaign_id for enrollment in enrollments.values()}
    found = await change.session.exec(select(Campaign).where(col(Campaign.id).in_(keys)))
    return {campaign.id: campaign for campaign in found.all()}


async def _store(change: Change, enrollments: Sequence[Enrollment]) -> None:
    """Write the new stages in one statement; left to itself, the session writes one each."""
    if not enrollments:
        return
    table = SQLModel.metadata.tables["enrollment"]
    statement = (
        update(table)
        .where(table.c.id == bindparam("key"))
        .values(stage=bindparam("to"), stage_changed_at=change.now)
    )
    rows = [{"key": enrollment.id, "to": enrollment.stage} for enrollment in enrollments]
    for enrollment in enrollments:
        change.session.expunge(enrollment)
    await change.session.exec(statement, params=rows)


async def _keep(change: Change, moves: Sequence[tuple[Enrollment, Stage | None]]) -> None:
    """Keep who came where, when and by whom."""
    await change.insert(
        StageChange,
        (
            {
                "id": new_id(),
                "enrollment_id": enrollment.id,
                "at": change.now,
                "from_stage": before,
                "to_stage": enrollment.stage,
                "key_id": change.viewer.key_id,
            }
            for enrollment, before in moves
        ),
    )


def _hand_out(results: Sequence[Result], links: Sequence[TrackingLink]) -> None:
    """Give each result the links that were made for it."""
    made: dict[int, list[TrackingLink]] = {}
    for link in links:
        made.setdefault(link.enrollment_id, []).append(link)
    for result in results:
        if result.enrollment is not None:
            result.links = made.pop(result.enrollment.id, [])


async def _send(change: Change, arrived: Sequence[Enrollment], results: Sequence[Result]) -> None:
    """Give each result what was sent by itself because the creator has come to the stage."""
    by_enrollment = {each.enrollment.id: each for each in reversed(results) if each.enrollment}
    for sending in await messages.send_automatically(change, arrived):
        if sending.enrollment is not None:
            by_enrollment[sending.enrollment.id].sendings.append(sending)


def _failed(enrollment: Enrollment | None, fault: Fault) -> Result:
    return Result(enrollment, faults=[fault])


def _absent(noun: str, name: str, place: int) -> Fault:
    return Fault(UserErrorCode.NOT_FOUND, f"There is no such {noun}.", (name, str(place)))


def _refuse_archived(campaign: Campaign, name: str) -> None:
    if campaign.status is CampaignStatus.ARCHIVED:
        raise refuse(UserErrorCode.ARCHIVED, "The campaign is archived: restore it first.", name)


@dataclass(frozen=True, slots=True)
class Filter:
    stages: tuple[Stage, ...] | None = None
    is_past_applied: bool | None = None
    creator_ids: tuple[int, ...] | None = None
    campaign_ids: tuple[int, ...] | None = None
    # Past Applied, and without a link of this campaign link.
    lacking_link: int | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[Enrollment]:
    """The enrollments that the viewer can see and the filter lets through."""
    stage = col(Enrollment.stage)
    rows = visible(viewer, Enrollment).where(
        *among(Enrollment.stage, only.stages),
        *among(Enrollment.creator_id, only.creator_ids),
        *among(Enrollment.campaign_id, only.campaign_ids),
    )
    if only.is_past_applied is not None:
        past = stage.between(Stage.APPLIED + 1, Stage.DROPPED - 1)
        rows = rows.where(past if only.is_past_applied else ~past)
    if only.lacking_link is not None:
        have = select(TrackingLink.creator_id).where(
            TrackingLink.campaign_link_id == only.lacking_link
        )
        rows = rows.where(col(Enrollment.creator_id).not_in(have))
    return rows


LAST_CHANGE_FIRST = pages.Order("AT", "at", is_descending=True, parse=pages.parse_instant)


def changes(viewer: Viewer, only: None) -> SelectOfScalar[StageChange]:
    """All changes of stage; to be asked for by an enrollment that the viewer can see."""
    return select(StageChange)
