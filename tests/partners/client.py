"""The clients' programs as a partner calls them, and a door through which they ask the server."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.server import request

ROOT = Path(__file__).parents[2]
PYTHON = (sys.executable, str(ROOT / "examples/clients/python/link_set.py"))
TYPESCRIPT = ("node", "generated/js/examples/clients/typescript/link-set.js")
TIMEOUT_S = 120


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Client:
    """A client's program in one of its languages."""

    def __init__(self, language: str) -> None:
        self._is_python = language == "python"

    def __call__(
        self, url: str, campaign: str, key: str, *, door: "Door | None" = None, **options: Any
    ) -> Done:
        """Run it to its end, or until the door kills it."""
        options.setdefault("patience", 60)
        more = [
            f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()
        ]
        command = [*PYTHON, f"--url={url}", f"--campaign={campaign}", *more]
        if not self._is_python:
            command = [*TYPESCRIPT, url, campaign, *more]
        return run(*command, door=door, TRACKLINKS_KEY=key)


def run(*command: str, door: "Door | None" = None, **environment: str) -> Done:
    process = subprocess.Popen(  # noqa: S603 - our own programs
        command,
        cwd=ROOT / "checks",
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        if door:
            door.guest = process
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Done(process.returncode, output, errors)


@dataclass(frozen=True)
class Asked:
    """A request that was answered."""

    operation: str
    after: str | None
    status: int


@dataclass
class Door:
    """A door to the server that keeps a list of who asked what."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    is_busy: bool = False  # turn the next request away
    lets_pass: int | None = None  # how many requests until it kills who asks one more
    guest: "subprocess.Popen[str] | None" = None

    def kills(self) -> bool:
        if self.lets_pass is None:
            return False
        self.lets_pass -= 1
        if self.lets_pass >= 0:
            return False
        assert self.guest is not None
        self.guest.send_signal(signal.SIGKILL)
        self.guest.wait()
        return True


@contextmanager
def a_door(address: str) -> Iterator[Door]:
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if door.kills():
                return
            if door.is_busy:
                door.is_busy = False
                error = {"errors": [{"message": "Later."}]}
                self._answer(body, 429, json.dumps(error).encode(), ("Retry-After", "1"))
                return
            sent = {
                name.replace("-", "_"): self.headers[name]
                for name in ("Authorization", "Content-Type", "Accept")
            }
            self._answer(body, *request(address, "POST", "/graphql", body, **sent))

        def _answer(self, body: str, status: int, text: bytes, *headers: tuple[str, str]) -> None:
            asked = json.loads(body)
            operation = asked["query"].partition("query ")[2].partition("(")[0]
            door.asked.append(Asked(operation, asked["variables"].get("after"), status))
            self.send_response(status)
            for name, value in (("Content-Type", "application/json"), *headers):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    door.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
