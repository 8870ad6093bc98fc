"""Hits for tests of the journal and the recorder."""

import itertools
from typing import Any

from uuid_utils import uuid7

from app.clicks.records import FORMAT, Record, frame
from tests.site import PHONE

# Noon of a day: no test comes near midnight unless it means to.
NOON_MS = 1_795_521_600_000
_numbers = itertools.count(1)


def record(at_s: float = 0, link_id: int = 1000, **values: Any) -> Record:
    """A person's click, ``at_s`` seconds after noon; by somebody else each time."""
    defaults: dict[str, Any] = {
        "format": FORMAT,
        "id": uuid7().bytes,
        "at_ms": NOON_MS + round(at_s * 1000),
        "link_id": link_id,
        "program_id": 1,
        "destination_version": 1,
        "is_archived": False,
        "is_head": False,
        "is_prefetch": False,
        "is_https": False,
        "is_excluded_network": False,
        "visitor": next(_numbers).to_bytes(16),
        "visitor_before": None,
        "user_agent": PHONE,
        "referrer": "",
        "query": "",
        "fetch_mode": None,
        "fetch_dest": None,
        "country": "",
    }
    return Record(**(defaults | values))


def hit(at_s: float = 0, link_id: int = 1000, **values: Any) -> bytes:
    return frame(record(at_s, link_id, **values))
