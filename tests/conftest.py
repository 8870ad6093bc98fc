"""What every test may ask for: a database of its own, on each engine."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import URL

from app import migrations
from app.auth import OPERATOR
from app.database import Database
from app.models import Role
from app.resolvers import keys
from app.resolvers.change import Change
from app.settings import Settings
from tests.postgres import new_database, running_postgres
from tests.site import Site
from tests.sums import BREAKS_SUMS, check_every_sum
from tests.world import World, a_world


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """A server: one for each worker of pytest-xdist."""
    with running_postgres() as address:
        yield address


@pytest.fixture(scope="session")
def postgres_template(postgres: URL) -> Iterator[URL]:
    with new_database(postgres) as address:
        asyncio.run(migrations.upgrade(_text(address)))
        yield address


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "tracklinks.db"
    asyncio.run(migrations.upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn; a test that is about one of them says so by parametrize, indirect."""
    name: str = request.param
    return name


@pytest.fixture
def empty_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with nothing in it; on SQLite the file does not exist yet."""
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'tracklinks.db'}"
    else:
        with new_database(request.getfixturevalue("postgres")) as address:
            yield _text(address)


@pytest.fixture
def new_url(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], AbstractContextManager[str]]:
    """Makes migrated databases without rows, one after the other; each is gone after its block.

    Made by copying: some milliseconds. All that was counted in it must add up in the end.
    """
    if engine == "sqlite":
        new = partial(_copied, request.getfixturevalue("sqlite_template"), tmp_path)
    else:
        template: URL = request.getfixturevalue("postgres_template")
        new = partial(_cloned, request.getfixturevalue("postgres"), template)
    return partial(_adding_up, new, request.node)


@pytest.fixture
def engine_url(new_url: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The address of a migrated database without rows."""
    with new_url() as url:
        yield url


@pytest.fixture
async def database(engine_url: str) -> AsyncIterator[Database]:
    database = Database(engine_url)
    yield database
    await database.close()


@contextmanager
def _copied(template: Path, folder: Path) -> Iterator[str]:
    copy = folder / template.name
    shutil.copy(template, copy)
    yield f"sqlite:///{copy}"
    copy.unlink()


@contextmanager
def _cloned(server: URL, template: URL) -> Iterator[str]:
    with new_database(server, f'TEMPLATE "{template.database}" STRATEGY file_copy') as address:
        yield _text(address)


@contextmanager
def _adding_up(new: Callable[[], AbstractContextManager[str]], test: pytest.Item) -> Iterator[str]:
    with new() as url:
        yield url
        if test.get_closest_marker(BREAKS_SUMS) is None:
            check_every_sum(url)


def _text(address: URL) -> str:
    return address.render_as_string(hide_password=False)


@pytest.fixture
def settings(engine_url: str, tmp_path: Path) -> Settings:
    """A server's, on a database of its own. Clicks are counted when a test says so."""
    postgres = None if engine_url.startswith("sqlite") else SecretStr(engine_url)
    return Settings(
        data_dir=tmp_path,
        database_url=postgres,
        recorder="off",
        base_url="https://go.brand.example",
        trusted_proxies=["127.0.0.1"],
        # A test that waits for something asks as often as it can.
        graphql_requests_per_minute=10**6,
        graphql_cost_per_minute=10**9,
        # The longest there is: a busy machine is slow.
        graphql_deadline_s=9,
    )


@pytest.fixture
def operator_key(engine_url: str) -> str:
    """The installation's own key."""

    async def create() -> str:
        database = Database(engine_url)
        async with database.writing() as session:
            change = Change(session, OPERATOR, datetime.now(UTC), check_destination=str)
            _, text = await keys.create(change, name="Tests", role=Role.ADMIN)
        await database.close()
        return text

    return asyncio.run(create())


@pytest.fixture
def world(settings: Settings, operator_key: str) -> Iterator[World]:
    """A whole server with one brand's program, asked with the key of an admin of it."""
    with a_world(settings, operator_key) as world:
        yield world


@pytest.fixture
def site(engine_url: str, tmp_path: Path) -> Site:
    """An installation for the click path, on each engine."""
    return Site(engine_url, tmp_path)


@pytest.fixture
def sqlite_site(
    sqlite_template: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Site]:
    """The same where the engine plays no part."""
    with _adding_up(partial(_copied, sqlite_template, tmp_path), request.node) as url:
        yield Site(url, tmp_path)
