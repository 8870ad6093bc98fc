"""What comes in over HTTP, and what goes out: methods, types, sizes, JSON, keys, origins."""

import json
import socket
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from tests.graphql.attacks import MALFORMED
from tests.graphql.toy import KEY, World, application, endpoint

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
THING = {"query": "{ thing { name } }"}
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


def code(answer: Any) -> str:
    return answer.json()["errors"][0]["extensions"]["code"]


def test_a_query_is_answered_with_its_data_and_its_cost(client: TestClient) -> None:
    answer = client.post("/graphql", json=THING)

    assert answer.status_code == 200
    assert answer.json() == {
        "data": {"thing": {"name": "thing"}},
        "extensions": {"cost": {"requested": 1, "charged": 1, "max": 10_000}},
    }
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param(None, JSON, id="nothing said"),
        pytest.param("*/*", JSON, id="anything"),
        pytest.param("application/*", JSON, id="any application type"),
        pytest.param(JSON, JSON, id="the classic type"),
        pytest.param(GRAPHQL_JSON, GRAPHQL_JSON, id="the newer type"),
        pytest.param(f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON, id="the newer one rather"),
        pytest.param(f"{GRAPHQL_JSON};q=0.5, {JSON}", JSON, id="the classic one rather"),
        pytest.param(f"{JSON}, {GRAPHQL_JSON};q=0", JSON, id="the newer one not at all"),
        pytest.param("Application/JSON ; Q=1", JSON, id="in any case"),
        pytest.param(f"{GRAPHQL_JSON}, {JSON}, text/event-stream", GRAPHQL_JSON, id="as urql"),
    ],
)
def test_the_client_chooses_the_media_type(
    client: TestClient, accept: str | None, expected: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    if accept is None:
        del client.headers["accept"]

    answer = client.post("/graphql", json=THING, headers=headers)

    assert answer.headers["content-type"] == f"{expected}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/plain", "application/json;q=0", "image/*"])
def test_who_accepts_none_of_our_types_reads_406(client: TestClient, accept: str) -> None:
    assert client.post("/graphql", json=THING, headers={"Accept": accept}).status_code == 406


@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (GRAPHQL_JSON, 400)])
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param({"query": "{"}, "GRAPHQL_PARSE_FAILED", id="syntax"),
        pytest.param({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED", id="unknown field"),
        pytest.param(
            {"query": "query ($n: Int!) { things(first: $n) { totalCount } }"},
            "BAD_USER_INPUT",
            id="variable missing",
        ),
        pytest.param(
            {
                "query": "query ($n: Int!) { things(first: $n) { totalCount } }",
                "variables": {"n": "1"},
            },
            "BAD_USER_INPUT",
            id="variable of the wrong type",
        ),
        pytest.param(
            {"query": "query A { viewer } query B { viewer }"},
            "OPERATION_RESOLUTION_FAILURE",
            id="which operation",
        ),
        pytest.param(
            {"query": "query A { viewer }", "operationName": "B"},
            "OPERATION_RESOLUTION_FAILURE",
            id="no such operation",
        ),
    ],
)
def test_a_query_that_can_not_run_has_errors_and_no_data(
    client: TestClient, request_: dict[str, Any], expected: str, accept: str, status: int
) -> None:
    answer = client.post("/graphql", json=request_, headers={"Accept": accept})

    assert answer.status_code == status
    assert "data" not in answer.json()
    assert code(answer) == expected


def test_an_operation_is_chosen_by_its_name(client: TestClient) -> None:
    query = 'query A { echo(text: "a") } query B { echo(text: "b") }'

    answer = client.post("/graphql", json={"query": query, "operationName": "B"})

    assert answer.json()["data"] == {"echo": "b"}


def test_a_query_may_be_asked_by_get(client: TestClient) -> None:
    query = "query Q($t: String!) { echo(text: $t) }"
    parameters = {"query": query, "operationName": "Q", "variables": '{"t": "héllo"}'}

    assert client.get("/graphql", params=parameters).json()["data"] == {"echo": "héllo"}


def test_a_mutation_by_get_changes_nothing(client: TestClient, world: World) -> None:
    answer = client.get("/graphql", params={"query": 'mutation { write(text: "x") }'})

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert world.written == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "TRACE"])
def test_other_methods_are_told_which_there_are(client: TestClient, method: str) -> None:
    answer = client.request(method, "/graphql")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/graphql",
        "application/json; charset=latin-1",
        "text/plain; application/json",
    ],
)
def test_a_type_that_a_foreign_form_could_send_changes_nothing(
    client: TestClient, world: World, content_type: str | None
) -> None:
    body = json.dumps({"query": 'mutation { write(text: "x") }'})
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = client.post("/graphql", content=body, headers=headers)

    assert (answer.status_code, code(answer)) == (415, "BAD_REQUEST")
    assert world.written == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "https://evil.example"}, id="foreign page"),
        pytest.param({"Origin": "null"}, id="sandboxed page"),
        pytest.param({"Origin": "http://testserver.evil.example"}, id="look-alike"),
    ],
)
def test_a_foreign_page_changes_nothing_even_with_a_key(
    client: TestClient, world: World, headers: dict[str, str]
) -> None:
    answer = client.post(
        "/graphql", json={"query": 'mutation { write(text: "x") }'}, headers=headers
    )

    assert (answer.status_code, code(answer)) == (403, "FORBIDDEN")
    assert world.written == []


