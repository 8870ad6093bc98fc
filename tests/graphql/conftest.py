"""The edge in process for most tests, and behind a real server where bytes matter."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.testclient import TestClient

from tests.graphql.toy import KEY, World, application


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    """Asks with a valid key."""
    with TestClient(application(world), headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


@pytest.fixture
def port(world: World) -> Iterator[int]:
    """Of a real server on this machine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(application(world), log_level="warning", ws_max_size=262_144)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        yield int(listening.getsockname()[1])
        server.should_exit = True
        thread.join()
