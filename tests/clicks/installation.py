"""An installation of which a test can read every byte."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from app import migrations
from tests import postgres
from tests.site import Site


@contextmanager
def an_installation(engine: str, folder: Path) -> Iterator[Site]:
    """Where it is PostgreSQL, with a server of its own: no other test's rows in its files."""
    folder.mkdir()
    if engine == "sqlite":
        yield _migrated(Site(f"sqlite:///{folder / 'tracklinks.db'}", folder))
        return
    with postgres.running_postgres() as server, postgres.new_database(server) as address:
        yield _migrated(Site(address.render_as_string(hide_password=False), folder))


def _migrated(site: Site) -> Site:
    asyncio.run(migrations.upgrade(site.url))
    return site


async def files_of(site: Site) -> dict[str, bytes]:
    """Whatever lies on its disks, by its path: the data folder with the journal, the day keys, the
    links' changes, the signing secret and what the server said; SQLite's database and its log, or
    PostgreSQL's whole data directory under ``postgresql/``.

    A limit: PostgreSQL compresses a value from 2 KB on, and what is in one can't be searched
    for. No column of clicks is so long.
    """
    kept = {
        str(path.relative_to(site.data_dir)): path.read_bytes()
        for path in site.data_dir.rglob("*")
        if path.is_file()
    }
    if not site.url.startswith("sqlite"):
        theirs = await postgres.files_of(make_url(site.url))
        kept |= {f"postgresql/{path}": content for path, content in theirs.items()}
    return kept


async def values_of(site: Site) -> list[object]:
    """Every value of every table."""
    sql = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if site.url.startswith("sqlite")
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    tables = [name for (name,) in await site.rows(sql)]
    return [
        value
        for table in tables
        for row in await site.rows(f"SELECT * FROM {table}")
        for value in row
    ]
