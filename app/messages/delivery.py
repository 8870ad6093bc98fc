"""Delivers what waits in the outbox, by SMTP.

DESIGN
------
A message is queued in the transaction that wrote it and made its links, so what the caller was
told is true whatever happens here. Each server process runs this loop. One takes a few messages
by moving their next attempt half a minute on (a lease), and on again every few seconds for as
long as it works on them; no other sees them meanwhile: SKIP LOCKED on PostgreSQL, the one writer
on SQLite. If the process dies, the lease runs out and another one takes them. One that can't
renew its lease begins no other message, and changes none that is no longer its own.

A message is marked as sent right after the mail server has taken it. Between the two lies the
only moment in which a crash can send it again: the server then gets the same Message-ID twice.
That is the price of never losing one, which no use of SMTP can avoid.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from sqlalchemy import ColumnElement, and_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from app.database import Database
from app.messages.mail import Unaddressable, compose
from app.models import Message, MessageStatus
from app.settings import Settings

POLL_S = 1
CLAIM = 10
TIMEOUT_S = 20
# A claim holds for so long after its owner was last heard of. That is every few seconds; after
# half of it in silence they begin no other message.
LEASE = timedelta(seconds=30)
BEAT_S = 5
# After each attempt that failed; then it is given up. A day and a half in all.
DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720, 1080))
# A mail server that is away or refuses us is no message's fault: it is left alone for so long.
PAUSE_S = 15
GRACE_S = 5
ERROR_MAX = 300

logger = logging.getLogger(__name__)


class Claim:
    """Messages that are one worker's until a moment, which it moves on."""

    def __init__(self, messages: Sequence[Message], until: datetime) -> None:
        self.left = list(messages)
        self.current: Message | None = None
        self.until = until

    @property
    def is_fresh(self) -> bool:
        return self.until - datetime.now(UTC) > LEASE / 2

    @property
    def ours(self) -> ColumnElement[bool]:
        """Those that nobody has done with, and nobody else has taken."""
        held = [*self.left, *([] if self.current is None else [self.current])]
        return and_(
            col(Message.id).in_([message.id for message in held]),
            col(Message.status) == MessageStatus.QUEUED,
            col(Message.next_attempt_at) == self.until,
        )