@pytest.mark.parametrize(
    "override",
    [{"X-HTTP-Method-Override": "POST"}, {"X-HTTP-Method": "POST"}, {"X-Method-Override": "POST"}],
)
def test_no_header_turns_a_get_into_a_post(
    client: TestClient, world: World, override: dict[str, str]
) -> None:
    query = {"query": 'mutation { write(text: "x") }', "_method": "POST"}

    assert client.get("/graphql", params=query, headers=override).status_code == 405
    assert world.written == []


def test_pages_of_this_server_may_ask(client: TestClient) -> None:
    answer = client.post("/graphql", json=THING, headers={"Origin": "http://testserver"})

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_pages_of_listed_origins_may_ask() -> None:
    settings = Settings(cors_origins=["https://app.example"])
    client = TestClient(application(World(), settings), headers=AUTHORIZED)
    page = {"Origin": "https://app.example"}

    preflight = client.options(
        "/graphql", headers={**page, "Access-Control-Request-Method": "POST"}
    )
    answer = client.post("/graphql", json=THING, headers=page)

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == "Authorization, Content-Type"
    for response in (preflight, answer):
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers
    # Without its headers a page could not read why it was turned away.
    client.headers["Authorization"] = "Bearer nonsense"
    assert client.post("/graphql", json=THING, headers=page).headers["access-control-allow-origin"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {KEY}",
        KEY,
        f"Bearer {KEY} x",
        "Bearer " + "x" * 100_000,
    ],
)
def test_without_a_valid_key_nothing_is_read(authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    client = TestClient(application(World()), headers={"Content-Type": JSON, **headers})

    answer = client.post("/graphql", content=b"{ this is not even JSON")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert code(answer) == "UNAUTHENTICATED"


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_body_is_a_bad_request(client: TestClient, body: bytes) -> None:
    answer = client.post("/graphql", content=body, headers={"Content-Type": JSON})

    assert (answer.status_code, code(answer)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "query_string",
    [
        pytest.param("", id="nothing"),
        pytest.param("query=", id="empty"),
        pytest.param("query={viewer}&query={thing}", id="twice"),
        pytest.param("query=%ff", id="no UTF-8"),
        pytest.param("query={viewer}&variables=[]", id="variables a list"),
        pytest.param("query={viewer}&variables={", id="variables no JSON"),
        pytest.param("&".join(f"a{n}=1" for n in range(100)), id="many parameters"),
    ],
)
def test_a_malformed_query_string_is_a_bad_request(client: TestClient, query_string: str) -> None:
    answer = client.get(f"/graphql?{query_string}")

    assert (answer.status_code, code(answer)) == (400, "BAD_REQUEST")


def test_members_that_we_do_not_know_are_no_fault(client: TestClient) -> None:
    assert client.post("/graphql", json={**THING, "doc_id": "1"}).status_code == 200


def raw(port: int, head: str, *chunks: bytes) -> bytes:
    """Sends bytes as they are, and reads the beginning of what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            f"{head}\r\nHost: t\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Type: application/json\r\n".encode()
        )
        for chunk in chunks:
            connection.sendall(chunk)
        return connection.recv(65_536)


def test_a_body_announced_too_large_is_refused_unread(port: int) -> None:
    answer = raw(port, "POST /graphql HTTP/1.1", b"Content-Length: 999999999999\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_is_refused_on_the_way(port: int) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"

    answer = raw(
        port, "POST /graphql HTTP/1.1", b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 5
    )

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_compressed_body_is_refused(port: int) -> None:
    answer = raw(
        port, "POST /graphql HTTP/1.1", b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 415 ")


def test_a_client_that_hangs_up_early_leaves_no_trace(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            f"POST /graphql HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {KEY}\r\n"
            'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"query'.encode()
        )

    head = "GET /graphql?query={viewer} HTTP/1.1"
    assert raw(port, head, b"\r\n").startswith(b"HTTP/1.1 200 ")
    assert not caplog.records


@pytest.mark.anyio
async def test_without_a_key_an_attack_costs_less_than_a_millisecond() -> None:
    """The figure of reliability test GQ-2, as a mean over many."""
    served = endpoint(World(), Settings(graphql_auth_failures_per_minute=10_000))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"200000")],
        "client": ("192.0.2.1", 1),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    rounds = 200
    began = time.process_time()
    for _ in range(rounds):
        await served(scope, receive, send)
    spent = time.process_time() - began

    assert {message["status"] for message in sent if "status" in message} == {401}
    assert spent / rounds < 0.001
