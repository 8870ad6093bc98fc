"""Answers kept under a key of the caller's choice: a retried call does nothing twice.

Kept in the mutation's own transaction, so that there is an answer exactly when the change is
there; two calls at once meet at the primary key, and the slower one finds the other's answer.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlmodel import select

from app.errors import UserErrorCode, refuse
from app.models import IdempotencyKey
from app.resolvers.change import Change
from app.resolvers.inputs import Form

KEY_MAX = 200
NAME = "idempotency_key"


async def recall(change: Change, mutation: str, key: str, request: str) -> dict[str, Any] | None:
    """What this call answered the first time, or None if it is the first time."""
    form = Form()
    key = form.text(key, NAME, max_length=KEY_MAX)
    form.check()
    row = (
        await change.session.exec(
            select(IdempotencyKey).where(
                IdempotencyKey.program_id == (change.viewer.program_id or 0),
                IdempotencyKey.mutation == mutation,
                IdempotencyKey.key == key,
            )
        )
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != _hash(request):
        message = "This key was used for a call with another input. Choose a new one."
        raise refuse(UserErrorCode.TAKEN, message, NAME)
    return row.answer


async def keep(
    change: Change, mutation: str, key: str, request: str, answer: Mapping[str, Any]
) -> None:
    change.session.add(
        IdempotencyKey(
            program_id=change.viewer.program_id or 0,
            mutation=mutation,
            key=key.strip(),
            request_hash=_hash(request),
            answer=dict(answer),
            at=change.now,
        )
    )
    await change.session.flush()


def _hash(request: str) -> bytes:
    return sha256(request.encode("utf-8", "surrogatepass")).digest()
