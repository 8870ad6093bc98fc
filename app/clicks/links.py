"""Where a short code leads: the look-up of the redirect, without ORM.

DESIGN
------
On SQLite the row is read in place, on a read-only connection and on the event loop: some
microseconds, fewer than handing it to a thread costs. A bounded memory stands before it,
which the change table keeps exact between processes: an entry is good while the slot of its
code shows what it showed before the row was read.

On PostgreSQL each request asks the primary, because other machines don't see the change
table. When the database does not answer in time, the next second's requests don't wait for it.

When the database can't be asked, the row that was last read serves, but only if the change
table does not say that it may have changed: an archived link never redirects. What is then
unknown is `LinksAway`, not absent.

A destination on a host that has become one of our own since it was given is none: the viewer
would go round in circles. One on a host that the operator has blocked, or below one, is gone: a
second statement asks so, where any host is blocked. Who blocks one touches every slot of the
change table, so a row that is kept is not asked again.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from app import destinations
from app.answers import Answer
from app.change_table import WRITERS, ChangeTable, slot_of

log = logging.getLogger(__name__)

KEPT = 20_000
# A reader of a database in WAL mode waits for nobody; this is for the moments of recovery.
SQLITE_WAIT_S = 0.02
POSTGRES_WAIT_S = 0.1
POSTGRES_PATIENCE_S = 2.0
POSTGRES_PAUSE_S = 1.0

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
NEVER = -1  # no slot shows this

FIND_LINK = """
    SELECT id, program_id, destination_version, destination_url, archived_at IS NOT NULL,
        (SELECT click_parameter FROM conversion_settings
         WHERE conversion_settings.program_id = tracking_link.program_id AND is_on),
        EXISTS (SELECT 1 FROM blocked_host)
    FROM tracking_link WHERE code = """
ANY_BLOCKED = 6  # the place of that last answer
IS_BLOCKED = "SELECT EXISTS (SELECT 1 FROM blocked_host WHERE host "


class LinksAway(Exception):
    """The database can't say now what this code leads to."""


class Link:
    """A tracking link, as the redirect needs it."""

    __slots__ = (
        "answer",
        "click_parameter",
        "destination",
        "id",
        "is_gone",
        "program",
        "program_id",
        "slot",
        "stamp",
        "tracked_answer",
        "version",
    )

    def __init__(self, row: Any, is_blocked: bool, slot: int, stamp: int) -> None:
        self.id: int = row[0]
        self.program_id: int = row[1]
        self.version: int = row[2]
        self.destination: str = row[3]
        self.is_gone: bool = is_blocked or bool(row[4])  # archived
        # What takes the click's id to the destination; None where conversions are not tracked.
        self.click_parameter: str | None = row[5]
        self.program: bytes = b"\x08" + self.program_id.to_bytes(8)  # length-prefixed
        # What the redirect prepares once for all who come, without and with a click's id.
        self.answer: Answer | None = None
        self.tracked_answer: Answer | None = None
        self.slot = slot
        self.stamp = stamp


class Links(Protocol):
    async def open(self) -> None: ...

    def kept(self, code: bytes) -> Link | None:
        """The link, if it is known without asking the database."""

    async def find(self, code: bytes) -> Link | None:
        """The link of a lower-case code, or None. Raises LinksAway."""

    async def close(self) -> None: ...


