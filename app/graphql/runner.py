"""Runs one GraphQL request for any transport: limited, within its time, its failures masked.

DESIGN
------
Strawberry makes the schema; graphql-core runs it, through its own published building blocks
rather than through ``Schema.execute``: so a request's document comes from our cache, its
variables are coerced once for both cost and execution, and there is one place where errors
leave. What this does not run are Strawberry's schema extensions, so a schema that has some is
refused. Field extensions, permissions and an execution class of one's own all work.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    Executor,
    GraphQLError,
    OperationType,
    create_source_event_stream,
    execute_root_selection_set,
    map_source_to_response_event,
)
from strawberry.execution import optimized_is_awaitable

from app.graphql.documents import Document, Documents, Operation, TrustedDocuments
from app.graphql.errors import (
    Code,
    Unanswerable,
    error_dict,
    masked_dict,
    over_limit,
    presented,
    with_code,
)
from app.graphql.rate_limits import Charge, RateLimits
from app.settings import Settings

Answer = dict[str, Any]
"""A GraphQL response, ready to be encoded."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks, in any transport. ``query`` or ``document_hash`` is given."""

    query: str | None
    document_hash: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that will be executed: everything that can be refused about it was checked."""

    operation: Operation
    executor: Executor[Any]
    cost: int
    charge: Charge


class Runner:
    """From requests to answers, for one schema. Knows no transport."""

    def __init__(
        self, schema: strawberry.Schema, settings: Settings, rate_limits: RateLimits
    ) -> None:
        if schema.extensions or schema.directives:
            raise ValueError("schema extensions and operation directives would not be run here")
        self._schema = schema._schema  # noqa: SLF001 - Strawberry has no other name for it
        self._executor_class: type[Executor[Any]] = schema.execution_context_class
        self._documents = Documents(self._schema, settings)
        self._trusted = TrustedDocuments(settings)
        self._rate_limits = rate_limits
        self._deadline_s = settings.graphql_deadline_s
        self._max_cost = settings.graphql_max_cost
        self._max_page_size = settings.graphql_max_page_size
        self._hide_suggestions = not settings.graphql_introspection

    async def look_up(self, request: GraphQLRequest) -> tuple[Document, Operation]:
        """The document and which of its operations. Raises `Unanswerable`."""
        text = self._trusted.text(request.query, request.document_hash)
        document = await self._documents.document(text)
        return document, document.operation(request.operation_name)

    def prepare(
        self,
        request: GraphQLRequest,
        found: tuple[Document, Operation],
        *,
        caller: str,
        context: Any,
    ) -> Prepared:
        """Coerce the variables and charge the cost. Raises `Unanswerable`."""
        document, operation = found
        executor = self._executor_class.build(
            self._schema,
            document.node,
            context_value=context,
            raw_variable_values=request.variables or {},
            operation_name=request.operation_name,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # says bool, not TypeGuard
            hide_suggestions=self._hide_suggestions,
            operation_extensions=request.extensions,
        )
        if isinstance(executor, list):
            raise with_code(Code.BAD_USER_INPUT, executor)
        cost = operation.cost.of(
            executor.variable_values.coerced, max_page_size=self._max_page_size
        )
        if cost > self._max_cost:
            refusal = over_limit("cost", self._max_cost, code=Code.BAD_USER_INPUT)
            refusal.errors[0]["extensions"]["cost"] = {"requested": cost, "max": self._max_cost}
            raise refusal
        return Prepared(operation, executor, cost, self._rate_limits.cost(caller, cost))

    def _cost(self, prepared: Prepared) -> dict[str, int]:
        return {
            "requested": prepared.cost,
            "charged": prepared.charge.units,
            "max": self._max_cost,
        }

    async def answer(self, prepared: Prepared) -> Answer:
        """Execute a query or mutation. Never raises, but when the task itself is cancelled."""
        name = prepared.operation.name
        try:
            async with asyncio.timeout(self._deadline_s):
                result = execute_root_selection_set(prepared.executor)
                if not isinstance(result, ExecutionResult):
                    result = await result
        except TimeoutError:
            return self._failed(
                prepared,
                error_dict(Code.TIMEOUT, f"This took longer than {self._deadline_s:g} s."),
            )
        except Exception as error:  # noqa: BLE001 - the choke point: nothing unmasked gets past
            return self._failed(prepared, masked_dict(error, name))
        if not result.errors:  # what has failed may have cost whatever it was asked for
            answered = prepared.operation.cost.answered(result.data)
            prepared.charge.give_back(max(0, prepared.cost - answered))
        return self._answered(prepared, result)

    def _answered(self, prepared: Prepared, result: ExecutionResult) -> Answer:
        answer: Answer = {"data": result.data}
        if result.errors:
            name = prepared.operation.name
            answer["errors"] = [presented(error, name) for error in result.errors]
        answer["extensions"] = {"cost": self._cost(prepared)}
        return answer

    def _failed(self, prepared: Prepared, error: dict[str, Any]) -> Answer:
        return {
            "data": None,
            "errors": [error],
            "extensions": {"cost": self._cost(prepared)},
        }

    async def answers(
        self, prepared: Prepared, still_allowed: Callable[[], Awaitable[bool]]
    ) -> AsyncGenerator[Answer, None]:
        """Answer a subscription's events one by one, or a query or mutation once.

        Ends as soon as ``still_allowed`` says no before an event. Whoever stops early closes
        this generator, and with it the resolver's.
        """
        if prepared.operation.kind is not OperationType.SUBSCRIPTION:
            yield await self.answer(prepared)
            return
        source = await self._source(prepared)
        if isinstance(source, dict):
            yield source
            return
        events = map_source_to_response_event(prepared.executor, source)
        try:
            async with aclosing(events):
                while True:
                    event = await self._next(events)
                    if event is None:
                        return
                    if not await still_allowed():
                        yield {
                            "errors": [
                                error_dict(Code.UNAUTHENTICATED, "The key is no longer valid.")
                            ]
                        }
                        return
                    yield self._answered(prepared, event)
        except Exception as error:  # noqa: BLE001 - the choke point again
            yield self._failed(prepared, masked_dict(error, prepared.operation.name))

    async def _source(self, prepared: Prepared) -> AsyncIterable[Any] | Answer:
        try:
            async with asyncio.timeout(self._deadline_s):
                source = create_source_event_stream(prepared.executor)
                if isinstance(source, Awaitable):
                    source = await source
        except TimeoutError:
            error = error_dict(Code.TIMEOUT, f"This took longer than {self._deadline_s:g} s.")
            return self._failed(prepared, error)
        except Exception as error:  # noqa: BLE001 - the choke point again
            return self._failed(prepared, masked_dict(error, prepared.operation.name))
        if isinstance(source, ExecutionResult):
            return self._answered(prepared, source)
        return source

    @staticmethod
    async def _next(events: AsyncGenerator[ExecutionResult, None]) -> ExecutionResult | None:
        try:
            return await anext(events)
        except StopAsyncIteration:
            return None
        except GraphQLError as error:
            return ExecutionResult(None, [error])


def refusal_answer(refusal: Unanswerable) -> Answer:
    """How a refused request reads in any transport: errors, and no data."""
    return {"errors": list(refusal.errors)}


def encoded(answer: Answer) -> bytes:
    """The answer as JSON. A value that has no JSON is a failure of ours, and masked like one."""
    try:
        return orjson.dumps(answer)
    except TypeError as error:
        return orjson.dumps({"data": None, "errors": [masked_dict(error, None)]})
