"""How HTTP is read, for uvicorn: with limits for strangers, and answering clicks on the spot.

DESIGN
------
uvicorn with httptools takes headers without end and waits for them without end. Here a
request's head has a limit in bytes, fields and seconds. It must not cost a redirect anything:
bytes are counted once for each piece that arrives, and field by field only when there are
suspiciously many. Slow heads, connections that nothing comes from, and answers that nobody takes
are found by looking at each connection every few seconds, not by a timer for each.

What can be answered without waiting is answered where it was read (`app.answers.AT_ONCE`):
no task, no messages, and no second turn of the event loop, which may be busy with something
else. All the rest goes the way of uvicorn and ASGI, with the same answer.
"""

import asyncio
import itertools
import logging
import socket
import weakref
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.answers import AT_ONCE, AtOnce

TARGET_BYTES = 8 * 1024
HEADER_BYTES = 16 * 1024
FIELDS = 100
# So many requests wait behind one that is being answered. All that arrive in one piece are read
# before anybody else's: thousands would keep every viewer waiting.
PIPELINED = 16
# Pieces that are longer than a browser's request are looked through for more than so many.
LONG_PIECE_BYTES = 4 * 1024
# How often each connection is looked at. One with nothing going on at two looks is given up: after
# 5 to 10 seconds, or 12 where there are thousands.
LOOK_S = 5.0
# Who takes nothing of an answer for so many looks, a minute, does not want it.
STUCK_LOOKS = 12
# Between two looks, at whatever connections; and the longest that one makes up for, if the process
# had no turn for longer.
PAUSE_S = 0.001
LATE_S = 0.1
# With these a request has a body, or wants something of the server.
_MORE = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})


