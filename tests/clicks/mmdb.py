"""Writes a MaxMind database of a few networks, so that tests need none of anybody's.

After the format's specification (version 2.0): a binary tree of nodes, each of two records; a
record is a node's number, "nothing", or a place in the data behind the tree; then the metadata.
"""

import struct
from collections.abc import Mapping
from ipaddress import IPv6Network, ip_network
from pathlib import Path

Value = str | int | bytes | Mapping[str, "Value"] | list["Value"]

_MARKER = b"\xab\xcd\xefMaxMind.com"
_UTF8, _UINT16, _UINT32, _MAP, _UINT64, _ARRAY = 2, 5, 6, 7, 9, 11


def write(path: Path, networks: Mapping[str, Value]) -> Path:
    """Write a database in which each network, IPv4 or IPv6, has its record."""
    nodes: list[list[int | bytes | None]] = [[None, None]]
    for network, record in networks.items():
        bits = _bits(network)
        node = 0
        for bit in bits[:-1]:
            child = nodes[node][bit]
            if not isinstance(child, int):
                nodes.append([None, None])
                child = nodes[node][bit] = len(nodes) - 1
            node = child
        nodes[node][bits[-1]] = _encoded(record)
    tree, data = bytearray(), bytearray()
    for sides in nodes:
        for side in sides:
            if isinstance(side, bytes):
                place = len(nodes) + 16 + len(data)
                data += side
            else:
                place = len(nodes) if side is None else side
            tree += struct.pack(">I", place)
    meta: dict[str, Value] = {
        "node_count": _head(_UINT32, 4) + struct.pack(">I", len(nodes)),
        "record_size": 32,
        "ip_version": 6,
        "database_type": "Test-Country",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": _head(_UINT64, 8) + struct.pack(">Q", 1),
        "description": {"en": "made in a test"},
    }
    path.write_bytes(tree + bytes(16) + data + _MARKER + _encoded(meta))
    return path


def _bits(network: str) -> list[int]:
    parsed = ip_network(network)
    skipped = 0 if isinstance(parsed, IPv6Network) else 96  # IPv4 lies at ::/96
    address = int(parsed.network_address)
    return [address >> (127 - place) & 1 for place in range(skipped + parsed.prefixlen)]


def _encoded(value: Value) -> bytes:
    if isinstance(value, str):
        return _head(_UTF8, len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return value  # is encoded already
    if isinstance(value, int):
        return _head(_UINT16, 2) + struct.pack(">H", value)
    if isinstance(value, list):
        return _head(_ARRAY, len(value)) + b"".join(map(_encoded, value))
    pairs = (_encoded(key) + _encoded(item) for key, item in value.items())
    return _head(_MAP, len(value)) + b"".join(pairs)


def _head(kind: int, size: int) -> bytes:
    assert size < 29, "longer ones are written otherwise"
    if kind <= _MAP:
        return bytes([kind << 5 | size])
    return bytes([size, kind - 7])
