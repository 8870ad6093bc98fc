"""How much a key may ask in a minute, and how often an address may try without one.

DESIGN
------
Counted in the memory of each server process: no store to run, nothing to wait for, and a
limit that is there to protect a process is counted where the load is. Requests are counted
in a moving window; cost in a sliding one, which keeps two numbers for a key instead of an
entry for each unit. Redirects never come past here.
"""

import math
import time
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import (
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)

from app.graphql.errors import Code, refused_request
from app.settings import Settings

_IPV6_CUSTOMER_BITS: Final = 64  # a customer is given a network of addresses, this large at least


class RateLimits:
    """Raises `Unanswerable` (429, with `Retry-After`) at the one too many."""

    def __init__(self, settings: Settings) -> None:
        storage = MemoryStorage()
        moving = MovingWindowRateLimiter(storage)
        sliding = SlidingWindowCounterRateLimiter(storage)
        self._requests = _Limit("requests", moving, settings.graphql_requests_per_minute)
        self._cost = _Limit("units of cost", sliding, settings.graphql_cost_per_minute)
        self._failures = _Limit(
            "requests without a valid key", moving, settings.graphql_auth_failures_per_minute
        )

    def request(self, caller: str) -> None:
        self._requests.hit(caller)

    def cost(self, caller: str, cost: int) -> None:
        self._cost.hit(caller, cost)

    def failed_authentication(self, address: str | None) -> None:
        """Whoever has a valid key is not stopped by others behind the same address."""
        self._failures.hit(_network(address))


class _Limit:
    """So many of something per minute and whoever."""

    def __init__(self, what: str, limiter: RateLimiter, maximum: int) -> None:
        self._what = what
        self._limiter = limiter
        self._item = RateLimitItemPerMinute(maximum)

    def hit(self, who: str, cost: int = 1) -> None:
        if cost == 0 or self._limiter.hit(self._item, self._what, who, cost=cost):
            return
        reset_at = self._limiter.get_window_stats(self._item, self._what, who).reset_time
        wait_s = max(1, math.ceil(reset_at - time.time()))
        raise refused_request(
            HTTPStatus.TOO_MANY_REQUESTS,
            Code.RATE_LIMITED,
            f"More than {self._item.amount} {self._what} per minute. Try again in {wait_s} s.",
            {"Retry-After": str(wait_s)},
        )


def _network(address: str | None) -> str:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(int(parsed) >> _IPV6_CUSTOMER_BITS)
    return str(parsed)
