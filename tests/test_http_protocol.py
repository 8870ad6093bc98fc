"""Who sends too much, too slowly, or not what HTTP is, gets a clear end and costs nobody else."""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from app.http_protocol import PAUSE_S
from tests.site import PHONE, Site, application, ask, send_raw, uvicorn_serving
from tests.test_redirect import LIVE

FOLLOW = f"GET /{LIVE} HTTP/1.1\r\nHost: x\r\nUser-Agent: {PHONE}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\n" + b"X-H: y\r\n" * 101 + b"\r\n",
        b"GET /x HTTP/1.1\r\nX-H: " + b"y" * 17_000 + b"\r\n\r\n",
        b"GET /x HTTP/1.1\r\nX-H: " + b"y" * 400_000,
        b"GET /x HTTP/1.1\r\n" + b"X-H: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 20_000,
    ],
)
async def test_a_head_without_end_is_refused(sqlite_site: Site, request_: bytes) -> None:
    async with sqlite_site.serving() as port:
        assert (await send_raw(port, request_)).status == 400


async def test_pipelined_requests_are_each_answered(sqlite_site: Site) -> None:
    await sqlite_site.add_links(LIVE)
    many = 16
    async with sqlite_site.serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        one = f"GET /{LIVE} HTTP/1.1\r\nHost: x\r\nUser-Agent: {PHONE}{{}}\r\n\r\n"
        writer.write("".join(one.format("y" * 800) for _ in range(many)).encode())
        async with asyncio.timeout(10):
            for _ in range(many):
                assert b"302 Found" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def test_half_a_request_behind_many_whole_ones_is_waited_for(sqlite_site: Site) -> None:
    await sqlite_site.add_links(LIVE)
    one = f"GET /{LIVE} HTTP/1.1\r\nHost: x\r\nUser-Agent: {PHONE}{'y' * 2_000}\r\n\r\n".encode()
    many = 15  # more bytes than one head may have
    async with sqlite_site.serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(one * many + one[:500])
        async with asyncio.timeout(10):
            for _ in range(many):
                assert b"302 Found" in await reader.readuntil(b"\r\n\r\n")
            writer.write(one[500:])
            assert b"302 Found" in await reader.readuntil(b"\r\n\r\n")
            # Behind whole requests, too, a head has its limit.
            writer.write(one * many + one[:-4])
            for _ in range(many):
                assert b"302 Found" in await reader.readuntil(b"\r\n\r\n")
            for _ in range(30):
                writer.write(b"\r\nX-H: " + b"y" * 1_000)
                await writer.drain()
            assert b" 400 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()


@pytest.mark.parametrize("many", [30, 1_000])
async def test_more_requests_at_once_than_anybody_has_are_refused(port: int, many: int) -> None:
    """Unread, if there are so many that reading them would keep others waiting."""
    assert await statuses(port, FOLLOW, answers=1) == ["302"]  # from here on it is kept
    one = f"GET /{LIVE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    found = await statuses(port, one * many, answers=99)
    assert found.count("400") == 1
    assert found.count("302") <= (17 if many == 30 else 0)


async def test_a_body_may_look_like_many_requests(port: int) -> None:
    body = FOLLOW * 40
    post = b"POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * len(body))
    assert await statuses(port, post, body, body + FOLLOW, answers=2) == ["405", "302"]


