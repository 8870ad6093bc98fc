"""Calls that sent a message: the same call again answers what the first one did."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select

from app.auth import visible
from app.errors import UserErrorCode, refuse
from app.ids import new_id
from app.models import Campaign, Enrollment, Message, MessageBatch, TrackingLink
from app.resolvers.change import Change
from app.resolvers.mail_merge import SkipReason
from app.resolvers.message_queue import Sending


def fingerprint_of(asked: Any) -> bytes:
    """Tells what was asked from anything else that could have been."""
    return hashlib.sha256(json.dumps(asked).encode()).digest()


async def first(
    change: Change, campaign: Campaign, key: str, fingerprint: bytes
) -> list[Sending] | None:
    """What the first call with this key answered, or None if this is the first."""
    found = select(MessageBatch).where(
        MessageBatch.program_id == campaign.program_id, MessageBatch.idempotency_key == key
    )
    batch = (await change.session.exec(found)).one_or_none()
    if batch is None:
        return None
    if batch.fingerprint != fingerprint:
        message = "This key was used to send something else: take a new one for a new message."
        raise refuse(UserErrorCode.TAKEN, message, "idempotency_key")
    outcomes = batch.outcomes
    enrollments = await _rows(change, Enrollment, {each["enrollment"] for each in outcomes})
    messages = await _rows(change, Message, {each["message"] for each in outcomes})
    links = await _rows(change, TrackingLink, {key for each in outcomes for key in each["made"]})
    return [
        Sending(
            enrollments.get(each["enrollment"]),
            messages.get(each["message"]),
            None,
            None if each["reason"] is None else SkipReason(each["reason"]),
            each["missing"],
            [links[key] for key in each["made"] if key in links],
        )
        for each in outcomes
    ]


async def keep(
    change: Change,
    campaign: Campaign,
    key: str,
    fingerprint: bytes,
    results: Sequence[Sending],
) -> None:
    batch = MessageBatch(
        id=new_id(),
        program_id=campaign.program_id,
        campaign_id=campaign.id,
        idempotency_key=key,
        fingerprint=fingerprint,
        outcomes=[
            {
                "enrollment": None if each.enrollment is None else each.enrollment.id,
                "message": None if each.message is None else each.message.id,
                "reason": each.reason,
                "missing": list(each.missing),
                "made": [link.id for link in each.made],
            }
            for each in results
        ],
        created_at=change.now,
    )
    await change.insert(MessageBatch, [batch.model_dump()])


async def _rows(change: Change, model: type[Any], keys: set[int | None]) -> dict[int, Any]:
    found = await change.session.exec(
        visible(change.viewer, model).where(col(model.id).in_(keys - {None}))
    )
    return {row.id: row for row in found.all()}
