"""Campaigns: their workflow and their life."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.errors import UserErrorCode, refuse
from app.models import REQUIRED_STAGES, Campaign, CampaignStatus, Enrollment, Program, Stage
from app.resolvers.change import Change
from app.resolvers.filters import among, containing
from app.resolvers.inputs import Form

# From which status each act may start; it is a no-op from the one that it leads to.
LAUNCH, PAUSE, ARCHIVE, RESTORE = "launch", "pause", "archive", "restore"
_ACTS = {
    LAUNCH: (CampaignStatus.LIVE, {CampaignStatus.DRAFT, CampaignStatus.PAUSED}),
    PAUSE: (CampaignStatus.PAUSED, {CampaignStatus.LIVE}),
    ARCHIVE: (
        CampaignStatus.ARCHIVED,
        {CampaignStatus.DRAFT, CampaignStatus.LIVE, CampaignStatus.PAUSED},
    ),
    RESTORE: (CampaignStatus.PAUSED, {CampaignStatus.ARCHIVED}),
}


async def create(change: Change, program_id: int | None, values: Mapping[str, Any]) -> Campaign:
    """A campaign in draft, with every stage of the workflow unless ``stages`` names some."""
    program = await change.get(Program, program_id, "program", "program_id")
    form = Form()
    values = _checked(form, dict(values))
    form.days(values.get("starts_on"), values.get("ends_on"), "ends_on")
    form.check()
    campaign = Campaign(
        program_id=program.id, slug=slug_of(values["name"]), created_at=change.now, **values
    )
    change.session.add(campaign)
    await change.session.flush()
    await change.record("createCampaign", "cmp", program.id, {campaign.id: values})
    return campaign


async def update(change: Change, key: int | None, changes: Mapping[str, Any]) -> Campaign:
    campaign = await change.get(Campaign, key, "campaign", "id")
    if campaign.status is CampaignStatus.ARCHIVED:
        raise refuse(UserErrorCode.ARCHIVED, "The campaign is archived: restore it first.", "id")
    form = Form()
    values = _checked(form, dict(changes))
    form.days(
        values.get("starts_on", campaign.starts_on),
        values.get("ends_on", campaign.ends_on),
        "ends_on",
    )
    if "stages" in values:
        await _refuse_occupied(change, campaign, values["stages"], form)
    form.check()
    campaign.sqlmodel_update(values)
    await change.record("updateCampaign", "cmp", campaign.program_id, {campaign.id: values})
    return campaign


async def act(change: Change, key: int | None, name: str) -> Campaign:
    """Launch, pause, archive or restore. Doing it again changes nothing."""
    campaign = await change.get(Campaign, key, "campaign", "id")
    to, allowed = _ACTS[name]
    if campaign.status is to:
        return campaign
    if campaign.status not in allowed:
        was = campaign.status.lower()
        raise refuse(UserErrorCode.INVALID, f"A campaign that is {was} can't {name}.", "id")
    campaign.status = to
    campaign.archived_at = change.now if to is CampaignStatus.ARCHIVED else None
    await change.record(
        f"{name}Campaign", "cmp", campaign.program_id, {campaign.id: {"status": to}}
    )
    return campaign


def slug_of(name: str) -> str:
    """The name as it can stand in a URL; never empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "campaign"


def _checked(form: Form, values: dict[str, Any]) -> dict[str, Any]:
    if "name" in values:
        values["name"] = form.text(values["name"], "name")
    if "stages" in values:
        values["stages"] = _workflow(form, values["stages"])
    return values


def _workflow(form: Form, stages: Iterable[Stage]) -> list[int]:
    enabled = set(stages)
    missing = REQUIRED_STAGES - enabled
    if missing:
        names = ", ".join(sorted(stage.name for stage in missing))
        form.fault(UserErrorCode.INVALID, f"Every workflow has {names}.", "stages")
    if (Stage.INVITED in enabled) != (Stage.APPLIED in enabled):
        message = "INVITED and APPLIED are enabled together or not at all."
        form.fault(UserErrorCode.INVALID, message, "stages")
    return sorted(int(stage) for stage in enabled)


async def _refuse_occupied(
    change: Change, campaign: Campaign, stages: list[int], form: Form
) -> None:
    closed = [Stage(number) for number in campaign.stages if number not in stages]
    occupied = (
        await change.session.exec(
            select(Enrollment.stage)
            .where(Enrollment.campaign_id == campaign.id, col(Enrollment.stage).in_(closed))
            .distinct()
        )
    ).all()
    if occupied:
        names = ", ".join(Stage(stage).name for stage in sorted(occupied))
        message = f"Creators are still in {names}: move them first."
        form.fault(UserErrorCode.INVALID, message, "stages")


# What a list shows when nothing is said.
LISTED = (CampaignStatus.DRAFT, CampaignStatus.LIVE, CampaignStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class Filter:
    statuses: tuple[CampaignStatus, ...] | None = None
    program_ids: tuple[int, ...] | None = None
    query: str | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[Campaign]:
    """The campaigns that the viewer can see and the filter lets through."""
    rows = visible(viewer, Campaign).where(
        *among(Campaign.status, only.statuses), *among(Campaign.program_id, only.program_ids)
    )
    return rows.where(*containing(only.query, Campaign.name))
