"""The graph, judged by the tools that its clients use: those of checks/, and schemathesis.

They need Node.js and are run by ``make check-graph``, which installs them.
"""

import asyncio
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import build_schema

from app import migrations
from app.auth import OPERATOR
from app.database import Database
from app.demo import seed
from app.destinations import check
from app.models import Role
from app.resolvers import keys
from app.resolvers.change import Change
from app.settings import Settings
from tests.server import serving

pytestmark = pytest.mark.tools

ROOT = Path(__file__).parents[1]
CHECKS = ROOT / "checks"
SCHEMA = ROOT / "schema.graphql"
RELEASED = CHECKS / "released.graphql"
TIMEOUT_S = 600
ME = "{ viewer { role } }"


class Server(NamedTuple):
    graph: str
    key: str

    @property
    def environment(self) -> dict[str, str]:
        return {"URL": self.graph, "KEY": self.key}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo, and a key that may do everything and ask as much as a fuzzer does."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("demo"))
    key = asyncio.run(_demo(settings))
    with serving(
        settings,
        TRACKLINKS_GRAPHQL_REQUESTS_PER_MINUTE="1000000",
        TRACKLINKS_GRAPHQL_COST_PER_MINUTE="1000000000",
    ) as address:
        yield Server(f"{address}/graphql", key)


async def _demo(settings: Settings) -> str:
    await migrations.upgrade(settings.database)
    database = Database(settings.database)
    try:
        now = datetime.now(UTC)
        await seed(database, check, now=now, progress=lambda *_: None)
        async with database.writing() as session:
            change = Change(session, OPERATOR, now, check)
            _, key = await keys.create(change, name="Tools", role=Role.ADMIN)
        return key
    finally:
        await database.close()


def run(*command: str | Path, given: str | None = None, **environment: str) -> str:
    """What the tool says, which must be content. In checks/, where it finds its configuration."""
    tool, *arguments = command
    found = shutil.which(tool) or str(CHECKS / "node_modules" / ".bin" / tool)
    done = subprocess.run(  # noqa: S603 - our own commands
        [found, *arguments],
        cwd=CHECKS,
        env=os.environ | environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-20_000:]
    return said


# The schema.


def test_the_schema_is_as_the_linters_want_it() -> None:
    # Given, not named: eslint reads nothing outside of its own folder.
    run(
        "eslint", "--stdin", "--stdin-filename", "schema.graphql", "--max-warnings", "0",
        given=SCHEMA.read_text(encoding="utf-8"),
    )  # fmt: skip


def test_a_relay_application_compiles() -> None:
    (CHECKS / "generated" / "relay").mkdir(parents=True, exist_ok=True)
    run("relay-compiler", "relay.config.json")


def test_the_examples_are_typed_and_the_typescript_client_compiles() -> None:
    run("graphql-codegen", "--config", "codegen.ts")
    run("tsc", "-p", ".")


@pytest.mark.skipif(not RELEASED.exists(), reason="nothing is released yet")
def test_the_schema_breaks_no_client_of_the_last_release() -> None:
    run("graphql-inspector", "diff", RELEASED, SCHEMA)


# A server.


def test_the_server_passes_every_audit_of_graphql_over_http(server: Server) -> None:
    assert "61 of 61 audits" in run("node", "audit.mjs", **server.environment)


def test_the_usual_clients_of_subscriptions_are_answered(server: Server) -> None:
    run("node", "subscriptions.mjs", **server.environment)


async def test_the_usual_python_client_is_answered_over_http_and_websocket(server: Server) -> None:
    authorization = {"Authorization": f"Bearer {server.key}"}
    over_http = AIOHTTPTransport(url=server.graph, headers=authorization)
    async with Client(transport=over_http, fetch_schema_from_transport=True) as session:
        assert await session.execute(gql(ME)) == {"viewer": {"role": "ADMIN"}}
        assert session.client.schema is not None
    over_websocket = WebsocketsTransport(
        url=server.graph.replace("http", "ws"), init_payload=authorization
    )
    async with Client(transport=over_websocket) as session:
        assert await session.execute(gql(ME)) == {"viewer": {"role": "ADMIN"}}


@pytest.mark.parametrize(
    "cases", [500, pytest.param(10_000, marks=pytest.mark.slow)], ids="{} cases".format
)
def test_nothing_that_a_fuzzer_asks_makes_the_server_fail(server: Server, cases: int) -> None:
    run(
        Path(sys.executable).with_name("schemathesis"),
        "run", server.graph,
        "--checks", "not_a_server_error,response_schema_conformance",
        "--phases", "fuzzing",
        "--max-examples", str(math.ceil(cases / _root_fields())),
        "--generation-deterministic",
        "--request-timeout", "10",
        "--header", f"Authorization: Bearer {server.key}",
        SCHEMATHESIS_HOOKS="tests.fuzzed_scalars",
        PYTHONPATH=str(ROOT),
    )  # fmt: skip


def _root_fields() -> int:
    """So many operations the fuzzer tries; each gets its share of the cases."""
    graph = build_schema(SCHEMA.read_text(encoding="utf-8"))
    assert graph.query_type is not None
    assert graph.mutation_type is not None
    return len(graph.query_type.fields) + len(graph.mutation_type.fields)
