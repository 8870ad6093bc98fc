"""Tells visitors apart for a day, without keeping who they are.

DESIGN
------
A visitor is a keyed hash of program, address and user agent. The key belongs to a UTC day, is
32 random bytes and is derived from nothing: once it is deleted, when it is 48 hours old,
nobody can compute a hash of that day again, whatever else they have.

The keys are files in the data folder, one for each day, not rows: the first click of a day
must not wait for the database, and a backup of the database never holds one. The first worker
that needs a day's key makes it; a hard link lets exactly one of them win.

A day's key would make everyone new at midnight. In the first hour of a day a hit also carries
the hash under yesterday's key, so that uniqueness is judged across midnight. That hash stays
in the journal; it is never stored.
"""

import contextlib
import logging
import os
import secrets
from hashlib import blake2b
from pathlib import Path

DAY_MS = 86_400_000
BRIDGE_MS = 3_600_000
KEY_BYTES = 32
_LENGTHS = [bytes([length]) for length in range(17)]
log = logging.getLogger(__name__)


class DayKeys:
    """The keys of one machine, shared by its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, day: int) -> bytes:
        """The key of a UTC day (days since 1970), made if there is none. Never raises."""
        try:
            return self.known(day) or self._make(day)
        except OSError as error:
            # Better a visitor who is new in each process than a viewer without an answer.
            log.warning("The day key can't be kept, so unique clicks are too many: %s", error)
            return secrets.token_bytes(KEY_BYTES)

    def known(self, day: int) -> bytes | None:
        path = self._path(day)
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(key) == KEY_BYTES:
            return key
        path.unlink(missing_ok=True)
        return None

    def forget_old(self, now_ms: int) -> None:
        """Delete what is older than 48 hours: all but the keys of today and yesterday.

        Drafts go with their day, not before: another worker may be just making today's.
        """
        oldest = now_ms // DAY_MS - 1
        with contextlib.suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                day = path.name.partition(".")[0]
                if not day.isdigit() or int(day) < oldest:
                    path.unlink(missing_ok=True)

    def _path(self, day: int) -> Path:
        return self.folder / f"{day:08}"

    def _make(self, day: int) -> bytes:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.folder / f"{day:08}.{os.getpid()}.{secrets.token_hex(4)}"
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, secrets.token_bytes(KEY_BYTES))
            os.fsync(file)
        finally:
            os.close(file)
        with contextlib.suppress(FileExistsError):
            os.link(draft, self._path(day))
        draft.unlink()
        return self._path(day).read_bytes()


class Visitors:
    """Hashes of visitors, for the redirect: about a microsecond each."""

    def __init__(self, keys: DayKeys) -> None:
        self._keys = keys
        self._day_ends = 0
        self._bridge_ends = 0
        self._today = self._yesterday = blake2b(digest_size=16)

    def of(
        self, program: bytes, address: bytes, user_agent: bytes, now_ms: int
    ) -> tuple[bytes, bytes | None]:
        """The visitor's hash, and early in a day the one under yesterday's key."""
        if not self._day_ends - DAY_MS <= now_ms < self._day_ends:
            self._begin_day(now_ms)
        # All but the last length-prefixed, or two visitors could spell the same bytes.
        data = program + _LENGTHS[len(address)] + address + user_agent
        today = self._today.copy()
        today.update(data)
        if now_ms >= self._bridge_ends:
            return today.digest(), None
        yesterday = self._yesterday.copy()
        yesterday.update(data)
        return today.digest(), yesterday.digest()

    def _begin_day(self, now_ms: int) -> None:
        day = now_ms // DAY_MS
        self._today = blake2b(digest_size=16, key=self._keys.of(day))
        before = self._keys.known(day - 1)
        if before is not None:
            self._yesterday = blake2b(digest_size=16, key=before)
        self._day_ends = (day + 1) * DAY_MS
        self._bridge_ends = 0 if before is None else day * DAY_MS + BRIDGE_MS
        self._keys.forget_old(now_ms)