class TooLarge(Exception):
    """Raised into the parser, which makes uvicorn answer 400 and close the connection."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """``uvicorn.run(…, http=LimitedHttpProtocol)``."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # Of what is not body, since the last whole head.
        self._head_bytes = 0
        self._is_in_head = False
        # Whether that head began in an earlier piece of data, and whether in this one a head was
        # completed, or a body went on.
        self._is_split = False
        self._has_moved = False
        # How many heads were whole; and at the last look, if it found nothing going on.
        self._heads = 0
        self._heads_seen = -1
        # What was not sent yet at the last look, and for how many looks it has been the same.
        self._unsent = 0
        self._stuck = 0
        # These settings of uvicorn are about its own way of answering.
        is_logged = self.access_log and self.access_logger.isEnabledFor(logging.INFO)
        is_simple = not (
            is_logged or self.root_path or self.limit_concurrency or self.config.proxy_headers
        )
        self._at_once: AtOnce | None = self.app_state.get(AT_ONCE) if is_simple else None
        self._common: list[tuple[bytes, bytes]] = []
        self._common_lines = b""
        # Whether this piece of data may still have a request answered at once; whether the request
        # has more than that would look at; and whether it was answered so.
        self._has_turn = False
        self._has_more = False
        self._is_answered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        if self.client is None and transport.get_extra_info("socket").family != socket.AF_UNIX:
            transport.abort()  # it is gone already, and nobody must be taken for a proxy of ours
        self._looks = _looks_of(self.server_state, self.loop)
        self._looks.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._looks.drop(self)

    def data_received(self, data: bytes) -> None:
        if len(data) > LONG_PIECE_BYTES and self._is_flood(data):
            self.send_400_response("Too many requests arrived together.")
            return
        self._head_bytes += len(data)
        self._has_turn = True
        self._is_split = self._is_in_head
        self._has_moved = False
        super().data_received(data)
        if self._has_moved:  # only what is behind is of a head, or of what follows a body
            is_head = self._is_in_head
            self._head_bytes = len(self.url) + _bytes_of(self.headers) if is_head else 0
        elif self._head_bytes > TARGET_BYTES + HEADER_BYTES:
            self.send_400_response("The request's head is too large.")

    def _is_flood(self, data: bytes) -> bool:
        """Whether more requests begin here than may wait: not one is read, which takes time."""
        cycle: RequestResponseCycle | None = self.cycle
        is_elsewhere = self._is_in_head or (cycle is not None and cycle.more_body)
        return (
            not is_elsewhere
            and data.startswith((b"GET ", b"HEAD "))
            and data.count(b"\r\n\r\n") > PIPELINED + 1
        )

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        if not self.transport.is_closing():
            self._looks.drop(self)  # from here on it may be as quiet as it likes
            super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._has_more = False

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > TARGET_BYTES:
            raise TooLarge

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _MORE:
            self._has_more = True
            super().on_header(name, value)
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self.headers) > FIELDS or len(self.pipeline) >= PIPELINED:
            raise TooLarge
        # Several requests may have come in one piece, so the sum is made only if it matters.
        is_suspicious = self._is_split or self._head_bytes > HEADER_BYTES
        if is_suspicious and _bytes_of(self.headers) > HEADER_BYTES:
            raise TooLarge
        self._heads += 1
        self._is_in_head = False
        self._has_moved = True
        # What comes behind the last request of a connection is nobody's.
        self._is_answered = self.transport.is_closing() or self._answer()
        if not self._is_answered:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_moved = True
        if not self._is_answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_answered:
            super().on_message_complete()

    def _answer(self) -> bool:
        """Answer this request now, if it is one to be answered at once.

        One of those that arrived together: who sends thousands waits for the others' turns.
        """
        if (
            self._at_once is None
            or not self._has_turn
            or self._has_more
            or self._is_busy
            or self.flow.write_paused
        ):
            return False
        self._has_turn = False
        method, scheme = self.parser.get_method(), self.scheme or "http"
        address = self.client[0] if self.client else ""
        found = self._at_once(method, self.url, self.headers, address, scheme)
        if found is None:
            return False
        head, body = found
        is_last = not self.parser.should_keep_alive() or self.parser.get_http_version() == "1.0"
        if self._common is not self.server_state.default_headers:  # a new date, once a second
            self._common = self.server_state.default_headers
            self._common_lines = b"".join(b"%b: %b\r\n" % each for each in self._common)
        close = b"connection: close\r\n" if is_last else b""
        self.transport.write(b"%b%b%b\r\n%b" % (head, self._common_lines, close, body))
        if is_last:
            self.transport.close()
        self.server_state.total_requests += 1
        return True

    @property
    def _is_busy(self) -> bool:
        """A request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def look(self) -> None:
        """Close the connection if nothing has gone on since the look before."""
        unsent = self.transport.get_write_buffer_size()
        self._stuck = self._stuck + 1 if unsent and unsent == self._unsent else 0
        self._unsent = unsent
        if self._stuck >= STUCK_LOOKS:
            self.transport.abort()  # closing would wait for it to be read
        elif self._is_busy or unsent:
            self._heads_seen = -1
        elif self._heads_seen == self._heads:
            self.transport.close()
        else:
            self._heads_seen = self._heads


def _bytes_of(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


class _Looks:
    """Looks at each connection of a server every `LOOK_S`, at one after the other: to close
    thousands in one go would keep every viewer waiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # When each is to be looked at, the next one first.
        self._due: OrderedDict[LimitedHttpProtocol, float] = OrderedDict()
        self._is_on = False
        # When the next one is to be looked at.
        self._next_at = 0.0

    def add(self, connection: LimitedHttpProtocol) -> None:
        self._due[connection] = self._loop.time() + LOOK_S
        if not self._is_on:
            self._is_on = True
            self._wait(LOOK_S)

    def drop(self, connection: LimitedHttpProtocol) -> None:
        self._due.pop(connection, None)

    def _look(self) -> None:
        now = self._loop.time()
        # Or a round would never end, or take as long as the process has to wait for its turns.
        passed_s = PAUSE_S + min(now - self._next_at, LATE_S)
        several = 1 + int(2 * len(self._due) / LOOK_S * passed_s)
        first = itertools.islice(self._due.items(), several)
        looked_at = [connection for connection, due in first if due <= now]
        for connection in looked_at:
            self._due[connection] = now + LOOK_S
            self._due.move_to_end(connection)
        self._is_on = bool(self._due)
        if self._is_on:
            next_s = next(iter(self._due.values())) - now
            self._wait(max(next_s, PAUSE_S))
        for connection in looked_at:
            connection.look()

    def _wait(self, seconds: float) -> None:
        self._next_at = self._loop.time() + seconds
        self._loop.call_later(seconds, self._look)


# Those of each server, from its first connection on.
_looks: weakref.WeakKeyDictionary[ServerState, _Looks] = weakref.WeakKeyDictionary()


def _looks_of(server: ServerState, loop: asyncio.AbstractEventLoop) -> _Looks:
    looks = _looks.get(server)
    if looks is None:
        looks = _looks[server] = _Looks(loop)
    return looks
