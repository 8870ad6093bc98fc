"""Speaks graphql-transport-ws: several operations over one WebSocket, each with its own answers.

DESIGN
------
One task reads, one task runs each operation, and each sends its own answers: whoever reads
slowly slows down their own resolvers, so there is no queue here that could grow. The key
comes with the handshake's ``Authorization`` header or as ``authorization`` in the payload of
``connection_init``, since browsers can't set the header. Closing codes are the protocol's.
"""

from contextlib import aclosing
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.graphql import http
from app.graphql.errors import ErrorDict, Unanswerable, masked_dict
from app.graphql.gate import Caller, Gate, MakeContext
from app.graphql.runner import GraphQLRequest, Runner, encoded

PROTOCOL: Final = "graphql-transport-ws"
_INIT_TIMEOUT_S: Final = 5

Message = dict[str, Any]


class Endpoint(Protocol):
    """What a connection needs of the endpoint that it belongs to."""

    gate: Gate
    runner: Runner
    origins: http.Origins
    make_context: MakeContext
    max_bytes: int


class _Close(Exception):
    """The client broke the protocol, or may not go on."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class Connection:
    """One client's WebSocket, from handshake to close."""

    def __init__(self, endpoint: Endpoint, socket: WebSocket) -> None:
        self._endpoint = endpoint
        self._socket = socket
        self._operations: dict[str, anyio.CancelScope] = {}
        self._close: _Close | None = None

    async def serve(self) -> None:
        try:
            self._endpoint.origins.check(self._socket.headers)
        except Unanswerable:
            await self._socket.close()  # before it was accepted: the handshake gets a 403
            return
        if PROTOCOL not in self._socket.scope["subprotocols"]:
            await self._socket.accept()
            await self._socket.close(4406, "Subprotocol not acceptable")
            return
        await self._socket.accept(PROTOCOL)
        try:
            caller = await self._initialised()
            async with anyio.create_task_group() as tasks:
                await self._read(caller, tasks)
                tasks.cancel_scope.cancel()
            if self._close is not None:
                await self._socket.close(self._close.code, self._close.reason)
        except _Close as close:
            await self._socket.close(close.code, close.reason)
        except WebSocketDisconnect:
            pass

    async def _initialised(self) -> Caller:
        try:
            with anyio.fail_after(_INIT_TIMEOUT_S):
                message = await self._receive()
                while message["type"] in {"ping", "pong"}:
                    await self._alive(message)
                    message = await self._receive()
                if message["type"] == "subscribe":
                    raise _Close(4401, "Unauthorized")
                if message["type"] != "connection_init":
                    raise _Close(4400, "Unknown message type")
                caller = await self._admitted(message.get("payload"))
        except TimeoutError:
            raise _Close(4408, "Connection initialisation timeout") from None
        await self._send({"type": "connection_ack"})
        return caller

    async def _admitted(self, payload: Any) -> Caller:
        authorization = self._socket.headers.get("authorization")
        if isinstance(payload, dict):
            given = payload.get("authorization", payload.get("Authorization"))
            authorization = given if isinstance(given, str) else authorization
        client = self._socket.client
        try:
            return await self._endpoint.gate.admit(authorization, client.host if client else None)
        except Unanswerable:
            raise _Close(4403, "Forbidden") from None
        except Exception as error:  # noqa: BLE001 - the choke point: nothing unmasked gets past
            masked_dict(error, None)
            raise _Close(4500, "Internal server error") from None

    async def _read(self, caller: Caller, tasks: TaskGroup) -> None:
        """Until the client goes, or has to."""
        try:
            while True:
                await self._handle(await self._receive(), caller, tasks)
        except _Close as close:
            self._close = close
        except WebSocketDisconnect:
            pass

    async def _handle(self, message: Message, caller: Caller, tasks: TaskGroup) -> None:
        match message["type"]:
            case "subscribe":
                id_, request = self._subscription(message)
                if not await self._admits(caller):
                    raise _Close(4403, "Forbidden")
                self._operations[id_] = anyio.CancelScope()
                tasks.start_soon(self._operate, caller, id_, request)
            case "complete":
                if scope := self._operations.pop(str(message.get("id")), None):
                    scope.cancel()
            case "ping" | "pong":
                await self._alive(message)
            case "connection_init":
                raise _Close(4429, "Too many initialisation requests")
            case _:
                raise _Close(4400, "Unknown message type")

    async def _alive(self, message: Message) -> None:
        if message["type"] == "ping":
            await self._send({"type": "pong"})

    async def _admits(self, caller: Caller) -> bool:
        try:
            return await self._endpoint.gate.still_admits(caller)
        except Exception as error:  # noqa: BLE001 - the choke point again
            masked_dict(error, None)
            raise _Close(4500, "Internal server error") from None

    def _subscription(self, message: Message) -> tuple[str, GraphQLRequest]:
        id_ = message.get("id")
        if not isinstance(id_, str) or not id_:
            raise _Close(4400, "A subscribe message needs an id")
        if id_ in self._operations:
            raise _Close(4409, f"Subscriber for {id_[:50]} already exists")
        try:
            return id_, http.graphql_request(message.get("payload"))
        except Unanswerable as refusal:
            raise _Close(4400, str(refusal)) from None

    async def _operate(self, caller: Caller, id_: str, request: GraphQLRequest) -> None:
        scope = self._operations[id_]
        with scope:
            try:
                await self._answer(caller, id_, request)
                final: Message = {"type": "complete"}
            except Unanswerable as refusal:
                final = _failure(refusal.errors)
            except WebSocketDisconnect:
                return  # while it was being answered; the reader sees it too
            except Exception as error:  # noqa: BLE001 - the choke point: nothing unmasked gets past
                final = _failure([masked_dict(error, request.operation_name)])
            # Free before it is said: the client may use the id again as soon as it reads this.
            if self._operations.get(id_) is scope:
                del self._operations[id_]
            await self._send({"id": id_, **final})

    async def _answer(self, caller: Caller, id_: str, request: GraphQLRequest) -> None:
        gate, runner = self._endpoint.gate, self._endpoint.runner
        gate.count_request(caller)
        with gate.stream(caller):
            found = await runner.look_up(request)
            context = self._endpoint.make_context(self._socket, caller.viewer)
            prepared = runner.prepare(request, found, caller=caller.name, context=context)
            answers = runner.answers(prepared, lambda: gate.still_admits(caller))
            async with aclosing(answers):
                async for answer in answers:
                    await self._send({"id": id_, "type": "next", "payload": answer})

    async def _receive(self) -> Message:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        text = received.get("text")
        if text is None:
            raise _Close(4400, "Messages are text")
        if len(text) > self._endpoint.max_bytes:
            raise _Close(4400, "The message is too long")
        try:
            message = http.strict_json(text.encode(), "The message")
        except (Unanswerable, UnicodeEncodeError):
            raise _Close(4400, "The message is not valid JSON") from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise _Close(4400, "A message is an object with a type")
        return message

    async def _send(self, message: Message) -> None:
        try:
            await self._socket.send_text(encoded(message).decode())
        except RuntimeError:  # what servers raise when the socket is closed already
            raise WebSocketDisconnect(1006) from None


def _failure(errors: Any) -> Message:
    return {"type": "error", "payload": list[ErrorDict](errors)}
