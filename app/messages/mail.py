"""From a message to an e-mail: plain text, and the same text as simple HTML. Nothing is tracked."""

import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from urllib.parse import urlsplit

from app.ids import encode
from app.models import Message

# What stands behind an address in a sentence is no part of it.
_URL = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]}']")


class Unaddressable(ValueError):
    """No e-mail can be sent to this address, now or later."""


def compose(message: Message, *, sender: Address, base_url: str, now: datetime) -> EmailMessage:
    """The e-mail. Its Message-ID is the message's own: should it ever arrive twice, because a
    server was cut off as it said yes, mail programs can tell."""
    host = urlsplit(base_url).hostname or "localhost"
    email = EmailMessage(policy=SMTP)
    email["Message-ID"] = f"<{encode('msg', message.id)}@{host}>"
    email["Date"] = now
    email["From"] = sender
    try:
        email["To"] = Address(addr_spec=message.to_address)
    except Exception as error:  # the parser also raises IndexError and others of its own
        raise Unaddressable(f"“{message.to_address}” is not an address for e-mail.") from error
    email["Subject"] = message.subject
    if message.is_automatic:
        email["Auto-Submitted"] = "auto-generated"
    email.set_content(message.body)
    email.add_alternative(as_html(message.body), subtype="html")
    return email


def as_html(text: str) -> str:
    """The text as HTML: its lines kept, its addresses made links, all else as it was written."""
    parts, end = [], 0
    for url in _URL.finditer(text):
        parts.append(escape(text[end : url.start()]))
        address = escape(url[0])
        parts.append(f'<a href="{address}">{address}</a>')
        end = url.end()
    parts.append(escape(text[end:]))
    lines = "".join(parts).replace("\n", "<br>\n")
    return (
        '<!doctype html>\n<html><head><meta charset="utf-8"></head>\n'
        f'<body style="font-family: sans-serif; line-height: 1.5">\n<p>{lines}</p>\n</body></html>\n'
    )
