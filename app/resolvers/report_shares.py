"""Shared reports: made, listed, found by their address, revoked."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import false
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Permission, Viewer, visible
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.models import Campaign, Program, ReportSection, ReportShare
from app.resolvers.change import Change
from app.resolvers.inputs import Form


async def create(
    change: Change,
    *,
    program_id: int | None = None,
    campaign_id: int | None = None,
    name: str,
    sections: Sequence[ReportSection],
    expires_at: datetime | None = None,
) -> ReportShare:
    """Share the report of a program or of a campaign: exactly one of the two is given."""
    owner: Program | Campaign
    if campaign_id is not None and program_id is None:
        owner = await change.get(Campaign, campaign_id, "campaign", "campaign_id")
        program_id = owner.program_id
    elif program_id is not None and campaign_id is None:
        owner = await change.get(Program, program_id, "program", "program_id")
        if change.viewer.campaign_ids is not None:
            message = "A key of some campaigns can share the reports of these campaigns only."
            raise refuse(UserErrorCode.FORBIDDEN, message, "program_id")
    else:
        message = "Name either a program or a campaign."
        raise refuse(UserErrorCode.INVALID, message)
    form = Form()
    name = form.text(name, "name")
    if not sections:
        form.fault(UserErrorCode.BLANK, "Share one section at least.", "sections")
    if expires_at is not None and expires_at <= change.now:
        form.fault(UserErrorCode.INVALID, "That is in the past.", "expires_at")
    form.check()
    row = ReportShare(
        program_id=program_id,
        campaign_id=campaign_id,
        name=name,
        # In the order of a report, each once.
        sections=[section.value for section in ReportSection if section in sections],
        created_at=change.now,
        expires_at=expires_at,
    )
    change.session.add(row)
    await change.session.flush()
    said = {"name": name, "sections": row.sections, "expires_at": expires_at}
    await change.record("createReportShare", "shr", program_id, {row.id: said})
    return row


async def revoke(change: Change, key: int | None) -> ReportShare:
    """Close a shared report for good, from the next request on. Again, it changes nothing."""
    row = await change.get(ReportShare, key, "report share", "id")
    if row.revoked_at is None:
        row.revoked_at = change.now
        await change.record("revokeReportShare", "shr", row.program_id, {row.id: {}})
    return row


async def find(session: ReadSession, key: int) -> ReportShare | None:
    """The share of an address, revoked and expired ones too."""
    return await session.get(ReportShare, key)


def listed(viewer: Viewer, only: None) -> SelectOfScalar[ReportShare]:
    """The shares that the viewer can see. Their addresses open them, so only for who may share."""
    rows = visible(viewer, ReportShare)
    return rows if viewer.may(Permission.MANAGE) else rows.where(false())
