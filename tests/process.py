"""One server process that a test starts, kills and starts again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from app.settings import Settings
from tests.server import free_port

START_S = 30


class Server:
    """Its environment is that of the settings. ``start()`` it, as often as it was killed."""

    def __init__(self, settings: Settings, log: Path, **environment: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        chosen = {
            "TRACKLINKS_DATA_DIR": settings.data_dir,
            "TRACKLINKS_BASE_URL": self.url,
            "TRACKLINKS_PORT": self.port,
        }
        if settings.database_url is not None:
            chosen["TRACKLINKS_DATABASE_URL"] = settings.database_url.get_secret_value()
        for name, value in environment.items():
            chosen[f"TRACKLINKS_{name.upper()}"] = value
        self._environment = {**os.environ, **{name: str(value) for name, value in chosen.items()}}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(sys.executable, "-m", "uvicorn", "app.main:create_app", "--factory"),
                    *("--port", str(self.port), "--log-level", "warning", "--no-access-log"),
                ],
                env=self._environment,
                stdout=log,
                stderr=log,
                # Killed with what it has started.
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    def kill(self) -> None:
        """As a power cut would: no handler runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, how)
            self._process.wait(20)


@contextmanager
def running(settings: Settings, log: Path, **environment: Any) -> Iterator[Server]:
    server = Server(settings, log, **environment)
    server.start()
    try:
        yield server
    finally:
        server.stop()
