"""What a client reads when something went wrong: one closed list of codes, and no secrets.

DESIGN
------
Every error of every transport leaves through this module, as a plain dict. Two roads lead
out: `Unanswerable`, a request refused before it ran, and `presented`, an error met while it
ran. The second trusts nothing: only an error that says by its code that it was written for
the caller keeps its message. Anything else is ours, so the caller reads an id and the log
has, under that id, the traceback, never the query or its variables, which hold what is
personal.
"""

import logging
import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from graphql import GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError

from app.errors import Refused, UserErrorCode

logger = logging.getLogger("app.graphql")

ErrorDict = dict[str, Any]
"""An error as the GraphQL specification has it: message, locations, path, extensions."""


class Code(StrEnum):
    """`extensions.code` of every top-level error. Published: values are added, never renamed."""

    BAD_REQUEST = "BAD_REQUEST"  # not a GraphQL request at all: method, type, size, JSON
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"  # limits of the document too
    BAD_USER_INPUT = "BAD_USER_INPUT"  # variables, arguments, page sizes, cost
    OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_ONLY = "PERSISTED_QUERY_ONLY"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    TIMEOUT = "TIMEOUT"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


class Unanswerable(Exception):
    """The request is refused before anything of it ran.

    ``status`` is for HTTP. ``transport`` tells a request that was no GraphQL request, which
    has its status whatever the client accepts, from one that was and has errors.
    """

    def __init__(
        self,
        errors: Sequence[ErrorDict],
        *,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        headers: Mapping[str, str] | None = None,
        transport: bool = False,
    ) -> None:
        self.errors = errors
        self.status = status
        self.headers = headers or {}
        self.transport = transport
        super().__init__("; ".join(error["message"] for error in errors))


def error_dict(code: Code, message: str, **extensions: Any) -> ErrorDict:
    return {"message": message, "extensions": {"code": code, **extensions}}


def unanswerable(code: Code, message: str, **extensions: Any) -> Unanswerable:
    """A refusal with a single error: ``raise unanswerable(Code.BAD_USER_INPUT, "…")``."""
    return Unanswerable([error_dict(code, message, **extensions)])


def refused_request(
    status: HTTPStatus, code: Code, message: str, headers: Mapping[str, str] | None = None
) -> Unanswerable:
    """A refusal of the transport: it never was a GraphQL request that could be answered."""
    return Unanswerable([error_dict(code, message)], status=status, headers=headers, transport=True)


def over_limit(
    limit: str, maximum: int, *, code: Code = Code.GRAPHQL_VALIDATION_FAILED
) -> Unanswerable:
    """A refusal that names the limit and its maximum, so that a client can mend its query."""
    return unanswerable(
        code, f"The limit `{limit}` is {maximum}.", limit={"name": limit, "max": maximum}
    )


def with_code(code: Code, errors: Sequence[GraphQLError]) -> Unanswerable:
    """Errors of graphql-core about what the client wrote: safe to show as they are."""
    return Unanswerable([_dict(error, error.message, {"code": code}) for error in errors])


def presented(error: GraphQLError, operation_name: str | None) -> ErrorDict:
    """An error of an execution, as it may go to the client. Logs those that are ours."""
    cause = _cause(error)
    if isinstance(cause, Refused):
        return _dict(error, str(cause), _refusal(cause))
    if isinstance(cause, GraphQLError):
        extensions = {**(cause.extensions or {}), **(error.extensions or {})}
        if extensions.get("code") in set(Code):
            return _dict(error, cause.message, extensions)
        # graphql-core points at the argument when a value that the client sent does not fit.
        # An error without a place, such as a scalar that can't be written, is our fault.
        if isinstance(cause, StrawberryInputCoercionError) or cause.nodes:
            return _dict(error, cause.message, {"code": Code.BAD_USER_INPUT})
    return _dict(error, *masked(cause, operation_name))


def masked(cause: BaseException, operation_name: str | None) -> tuple[str, dict[str, Any]]:
    """Message and extensions for a failure of ours; logs it under the id that they hold."""
    error_id = uuid.uuid4().hex
    logger.error(
        "%s id=%s operation=%s",
        Code.INTERNAL_SERVER_ERROR,
        error_id,
        (operation_name or "-")[:100],
        exc_info=(type(cause), cause, cause.__traceback__),
    )
    message = "The server failed to answer this. The error was logged under its id."
    return message, {"code": Code.INTERNAL_SERVER_ERROR, "errorId": error_id}


def masked_dict(cause: BaseException, operation_name: str | None) -> ErrorDict:
    message, extensions = masked(cause, operation_name)
    return {"message": message, "extensions": extensions}


def _cause(error: GraphQLError) -> BaseException:
    """What was raised, without the wrappings in which graphql-core located it."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _refusal(refused: Refused) -> dict[str, Any]:
    fault = refused.faults[0]
    code = Code.FORBIDDEN if fault.code is UserErrorCode.FORBIDDEN else Code.BAD_USER_INPUT
    faults = [
        {"code": fault.code, "message": fault.message, "path": fault.path}
        for fault in refused.faults
    ]
    return {"code": code, "userErrors": faults}


def _dict(error: GraphQLError, message: str, extensions: dict[str, Any]) -> ErrorDict:
    shown: ErrorDict = {"message": message}
    if error.locations:
        shown["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    shown["extensions"] = extensions
    return shown
