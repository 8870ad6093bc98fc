"""Limits on what a stranger may send before any of our code sees it, for uvicorn.

DESIGN
------
uvicorn with httptools takes headers without end and waits for them without end. Here a
request's head has a limit in bytes, fields and seconds. And an answer that is the same each time can be handed over
whole, as the redirect's are.

It must not cost a redirect anything: bytes are counted once for each piece that arrives, and
field by field only when there are suspiciously many. Slow heads are found by looking at all
connections every few seconds, not by a timer for each.
"""

import asyncio
import weakref
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

TARGET_BYTES = 8 * 1024
HEADER_BYTES = 16 * 1024
FIELDS = 100
# So many requests wait behind one that is being answered. All that arrive in one piece are read
# before anybody else's: thousands would keep every viewer waiting.
PIPELINED = 100
# A head that is not complete after two looks is given up: after 5 to 10 seconds.
LOOK_S = 5.0


# An ASGI extension: a whole response goes out as it is. uvicorn checks and joins each header
# of each answer again, which takes as long as everything that a redirect does.
PREPARED = "tracklinks.prepared"


class TooLarge(Exception):
    """Raised into the parser, which makes uvicorn answer 400 and close the connection."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """``uvicorn.run(…, http=LimitedHttpProtocol)``."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        # An access log needs what only uvicorn's own way of answering writes.
        self._may_be_short = not self.access_log
        self._running: RequestResponseCycle = self.cycle
        self._extensions: dict[str, dict[object, object]] = {PREPARED: {"send": self._answer}}
        # What the last look found: the request after which a head has been under way.
        self._waits_after: object = None
        self._waits = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        _watch(self)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        before = self.cycle
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.scope is self.scope:
            self._head_bytes = 0  # the head is complete; what follows is body
        elif cycle is not before:  # whole requests came before: only the rest is of this head
            self._head_bytes = len(self.url) + _bytes_of(self.headers)
        elif self._head_bytes > TARGET_BYTES + HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > TARGET_BYTES:
            raise TooLarge

    def on_headers_complete(self) -> None:
        if len(self.headers) > FIELDS or len(self.pipeline) >= PIPELINED:
            raise TooLarge
        # Several requests may have come in one piece, so the sum is made only if it matters.
        if self._head_bytes > HEADER_BYTES and _bytes_of(self.headers) > HEADER_BYTES:
            raise TooLarge
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if self._may_be_short:
            # One for the connection, and not for each request: it would be a reference cycle,
            # and collecting those costs more than is won.
            self._running = cycle
            cycle.scope["extensions"] = self._extensions
        super()._start_asgi_task(cycle, app)

    def _answer(self, status_line: bytes, rest: bytes) -> bool:
        """Send a whole response that was checked and put together before.

        False, and nothing is sent, when the connection is not ready for it.
        """
        cycle = self._running
        if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
            return False
        cycle.response_started = cycle.response_complete = True
        parts = [status_line]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(rest)
        cycle.transport.write(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True

    @property
    def is_waiting_for_head(self) -> bool:
        """No request is being answered, and none that is complete has come yet."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return True
        # Between two requests uvicorn's own timer runs, until the next one's first byte.
        return cycle.response_complete and self.timeout_keep_alive_task is None

    def look(self) -> None:
        """Close the connection if its head has been under way since the look before."""
        if not self.is_waiting_for_head:
            self._waits = False
        elif self._waits and self._waits_after is self.cycle:
            self.transport.close()
        else:
            self._waits, self._waits_after = True, self.cycle


def _bytes_of(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


_looking: "weakref.WeakSet[asyncio.AbstractEventLoop]" = weakref.WeakSet()


def _watch(protocol: LimitedHttpProtocol) -> None:
    """Begin to look at the connections of this server, with its first one."""
    if protocol.loop not in _looking:
        _looking.add(protocol.loop)
        protocol.loop.call_later(LOOK_S, _look, protocol.loop, protocol.connections)


def _look(loop: asyncio.AbstractEventLoop, connections: "set[Any]") -> None:
    for connection in list(connections):
        if isinstance(connection, LimitedHttpProtocol):
            connection.look()
    loop.call_later(LOOK_S, _look, loop, connections)
