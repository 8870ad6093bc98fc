"""What the redirect answers, put together before anybody asks.

An answer is the same for everybody, but for one place: where a destination is told which click
came, the click's id goes.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.types import Send
from uuid_utils import uuid7

Headers = list[tuple[bytes, bytes]]

# Under this name, the application's state (ASGI's `lifespan`) may hold what answers a request
# without waiting for anything, for a server that can send bytes as they are. It is given method,
# target, headers, the client's address and the scheme, and returns the answer up to its headers'
# last line, and its body; or None, having done nothing, where the application is to be asked.
AT_ONCE = "tracklinks.at_once"
AtOnce = Callable[[bytes, bytes, Headers, str, str], tuple[bytes, bytes] | None]

# Keeps the place of a click's id. It is drawn at the start, so nothing that is stored can
# contain it.
ANY_CLICK = uuid7().hex
_COMMON: Headers = [
    (b"cache-control", b"private, no-store, max-age=0"),
    (b"x-robots-tag", b"noindex, nofollow"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"x-content-type-options", b"nosniff"),
]


class Answer:
    """As the bytes of HTTP/1.1 and as ASGI's messages."""

    __slots__ = ("_head", "_headers", "body", "status")

    def __init__(self, status: HTTPStatus, headers: Headers, body: bytes = b"") -> None:
        headers = [*headers, (b"content-length", b"%d" % len(body)), *_COMMON]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        head = b"HTTP/1.1 %d %b\r\n%b" % (status, status.phrase.encode(), lines)
        self.status = int(status)
        self.body = body
        self._headers = headers
        self._head = head.split(ANY_CLICK.encode())

    def head(self, click_id: bytes) -> bytes:
        """The status line and the headers, each with its line's end; not the empty line."""
        return click_id.join(self._head)

    async def send(self, send: Send, click_id: bytes, *, is_head: bool) -> None:
        place = ANY_CLICK.encode()
        headers = [(name, value.replace(place, click_id)) for name, value in self._headers]
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        body: dict[str, Any] = {"type": "http.response.body", "body": b"" if is_head else self.body}
        await send(start)
        await send(body)


def page(status: HTTPStatus, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    html = f"<!doctype html><html lang=en><title>{text}</title><p>{text}\n".encode()
    return Answer(status, [(b"content-type", b"text/html; charset=utf-8"), *headers], html)
