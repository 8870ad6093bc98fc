"""A cache between viewers and the server, as greedy as RFC 9111 allows one to be."""

import time
from dataclasses import dataclass, field

from tests.site import Answer, send_raw

# What may be kept without a word from the server (RFC 9110, 15.1), and for how long we would.
HEURISTICALLY = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
GUESSED_S = 60.0


@dataclass
class Cache:
    """`is_shared`: a proxy's, and not a browser's own."""

    port: int
    is_shared: bool
    forwarded: int = 0
    _kept: dict[bytes, tuple[float, Answer]] = field(default_factory=dict)

    async def ask(self, method: str, target: str, *fields: str) -> Answer:
        lines = [f"{method} {target} HTTP/1.1", "Host: go.brand.example", *fields]
        # Keyed by more than it has to be, so that only the same request can hit.
        key = request = "\r\n".join([*lines, "", ""]).encode()
        fresh_until, answer = self._kept.get(key, (0.0, None))
        if answer is not None and time.monotonic() < fresh_until:
            return answer
        if answer is not None and (etag := answer.headers.get("etag")):
            request = request[:-2] + f"If-None-Match: {etag}\r\n\r\n".encode()
        self.forwarded += 1
        answer = await send_raw(self.port, request)
        if (fresh_s := self._fresh_s(method, answer)) is not None:
            self._kept[key] = (time.monotonic() + fresh_s, answer)
        return answer

    def _fresh_s(self, method: str, answer: Answer) -> float | None:
        """For how long it may be used again, or None if it may not be kept (RFC 9111, 3)."""
        said = dict[str, str]()
        for directive in answer.headers.get("cache-control", "").lower().split(","):
            name, _, value = directive.strip().partition("=")
            said[name] = value
        if "no-store" in said or (self.is_shared and "private" in said) or answer.status < 200:
            return None
        explicit = (said.get("s-maxage") if self.is_shared else None) or said.get("max-age")
        if explicit is None and "expires" in answer.headers:
            explicit = str(GUESSED_S)
        if explicit is None and method in {"GET", "HEAD"} and answer.status in HEURISTICALLY:
            explicit = str(GUESSED_S)
        if explicit is None and "public" not in said:
            return None
        return 0.0 if "no-cache" in said else float(explicit or GUESSED_S)
