"""Subscriptions over server-sent events and WebSockets, with valid keys, cleaned up behind."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from app.settings import Settings
from tests.graphql.toy import KEY, MARKER, World, application

PROTOCOL = "graphql-transport-ws"
EVENTS = {"Accept": "text/event-stream"}
INIT = {"type": "connection_init", "payload": {"authorization": f"Bearer {KEY}"}}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def events(body: str) -> list[tuple[str, Any]]:
    found = []
    for block in body.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        data = fields.get("data")
        found.append((fields["event"], json.loads(data) if data else None))
    return found


def subscribe(query: str, id_: str = "1", **variables: Any) -> dict[str, Any]:
    payload = {"query": query, "variables": variables}
    return {"type": "subscribe", "id": id_, "payload": payload}


def connect(client: TestClient, **headers: str) -> WebSocketTestSession:
    return client.websocket_connect("/graphql", subprotocols=[PROTOCOL], headers=headers)


def opened(client: TestClient) -> WebSocketTestSession:
    session = connect(client)
    session.__enter__()
    session.send_json(INIT)
    assert session.receive_json() == {"type": "connection_ack"}
    return session


@pytest.fixture
def stranger(world: World) -> TestClient:
    return TestClient(application(world))


# Server-sent events.


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_subscription_is_a_stream_of_events(
    client: TestClient, world: World, method: str
) -> None:
    query = {"query": "subscription { count(to: 2) }"}
    sent: dict[str, Any] = {"json": query} if method == "POST" else {"params": query}

    answer = client.request(method, "/graphql", headers=EVENTS, **sent)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    (first, second, last) = events(answer.text)
    assert [first[1]["data"], second[1]["data"]] == [{"count": 0}, {"count": 1}]
    assert [first[0], second[0], last] == ["next", "next", ("complete", None)]
    assert world.closed_streams == 1


def test_a_subscription_without_a_stream_is_told_how(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "subscription { count(to: 2) }"})

    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert "text/event-stream" in error["message"]
    assert "path" not in error


def test_a_query_may_be_streamed_too(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "{ viewer }"}, headers=EVENTS)

    ((name, payload), last) = events(answer.text)
    assert (name, payload["data"]) == ("next", {"viewer": KEY})
    assert last == ("complete", None)


def test_what_is_wrong_with_a_streamed_query_is_told_in_the_stream(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "{ nope }"}, headers=EVENTS)

    ((name, payload), last) = events(answer.text)
    assert (answer.status_code, name, last) == (200, "next", ("complete", None))
    assert payload["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_a_stream_needs_a_key(stranger: TestClient) -> None:
    query = {"query": "subscription { count(to: 2) }"}

    assert stranger.post("/graphql", json=query, headers=EVENTS).status_code == 401


def test_a_failure_in_a_stream_is_masked_and_ends_it(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "subscription { breaks }"}, headers=EVENTS)

    assert MARKER not in answer.text
    (_, (name, payload), last) = events(answer.text)
    assert (name, last) == ("next", ("complete", None))
    assert payload["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


def open_stream(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(
        f"GET /graphql?query=subscription{{ticks}} HTTP/1.1\r\nHost: t\r\n"
        f"Authorization: Bearer {KEY}\r\nAccept: text/event-stream\r\n\r\n".encode()
    )
    received = b""
    while b'"ticks":1' not in received:
        received += connection.recv(65_536)
    return connection


def test_a_client_that_leaves_ends_its_stream(port: int, world: World) -> None:
    open_stream(port).close()

    until(lambda: world.closed_streams == 1)


def test_a_stream_ends_soon_after_its_key_is_revoked(port: int, world: World) -> None:
    with open_stream(port) as connection:
        world.keys.clear()
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
            if b"event: complete" in received:
                break

    assert b"UNAUTHENTICATED" in received
    until(lambda: world.closed_streams == 1)


def test_a_key_has_a_number_of_streams_at_a_time() -> None:
    settings = Settings(graphql_max_subscriptions=1)
    client = TestClient(application(World(), settings), headers={"Authorization": f"Bearer {KEY}"})
    query = {"query": "subscription { count(to: 1) }"}

    socket_ = opened(client)
    socket_.send_json(subscribe("subscription { ticks }"))
    assert socket_.receive_json()["type"] == "next"
    refused = client.post("/graphql", json=query, headers=EVENTS)
    socket_.send_json({"type": "complete", "id": "1"})
    socket_.close()

    assert refused.status_code == 429
    assert "retry-after" in refused.headers
    until(lambda: client.post("/graphql", json=query, headers=EVENTS).status_code == 200)


# WebSockets.


def test_a_socket_carries_several_operations(stranger: TestClient, world: World) -> None:
    with connect(stranger) as session:
        session.send_json({"type": "ping"})
        assert session.receive_json() == {"type": "pong"}
        session.send_json(INIT)
        assert session.receive_json() == {"type": "connection_ack"}
        session.send_json(subscribe("subscription ($n: Int!) { count(to: $n) }", "a", n=2))
        session.send_json(subscribe("{ viewer }", "b"))
        session.send_json(subscribe("{ nope }", "c"))
        session.send_json({"type": "ping"})
        received = [session.receive_json() for _ in range(7)]

    def of(id_: str) -> list[dict[str, Any]]:
        return [message for message in received if message.get("id") == id_]

    assert [message.get("payload", {}).get("data") for message in of("a")] == [
        {"count": 0},
        {"count": 1},
        None,
    ]
    assert of("b")[0]["payload"]["data"] == {"viewer": KEY}
    assert [message["type"] for message in of("b")] == ["next", "complete"]
    assert [message["type"] for message in of("c")] == ["error"]
    assert of("c")[0]["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert {"type": "pong"} in received
    assert world.closed_streams == 1


def test_a_subscription_ends_when_the_client_completes_it(
    stranger: TestClient, world: World
) -> None:
    session = opened(stranger)
    session.send_json(subscribe("subscription { ticks }"))
    assert session.receive_json()["payload"]["data"] == {"ticks": 0}
    session.send_json({"type": "complete", "id": "1"})

    until(lambda: world.closed_streams == 1)
    session.close()


def test_an_id_may_be_used_again_when_its_operation_is_over(stranger: TestClient) -> None:
    session = opened(stranger)
    for query, last in [
        ("{ viewer }", "complete"),
        ("{ nope }", "error"),
        ("{ viewer }", "complete"),
    ]:
        session.send_json(subscribe(query))
        while session.receive_json()["type"] != last:
            pass
    session.close()


def test_a_client_that_leaves_ends_all_of_its_subscriptions(port: int, world: World) -> None:
    from websockets.sync.client import connect as dial

    with dial(f"ws://127.0.0.1:{port}/graphql", subprotocols=[PROTOCOL]) as session:  # type: ignore[list-item]  # a NewType of str
        session.send(json.dumps(INIT))
        session.recv()
        for id_ in "abc":
            session.send(json.dumps(subscribe("subscription { ticks }", id_)))
        ids = {json.loads(session.recv())["id"] for _ in range(20)}
        session.socket.close()  # gone without a word

    assert ids == set("abc")
    until(lambda: world.closed_streams == 3)


def test_the_key_may_come_with_the_handshake(stranger: TestClient) -> None:
    with connect(stranger, Authorization=f"Bearer {KEY}") as session:
        session.send_json({"type": "connection_init"})
        assert session.receive_json() == {"type": "connection_ack"}


def closing(session: WebSocketTestSession, *messages: Any) -> int:
    """The code with which the server closes after these messages."""
    for message in messages:
        if isinstance(message, bytes):
            session.send_bytes(message)
        elif isinstance(message, str):
            session.send_text(message)
        else:
            session.send_json(message)
    while True:
        try:
            session.receive_json()
        except WebSocketDisconnect as closed:
            return closed.code


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        pytest.param([{"type": "connection_init"}], 4403, id="no key"),
        pytest.param(
            [{"type": "connection_init", "payload": {"authorization": "Bearer x"}}],
            4403,
            id="wrong key",
        ),
        pytest.param([{"type": "connection_init", "payload": 5}], 4403, id="payload a number"),
        pytest.param([subscribe("{ viewer }")], 4401, id="not yet initialised"),
        pytest.param([INIT, INIT], 4429, id="initialised twice"),
        pytest.param(["{"], 4400, id="no JSON"),
        pytest.param(["5"], 4400, id="no object"),
        pytest.param([INIT, "[]"], 4400, id="a list"),
        pytest.param([INIT, "null"], 4400, id="null"),
        pytest.param([INIT, "[" * 100_000], 4400, id="nested"),
        pytest.param([INIT, b"{}"], 4400, id="bytes"),
        pytest.param([INIT, '"' + "x" * 300_000 + '"'], 4400, id="too long"),
        pytest.param([INIT, {"type": "start", "id": "1"}], 4400, id="the older protocol"),
        pytest.param([INIT, {"type": 5}], 4400, id="type a number"),
        pytest.param([INIT, {"type": "subscribe", "payload": {}}], 4400, id="no id"),
        pytest.param([INIT, {"type": "subscribe", "id": "1"}], 4400, id="no payload"),
        pytest.param([INIT, subscribe("")], 4400, id="no query"),
        pytest.param(
            [INIT, subscribe("subscription { ticks }"), subscribe("subscription { ticks }")],
            4409,
            id="an id twice",
        ),
    ],
)
def test_who_breaks_the_protocol_is_told_and_cut_off(
    stranger: TestClient, messages: list[Any], code: int
) -> None:
    with connect(stranger) as session:
        assert closing(session, *messages) == code


def test_the_older_protocol_is_not_spoken(stranger: TestClient) -> None:
    with stranger.websocket_connect("/graphql", subprotocols=["graphql-ws"]) as session:
        assert closing(session, INIT) == 4406


def test_a_foreign_page_gets_no_socket(stranger: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        connect(stranger, Origin="https://evil.example"),
    ):
        pass


def test_a_failure_over_a_socket_is_masked(stranger: TestClient, world: World) -> None:
    session = opened(stranger)
    world.fail_in = "context"
    session.send_json(subscribe("{ viewer }"))
    message = session.receive_json()
    session.close()

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert MARKER not in str(message)
