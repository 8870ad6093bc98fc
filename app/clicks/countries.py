"""From a client's address to its country, if the operator has a database for that.

Asked at the redirect, because an address is never written down: not even into the journal. So
it has to be fast, and must not fail: answers are kept by network, /24 or /48, and anything that
goes wrong is an unknown country.
"""

import logging
from functools import lru_cache
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

import maxminddb

log = logging.getLogger(__name__)

_KEPT: Final = 65_536  # networks
_V6_NETWORK_BYTES: Final = 6


class Countries:
    """Looks up countries in a MaxMind database, which is opened at the first look-up."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._reader: maxminddb.Reader | None = None
        self._of_network = lru_cache(_KEPT)(self._find)

    def of(self, ip: str) -> str:
        """The ISO code of the country in two capitals; empty where unknown. Never raises."""
        if self._path is None:
            return ""
        if ":" not in ip:
            return self._of_network(ip[: ip.rfind(".")] + ".0")
        try:
            address = IPv6Address(ip)
        except ValueError:
            return ""
        if address.ipv4_mapped is not None:
            return self.of(str(address.ipv4_mapped))
        network = address.packed[:_V6_NETWORK_BYTES]
        return self._of_network(str(IPv6Address(network.ljust(16, b"\0"))))

    def _find(self, network: str) -> str:
        reader = self._reader or self._open()
        if reader is None:
            return ""
        try:
            return _code(reader.get(network))
        except (ValueError, TypeError, OSError, maxminddb.InvalidDatabaseError):
            return ""  # no address, or of a kind the database does not hold, or damaged there

    def _open(self) -> maxminddb.Reader | None:
        if self._path is not None:
            try:
                self._reader = maxminddb.open_database(self._path)
            except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
                log.error("No countries, because %s can't be read: %s", self._path, error)  # noqa: TRY400 - the sentence says it
                self._path = None
        return self._reader


def _code(record: object) -> str:
    # MaxMind and DB-IP nest it, IPinfo does not.
    if isinstance(record, dict):
        record = record.get("country") or record.get("country_code")
    if isinstance(record, dict):
        record = record.get("iso_code")
    if isinstance(record, str) and len(record) == len("DE") and record.isascii():
        return record.upper() if record.isalpha() else ""
    return ""
