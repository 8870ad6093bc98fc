"""What a request costs: in advance by the page sizes asked for, afterwards by the items there were.

DESIGN
------
A scalar is free, an object costs 1, and ``strawberry.field(metadata={"cost": n})`` says
otherwise. A field that takes `first` or `last` is a page: what is below its `edges` and
`nodes` counts once for each item asked for; a field that takes `ids`, once for each id. The
`node` of an edge is the edge, so both ways to write a page cost the same.

The shape of the sum depends on the text alone, so it is compiled once for each operation:
everything constant is added up, and only the page sizes are left to fill in: from the
variables before, from the answer after. The answer is walked from page to page, never through
all of its values. See docs/decisions/0020-cost-comes-back.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from app.graphql.errors import Code, over_limit, unanswerable

PAGE_SIZE_DEFAULT: Final = 20
"""How many items a page has that was asked for without a size."""

_PAGE_ARGUMENTS: Final = ("first", "last")
_LIST_ARGUMENT: Final = "ids"
_ITEMS: Final = ("edges", "nodes")
_UNKNOWN = GraphQLObjectType("Unknown", {})

_Sizes: TypeAlias = "tuple[tuple[str, int | str | None], ...]"
"""Arguments that say how many: name, and the number, or the variable's name, or None."""


_Path: TypeAlias = tuple[str, ...]
"""From an object of the answer to one below it, by the names in the answer."""


