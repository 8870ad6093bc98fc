"""Refuses documents that would cost more to check or to run than any sensible query.

DESIGN
------
This runs before validation, because validation itself can be made slow, and once for each
text. What a fragment adds is computed once and added at each spread, so time is linear in
the document however often its fragments are spread: 60 fragments that each spread the next
one twice are 2^60 fields, seen in microseconds.

Only then, when a document is known to be small even when its fragments are written out, are
they written out, to count how often one place in the answer is asked for. Comparing the
repeats with each other is what validation needs quadratic time for.
"""

from dataclasses import dataclass, fields
from typing import Final

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
)

from app.graphql.errors import Code, over_limit, unanswerable
from app.settings import Settings

_CEILING: Final = 1_000_000  # sums stop growing here; every maximum is below


@dataclass(frozen=True, slots=True)
class Limits:
    """The maxima of a document. Except `operations` and `fragments` they hold for each
    operation, its fragments written out."""

    tokens: int
    length: int
    operations: int
    fragments: int
    depth: int
    nesting: int
    fields: int
    spreads: int
    aliases: int
    directives: int
    repeats: int
    root_fields: int
    root_mutation_fields: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(
            **{field.name: getattr(settings, f"graphql_max_{field.name}") for field in fields(cls)}
        )


@dataclass(slots=True)
class _Size:
    """How much a selection set holds, its fragments written out; depths relative to itself."""

    depth: int = 0
    nesting: int = 1
    fields: int = 0
    spreads: int = 0
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0

    def add(self, inner: "_Size", *, below_field: bool) -> None:
        self.depth = max(self.depth, inner.depth + below_field)
        self.nesting = max(self.nesting, inner.nesting + 1)
        self.fields = min(self.fields + inner.fields, _CEILING)
        self.spreads = min(self.spreads + inner.spreads, _CEILING)
        self.aliases = min(self.aliases + inner.aliases, _CEILING)
        self.directives = min(self.directives + inner.directives, _CEILING)
        if not below_field:
            self.root_fields = min(self.root_fields + inner.root_fields, _CEILING)


def check(document: DocumentNode, limits: Limits) -> None:
    """Raises `Unanswerable`, naming the limit, unless the document is within all of them."""
    operations, fragments = parts(document)
    if len(operations) > limits.operations:
        raise over_limit("operations", limits.operations)
    if len(fragments) > limits.fragments:
        raise over_limit("fragments", limits.fragments)
    if len(operations) + len(fragments) < len(document.definitions):
        raise unanswerable(
            Code.GRAPHQL_VALIDATION_FAILED,
            "Only operations and fragments, each with a name of its own, can be executed.",
        )
    sizes = _Sizes(fragments, limits)
    for operation in operations:
        sizes.check(operation)
        _check_repeats([operation.selection_set], fragments, limits.repeats)
    for name in fragments:
        # Validation would say so as well, but only after it has looked at what nobody measured.
        if name not in sizes.measured:
            raise unanswerable(Code.GRAPHQL_VALIDATION_FAILED, f'Fragment "{name}" is never used.')


def parts(
    document: DocumentNode,
) -> tuple[list[OperationDefinitionNode], dict[str, FragmentDefinitionNode]]:
    """The operations of a document, and its fragments by name."""
    operations: list[OperationDefinitionNode] = []
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations.append(definition)
        elif isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
    return operations, fragments


class _Sizes:
    """The sizes of selection sets; each fragment is measured once."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode], limits: Limits) -> None:
        self._fragments = fragments
        self._limits = limits
        self.measured: dict[str, _Size | None] = {}  # None: under way

    def of_fragment(self, name: str, nesting: int = 1) -> _Size:
        if name in self.measured:
            known = self.measured[name]
            if known is None:
                raise unanswerable(
                    Code.GRAPHQL_VALIDATION_FAILED, f'Fragment "{name}" spreads itself.'
                )
            return known
        fragment = self._fragments.get(name)
        if fragment is None:
            return _Size()  # validation says so, with its place
        self.measured[name] = None
        size = self.of(fragment.selection_set, nesting)
        size.directives += len(fragment.directives or ())
        self.measured[name] = size
        return size

    def of(self, selection_set: SelectionSetNode, nesting: int = 1) -> _Size:
        if nesting > self._limits.nesting:  # also what keeps this recursion shallow
            raise over_limit("nesting", self._limits.nesting)
        size = _Size()
        for selection in selection_set.selections:
            size.directives += len(_directives(selection))
            if isinstance(selection, FieldNode):
                size.fields += 1
                size.root_fields += 1
                size.aliases += selection.alias is not None
                size.depth = max(size.depth, 1)
                if selection.selection_set is not None:
                    size.add(self.of(selection.selection_set, nesting + 1), below_field=True)
                continue
            size.spreads += 1
            if isinstance(selection, FragmentSpreadNode):
                inner = self.of_fragment(selection.name.value, nesting + 1)
            else:
                inner = self.of(selection.selection_set, nesting + 1)  # type: ignore[attr-defined]  # an inline fragment: there is no third kind
            size.add(inner, below_field=False)
        return size

    def check(self, operation: OperationDefinitionNode) -> None:
        size = self.of(operation.selection_set)
        size.directives += len(operation.directives or ()) + sum(
            len(variable.directives or ()) for variable in operation.variable_definitions or ()
        )
        for name in ("depth", "nesting", "fields", "spreads", "aliases", "directives"):
            maximum = getattr(self._limits, name)
            if getattr(size, name) > maximum:
                raise over_limit(name, maximum)
        if size.root_fields > self._limits.root_fields:
            raise over_limit("rootFields", self._limits.root_fields)
        if (
            operation.operation is OperationType.MUTATION
            and size.root_fields > self._limits.root_mutation_fields
        ):
            raise over_limit("rootMutationFields", self._limits.root_mutation_fields)


def _directives(selection: SelectionNode) -> tuple[DirectiveNode, ...]:
    return tuple(selection.directives or ())


def _check_repeats(
    merged: list[SelectionSetNode], fragments: dict[str, FragmentDefinitionNode], maximum: int
) -> None:
    """Counts the fields that ask for one place in the answer, level by level, as validation
    compares them: everything under the same response name together."""
    places: dict[str, list[FieldNode]] = {}
    pending = list(merged)
    while pending:
        for selection in pending.pop().selections:
            if isinstance(selection, FieldNode):
                name = (selection.alias or selection.name).value
                places.setdefault(name, []).append(selection)
            elif isinstance(selection, FragmentSpreadNode):
                if fragment := fragments.get(selection.name.value):
                    pending.append(fragment.selection_set)
            else:
                pending.append(selection.selection_set)  # type: ignore[attr-defined]  # an inline fragment
    for fields_of_place in places.values():
        if len(fields_of_place) > maximum:
            raise over_limit("repeats", maximum)
        below = [field.selection_set for field in fields_of_place if field.selection_set]
        if below:
            _check_repeats(below, fragments, maximum)
