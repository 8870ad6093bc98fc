"""API keys: from the text after ``Bearer`` to a `Viewer`, and what a viewer may do.

DESIGN
------
A key reads ``tl_<kid>_<secret>_<checksum>``. The secret is 256 random bits, so a plain
SHA-256 of it is all that needs to be stored: a slow hash would only slow our callers. The
checksum turns a mistyped key away without asking the database, the prefix lets secret
scanners know one when they see it.

*Which fields* a viewer may use is decided in the schema, by `Permission`; *which rows*, here,
by `visible`, which every select of a tenant's table passes through. An id that is not
visible is answered exactly like one that does not exist.
"""

import asyncio
import logging
import secrets
import zlib
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from hashlib import sha256
from hmac import compare_digest
from typing import Any, TypeVar

from sqlalchemy import false, func, true, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.database import Database
from app.models import (
    ApiKey,
    ApiKeyCampaign,
    Campaign,
    Creator,
    Enrollment,
    Program,
    Role,
    StageChange,
)

Model = TypeVar("Model", bound=SQLModel)

PREFIX = "tl"
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KID_LENGTH = 8
_SECRET_LENGTH = 43  # 62^43 > 2^256
_CHECKSUM_LENGTH = 6  # 62^6 > 2^32
LAST_USED_GRAIN = timedelta(minutes=1)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

logger = logging.getLogger(__name__)


class Permission(Enum):
    """What a role allows. A field of the graph names the one that it needs."""

    READ_LINKS = auto()  # campaigns, creators, link sets and their numbers
    READ = auto()  # the rest of what a program holds
    READ_PERSONAL = auto()  # e-mail addresses and what else is personal about creators
    MANAGE = auto()  # create, change, promote, archive, send
    REPORT_CONVERSIONS = auto()
    ADMINISTER = auto()  # API keys, erasure
    INSTALL = auto()  # make programs: the installation's own key only


_READS = frozenset({Permission.READ_LINKS, Permission.READ})
_MANAGES = _READS | {Permission.READ_PERSONAL, Permission.MANAGE, Permission.REPORT_CONVERSIONS}
ALLOWED: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: _MANAGES | {Permission.ADMINISTER},
    Role.MANAGER: _MANAGES,
    Role.ANALYST: _READS,
    Role.PARTNER: frozenset({Permission.READ_LINKS}),
    Role.CONVERSIONS: frozenset({Permission.REPORT_CONVERSIONS}),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking: a key, as far as the rest of the code needs to know it.

    ``key_id`` is None for the command line; ``program_id`` is None for the installation's own
    key, which sees every program; ``campaign_ids`` is None where the key is not limited.
    """

    role: Role
    program_id: int | None
    key_id: int | None = None
    campaign_ids: frozenset[int] | None = None

    def may(self, permission: Permission) -> bool:
        if permission is Permission.INSTALL:
            return self.role is Role.ADMIN and self.program_id is None
        return permission in ALLOWED[self.role]


OPERATOR = Viewer(role=Role.ADMIN, program_id=None)
"""The command line: whoever can run it can read the database anyway."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. ``text`` is shown once and stored nowhere."""

    text: str
    kid: str
    secret_hash: bytes


def new_key() -> NewKey:
    kid = "".join(secrets.choice(_LETTERS) for _ in range(_KID_LENGTH))
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
    body = f"{PREFIX}_{kid}_{secret}"
    return NewKey(f"{body}_{_checksum(body)}", kid, sha256(secret.encode()).digest())


def _checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters)


def parse_key(text: str) -> tuple[str, bytes] | None:
    """The kid and the secret's hash, or None for what can't be a key."""
    if not text.isascii():
        return None
    body, _, checksum = text.rpartition("_")
    parts = body.split("_")
    if len(parts) != 3 or parts[0] != PREFIX or not compare_digest(_checksum(body), checksum):  # noqa: PLR2004 - prefix, kid, secret
        return None
    return parts[1], sha256(parts[2].encode()).digest()


class Authenticator:
    """Knows who a key stands for, and keeps when each was last used, to the minute.

    Asked anew at every request: a key that was revoked is refused at the next one, in every
    worker.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._under_way: set[asyncio.Task[None]] = set()

    async def __call__(self, text: str, *, now: datetime) -> Viewer | None:
        """Who is asking, or None: mistyped, unknown, wrong, expired and revoked alike."""
        parsed = parse_key(text)
        if parsed is None:
            return None
        kid, secret_hash = parsed
        async with self._database.reading() as session:
            key = (await session.exec(select(ApiKey).where(ApiKey.kid == kid))).one_or_none()
            # Compared against something even when there is no such key: as slow, as silent.
            stored = key.secret_hash if key is not None else bytes(32)
            if not compare_digest(stored, secret_hash) or key is None or not is_live(key, now=now):
                return None
            limited = select(ApiKeyCampaign.campaign_id).where(ApiKeyCampaign.key_id == key.id)
            campaign_ids = frozenset((await session.exec(limited)).all())
        if key.last_used_at is None or now - key.last_used_at >= LAST_USED_GRAIN:
            self._later(self._used(key.id, now))
        return Viewer(
            role=key.role,
            program_id=key.program_id,
            key_id=key.id,
            campaign_ids=campaign_ids or None,
        )

    async def _used(self, key_id: int, now: datetime) -> None:
        try:
            async with self._database.writing() as session:
                await session.exec(
                    update(ApiKey)
                    .where(
                        col(ApiKey.id) == key_id,
                        func.coalesce(ApiKey.last_used_at, NEVER) < now,
                    )
                    .values(last_used_at=now)
                )
        except SQLAlchemyError:
            # Nobody waits for this, and nothing depends on it.
            logger.warning("could not keep when an API key was last used", exc_info=True)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)  # or the event loop would drop it half done
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait for what is still being written."""
        await asyncio.gather(*self._under_way)


def is_live(key: ApiKey, *, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def sees(viewer: Viewer, model: type[SQLModel]) -> ColumnElement[bool]:
    """The condition for a row of this table to exist as far as the viewer can tell."""
    if model is StageChange:
        enrollments = select(Enrollment.id).where(sees(viewer, Enrollment))
        return col(StageChange.enrollment_id).in_(enrollments)
    if viewer.program_id is None:
        return true()
    columns: Any = model
    program = col(Program.id) if model is Program else col(columns.program_id)
    of_program: ColumnElement[bool] = program == viewer.program_id
    if viewer.campaign_ids is None:
        return of_program
    return of_program & _among_campaigns(model, viewer.campaign_ids)


def _among_campaigns(model: type[SQLModel], campaign_ids: frozenset[int]) -> ColumnElement[bool]:
    if model is Program:
        return true()
    if model is Creator:
        enrolled = select(Enrollment.creator_id).where(
            col(Enrollment.campaign_id).in_(campaign_ids)
        )
        return col(Creator.id).in_(enrolled)
    column: Any = Campaign.id if model is Campaign else getattr(model, "campaign_id", None)
    # What belongs to no campaign is not for a key of some campaigns.
    return false() if column is None else col(column).in_(campaign_ids)


def visible(viewer: Viewer, model: type[Model]) -> SelectOfScalar[Model]:
    """Every row of the table that exists as far as the viewer can tell."""
    return select(model).where(sees(viewer, model))
