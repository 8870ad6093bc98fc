"""Disks that are full: real ones where we may mount them, and what stands in for one elsewhere."""

import contextlib
import resource
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = bytes(4096)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int, *, owner: int = 0) -> Iterator[None]:
    """A disk of so many megabytes, while the block lasts."""
    folder.mkdir()
    options = f"size={megabytes}m,uid={owner},gid={owner},mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)  # noqa: S603 - our own
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("only root may mount a disk: another test does without")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607 - our own


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Somebody else's file takes all that is free on a disk, and whatever becomes free."""
    is_over = threading.Event()
    other = folder / "other"

    def fill() -> None:
        with other.open("wb", buffering=0) as file:
            while not is_over.is_set():
                with contextlib.suppress(OSError):
                    while True:
                        file.write(PAGE)
                is_over.wait(0.002)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        other.unlink()


@contextlib.contextmanager
def limited(pid: int, size: int) -> Iterator[None]:
    """A process can write no file beyond so many bytes, not even where there are some already."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
