"""Sees to it that this machine has a recorder for as long as it has a server."""

import asyncio
import contextlib
import logging
import os
import subprocess
import sys

from app.clicks.recorder import Leadership
from app.settings import Settings

log = logging.getLogger(__name__)

LOOK_S = 1.0
LAST_DRAIN_S = 10.0


class RecorderKeeper:
    """Every worker has one. Whoever first finds no recorder starts it; the lock decides."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._look()
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """After the journal's close: the recorder drains it a last time, and ends."""
        if self._task is not None:
            self._task.cancel()
        # Somebody may have ended the recorder before us, and our last clicks would wait for
        # the next start.
        if not self._has_child and self._is_missing():
            self._start()
        if self._child is not None:
            await asyncio.to_thread(self._end, self._child)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._look()

    def _look(self) -> None:
        try:
            if not self._has_child and self._is_missing():
                self._start()
        except OSError as error:
            log.warning("The recorder can't be started, clicks wait in the journal: %s", error)

    @property
    def _has_child(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _is_missing(self) -> bool:
        lock = Leadership(self._settings.data_dir)
        is_free = lock.take()
        lock.leave()
        return is_free

    def _start(self) -> None:
        settings = self._settings
        environment = os.environ | {
            "TRACKLINKS_DATA_DIR": str(settings.data_dir),
            "TRACKLINKS_DUPLICATE_WINDOW_S": str(settings.duplicate_window_s),
            "TRACKLINKS_KEEP_CLICKS_DAYS": str(settings.keep_clicks_days),
            "TRACKLINKS_KEEP_EXCLUDED_DAYS": str(settings.keep_excluded_days),
        }
        if settings.database_url is not None:
            environment["TRACKLINKS_DATABASE_URL"] = settings.database_url.get_secret_value()
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()
        # The pipe is how it knows of our end, however sudden: the kernel closes it.
        self._child = subprocess.Popen(
            [sys.executable, "-m", "app.clicks.recorder", "--until-eof"],
            env=environment,
            stdin=subprocess.PIPE,
        )

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdin is not None:
            child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LAST_DRAIN_S)