class _Kept:
    """Two generations of rows: when the young one is full, what nobody asked for goes."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._young: dict[bytes, Link] = {}
        self._old: dict[bytes, Link] = {}

    def get(self, code: bytes) -> Link | None:
        link = self._young.get(code)
        if link is None:
            link = self._old.get(code)
            if link is not None:
                self.put(code, link)
        return link

    def put(self, code: bytes, link: Link) -> None:
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[code] = link

    def drop(self, code: bytes) -> None:
        self._young.pop(code, None)
        self._old.pop(code, None)


class SqliteLinks:
    def __init__(self, path: Path, table: ChangeTable, own_hosts: Collection[str]) -> None:
        self._path = path
        self._own_hosts = own_hosts
        self._slots = table.slots
        self._kept = _Kept()
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Nothing: the connection is made when it is needed, and again after a failure."""

    def kept(self, code: bytes) -> Link | None:
        link = self._kept.get(code)
        return link if link is not None and self._slots[link.slot] == link.stamp else None

    async def find(self, code: bytes) -> Link | None:
        slot = slot_of(code.decode())
        stamp = self._slots[slot]  # before the row: a change from here on voids the entry
        try:
            row, is_blocked = self._row(code.decode())
        except sqlite3.Error as error:
            log.warning("The database can't be read: %s", error)
            self._connection = None
            raise LinksAway from error
        if row is None or destinations.leads_home(row[3], self._own_hosts):
            self._kept.drop(code)
            return None
        link = Link(row, is_blocked, slot, NEVER if stamp & WRITERS else stamp)
        self._kept.put(code, link)
        return link

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _row(self, code: str) -> tuple[Any, bool]:
        """The row, if any, and whether where it leads is blocked."""
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=SQLITE_WAIT_S,
            )
            self._connection.execute("PRAGMA mmap_size = 268435456")
        row = self._connection.execute(FIND_LINK + "?", (code,)).fetchone()
        if row is None or not row[ANY_BLOCKED]:
            return row, False
        names = _names(row)
        places = ",".join("?" * len(names))
        found = self._connection.execute(f"{IS_BLOCKED} IN ({places}))", names)
        return row, bool(found.fetchone()[0])


class PostgresLinks:
    def __init__(self, url: str, table: ChangeTable, own_hosts: Collection[str]) -> None:
        self._url = url
        self._own_hosts = own_hosts
        self._slots = table.slots
        self._kept = _Kept()
        self._pool: asyncpg.Pool | None = None
        self._ask_again_at = 0.0

    async def open(self) -> None:
        # No connection is made before it is needed: a server may start before its database.
        self._pool = await asyncpg.create_pool(self._url, min_size=0, max_size=8)
        with contextlib.suppress(*AWAY):
            await self._row(
                "", POSTGRES_PATIENCE_S
            )  # the first viewer need not wait for a connection

    def kept(self, code: bytes) -> Link | None:
        return None

    async def find(self, code: bytes) -> Link | None:
        slot = slot_of(code.decode())
        stamp = self._slots[slot]
        last_known = self._kept.get(code)
        if last_known is not None and self._slots[last_known.slot] != last_known.stamp:
            last_known = None
        if last_known is not None and time.monotonic() < self._ask_again_at:
            return last_known
        # Who can be sent on anyway waits a moment; who can't is better served late than not.
        wait_s = POSTGRES_PATIENCE_S if last_known is None else POSTGRES_WAIT_S
        try:
            row, is_blocked = await self._row(code.decode(), wait_s)
        except AWAY as error:
            if last_known is None:
                raise LinksAway from error
            return last_known
        if row is None or destinations.leads_home(row[3], self._own_hosts):
            self._kept.drop(code)
            return None
        link = Link(row, is_blocked, slot, NEVER if stamp & WRITERS else stamp)
        self._kept.put(code, link)
        return link

    async def close(self) -> None:
        if self._pool is not None:
            try:
                async with asyncio.timeout(1):
                    await self._pool.close()
            except AWAY:
                self._pool.terminate()
            self._pool = None

    async def _row(self, code: str, wait_s: float) -> tuple[Any, bool]:
        if self._pool is None:
            raise TimeoutError
        try:
            async with asyncio.timeout(wait_s):
                row = await self._pool.fetchrow(FIND_LINK + "$1", code)
                if row is None or not row[ANY_BLOCKED]:
                    return row, False
                return row, await self._pool.fetchval(f"{IS_BLOCKED} = ANY ($1))", _names(row))
        except AWAY as error:
            self._ask_again_at = time.monotonic() + POSTGRES_PAUSE_S
            log.warning("PostgreSQL does not answer: the last known links serve. %r", error)
            raise


def _names(row: Any) -> list[str]:
    return destinations.with_names_above(destinations.host_of(row[3]))


def open_links(
    database: str, table: ChangeTable, *, own_hosts: Collection[str] = ()
) -> SqliteLinks | PostgresLinks:
    """The look-up for a database's address, as ``Settings.database`` gives it."""
    scheme, _, path = database.partition(":///")
    if scheme == "sqlite":
        return SqliteLinks(Path(path), table, own_hosts)
    return PostgresLinks(database, table, own_hosts)
