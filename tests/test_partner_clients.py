"""The two clients that we give partners to start from, against a real server."""

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from tests.server import request, serving
from tests.world import World

ROOT = Path(__file__).parents[1]
PYTHON = (sys.executable, str(ROOT / "examples/clients/python/link_set.py"))
TYPESCRIPT = ("node", "generated/js/examples/clients/typescript/link-set.js")
MANY = 60
MORE_THAN_A_PAGE = 25


class Client:
    """A client's program, called as a partner would call it."""

    def __init__(self, language: str) -> None:
        self._is_python = language == "python"

    def __call__(
        self, url: str, campaign: str, key: str, *, patience: int = 60, complete: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        more = ["--complete"] if complete else []
        if self._is_python:
            options = ["--url", url, "--campaign", campaign, "--patience", str(patience)]
            return run(*PYTHON, *options, *more, TRACKLINKS_KEY=key)
        arguments = [url, campaign, f"--patience={patience}"]
        return run(*TYPESCRIPT, *arguments, *more, TRACKLINKS_KEY=key)


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own programs
        command,
        cwd=ROOT / "checks",
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(
    scope="module", params=["python", pytest.param("typescript", marks=pytest.mark.tools)]
)
def client(request: pytest.FixtureRequest) -> Client:
    if request.param == "typescript":
        for tool, *arguments in (("graphql-codegen", "--config", "codegen.ts"), ("tsc", "-p", ".")):
            done = run(f"node_modules/.bin/{tool}", *arguments)
            assert done.returncode == 0, done.stdout + done.stderr
    return Client(request.param)


@pytest.fixture
def engine_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A client can't tell which engine there is."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'tracklinks.db')}"


@pytest.fixture
def campaign(world: World) -> str:
    """Of many creators, each with two links; the first has more links than come with a page."""
    campaign = world.a_campaign()
    for name in ("Shop", "App, for phones"):
        world.a_campaign_link(campaign, name=name)
    enrolled = world.enroll(campaign, world.creators(MANY))
    world.move("DELIVERABLES", *enrolled)
    for number in range(MORE_THAN_A_PAGE):
        world.a_link(enrolled[0], labels=[f"post {number}"])
    return campaign


def a_key(world: World, role: str, campaign: str) -> str:
    return str(
        world.do(
            "createApiKey",
            "text",
            name="Agency",
            role=role,
            programId=world.program_id,
            campaignIds=[campaign],
        )["text"]
    )


def test_a_partner_reads_all_links_of_all_creators_of_a_campaign(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    world.an_enrollment(world.a_campaign())  # somebody else's
    key = a_key(world, "PARTNER", campaign)
    with serving(settings) as address:
        done = client(address, campaign, key)
    assert done.returncode == 0, done.stderr
    first, *rows = csv.reader(done.stdout.splitlines())
    assert first == ["creator", "external id", "link", "short URL", "clicks", "unique clicks"]
    links = {row[3] for row in rows}
    assert len(links) == len(rows) == 2 * MANY + MORE_THAN_A_PAGE
    assert len({row[0] for row in rows}) == MANY
    assert [row[2] for row in rows].count("App, for phones") == MANY


def test_a_client_waits_as_long_as_the_server_asks_it_to(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    key = a_key(world, "PARTNER", campaign)
    with serving(settings) as address, busy(address) as (door, asked):
        done = client(door, campaign, key)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 2 * MANY + MORE_THAN_A_PAGE
    assert asked[:2] == [429, 200]


def test_a_client_that_has_asked_too_much_says_for_how_long_it_should_wait(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    key = a_key(world, "PARTNER", campaign)
    with serving(settings, TRACKLINKS_GRAPHQL_REQUESTS_PER_MINUTE="1") as address:
        done = client(address, campaign, key, patience=0)
    assert done.returncode == 1
    assert "Asked too much: the server wants us to wait for" in done.stderr


def test_a_client_says_in_a_sentence_what_it_was_refused(
    world: World, settings: Settings, campaign: str, client: Client
) -> None:
    manager, partner = a_key(world, "MANAGER", campaign), a_key(world, "PARTNER", campaign)
    with serving(settings) as address:
        unknown = client(address, "cmp_0000000000001", manager, complete=True)
        forbidden = client(address, campaign, partner, complete=True)
        completed = client(address, campaign, manager, complete=True)
        stranger = client(address, campaign, "nonsense")
    assert (unknown.returncode, unknown.stderr.strip()) == (1, "There is no such campaign.")
    assert forbidden.returncode == 1
    assert "may not use `generateMissingLinks`" in forbidden.stderr
    assert completed.returncode == 0, completed.stderr
    assert stranger.returncode == 1
    assert "Traceback" not in stranger.stderr
    assert "at async" not in stranger.stderr
    assert stranger.stderr.strip()


@contextmanager
def busy(address: str) -> Iterator[tuple[str, list[int]]]:
    """A door to the server that turns the first request away. Yields its address and what it
    has answered."""
    asked: list[int] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if not asked:
                error = {"errors": [{"message": "Later."}]}
                self._answer(429, json.dumps(error).encode(), ("Retry-After", "1"))
                return
            sent = {
                name: self.headers[name] for name in ("Authorization", "Content-Type", "Accept")
            }
            status, text = request(
                address,
                "POST",
                "/graphql",
                body,
                **{k.replace("-", "_"): v for k, v in sent.items()},
            )
            self._answer(status, text)

        def _answer(self, status: int, text: bytes, *headers: tuple[str, str]) -> None:
            asked.append(status)
            self.send_response(status)
            for name, value in (("Content-Type", "application/json"), *headers):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
