"""How much a key may ask in a minute, and how often an address may try without one.

DESIGN
------
Counted in the memory of each server process: no store to run, nothing to wait for, and a
limit that is there to protect a process is counted where the load is. Requests are counted
in a moving window; cost in a sliding one, which keeps two numbers for a key instead of an
entry for each unit. It is charged in advance, as much as the answer may hold, so that what
runs at once is reckoned with; what the answer did not hold is given back. Redirects never come
past here.
"""

import math
import time
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import (
    MovingWindowRateLimiter,
    SlidingWindowCounterRateLimiter,
)

from app.graphql.errors import Code, Unanswerable, refused_request
from app.settings import Settings

_IPV6_CUSTOMER_BITS: Final = 64  # a customer is given a network of addresses, this large at least


class RateLimits:
    """Raises `Unanswerable` (429, with `Retry-After`) at the one too many."""

    def __init__(self, settings: Settings) -> None:
        storage = MemoryStorage()
        moving = MovingWindowRateLimiter(storage)
        self._requests = _Limit("requests", moving, settings.graphql_requests_per_minute)
        self._cost = _Budget("units of cost", storage, settings.graphql_cost_per_minute)
        self._failures = _Limit(
            "requests without a valid key", moving, settings.graphql_auth_failures_per_minute
        )

    def request(self, caller: str) -> None:
        self._requests.hit(caller)

    def room_for_request(self, caller: str) -> None:
        """Raises where `request` would, and counts nothing."""
        self._requests.look(caller)

    def cost(self, caller: str, cost: int) -> "Charge":
        return self._cost.charge(caller, cost)

    def failed_authentication(self, address: str | None) -> None:
        """Whoever has a valid key is not stopped by others behind the same address."""
        self._failures.hit(_network(address))


class _Limit:
    """So many of something per minute and whoever."""

    def __init__(self, what: str, limiter: MovingWindowRateLimiter, maximum: int) -> None:
        self._what = what
        self._limiter = limiter
        self._item = RateLimitItemPerMinute(maximum)

    def hit(self, who: str) -> None:
        if not self._limiter.hit(self._item, self._what, who):
            raise self._refusal(who)

    def look(self, who: str) -> None:
        if not self._limiter.test(self._item, self._what, who):
            raise self._refusal(who)

    def _refusal(self, who: str) -> Unanswerable:
        reset_at = self._limiter.get_window_stats(self._item, self._what, who).reset_time
        return _refused(self._item.amount, self._what, reset_at - time.time())


class _Budget:
    """So much of something per minute and whoever, many units at a time."""

    def __init__(self, what: str, storage: MemoryStorage, maximum: int) -> None:
        self._what = what
        self._storage = storage
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._item = RateLimitItemPerMinute(maximum)

    def charge(self, who: str, units: int) -> "Charge":
        key = self._item.key_for(self._what, who)
        charged_at = time.time()
        if units and not self._limiter.hit(self._item, self._what, who, cost=units):
            raise _refused(self._item.amount, self._what, self._wait_s(key, units))
        _, window = self._storage.sliding_window_keys(key, self._item.get_expiry(), charged_at)
        return Charge(self._storage, window, units)

    def _wait_s(self, key: str, units: int) -> float:
        """How long until so many units fit, if nothing else is charged meanwhile."""
        # Fractions of a unit are let pass.
        length_s, room = self._item.get_expiry(), self._item.amount - units + 1
        before, _, now, expires_in_s = self._storage.get_sliding_window(key, length_s)
        left_s = expires_in_s - length_s  # of this window
        # What was charged in a window fades over the length of the next one.
        if now < room:
            return left_s - length_s * (room - now) / max(before, 1)
        return left_s + length_s - length_s * max(room, 0) / now


@dataclass(slots=True)
class Charge:
    """What a request was charged, in the window in which it was."""

    _storage: MemoryStorage
    _window: str
    units: int

    def give_back(self, units: int) -> None:
        if units:
            self._storage.decr(self._window, units)
            self.units -= units


def _refused(maximum: int, what: str, wait_s: float) -> Unanswerable:
    seconds = max(1, math.floor(wait_s) + 1)  # at the very moment it does not fit yet
    return refused_request(
        HTTPStatus.TOO_MANY_REQUESTS,
        Code.RATE_LIMITED,
        f"More than {maximum} {what} per minute. Try again in {seconds} s.",
        {"Retry-After": str(seconds)},
    )


def _network(address: str | None) -> str:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(int(parsed) >> _IPV6_CUSTOMER_BITS)
    return str(parsed)