SMUGGLED = b"GET /" + LIVE.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 0\r\nContent-Length: 44\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
    ],
)
async def test_a_request_whose_end_two_could_see_differently_is_the_last_one(
    sqlite_site: Site, fields: bytes
) -> None:
    """A proxy before us may take for a body what we would take for the next request."""
    await sqlite_site.add_links(LIVE)
    async with sqlite_site.serving() as port:
        for method in (b"GET", b"POST"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = method + b" /" + LIVE.encode() + b" HTTP/1.1\r\nHost: x\r\n" + fields
            writer.write(head + b"\r\n0\r\n\r\n" + SMUGGLED)
            async with asyncio.timeout(10):
                answers = await reader.read()
            assert answers.count(b"HTTP/1.1 ") == 1
            assert answers.startswith(b"HTTP/1.1 400 ")
            writer.close()


@pytest.mark.parametrize("whole", [0, 1, 2])
@pytest.mark.parametrize("part", [0, 20])
async def test_half_a_request_or_none_does_not_hold_a_connection(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch, whole: int, part: int
) -> None:
    """Nor behind whole ones, of which the first is answered by the application."""
    monkeypatch.setattr("app.http_protocol.LOOK_S", 0.1)
    await sqlite_site.add_links(LIVE)
    async with sqlite_site.serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(5):
            for _ in range(whole):
                writer.write(FOLLOW)
                await reader.readuntil(b"\r\n\r\n")
            writer.write(FOLLOW[:part])
            assert await reader.read() == b""  # the server closed it
        writer.close()


@pytest.fixture
async def port(sqlite_site: Site) -> AsyncIterator[int]:
    await sqlite_site.add_links(LIVE)
    async with sqlite_site.serving() as port:
        yield port


async def statuses(port: int, *pieces: bytes, answers: int) -> list[str]:
    """Of so many answers, or of all until the connection is closed; each piece is read alone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found: list[str] = []
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.1)
    text = b""
    async with asyncio.timeout(10):
        while len(found) < answers and (more := await reader.read(65_536)):
            text += more
            found = re.findall(r"HTTP/1.1 (\d+)", text.decode("latin-1"))
    writer.close()
    return found


async def test_half_a_head_behind_the_end_of_a_body_is_waited_for(port: int) -> None:
    post = b"POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"a" * 30_000
    pieces = (post, b"a" * 30_000 + FOLLOW[:20], FOLLOW[20:])
    assert await statuses(port, *pieces, answers=2) == ["405", "302"]


async def test_a_large_field_behind_a_whole_request_is_refused_wherever_it_is_cut(
    port: int,
) -> None:
    large = FOLLOW[:-2] + b"X-H: " + b"y" * 23_000
    for cut in (100, 500, 10_000):
        pieces = (FOLLOW + large[:cut], large[cut:] + b"\r\n\r\n")
        assert await statuses(port, *pieces, answers=2) == ["302", "400"]


@pytest.mark.parametrize("piece", [b"X-T: " + b"y" * 990 + b"\r\n", b"y" * 1_000])
async def test_what_follows_a_body_has_the_limit_of_a_head(port: int, piece: bytes) -> None:
    post = f"POST /{LIVE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post + b"3\r\nabc\r\n0\r\nX: ")
    sent = 0
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            while sent < 10_000_000 and not reader.at_eof():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
                sent += len(piece)
        with contextlib.suppress(ConnectionError):
            await reader.read()
    writer.close()
    assert sent < 10_000_000


async def test_what_comes_behind_the_last_request_of_a_connection_does_no_harm(port: int) -> None:
    """Its answer is written, so another one would be taken for somebody else's."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    assert await statuses(port, FOLLOW, answers=1) == ["302"]  # from here on it is kept
    last = FOLLOW.replace(b"HTTP/1.1\r\nHost: x", b"HTTP/1.0\r\nConnection: keep-alive")
    for behind in (
        FOLLOW[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        FOLLOW[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /" + b"a" * 9_000,
        b"\x00\x01garbage\r\n\r\n",
        FOLLOW,
    ):
        assert await statuses(port, last + behind, answers=9) == ["302"]
    assert failures == []


@pytest.mark.parametrize("is_slow", [True, False])
async def test_who_takes_nothing_of_an_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, is_slow: bool
) -> None:
    """Not who takes it slowly, for longer than that."""
    monkeypatch.setattr("app.http_protocol.LOOK_S", 0.05)
    monkeypatch.setattr("app.http_protocol.STUCK_LOOKS", 20)
    much = b"y" * 30_000_000

    async def download(_: Request) -> Response:
        return Response(much)

    async with uvicorn_serving(Router([Route("/x", download)])) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = 0
        await asyncio.sleep(0 if is_slow else 3)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(1_000_000):
                    found += len(piece)
                    await asyncio.sleep(0.02 if is_slow else 0)
        writer.close()
    assert (found > len(much)) == is_slow


async def test_thousands_that_came_together_are_not_closed_together(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep every viewer waiting."""
    monkeypatch.setattr("app.http_protocol.LOOK_S", 1)

    async def closed_at(port: int) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        return asyncio.get_running_loop().time()

    async with sqlite_site.serving() as port, asyncio.timeout(30):
        ends = sorted(await asyncio.gather(*(closed_at(port) for _ in range(200))))
    assert ends[-1] - ends[0] > len(ends) / 2 * PAUSE_S


async def test_a_websocket_may_be_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http_protocol.LOOK_S", 0.05)

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    async with (
        uvicorn_serving(Router([WebSocketRoute("/x", echo)])) as port,
        connect(f"ws://127.0.0.1:{port}/x") as client,
    ):
        await asyncio.sleep(0.5)
        await client.send("Are you there?")
        assert await client.recv() == "Are you there?"


async def test_a_second_server_in_one_process_looks_at_its_connections_too(
    sqlite_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.http_protocol.LOOK_S", 0.05)
    await sqlite_site.add_links(LIVE)
    async with sqlite_site.redirecting() as redirect:
        for _ in range(2):
            async with uvicorn_serving(application(redirect)) as port:
                assert await statuses(port, FOLLOW, answers=9) == ["302"]


async def test_who_is_gone_before_being_looked_at_is_not_taken_for_a_proxy(
    sqlite_site: Site,
) -> None:
    """The address is not known then, as it is not for a proxy on a socket that is a file."""
    await sqlite_site.add_links(LIVE)
    async with sqlite_site.redirecting(trusted_proxies=["10.0.0.0/8"]) as redirect:
        assert (await ask(redirect, f"/{LIVE}")).status == 302  # from here on it is kept
        before = redirect.journal.appended
        async with uvicorn_serving(application(redirect)) as port:
            for _ in range(5):
                client = socket.create_connection(("127.0.0.1", port))
                client.sendall(FOLLOW[:-2] + b"X-Forwarded-For: 203.0.113.9\r\n\r\n")
                reset = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                client.close()  # the server has had no turn yet
            assert await statuses(port, FOLLOW, answers=1) == ["302"]
        assert redirect.journal.appended == before + 1
