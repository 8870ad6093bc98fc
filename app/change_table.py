"""Tells every process of this machine that a short code may lead elsewhere, without a message.

DESIGN
------
A file of 65,536 slots of 64 bits, mapped into the memory of all processes. The slot of a code
(its CRC32, cut to 16 bits) holds 48 random bits and, in the lowest 16, how many writers are
about to commit a change to a code of that slot. A reader takes the slot's value *before* it
reads the row, and may keep the row for as long as the value stays the same and no writer is at
work: one comparison of integers for each request, and exact.

Before COMMIT a writer counts itself in, so that nobody keeps the old row from then on. After
COMMIT it counts itself out and draws new random bits, so that rows kept earlier are void. They
are random, not a counter: two writers can't lead back to an old value. A writer that dies
between the two leaves its slot counted: the codes of that slot, one in 65,536, are then read
from the database each time, which is slower and still right.

What may change every link, a host that is blocked, touches every slot in the same two ways: 30 ms
each under the lock, so that a redirect pays nothing for it. A writer that dies just then leaves
all slots counted, until the file is deleted while no server runs.

Counting is read, add, write, and so it is done under a lock on the file; readers take none.

The file takes all of its disk when it is made. Otherwise a page that is looked at for the first
time while the disk is full would end the process, by SIGBUS, and every viewer with it.
"""

import fcntl
import os
import secrets
import sys
from collections.abc import Collection
from mmap import mmap
from pathlib import Path
from zlib import crc32

SLOTS = 65_536
WRITERS = 0xFFFF  # the bits of a slot that count writers at work


def slot_of(code: str) -> int:
    return crc32(code.encode()) & 0xFFFF


class ChangeTable:
    """A listener of ``Database``, and what the redirect's cache compares with."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._allocate()
        self._map = mmap(self._file, SLOTS * 8)
        # For reading only, slot by slot. It begins as zeros: nobody at work.
        self.slots = memoryview(self._map).cast("Q")

    def _allocate(self) -> None:
        if sys.platform == "darwin":
            os.ftruncate(self._file, SLOTS * 8)
            return
        # Where the file system can't do it, each block is read and written, which is as counting.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            os.posix_fallocate(self._file, 0, SLOTS * 8)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def changing(self, codes: Collection[str] | None) -> None:
        """These codes, or all, are about to be committed: keep no row of theirs from now on."""
        self._count(codes, +1)

    def changed(self, codes: Collection[str] | None) -> None:
        """They are committed, or given up: rows that were kept before are void."""
        self._count(codes, -1)

    def close(self) -> None:
        self.slots.release()
        self._map.close()
        os.close(self._file)

    def _count(self, codes: Collection[str] | None, step: int) -> None:
        slots = range(SLOTS) if codes is None else {slot_of(code) for code in codes}
        # One draw for all: a slot is only ever compared with itself.
        drawn = secrets.randbits(48) << 16
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            for slot in slots:
                # Never below nobody nor above all that the bits can count.
                writers = min(max((self.slots[slot] & WRITERS) + step, 0), WRITERS)
                self.slots[slot] = drawn | writers
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