@dataclass(slots=True)
class Cost:
    """A sum with holes: ``fixed`` and what each page costs."""

    fixed: int = 0
    pages: "list[Page]" = field(default_factory=list)

    def of(self, variables: Mapping[str, Any], *, max_page_size: int) -> int:
        """The cost with these coerced variables. Raises `Unanswerable` for a page too large."""
        total = self.fixed
        for page in self.pages:
            size = _page_size(page.sizes, variables, max_page_size)
            total += size * page.item.of(variables, max_page_size=max_page_size)
            total += page.beside.of(variables, max_page_size=max_page_size)
        return total

    def answered(self, data: Any) -> int:
        """The cost of what is in the answer."""
        return self.fixed + sum(
            page.answered(each) for page in self.pages for each in _found(data, page.path)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A field that takes a size. The paths of pages below it begin at its own place."""

    path: _Path
    sizes: _Sizes
    item: Cost  # what is below each item
    beside: Cost = field(default_factory=Cost)  # and what is not
    lists: _Path | None = None  # what its lists of items are called; None: it is an item itself

    def answered(self, data: Any) -> int:
        items = 1
        if self.lists is not None:
            items = max((len(data.get(name) or ()) for name in self.lists), default=0)
        return (
            items * self.item.fixed
            + self.beside.fixed
            + sum(
                page.answered(each)
                for page in (*self.item.pages, *self.beside.pages)
                for each in _found(data, page.path)
            )
        )


def _found(data: Any, path: _Path) -> Iterator[Any]:
    """What is at the path: each item where it goes through lists, and nothing for null."""
    if isinstance(data, list):
        for each in data:
            yield from _found(each, path)
    elif not path:
        if data is not None:
            yield data
    elif isinstance(data, dict):
        yield from _found(data.get(path[0]), path[1:])


def compiled(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> Cost:
    """The cost of an operation that is valid and within the limits."""
    root = schema.get_root_type(operation.operation)
    compiler = _Compiler(schema, fragments)
    return compiler.selection(operation.selection_set, root or _UNKNOWN).once


@dataclass(slots=True)
class _Selection:
    once: Cost = field(default_factory=Cost)
    per_item: Cost = field(default_factory=Cost)
    lists: list[str] = field(default_factory=list)


class _Compiler:
    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> None:
        self._schema = schema
        self._fragments = fragments

    def selection(
        self,
        selection_set: SelectionSetNode,
        parent: GraphQLNamedType,
        *,
        path: _Path = (),
        page: bool = False,
    ) -> "_Selection":
        """What a selection costs, and, of a page, what each of its items costs."""
        found = _Selection()
        pending = [(selection_set, parent)]
        while pending:
            selections, type_ = pending.pop()
            for selection in selections.selections:
                if isinstance(selection, FieldNode):
                    name = (selection.alias or selection.name).value
                    is_item = page and selection.name.value in _ITEMS
                    if is_item:
                        found.lists.append(name)
                    cost = found.per_item if is_item else found.once
                    self._add(cost, selection, type_, (*path, name))
                elif isinstance(selection, FragmentSpreadNode):
                    fragment = self._fragments[selection.name.value]
                    on = fragment.type_condition.name.value
                    pending.append((fragment.selection_set, self._type(on)))
                elif isinstance(selection, InlineFragmentNode):
                    condition = selection.type_condition
                    inner = self._type(condition.name.value) if condition else type_
                    pending.append((selection.selection_set, inner))
        return found

    def _type(self, name: str) -> GraphQLNamedType:
        return self._schema.type_map.get(name, _UNKNOWN)

    def _add(self, cost: Cost, node: FieldNode, parent: GraphQLNamedType, path: _Path) -> None:
        field_ = self._field(parent, node.name.value)
        if field_ is None:
            return
        type_ = get_named_type(field_.type)
        cost.fixed += _weight(field_, type_, node, parent)
        if node.selection_set is None:
            return
        sizes = _sizes(field_, node)
        if not sizes:
            below = self.selection(node.selection_set, type_, path=path).once
            cost.fixed += below.fixed
            cost.pages += below.pages
            return
        is_page = _is_page(type_)
        below_page = self.selection(node.selection_set, type_, page=is_page)
        if is_page:
            lists = tuple(below_page.lists)
            page = Page(path, sizes, below_page.per_item, below_page.once, lists)
        else:
            page = Page(path, sizes, below_page.once)
        cost.pages.append(page)

    def _field(self, parent: GraphQLNamedType, name: str) -> GraphQLField | None:
        if is_composite_type(parent):
            return self._schema.get_field(parent, name)
        return None


def _weight(
    field: GraphQLField, type_: GraphQLNamedType, node: FieldNode, parent: GraphQLNamedType
) -> int:
    definition = (field.extensions or {}).get("strawberry-definition")
    weight = (getattr(definition, "metadata", None) or {}).get("cost")
    if weight is not None:
        return int(weight)
    if node.name.value == "node" and parent.name.endswith("Edge"):
        return 0
    return int(is_composite_type(type_))


def _is_page(type_: GraphQLNamedType) -> bool:
    return isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and any(
        name in type_.fields for name in _ITEMS
    )


def _sizes(field: GraphQLField, node: FieldNode) -> _Sizes:
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    names = [name for name in (*_PAGE_ARGUMENTS, _LIST_ARGUMENT) if name in field.args]
    return tuple((name, _size(given.get(name))) for name in names)


def _size(value: ValueNode | None) -> int | str | None:
    match value:
        case VariableNode():
            return value.name.value
        case IntValueNode():
            return int(value.value)
        case ListValueNode():
            return len(value.values)
        case None | NullValueNode():
            return None
    return 1  # a single value where a list may stand is a list of one


def _page_size(sizes: _Sizes, variables: Mapping[str, Any], maximum: int) -> int:
    largest: int | None = None
    for name, size in sizes:
        number = variables.get(size) if isinstance(size, str) else size
        if isinstance(number, list):
            number = len(number)
        if not isinstance(number, int):
            continue
        if number < 0:
            raise unanswerable(
                Code.BAD_USER_INPUT,
                f"`{name}` can't be negative.",
                limit={"name": "pageSize", "max": maximum},
            )
        if number > maximum:
            raise over_limit(
                "pageSize" if name in _PAGE_ARGUMENTS else name, maximum, code=Code.BAD_USER_INPUT
            )
        largest = max(largest or 0, number)
    if largest is None:
        return 1 if sizes[0][0] == _LIST_ARGUMENT else PAGE_SIZE_DEFAULT
    return largest
