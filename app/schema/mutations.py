"""What all mutations share: one input, one transaction, one payload that can say no."""

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol, Self, get_type_hints

import strawberry
from sqlalchemy.exc import DBAPIError
from strawberry.utils.str_converters import to_camel_case

from app import ids
from app.auth import Permission
from app.database import is_a_race
from app.errors import Fault, Refused, UserErrorCode
from app.resolvers import idempotency
from app.resolvers.change import Change
from app.schema.context import Context, Info
from app.schema.permissions import Needs

ATTEMPTS = 5


@strawberry.type(
    description="A problem with what the caller asked for, to show to a person and fix."
)
class UserError:
    code: UserErrorCode = strawberry.field(description="A stable machine-readable reason.")
    message: str = strawberry.field(description="A sentence to show to a person.")
    path: list[str] | None = strawberry.field(
        description="The input at fault, as a path from the field's arguments with list places as "
        'numbers, like `["input", "labels", "0"]`. Null when no single input is.'
    )

    @classmethod
    def of(cls, fault: Fault) -> "UserError":
        path = None
        if fault.path is not None:
            path = ["input", *(to_camel_case(step) for step in fault.path)]
        return cls(code=fault.code, message=fault.message, path=path)


def user_errors() -> Any:
    """The field that every payload has."""
    return strawberry.field(
        default_factory=list, description="What the caller has to fix. Empty on success."
    )


def outcome(description: str) -> Any:
    """A payload's result: null, empty or 0 when there are errors."""
    return strawberry.field(default=None, description=description)


def mutation(
    description: str, *, needs: Permission = Permission.MANAGE, cost: int = 10
) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
    """Make a mutation from the method ``async def name(self, change, input) -> Payload``.

    It runs in one transaction. What it refuses becomes the payload's ``userErrors``, and
    nothing is changed; what lost a race with another change is tried again.
    """

    def make(write: Callable[..., Awaitable[Any]]) -> Any:
        hints = get_type_hints(write)
        payload = hints["return"]

        async def resolve(info: Info, input: Any) -> Any:
            context = info.context
            context.forget()
            try:
                return await _in_transaction(context, write, input)
            except Refused as refused:
                return payload(user_errors=[UserError.of(fault) for fault in refused.faults])
            finally:
                context.forget()

        resolve.__name__ = write.__name__
        resolve.__annotations__ = {
            "info": Info,
            "input": hints["input"],
            "return": payload | None,
        }
        return strawberry.mutation(
            resolver=resolve,
            description=description,
            extensions=[Needs(needs)],
            metadata={"cost": cost},
        )

    return make


async def _in_transaction(
    context: Context, write: Callable[..., Awaitable[Any]], input: Any
) -> Any:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with context.database.writing() as session:
                change = Change(
                    session,
                    context.viewer,
                    context.now,
                    context.check_destination,
                    context.addresses,
                )
                return await _once(change, write, input)
        except DBAPIError as error:
            # Somebody was faster: the second time, the checks see what they did.
            if attempt == ATTEMPTS or not is_a_race(error):
                raise
    raise AssertionError


async def _once(change: Change, write: Callable[..., Awaitable[Any]], input: Any) -> Any:
    """Run it, unless it ran before under the same idempotency key: then what it answered."""
    key_ = getattr(input, idempotency.NAME, None)
    payload = get_type_hints(write)["return"]
    # A send keeps its answer with its messages, and is not `Remembered` here.
    if key_ is None or not hasattr(payload, "recalled"):
        return await write(None, change, input)
    request = repr(input)
    answer = await idempotency.recall(change, write.__name__, key_, request)
    if answer is not None:
        return await payload.recalled(change, answer)
    result = await write(None, change, input)
    await idempotency.keep(change, write.__name__, key_, request, result.remembered())
    return result


def idempotency_key() -> Any:
    """The field of inputs whose mutations may be retried. Their payloads are `Remembered`."""
    return strawberry.field(
        default=None,
        description="A key of the caller's own choice, 200 characters at most. The same key again "
        "returns the first answer and does nothing, so that a call may be retried.",
    )


class Remembered(Protocol):
    """A payload that can be kept under an idempotency key, and found again."""

    def remembered(self) -> dict[str, Any]: ...

    @classmethod
    async def recalled(cls, change: Change, answer: dict[str, Any]) -> Self: ...


def key(prefix: str, id_: strawberry.ID | None) -> int | None:
    """The key of an ID of this type. None, which finds nothing, for anything else."""
    return None if id_ is None else ids.decode(prefix, id_)


def given(input: Any, *, but: Collection[str] = ("id",)) -> Mapping[str, Any]:
    """What an update's input holds, by field: what was left out is not in it."""
    values = {}
    for each in dataclasses.fields(input):
        value = getattr(input, each.name)
        if each.name not in but and isinstance(value, strawberry.Some):
            values[each.name] = value.value
    return values
