"""A real mail server for tests: takes what is sent to it, unless it was told to refuse."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from threading import Event
from typing import Any

from aiosmtpd.controller import Controller

from tests.server import free_port

ACCEPTED = "250 OK"


@dataclass
class Mailbox:
    """What has arrived, and what the server answers to the next message."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    answer: Callable[[str], str] = lambda _: ACCEPTED
    # Set when the first mail has come.
    knocked: Event = field(default_factory=Event)
    # After so many mails, whoever comes has to wait at the door, and `full` is set.
    limit: int | None = None
    full: Event = field(default_factory=Event)

    # The names are aiosmtpd's.

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        while self.limit is not None and len(self.mails) >= self.limit:
            self.full.set()
            await asyncio.sleep(0.01)
        answer = self.answer(address)
        if answer == ACCEPTED:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        assert not mail.defects
        self.mails.append(mail)
        self.senders.append(envelope.mail_from)
        self.knocked.set()
        return ACCEPTED

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"].addresses[0].addr_spec == address]


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").rstrip("\n")


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


@contextmanager
def mail_server(mailbox: Mailbox | None = None, **options: Any) -> Iterator[Mailbox]:
    """A server on 127.0.0.1, on the mailbox's port if it has one."""
    mailbox = mailbox or Mailbox()
    mailbox.port = mailbox.port or free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **options)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
