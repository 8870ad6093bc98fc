"""Lists that can grow, as Relay connections over keyset pages: see ``app.resolvers.pages``."""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer
from app.errors import UserErrorCode, refuse
from app.ids import decode
from app.resolvers import pages
from app.schema.context import Info
from app.schema.enums import publish
from app.schema.loaders import Listing, without_page
from app.schema.nodes import NODES

NodeType = TypeVar("NodeType")

First = Annotated[
    int | None,
    strawberry.argument(description="How many, from the beginning: 0 to 100, 20 by default."),
]
After = Annotated[
    str | None, strawberry.argument(description="Only what comes after the item of this cursor.")
]
Last = Annotated[int | None, strawberry.argument(description="How many, from the end: 0 to 100.")]
Before = Annotated[
    str | None, strawberry.argument(description="Only what comes before the item of this cursor.")
]
PageArguments = tuple[int | None, str | None, int | None, str | None]


class OrderDirection(Enum):
    ASC = "ASC"
    DESC = "DESC"


publish(
    OrderDirection,
    "The direction of an ordering.",
    {
        "ASC": "Smallest, oldest or alphabetically first at the top.",
        "DESC": "Largest, newest or alphabetically last at the top.",
    },
)


class ArchiveState(Enum):
    """Its values are what the resolvers' filters take for `archived`; None is both."""

    ACTIVE = False
    ARCHIVED = True
    ALL = None


publish(
    ArchiveState,
    "Which items to list by archive state.",
    {"ACTIVE": "Live ones only.", "ARCHIVED": "Archived ones only.", "ALL": "Both."},
)


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(
        description="Whether there are more items after this page."
    )
    has_previous_page: bool = strawberry.field(
        description="Whether there are more items before this page."
    )
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first item of this page."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last item of this page."
    )


@strawberry.type(description="An item in a page.")
class Edge(Generic[NodeType]):
    cursor: str = strawberry.field(description="The cursor of this item.")
    node: NodeType = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    nodes: list[NodeType] = strawberry.field(description="The items of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")
    cursors: strawberry.Private[list[str]]
    listing: strawberry.Private[Listing]
    parent_id: strawberry.Private[int]

    @strawberry.field(description="The items of this page with their cursors.")
    def edges(self) -> list[Edge[NodeType]]:
        return [
            Edge(cursor=cursor, node=node)
            for cursor, node in zip(self.cursors, self.nodes, strict=True)
        ]

    @strawberry.field(
        description="How many items match in all. Costs a query of its own, and only when asked "
        "for.",
        metadata={"cost": 5},
    )
    async def total_count(self, info: Info) -> int:
        key = (without_page(self.listing), self.parent_id)
        total: int = await info.context.loaders.total.load(key)
        return total


async def connect(
    info: Info,
    prefix: str,
    rows: Callable[[Viewer, Any], SelectOfScalar[Any]],
    filter_: Any,
    page: PageArguments,
    order: pages.Order = pages.NEWEST_FIRST,
    parent: tuple[str, int] | None = None,
) -> Any:
    """A page of the type with this ID prefix, of those that `rows` selects by the filter.

    ``parent`` is the column that names the parent, and the parent's key: the same list of many
    parents is then loaded in one statement.
    """
    type_ = NODES[prefix]
    column, key = parent or (None, 0)
    listing = Listing(type_.model, rows, filter_, order, pages.page_args(*page), column)
    found: pages.Page[Any] = await info.context.loaders.page.load((listing, key))
    return Connection(
        nodes=[type_.of(row) for row in found.rows],
        page_info=PageInfo(
            has_next_page=found.has_next,
            has_previous_page=found.has_previous,
            start_cursor=found.cursors[0] if found.cursors else None,
            end_cursor=found.cursors[-1] if found.cursors else None,
        ),
        cursors=list(found.cursors),
        listing=listing,
        parent_id=key,
    )


def ordered(order: pages.Order, direction: OrderDirection) -> pages.Order:
    """The order, in this direction."""
    return replace(order, is_descending=direction is OrderDirection.DESC)


KEYS_MAX = 100


def keys(prefix: str, values: list[strawberry.ID] | None, name: str) -> tuple[int, ...] | None:
    """The keys of a filter's IDs; None where the filter is left out. What is no ID of this
    type finds nothing."""
    if not isinstance(values, list):
        return None
    if len(values) > KEYS_MAX:
        raise refuse(UserErrorCode.TOO_MANY, f"{KEYS_MAX} IDs at most.", "filter", name)
    return tuple(sorted({decode(prefix, value) or 0 for value in values}))


def texts(values: list[str] | None, name: str) -> tuple[str, ...] | None:
    """A filter's texts; None where the filter is left out."""
    if not isinstance(values, list):
        return None
    if len(values) > KEYS_MAX:
        raise refuse(UserErrorCode.TOO_MANY, f"{KEYS_MAX} at most.", "filter", name)
    return tuple(sorted(set(values)))
