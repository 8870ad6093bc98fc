"""The graph's endpoint: an ASGI application for HTTP, server-sent events and WebSockets.

DESIGN
------
What is cheap to refuse is refused first, so that a stranger can make us do nothing dear:
method, origin, media types and length from the headers alone; then the key; then the rate;
only then is a byte of the body read, and only what is within every limit is executed.

An answer is 200 with `data`. A GraphQL request that was refused is 400 for clients that accept
``application/graphql-response+json``, and 200 for those that know ``application/json`` only,
as the GraphQL-over-HTTP specification has it. What was no GraphQL request at all has its own
status for both.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

import anyio
import strawberry
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from app.graphql import http
from app.graphql.errors import Code, Unanswerable, masked_dict, refused_request
from app.graphql.gate import Authenticate, Gate, MakeContext
from app.graphql.graphiql import ASSETS_PATH, PAGE_HEADERS, GraphiQL, Tab
from app.graphql.rate_limits import RateLimits
from app.graphql.runner import Answer, Runner, encoded, refusal_answer
from app.graphql.websocket import Connection
from app.settings import Settings

_KEEP_ALIVE_S: Final = 12
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class GraphQLEndpoint:
    """One schema, served. `routes` are for the application to mount."""

    def __init__(
        self,
        schema: strawberry.Schema,
        *,
        authenticate: Authenticate,
        make_context: MakeContext,
        settings: Settings,
        tabs: tuple[Tab, ...] = (),
        demo_key: str | None = None,
    ) -> None:
        self.settings = settings
        self.make_context = make_context
        self.origins = http.Origins(settings)
        self.max_bytes = settings.graphql_max_body_kb * 1024
        rate_limits = RateLimits(settings)
        self.gate = Gate(authenticate, rate_limits, settings)
        self.runner = Runner(schema, settings, rate_limits)
        self._graphiql = GraphiQL(tabs, demo_key) if settings.graphiql or settings.demo else None

    def routes(self, path: str = "/graphql") -> list[BaseRoute]:
        routes: list[BaseRoute] = [Route(path, self), WebSocketRoute(path, self)]
        if self._graphiql is not None:
            routes.append(Mount(ASSETS_PATH, self._graphiql.assets))
        return routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await Connection(self, WebSocket(scope, receive, send)).serve()
        else:
            await _Exchange(self, Request(scope, receive, send), send).serve()

    def page(self, headers: Headers, query_string: bytes) -> bytes | None:
        """GraphiQL, if it is what a browser without a query should see here."""
        if self._graphiql is None or query_string or not http.accepted(headers.get("accept")).html:
            return None
        return self._graphiql.page


class _Exchange:
    """One HTTP request and its answer."""

    def __init__(self, endpoint: GraphQLEndpoint, request: Request, send: Send) -> None:
        self._endpoint = endpoint
        self._request = request
        self._send = send
        self._accepted = http.accepted(request.headers.get("accept"))
        self._cors: Mapping[str, str] = {}

    async def serve(self) -> None:
        try:
            await self._serve()
        except http.ClientGone:
            pass
        except Unanswerable as refusal:
            await self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the choke point: nothing unmasked gets past
            answer = {"errors": [masked_dict(error, None)]}
            await self._json(HTTPStatus.INTERNAL_SERVER_ERROR, answer)

    async def _serve(self) -> None:
        method, headers = self._request.method, self._request.headers
        query_string: bytes = self._request.scope["query_string"]
        if method in {"GET", "HEAD"} and (page := self._endpoint.page(headers, query_string)):
            await self._respond(HTTPStatus.OK, page, PAGE_HEADERS)
            return
        self._cors = self._endpoint.origins.check(headers)
        if method == "OPTIONS":
            await self._respond(HTTPStatus.NO_CONTENT, b"", http.PREFLIGHT)
            return
        if method not in {"GET", "POST"}:
            raise _not_allowed(f"Ask by {http.METHODS}.", http.METHODS)
        if self._accepted.json is None and not self._accepted.event_stream:
            raise refused_request(
                HTTPStatus.NOT_ACCEPTABLE,
                Code.BAD_REQUEST,
                f"Answers are {http.GRAPHQL_JSON}, {http.JSON} or {http.EVENT_STREAM}.",
            )
        if method == "POST":
            http.check_content_type(headers)
            http.check_length(headers, self._endpoint.max_bytes)
        await self._ask(method, query_string)

    async def _ask(self, method: str, query_string: bytes) -> None:
        gate, runner, request = self._endpoint.gate, self._endpoint.runner, self._request
        caller = await gate.admit(_authorization(request.headers), _address(request))
        gate.count_request(caller)
        if method == "POST":
            data = await http.body(request.receive, self._endpoint.max_bytes)
            asked = http.from_body(data)
        else:
            asked = http.from_query_string(query_string)
        found = await runner.look_up(asked)
        kind = found[1].kind
        if method == "GET" and kind is OperationType.MUTATION:
            raise _not_allowed("A mutation is asked for by POST.", "POST")
        if kind is OperationType.SUBSCRIPTION and not self._accepted.event_stream:
            raise http.bad_request(
                f"A subscription is answered as `Accept: {http.EVENT_STREAM}`, or over a WebSocket."
            )
        context = self._endpoint.make_context(request, caller.viewer)
        prepared = runner.prepare(asked, found, caller=caller.name, context=context)
        if kind is not OperationType.SUBSCRIPTION and self._accepted.json is not None:
            await self._json(HTTPStatus.OK, await runner.answer(prepared))
            return
        with gate.stream(caller):
            answers = runner.answers(prepared, lambda: gate.still_admits(caller))
            await self._stream(answers)

    async def _refuse(self, refusal: Unanswerable) -> None:
        answer = refusal_answer(refusal)
        if not refusal.transport and self._accepted.json is None:
            # As graphql-sse expects it: what is wrong with the query is told in the stream.
            await self._start(HTTPStatus.OK, _EVENT_STREAM)
            await self._send_body(_event("next", answer) + _event("complete"))
            return
        classic = self._accepted.json == http.JSON and not refusal.transport
        status = HTTPStatus.OK if classic else refusal.status
        await self._json(status, answer, refusal.headers)

    async def _stream(self, answers: AsyncGenerator[Answer, None]) -> None:
        """Server-sent events until the last answer, or until the client goes."""
        await self._start(HTTPStatus.OK, _EVENT_STREAM)
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                while (await self._request.receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            async def keep_alive() -> None:
                # Silence looks like a dead connection to the proxies between us.
                while True:
                    await anyio.sleep(_KEEP_ALIVE_S)
                    await self._send_body(b":\n\n", more=True)

            tasks.start_soon(watch)
            tasks.start_soon(keep_alive)
            async with aclosing(answers):
                async for answer in answers:
                    await self._send_body(_event("next", answer), more=True)
            await self._send_body(_event("complete"))
            tasks.cancel_scope.cancel()

    async def _json(
        self, status: HTTPStatus, answer: Answer, headers: Mapping[str, str] | None = None
    ) -> None:
        content_type = f"{self._accepted.json or http.JSON}; charset=utf-8"
        await self._respond(
            status, encoded(answer), {"Content-Type": content_type, **(headers or {})}
        )

    async def _respond(self, status: HTTPStatus, body: bytes, headers: Mapping[str, str]) -> None:
        length = {} if status is HTTPStatus.NO_CONTENT else {"Content-Length": str(len(body))}
        await self._start(status, {**headers, **length})
        await self._send_body(b"" if self._request.method == "HEAD" else body)

    async def _start(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        sent = {**_HEADERS, **self._cors, **headers}
        await self._send(
            {
                "type": "http.response.start",
                "status": int(status),
                "headers": [
                    (name.lower().encode("latin-1"), value.encode("latin-1"))
                    for name, value in sent.items()
                ],
            }
        )

    async def _send_body(self, body: bytes, *, more: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


_EVENT_STREAM: Final = {
    "Content-Type": f"{http.EVENT_STREAM}; charset=utf-8",
    "X-Accel-Buffering": "no",  # nginx would hold the events back
}


def _event(name: str, answer: Answer | None = None) -> bytes:
    data = b"" if answer is None else encoded(answer)
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


def _not_allowed(message: str, allow: str) -> Unanswerable:
    return refused_request(
        HTTPStatus.METHOD_NOT_ALLOWED, Code.BAD_REQUEST, message, {"Allow": allow}
    )


def _authorization(headers: Headers) -> str | None:
    given = headers.getlist("authorization")
    return given[0] if len(given) == 1 else None


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None
