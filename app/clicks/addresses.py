"""Whose request it is: the client's address, held in memory only for as long as it is needed."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from functools import lru_cache

V4_BYTES = 4
V6_PREFIX_BYTES = 8
_MAPPED = bytes(10) + b"\xff\xff"

Headers = Sequence[tuple[bytes, bytes]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(16_384)
def packed(address: str) -> bytes:
    """What tells clients apart: an IPv4 address, or the /64 of an IPv6 one. Empty for garbage."""
    try:
        return socket.inet_pton(socket.AF_INET, address)
    except OSError:
        pass
    try:
        whole = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return b""
    return whole[12:] if whole.startswith(_MAPPED) else whole[:V6_PREFIX_BYTES]


class Networks:
    """A list of addresses and networks that an operator gave."""

    def __init__(self, given: Iterable[str]) -> None:
        """Raises ValueError for what is neither."""
        self._networks: list[Network] = [ipaddress.ip_network(each, strict=False) for each in given]
        self._holds = lru_cache(maxsize=4096)(self._find)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        return self._holds(address)

    def _find(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks)


def client_address(peer: str | None, headers: Headers, proxies: Networks) -> str:
    """The nearest hop that is not ours: whatever stands left of it, anybody may have written.

    ``peer`` is who is connected: None on a Unix socket, where only our own proxy can be.
    """
    if peer is not None and peer not in proxies:
        return peer
    hops = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    nearest = peer or ""
    for hop in reversed(hops.split(b",")):
        address = _without_port(hop.strip().decode("latin-1"))
        if not packed(address):
            break
        nearest = address
        if address not in proxies:
            break
    return nearest


def is_https(scheme: str, peer: str | None, headers: Headers, proxies: Networks) -> bool:
    if peer is None or peer in proxies:
        for name, value in reversed(headers):
            if name == b"x-forwarded-proto":
                return value.rpartition(b",")[2].strip().lower() == b"https"
    return scheme == "https"


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, _ = hop.partition(":")
    return host if colon and hop.count(":") == 1 else hop


class MissBudget:
    """How many unknown codes an address may ask for: guessing codes is then not worth while.

    Holds at most twice ``addresses`` entries, and forgets who has been quiet the longest.
    """

    def __init__(self, per_minute: int, *, addresses: int = 50_000) -> None:
        self.per_minute = per_minute
        self._addresses = addresses
        self._young: dict[bytes, list[float]] = {}
        self._old: dict[bytes, list[float]] = {}

    def spend(self, address: bytes, now_s: float, *, misses: int = 1) -> bool:
        """Count a miss. False: the minute's budget of this address is spent."""
        entry = self._young.get(address)
        if entry is None:
            entry = self._old.pop(address, None) or [now_s, 0]
            if len(self._young) >= self._addresses:
                self._old, self._young = self._young, {}
            self._young[address] = entry
        if now_s - entry[0] >= 60:  # noqa: PLR2004 - a minute
            entry[0], entry[1] = now_s, 0
        entry[1] += misses
        return entry[1] <= self.per_minute
