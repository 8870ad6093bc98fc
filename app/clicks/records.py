"""What the journal holds of one hit, and how it lies on the disk.

DESIGN
------
A frame is two marker bytes, the record's length, a CRC32 over length and record, and the
record in MessagePack. All text is UTF-8, in which the first marker byte never occurs: no
user agent can forge the beginning of a frame, so a reader may look for the next one behind
damage. A page of zeros is no frame, because it lacks the marker.

The first field is the format. A reader that meets a format it does not know skips the record
and says so.
"""

import struct
from zlib import crc32

import msgspec

FORMAT = 1
MARKER = b"\xc1\x1c"
_HEAD = struct.Struct("<2sHI")


class Record(msgspec.Struct, array_like=True, gc=False):
    """The facts at the moment of a redirect. No address: what needs one was made of it before."""

    format: int
    id: bytes  # UUIDv7
    at_ms: int
    link_id: int
    program_id: int
    destination_version: int
    is_archived: bool  # answered 410
    is_head: bool
    is_prefetch: bool  # refused with 503
    is_https: bool
    is_excluded_network: bool
    visitor: bytes | None
    # The same visitor under yesterday's key, in the first hour of a day.
    visitor_before: bytes | None
    user_agent: str
    referrer: str
    query: str
    fetch_mode: str | None
    fetch_dest: str | None
    country: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def frame(record: Record) -> bytes:
    """The bytes of one record, ready to append."""
    body = _encode(record)
    length = len(body)
    check = crc32(body, length)
    return _HEAD.pack(MARKER, length, check) + body


class Frames:
    """The whole frames of a piece of a segment.

    All before ``end`` is read or is beyond repair (``damaged`` bytes of it), all behind it may
    be a frame that is still being written.
    """

    def __init__(self, data: bytes) -> None:
        self.records: list[Record] = []
        # Where each record's frame ends.
        self.ends: list[int] = []
        self.end = 0
        self.damaged = 0
        self._read(data)

    def _read(self, data: bytes) -> None:
        # One loop without calls of our own: it runs once for each hit of a drain.
        head, head_size = _HEAD.unpack_from, _HEAD.size
        records, ends = self.records, self.ends
        place, last = 0, len(data) - head_size
        while place <= last:
            marker, length, check = head(data, place)
            start = place + head_size
            end = start + length
            body = data[start:end]
            if (
                marker != MARKER
                or not length
                or len(body) != length
                or crc32(body, length) != check
            ):
                place = data.find(MARKER, place + 1)
                if place < 0:
                    return
                continue
            # Only now is it known that what lies between is damage and not the end.
            self.damaged += place - self.end
            self.end = end
            try:
                record = _decode(body)
            except msgspec.ValidationError:
                record = None
            if record is None or record.format != FORMAT:
                self.damaged += end - place
            else:
                records.append(record)
                ends.append(end)
            place = end