class Delivery:
    """`open()` it in a process that serves. Without a mail server in the settings it does nothing,
    and messages stay in the outbox."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self._settings.smtp_host is not None:
            self._task = asyncio.create_task(self._run(), name="delivery")

    async def close(self) -> None:
        """Finish the message that is being sent, and put the others back."""
        self._stopping.set()
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=GRACE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            pause: float = POLL_S
            try:
                while messages := await self.claim(datetime.now(UTC)):
                    await self._deliver(messages)
            except (SMTPException, OSError) as error:
                # Of the connection, never of a message: nothing personal gets into the log.
                logger.warning("the mail server can't be used: %s: %s", type(error).__name__, error)
                pause = PAUSE_S
            except SQLAlchemyError:
                logger.exception("the outbox can't be read")
                pause = PAUSE_S
            await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def claim(self, now: datetime) -> Sequence[Message]:
        """A few messages that are due, which nobody else takes as long as the lease lasts."""
        if self._stopping.is_set():
            return []
        due = (
            select(Message.id)
            .where(Message.status == MessageStatus.QUEUED, col(Message.next_attempt_at) <= now)
            .order_by(col(Message.next_attempt_at), col(Message.id))
            .limit(CLAIM)
        )
        async with self._database.reading() as session:  # costs the writer nothing
            if not (await session.exec(due)).first():
                return []
        async with self._database.writing() as session:
            keys = (await session.exec(due.with_for_update(skip_locked=True))).all()
            claimed = col(Message.id).in_(keys)
            await session.exec(
                update(Message)
                .where(claimed)
                .values(attempts=Message.attempts + 1, next_attempt_at=now + LEASE)
            )
            order = (col(Message.created_at), col(Message.id))
            return (await session.exec(select(Message).where(claimed).order_by(*order))).all()

    async def _deliver(self, messages: Sequence[Message]) -> None:
        """Send these over one connection. Raises when the server can't be used; what could not
        be tried is put back then."""
        claim = Claim(messages, messages[0].next_attempt_at)
        renewing = asyncio.create_task(self._renew_for_ever(claim))
        try:
            async with self._connection() as server:
                while claim.left and claim.is_fresh and not self._stopping.is_set():
                    claim.current = message = claim.left.pop(0)
                    try:
                        await self._send(server, message)
                    except SMTPSenderRefused:
                        claim.left.insert(0, message)
                        raise
                    finally:
                        claim.current = None
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            if claim.left:
                await self._put_back(claim)

    async def _renew_for_ever(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self.renew(claim, datetime.now(UTC))
            except (SQLAlchemyError, OSError):
                logger.exception("a claim can't be renewed")

    async def renew(self, claim: Claim, now: datetime) -> None:
        """Keep what is left of a claim for as long again; what somebody else has is left to them."""
        async with self._database.writing() as session:
            renewed = update(Message).where(claim.ours).values(next_attempt_at=now + LEASE)
            kept = set((await session.exec(renewed.returning(col(Message.id)))).scalars())
        claim.until = now + LEASE
        claim.left = [message for message in claim.left if message.id in kept]

    def _connection(self) -> SMTP:
        settings = self._settings
        password = settings.smtp_password
        return SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=None if password is None else password.get_secret_value(),
            use_tls=settings.smtp_security == "tls",
            start_tls=settings.smtp_security == "starttls",
            timeout=TIMEOUT_S,
        )

    async def _send(self, server: SMTP, message: Message) -> None:
        settings = self._settings
        try:
            email = compose(
                message, sender=settings.sender, base_url=settings.base_url, now=datetime.now(UTC)
            )
            await server.send_message(email)
        except Unaddressable as error:
            await self._failed(message, str(error), is_final=True)
        except SMTPSenderRefused:
            raise  # it refuses us, not this message
        except SMTPRecipientsRefused as refused:
            await self._refused(message, refused.recipients[0])
        except SMTPResponseException as error:
            await self._refused(message, error)
        except (SMTPException, OSError) as error:
            # Cut off: perhaps because of this message, so that the others go first next time.
            await self._failed(message, f"The mail server was cut off: {type(error).__name__}")
            raise
        else:
            await self._mark(message, status=MessageStatus.SENT, sent_at=datetime.now(UTC))

    async def _refused(self, message: Message, error: SMTPResponseException) -> None:
        """5xx means never; anything else, not now."""
        is_final = error.code >= 500  # noqa: PLR2004 - the first digit is what counts
        await self._failed(message, f"{error.code} {error.message}", is_final=is_final)

    async def _failed(self, message: Message, error: str, *, is_final: bool = False) -> None:
        said = error.replace("\0", "")[:ERROR_MAX]
        if is_final or message.attempts > len(DELAYS):
            await self._mark(message, status=MessageStatus.FAILED, error=said)
        else:
            later = datetime.now(UTC) + DELAYS[message.attempts - 1]
            await self._mark(message, next_attempt_at=later, error=said)

    async def _mark(self, message: Message, **values: object) -> None:
        async with self._database.writing() as session:
            await session.exec(
                update(Message)
                .where(col(Message.id) == message.id, col(Message.status) == MessageStatus.QUEUED)
                .values(**values)
            )

    async def _put_back(self, claim: Claim) -> None:
        """As if they had not been taken: the server was away, which is no attempt."""
        async with self._database.writing() as session:
            await session.exec(
                update(Message)
                .where(claim.ours)
                .values(attempts=Message.attempts - 1, next_attempt_at=datetime.now(UTC))
            )
