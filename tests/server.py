"""A real server: `tracklinks serve` in processes of its own, on a free port of the loopback."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from app.settings import Settings

ROOT = Path(__file__).parents[1]
READY_S = 90
STOP_S = 15
# In the data folder: everything that the server said.
LOG = "server.log"


@contextlib.contextmanager
def serving(
    settings: Settings, *arguments: str, module: str = "app", **environment: str
) -> Iterator[str]:
    """Yields the server's address. It, its workers and its recorder end with the block."""
    port = free_port()
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("TRACKLINKS_")
    }
    variables["TRACKLINKS_DATA_DIR"] = str(settings.data_dir)
    if settings.database_url is not None:
        variables["TRACKLINKS_DATABASE_URL"] = settings.database_url.get_secret_value()
    log = settings.data_dir / LOG
    with log.open("ab") as output:  # no pipe: a server that tells much would wait for a reader
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", module, "serve", "--port", str(port), *arguments],
            cwd=ROOT,
            env=variables | environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # our own group: what did not stop by itself
        process.wait()


def request(
    address: str, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, bytes]:
    """One request over a connection of its own, so that each worker is met in turn."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=30)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the server ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            if request(address, "GET", "/healthz")[0] == HTTPStatus.OK:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start in time")
