"""Click counts as they come in, over server-sent events and WebSockets, with two workers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from app.settings import Settings
from tests.server import request, serving
from tests.world import PHONE, World

WATCH = """subscription($id: ID!) { clickCounts(scope: {trackingLinkId: $id}) {
  clicks newClicks excludedClicks } }"""
WAIT_S = 20


@contextmanager
def _events(address: str, key: str, query: str, **variables: str) -> Iterator[Iterator[Any]]:
    """The data of each event of a subscription."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=WAIT_S)
    connection.request(
        "POST",
        "/graphql",
        json.dumps({"query": query, "variables": variables}),
        {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
        },
    )
    answer = connection.getresponse()

    def read() -> Iterator[Any]:
        for line in answer:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])

    try:
        yield read()
    finally:
        connection.close()


def test_counts_come_as_clicks_do_whichever_worker_was_clicked(
    world: World, settings: Settings
) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    with (
        serving(settings, "--workers", "2") as address,
        _events(address, world.key, WATCH, id=link["id"]) as events,
    ):
        assert next(events)["data"]["clickCounts"] == {
            "clicks": 0,
            "newClicks": 0,
            "excludedClicks": 0,
        }
        for number in range(6):
            agent = f"{PHONE} Number/{number}"  # six people behind one address
            assert request(address, "GET", f"/{link['code']}", user_agent=agent)[0] == 302
        new = 0
        for event in events:
            counts = event["data"]["clickCounts"]
            new += counts["newClicks"]
            if counts["clicks"] == 6:
                break
        assert new == 6


def test_a_key_that_is_revoked_hears_no_more(world: World, settings: Settings) -> None:
    made = world.do(
        "createApiKey",
        "apiKey { id } text",
        name="Dashboard",
        role="ANALYST",
        programId=world.program_id,
    )
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    with (
        serving(settings) as address,
        _events(address, made["text"], WATCH, id=link["id"]) as events,
    ):
        next(events)
        world.do("revokeApiKey", "apiKey { id }", id=made["apiKey"]["id"])
        request(address, "GET", f"/{link['code']}", user_agent=PHONE)
        rest = list(events)
    assert [event for event in rest if event.get("data")] == []


def test_what_is_not_there_ends_at_once(world: World, settings: Settings) -> None:
    with (
        serving(settings) as address,
        _events(address, world.key, WATCH, id="lnk_0000000000001") as events,
    ):
        assert list(events) == []


def test_the_same_over_a_websocket_with_the_key_in_its_first_message(
    world: World, settings: Settings
) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    with serving(settings) as address:
        url = f"{address.replace('http', 'ws')}/graphql"
        with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item] # a NewType of str
            hello = {"authorization": f"Bearer {world.key}"}
            socket.send(json.dumps({"type": "connection_init", "payload": hello}))
            assert json.loads(socket.recv(WAIT_S))["type"] == "connection_ack"
            payload = {"query": WATCH, "variables": {"id": link["id"]}}
            socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            event = json.loads(socket.recv(WAIT_S))
            assert event["payload"]["data"]["clickCounts"]["clicks"] == 0
        with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item] # as above
            socket.send(json.dumps({"type": "connection_init", "payload": {}}))
            with pytest.raises(ConnectionClosed):
                socket.recv(WAIT_S)
