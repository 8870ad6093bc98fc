"""API keys: made, listed and revoked. Their text is shown once and stored nowhere."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Permission, Viewer, is_live, new_key
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.models import ApiKey, ApiKeyCampaign, Campaign, Program, Role
from app.resolvers.change import Change
from app.resolvers.inputs import Form, size

CAMPAIGNS_MAX = 100
OVERLAP_MAX = 7 * 24 * 60


async def create(
    change: Change,
    *,
    name: str,
    role: Role,
    program_id: int | None = None,
    campaign_ids: Sequence[int | None] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A key and its text. Without a program it is the installation's own: ADMIN only."""
    form = Form()
    name = form.text(name, "name")
    if program_id is not None:
        program_id = (await change.get(Program, program_id, "program", "program_id")).id
    elif role is not Role.ADMIN:
        message = "A key without a program is the installation's own, which is ADMIN only."
        form.fault(UserErrorCode.INVALID, message, "role")
    if program_id is None and not change.viewer.may(Permission.INSTALL):
        form.fault(UserErrorCode.BLANK, "Name the program of the key.", "program_id")
    if campaign_ids and role is Role.ADMIN:
        message = "A key limited to some campaigns can't be ADMIN."
        form.fault(UserErrorCode.INVALID, message, "campaign_ids")
    if expires_at is not None and expires_at <= change.now:
        form.fault(UserErrorCode.INVALID, "That is in the past.", "expires_at")
    form.check()
    size(campaign_ids, CAMPAIGNS_MAX, "campaign_ids")
    limited = []
    for place, key in enumerate(dict.fromkeys(campaign_ids)):
        campaign = await change.get(Campaign, key, "campaign", "campaign_ids", str(place))
        if campaign.program_id != program_id:
            message = "The campaign is of another program."
            raise refuse(UserErrorCode.INVALID, message, "campaign_ids", place)
        limited.append(campaign.id)
    made = new_key()
    row = ApiKey(
        program_id=program_id,
        name=name,
        kid=made.kid,
        secret_hash=made.secret_hash,
        role=role,
        created_at=change.now,
        expires_at=expires_at,
    )
    change.session.add(row)
    await change.session.flush()
    await change.insert(ApiKeyCampaign, ({"key_id": row.id, "campaign_id": key} for key in limited))
    if program_id is not None:
        said = {"name": name, "role": role, "kid": made.kid}
        await change.record("createApiKey", "key", program_id, {row.id: said})
    return row, made.text


async def rotate(change: Change, key: int | None, *, overlap_minutes: int) -> tuple[ApiKey, str]:
    """A new key like this one, and its text. The old one works for so long yet."""
    old = await change.get(ApiKey, key, "API key", "id")
    form = Form()
    form.number(overlap_minutes, "overlap_minutes", least=0, most=OVERLAP_MAX)
    if not is_live(old, now=change.now):
        form.fault(UserErrorCode.INVALID, "The key is revoked or has expired.", "id")
    form.check()
    limited = (await campaigns(change.session, [old.id])).get(old.id, [])
    new, text = await create(
        change,
        name=old.name,
        role=old.role,
        program_id=old.program_id,
        campaign_ids=limited,
        expires_at=old.expires_at,
    )
    ends_at = change.now + timedelta(minutes=overlap_minutes)
    old.expires_at = min(ends_at, old.expires_at or ends_at)
    if old.program_id is not None:
        said = {"expires_at": old.expires_at}
        await change.record("rotateApiKey", "key", old.program_id, {old.id: said})
    return new, text


async def revoke(change: Change, key: int | None) -> ApiKey:
    """Stop a key for good, from the next request on. Again, it changes nothing."""
    row = await change.get(ApiKey, key, "API key", "id")
    if row.revoked_at is None:
        row.revoked_at = change.now
        if row.program_id is not None:
            await change.record("revokeApiKey", "key", row.program_id, {row.id: {}})
    return row


def listed(viewer: Viewer, only: None) -> SelectOfScalar[ApiKey]:
    """The keys of the viewer's program; all of them for the installation's own key."""
    keys = select(ApiKey)
    if viewer.program_id is not None:
        keys = keys.where(col(ApiKey.program_id) == viewer.program_id)
    return keys


async def campaigns(session: ReadSession, keys: Sequence[int]) -> dict[int, list[int]]:
    """The campaigns that each of these keys is limited to; an unlimited one is left out."""
    rows = await session.exec(select(ApiKeyCampaign).where(col(ApiKeyCampaign.key_id).in_(keys)))
    limited: dict[int, list[int]] = {}
    for row in rows.all():
        limited.setdefault(row.key_id, []).append(row.campaign_id)
    return limited
