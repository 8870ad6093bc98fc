"""What a CSV of a million rows takes of the server's memory: ``make bench-tables``.

One campaign with a million links on SQLite, its table of links read over HTTP as it comes. The
memory is that of the server's process, looked at all the time; it fails beyond 50 MB more.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

from app.auth import OPERATOR
from app.database import Database
from app.ids import encode
from app.models import Role
from app.resolvers import keys
from app.resolvers.change import Change
from app.settings import Settings
from bench.redirect import make_database
from tests.server import serving

LINKS = 1_000_000
PIECE = 1 << 16
MORE_MB = 50


def main(links: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = asyncio.run(make_database(Path(folder), links))
        shutil.move(database, Path(folder) / "tracklinks.db")
        settings = Settings(data_dir=Path(folder), database_url=None)
        key = asyncio.run(make_key(settings))
        with serving(settings, TRACKLINKS_RECORDER="off") as address:
            (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            measure(address, key, int(pid), links)


async def make_key(settings: Settings) -> str:
    database = Database(settings.database)
    async with database.writing() as session:
        change = Change(session, OPERATOR, datetime.now(UTC), check_destination=str)
        _, text = await keys.create(change, name="Bench", role=Role.ADMIN)
    await database.close()
    return text


def measure(address: str, key: str, pid: int, links: int) -> None:
    def table(name: str) -> tuple[int, float]:
        """How many lines it has, and the most memory that the server had meanwhile."""
        url = f"{address}/reports/{encode('prg', 1)}/{name}.csv?range=90d"
        request = Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310 - our own
        lines, most = 0, 0.0
        with urlopen(request, timeout=600) as answer:  # noqa: S310 - as above
            while piece := answer.read(PIECE):
                lines += piece.count(b"\n")
                most = max(most, memory_mb(pid))
        return lines, most

    table("totals")  # what any report loads once
    before = memory_mb(pid)
    began = time.perf_counter()
    lines, most = table("links")
    took = time.perf_counter() - began
    assert lines == links + 1, lines
    print(f"{links:,} rows in {took:.0f} s; {before:.0f} MB before, at most {most:.0f} MB")
    assert most - before < MORE_MB


def memory_mb(pid: int) -> float:
    """What is the process's own: pages of the database's file that it shares are the system's."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LINKS)
