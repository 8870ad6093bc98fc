"""Keeps what was found out about a query's text: parsed, within limits, valid, priced. Or why not.

DESIGN
------
None of it depends on who asks or with which variables, so it is done once for each text and
process. Refusals are kept as well, as plain data: a client that repeats a bad query costs
nothing. The cache is bounded twice, in documents and in characters, since it is filled by
strangers' texts.

A new text is looked at in a thread, one at a time: it takes milliseconds, many of them if somebody
wants it to, and on the event loop viewers who follow links would wait for as long.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationType,
    parse,
    specified_rules,
    validate,
)

from app.graphql import limits
from app.graphql.cost import Cost, compiled
from app.graphql.errors import Code, Unanswerable, over_limit, unanswerable, with_code
from app.settings import Settings

# A client mends its errors one by one; and "Did you mean" takes its time for each.
_ERRORS_SHOWN: Final = 20
_HASH_PREFIX: Final = "sha256:"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a valid document."""

    name: str | None
    kind: OperationType
    cost: Cost


@dataclass(frozen=True, slots=True)
class Document:
    """A text that is valid and within the limits."""

    node: DocumentNode
    operations: Sequence[Operation]

    def operation(self, name: str | None) -> Operation:
        """The operation to run. Raises `Unanswerable` if the name does not say which."""
        if name is None:
            if len(self.operations) == 1:
                return self.operations[0]
            raise unanswerable(
                Code.OPERATION_RESOLUTION_FAILURE,
                "The document has several operations: say which by `operationName`."
                if self.operations
                else "The document has no operation.",
            )
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise unanswerable(
            Code.OPERATION_RESOLUTION_FAILURE, "The document has no operation of that name."
        )


class Documents:
    """Texts in, `Document`s out, each examined once."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._limits = limits.Limits.of(settings)
        self._introspection = settings.graphql_introspection
        self._rules = specified_rules
        if not settings.graphql_introspection:
            self._rules = (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._known: OrderedDict[str, Document | Unanswerable] = OrderedDict()
        self._max_documents = settings.graphql_cached_documents
        self._max_characters = settings.graphql_cached_characters
        self._characters = 0
        self._thread = ThreadPoolExecutor(1, "documents")

    async def document(self, text: str) -> Document:
        """The document of this text. Raises `Unanswerable` if it can't be executed."""
        if len(text) > self._limits.length:
            raise over_limit("length", self._limits.length)
        if text not in self._known:
            loop = asyncio.get_running_loop()
            self._keep(text, await loop.run_in_executor(self._thread, self._examined, text))
        known = self._known[text]
        self._known.move_to_end(text)
        if isinstance(known, Unanswerable):
            # Never the kept object: each raise would lengthen its traceback.
            raise Unanswerable(known.errors, status=known.status)
        return known

    def _keep(self, text: str, found: Document | Unanswerable) -> None:
        if text in self._known:  # somebody else asked the same meanwhile
            return
        self._known[text] = found
        self._characters += len(text)
        while (
            len(self._known) > self._max_documents or self._characters > self._max_characters
        ) and len(self._known) > 1:
            forgotten, _ = self._known.popitem(last=False)
            self._characters -= len(forgotten)

    def _examined(self, text: str) -> Document | Unanswerable:
        """What there is to find out about a text. Touches nothing: it is what the thread does."""
        try:
            node = self._parsed(text)
            limits.check(node, self._limits)
            errors = validate(self._schema, node, self._rules, max_errors=_ERRORS_SHOWN)
            if errors:
                raise with_code(Code.GRAPHQL_VALIDATION_FAILED, errors)
        except Unanswerable as refusal:
            return refusal.with_traceback(None)
        operations, fragments = limits.parts(node)
        return Document(
            node,
            [
                Operation(
                    name=operation.name.value if operation.name else None,
                    kind=operation.operation,
                    cost=compiled(self._schema, operation, fragments),
                )
                for operation in operations
            ],
        )

    def _parsed(self, text: str) -> DocumentNode:
        try:
            return parse(text, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            # graphql-core has no types for these two.
            if f"more than {self._limits.tokens} tokens" in error.message:
                raise over_limit("tokens", self._limits.tokens) from None
            if "nested too deeply" in error.message:
                raise over_limit("nesting", self._limits.nesting) from None
            raise with_code(Code.GRAPHQL_PARSE_FAILED, [error]) from None


class TrustedDocuments:
    """The texts that were agreed on beforehand, by the SHA-256 of each.

    Clients can't add to them: a request brings the hash, or the text, or both.
    """

    def __init__(self, settings: Settings) -> None:
        self._only = settings.only_trusted_documents
        self._texts: Mapping[str, str] = {}
        if settings.trusted_documents is not None:
            self._texts = _manifest(settings.trusted_documents)

    def text(self, query: str | None, document_hash: str | None) -> str:
        """The text to execute. Raises `Unanswerable` if there is none, or it may not be."""
        if document_hash is not None:
            wanted = document_hash.removeprefix(_HASH_PREFIX)
            trusted = self._texts.get(wanted)
            if trusted is not None and query in (None, trusted):
                return trusted
            if query is None:
                raise unanswerable(
                    Code.PERSISTED_QUERY_NOT_FOUND, "There is no trusted document of this hash."
                )
            if sha256(query.encode()).hexdigest() != wanted:
                raise unanswerable(Code.BAD_USER_INPUT, "The hash is not the SHA-256 of the query.")
        if query is None:
            raise AssertionError("a request without query or hash is refused when it is read")
        if self._only and sha256(query.encode()).hexdigest() not in self._texts:
            raise unanswerable(
                Code.PERSISTED_QUERY_ONLY, "Only trusted documents are executed here."
            )
        return query


def _manifest(path: Path) -> dict[str, str]:
    """Reads ``{"<sha256>": "<text>"}``. Raises ValueError for what is not, at the start."""
    texts: Any = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(texts, dict):
        raise ValueError(f"{path}: a JSON object of SHA-256 to text is expected")  # noqa: TRY004 - the file's fault, not a type's
    for digest, text in texts.items():
        if not isinstance(text, str) or sha256(text.encode()).hexdigest() != digest:
            raise ValueError(f"{path}: {digest} is not the SHA-256 of its text")
    return texts
