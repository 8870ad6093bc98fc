"""Reads what arrives over HTTP into a `GraphQLRequest`, and refuses what is none.

Everything here is about bytes and headers; that a request makes sense is for `documents`.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive

from app.graphql.errors import Code, Unanswerable, refused_request
from app.graphql.runner import GraphQLRequest
from app.settings import Settings

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
EVENT_STREAM: Final = "text/event-stream"
HTML: Final = "text/html"
METHODS: Final = "GET, POST, OPTIONS"

_BODY_TIMEOUT_S: Final = 10
_PREFLIGHT_AGE_S: Final = 600


class ClientGone(Exception):
    """The client hung up before its request was whole. There is nobody to answer."""


def bad_request(message: str) -> Unanswerable:
    return refused_request(HTTPStatus.BAD_REQUEST, Code.BAD_REQUEST, message)


# What the client accepts.


@dataclass(frozen=True, slots=True)
class Accepted:
    """How the client may be answered: ``json`` is the media type to use, if any."""

    json: str | None
    event_stream: bool
    html: bool


@lru_cache(256)
def accepted(header: str | None) -> Accepted:
    """`Accept` by RFC 9110: the most specific range decides on a type's quality."""
    ranges: dict[str, float] = {}
    for part in (header or "*/*").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        ranges[name] = _quality(parameters)

    def quality(type_: str, *wider: str) -> float:
        return next((ranges[name] for name in (type_, *wider) if name in ranges), 0.0)

    # The newer type is for clients that name it: a wildcard is from clients that may not know it.
    newer, classic = ranges.get(GRAPHQL_JSON, 0.0), quality(JSON, "application/*", "*/*")
    return Accepted(
        json=GRAPHQL_JSON if newer and newer >= classic else JSON if classic else None,
        event_stream=ranges.get(EVENT_STREAM, 0.0) > 0,
        html=ranges.get(HTML, 0.0) > 0,
    )


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


# Who may ask, seen from a browser.


class Origins:
    """Whose pages may ask, and the headers that tell their browsers so.

    Keys travel in a header that no browser adds by itself, so there is nothing that a foreign
    page could ride on. That its `Origin` is refused as well is the second lock.
    """

    def __init__(self, settings: Settings) -> None:
        self._listed = frozenset(settings.cors_origins)
        self._own = settings.base_url

    def check(self, headers: Headers) -> dict[str, str]:
        """The CORS headers of the answer. Raises `Unanswerable` (403) for a foreign page."""
        origin = headers.get("origin")
        if origin is None:
            return {"Vary": "Origin"} if self._listed else {}
        if "*" in self._listed or origin in self._listed:
            return {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": "Retry-After",
                "Vary": "Origin",
            }
        if origin == self._own or urlsplit(origin).netloc == headers.get("host"):
            return {}
        raise refused_request(
            HTTPStatus.FORBIDDEN, Code.FORBIDDEN, "Pages of this origin may not ask here."
        )


PREFLIGHT: Final = {
    "Allow": METHODS,
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": str(_PREFLIGHT_AGE_S),
}


# What was sent.


def check_content_type(headers: Headers) -> None:
    """Raises `Unanswerable` (415) for anything but JSON in UTF-8, as a page can't send unasked."""
    given = headers.getlist("content-type")
    name, *parameters = (piece.strip().lower() for piece in (given[0] if given else "").split(";"))
    charsets = [value for value in parameters if value.startswith("charset=")]
    if (
        len(given) != 1
        or name != JSON
        or any(value.partition("=")[2].strip('"') != "utf-8" for value in charsets)
        or headers.get("content-encoding", "identity") != "identity"
    ):
        raise refused_request(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            Code.BAD_REQUEST,
            f"The body must be {JSON} in UTF-8, not compressed.",
            {"Accept-Post": JSON},
        )


def check_length(headers: Headers, max_bytes: int) -> None:
    """Raises `Unanswerable` (413) if the client announces too much, before any of it is read."""
    length = headers.get("content-length")
    if length is not None and length.isdecimal() and int(length[:20]) > max_bytes:
        raise _too_large(max_bytes)


async def body(receive: Receive, max_bytes: int) -> bytes:
    """The whole body. Raises `Unanswerable` if it is too large or too slow, or `ClientGone`."""
    chunks, size, more = [], 0, True
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                chunks.append(chunk)
                more = message.get("more_body", False)
    except TimeoutError:
        raise refused_request(
            HTTPStatus.REQUEST_TIMEOUT,
            Code.BAD_REQUEST,
            f"The body did not arrive within {_BODY_TIMEOUT_S} s.",
            {"Connection": "close"},
        ) from None
    return b"".join(chunks)


def _too_large(max_bytes: int) -> Unanswerable:
    return refused_request(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        Code.BAD_REQUEST,
        f"The body may have {max_bytes} bytes.",
        {"Connection": "close"},
    )


def from_body(data: bytes) -> GraphQLRequest:
    return graphql_request(strict_json(data, "The body"))


def from_query_string(query_string: bytes) -> GraphQLRequest:
    """A request by GET. Raises `Unanswerable` for parameters that are not what they should be."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=50,
        )
    except ValueError:
        raise bad_request("The query string is malformed.") from None
    parameters: dict[str, Any] = {}
    for name, value in pairs:
        if name in parameters:
            raise bad_request("A parameter is given twice.")
        parameters[name] = value
    for name in ("variables", "extensions"):
        if text := parameters.pop(name, None):
            parameters[name] = strict_json(text.encode(), f"`{name}`")
    if not parameters.get("operationName"):
        parameters.pop("operationName", None)
    return graphql_request(parameters)


def strict_json(data: bytes, what: str) -> Any:
    """The value of this JSON text. Raises `Unanswerable` if it is malformed, is not UTF-8, has
    half of a surrogate pair, NaN, or a member twice, or is nested too deeply."""
    try:
        value = orjson.loads(data)
        # orjson keeps the last of several members of one name, and another reader the first.
        json.loads(data, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise bad_request(f"{what} is not valid JSON.") from None
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member is given twice")


def graphql_request(value: Any) -> GraphQLRequest:
    """Checks the shape of a request. Raises `Unanswerable` (400)."""
    if isinstance(value, list):
        raise bad_request("Batches are not supported: send one operation in each request.")
    if not isinstance(value, dict):
        raise bad_request("A request is a JSON object.")
    query = _member(value, "query", str)
    extensions = _member(value, "extensions", dict)
    document_hash = _member(value, "documentId", str)
    persisted = (extensions or {}).get("persistedQuery")
    if document_hash is None and persisted is not None:
        document_hash = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        if not isinstance(document_hash, str):
            raise bad_request("`extensions.persistedQuery.sha256Hash` must be a string.")
    if not query and document_hash is None:
        raise bad_request("`query` is missing.")
    return GraphQLRequest(
        query=query or None,
        document_hash=document_hash,
        operation_name=_member(value, "operationName", str),
        variables=_member(value, "variables", dict),
        extensions=extensions,
    )


def _member(value: dict[str, Any], name: str, type_: type) -> Any:
    member = value.get(name)
    if member is not None and not isinstance(member, type_):
        expected = "a string" if type_ is str else "an object"
        raise bad_request(f"`{name}` must be {expected}.")
    return member
