"""The append-only file between a redirect and the database: what is in it survives a crash.

DESIGN
------
Each process appends to a segment of its own, one ``write`` for each click, before the viewer
is answered. From then on the kernel holds the bytes: killing the process loses nothing, and
how much a power cut loses is the operator's choice (``fsync``).

The writer holds a lock on its segment for as long as it may append; the recorder deletes a
segment that it has passed and whose lock is free. So that it never sees one without its lock,
a segment is made as ``.new``, locked, and only then renamed.

A full disk, or a journal that has reached its limit, never stops a viewer: ``append`` says
False, the loss is counted, and the log tells of it once every ten seconds. A record that went
in by half is cut away again, or nobody could read what follows it. That the journal is nearly
full is told by the append that makes it so: a burst can fill the rest before the keeper looks.

Appending and rotating belong to the event loop's thread. The keeper, a thread, forces to the
disk, and it alone closes descriptors: none can be closed while it is being forced.

Where nothing may be lost to a power cut (``always``), viewers wait in ``forced`` for the
keeper. It takes all who wait, forces once, and lets them go; who comes meanwhile is of the
next group. So the disk is as busy as it can be and never busier, without a timer to tune.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

MB = 1_000_000
SEGMENT_BYTES = 16 * MB
# User agents are in the journal until they are drained and the segment is gone: not for long.
SEGMENT_S = 60
KEEPER_S = 1.0
REPORT_S = 10
NEARLY_FULL = 0.8

Fsync = Literal["second", "always", "never"]
log = logging.getLogger(__name__)


class Journal:
    """``open()`` in the process that appends, after any fork."""

    def __init__(
        self,
        folder: Path,
        *,
        fsync: Fsync = "second",
        max_bytes: int = 1024 * MB,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self.fsync = fsync
        # Whether an answer waits in `forced`.
        self.is_awaited = fsync == "always"
        self.max_bytes = max_bytes
        self.segment_bytes = segment_bytes
        self.appended = 0
        self.lost = 0
        self.disk_bytes = 0
        self._reported = 0
        self._reported_at = 0.0
        self._warned_at = -float(REPORT_S)
        self._trouble = ""
        self._file = -1
        self._size = 0
        self._room = 0
        # With less room than this it is nearly full, which is told once each time.
        self._scarce = max_bytes - int(max_bytes * NEARLY_FULL)
        self._is_scarce = False
        self._opened_at = 0.0
        self._dirty = False
        self._is_new = False
        self._retired: list[int] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._keeper: threading.Thread | None = None

    def open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._measure()
        self._rotate()
        self._keeper = threading.Thread(target=self._keep, name="journal", daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """Hand the segment over to the recorder, forced to the disk unless that is never done."""
        self._is_closing = True
        self._wake.set()
        if self._keeper is not None:
            self._keeper.join()
        if self._file >= 0:
            self._retired.append(self._file)
            self._file = -1
        self._force()
        self._report(now=True)

    def append(self, frame: bytes) -> bool:
        """True when the frame will outlive this process. Never raises."""
        size = len(frame)
        if size > self._room:
            self.rotate()  # what is recorded of this segment may go
            return self._lose("the journal has reached its limit (TRACKLINKS_JOURNAL_MAX_MB)")
        try:
            written = os.write(self._file, frame)
        except OSError as error:
            return self._undo(str(error))
        if written != size:
            return self._undo("the disk took half a record")
        self._size += size
        self._room -= size
        if self._room <= self._scarce and not self._is_scarce:
            self._look()
        self.appended += 1
        self._dirty = True
        if self._size >= self.segment_bytes:
            self.rotate()
        return True

    async def forced(self) -> None:
        """Return when a power cut can't take what was appended before. Never raises.

        Also when the disk refuses: that is logged, and the viewer goes on.
        """
        if not self._is_closing:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            self._wake.set()
            await turn

    def rotate(self, *, older_than_s: float = 0) -> None:
        """Begin a new segment, unless the present one is empty or younger than this."""
        if self._size and time.monotonic() - self._opened_at >= older_than_s:
            try:
                self._rotate()
            except OSError as error:  # no room for another file: this one goes on
                self._trouble = str(error)

    def _rotate(self) -> None:
        # Sorts by its beginning; never the same on two machines.
        name = f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}"
        new = self.folder / f"{name}.new"
        file = os.open(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            new.rename(self.folder / f"{name}.jnl")
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            self._retired.append(self._file)
        self._file, self._size, self._opened_at = file, 0, time.monotonic()
        self._is_new = True

    def _lose(self, why: str) -> bool:
        self.lost += 1
        self._trouble = why
        return False

    def _undo(self, why: str) -> bool:
        """Cut a half-written record away, and let the recorder make room of what is here."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            why = f"{why}; {error}"
        self.rotate()
        return self._lose(why)

    def _keep(self) -> None:
        look_at = time.monotonic() + KEEPER_S
        while not self._is_closing:
            is_called = self._wake.wait(KEEPER_S)
            self._wake.clear()
            self._force()
            if not is_called or time.monotonic() >= look_at:
                look_at = time.monotonic() + KEEPER_S
                try:
                    self._measure()
                except OSError as error:
                    self._warn("The journal can't be measured: %s", error)
                self._report()

    def _force(self) -> None:
        """Force to the disk what was appended, as was promised, and let go who waits for that."""
        group = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if self.fsync != "never":
                self._sync()
            else:
                self._close_retired()
        except OSError as error:
            self._dirty = self._is_new = True  # the next one tries again
            self._warn("The journal can't be forced to the disk: %s", error)
        finally:
            if group:
                group[0].get_loop().call_soon_threadsafe(_release, group)

    def _sync(self) -> None:
        # The segment of this moment first: should it be retired from here on, then it, too, is
        # among those that are forced below.
        if self._dirty and (file := self._file) >= 0:
            self._dirty = False
            os.fdatasync(file)
        self._close_retired(sync=True)
        if self._is_new:  # a file that no folder knows is lost as well
            self._is_new = False
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _close_retired(self, *, sync: bool = False) -> None:
        while self._retired:
            file = self._retired.pop()
            try:
                if sync:
                    os.fdatasync(file)
            finally:
                os.close(file)

    def _measure(self) -> None:
        used = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # the recorder was faster
                    used += entry.stat().st_size
        self.disk_bytes = used
        self._room = self.max_bytes - used
        self._look()

    def _look(self) -> None:
        """Tell that the journal is nearly full, unless it was so when we last looked."""
        was_scarce, self._is_scarce = self._is_scarce, self._room <= self._scarce
        if self._is_scarce and not was_scarce:
            log.warning(
                "The click journal takes %d of %d MB: is the recorder running?",
                (self.max_bytes - self._room) // MB,
                self.max_bytes // MB,
            )

    def _warn(self, text: str, error: OSError) -> None:
        if time.monotonic() - self._warned_at >= REPORT_S:
            self._warned_at = time.monotonic()
            log.warning(text, error)

    def _report(self, *, now: bool = False) -> None:
        lost = self.lost - self._reported
        if lost and (now or time.monotonic() - self._reported_at >= REPORT_S):
            self._reported += lost
            self._reported_at = time.monotonic()
            log.error("%d clicks were redirected and not recorded: %s", lost, self._trouble)


def _release(group: Iterable[asyncio.Future[None]]) -> None:
    for turn in group:
        if not turn.done():  # its viewer may have gone
            turn.set_result(None)
