"""Who may come in and how often, before anything of a request is read: the same for all transports."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from starlette.requests import HTTPConnection

from app.graphql.errors import Code, refused_request
from app.graphql.rate_limits import RateLimits
from app.settings import Settings

Viewer: TypeAlias = Any
"""Whoever `Authenticate` says it is. Opaque here."""

Authenticate: TypeAlias = Callable[[str | None], Awaitable[Viewer | None]]
"""From the text after ``Bearer``, or None, to a viewer; None turns the request away."""

MakeContext: TypeAlias = Callable[[HTTPConnection, Viewer], Any]
"""The context of one operation. Called anew for each, also on a WebSocket."""

_KEY_LENGTH_MAX: Final = 512
_RECHECK_AFTER_S: Final = 0.5  # a revoked key is out within a second, in every worker


@dataclass(slots=True)
class Caller:
    """Somebody with a valid key. ``name`` is what their limits are counted under."""

    viewer: Viewer
    token: str | None
    name: str
    checked_at: float


class Gate:
    def __init__(
        self, authenticate: Authenticate, rate_limits: RateLimits, settings: Settings
    ) -> None:
        self._authenticate = authenticate
        self._rate_limits = rate_limits
        self._streams = Places("subscriptions", settings.graphql_max_subscriptions)

    async def admit(self, authorization: str | None, address: str | None) -> Caller:
        """Raises `Unanswerable`: 401 without a valid key, 429 after too many requests of either kind."""
        token = bearer(authorization)
        # Not the key itself: this ends up in the memory of the counters.
        name = sha256(token.encode()).hexdigest() if token else f"address {address}"
        # Who may ask nothing now costs nobody a look into the database.
        self._rate_limits.room_for_request(name)
        viewer = await self._authenticate(token)
        if viewer is None:
            self._rate_limits.failed_authentication(address)
            raise refused_request(
                HTTPStatus.UNAUTHORIZED,
                Code.UNAUTHENTICATED,
                "A valid API key is needed: `Authorization: Bearer <key>`.",
                {"WWW-Authenticate": "Bearer"},
            )
        return Caller(viewer, token, name, time.monotonic())

    def count_request(self, caller: Caller) -> None:
        """Raises `Unanswerable` (429) at the one request too many."""
        self._rate_limits.request(caller.name)

    async def still_admits(self, caller: Caller) -> bool:
        """Whether the key is valid still, asked again at most twice a second."""
        now = time.monotonic()
        if now - caller.checked_at < _RECHECK_AFTER_S:
            return True
        caller.checked_at = now
        viewer = await self._authenticate(caller.token)
        if viewer is not None:
            caller.viewer = viewer
        return viewer is not None

    def stream(self, caller: Caller) -> AbstractContextManager[None]:
        """Holds one of the places for streams that a key has. Raises `Unanswerable` (429)."""
        return self._streams.hold(caller.name)


class Places:
    """So many of what takes long may each caller have open at a time."""

    def __init__(self, what: str, maximum: int) -> None:
        self._what = what
        self._maximum = maximum
        self._taken: Counter[str] = Counter()

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """One of the caller's places, until the end. Raises `Unanswerable` (429)."""
        if self._taken[name] >= self._maximum:
            raise refused_request(
                HTTPStatus.TOO_MANY_REQUESTS,
                Code.RATE_LIMITED,
                f"At most {self._maximum} {self._what} may be open at a time. Try again in 1 s.",
                {"Retry-After": "1"},
            )
        self._taken[name] += 1
        try:
            yield
        finally:
            self._taken[name] -= 1
            if not self._taken[name]:
                del self._taken[name]


def bearer(authorization: str | None) -> str | None:
    """The key in an ``Authorization`` header, or None if it holds none."""
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not 0 < len(key) <= _KEY_LENGTH_MAX:
        return None
    return key
