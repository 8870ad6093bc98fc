"""What objects have in common: an id that finds them again, an end, numbers."""

from datetime import datetime
from typing import Any, ClassVar, TypeVar

import strawberry
from sqlmodel import SQLModel

from app.ids import decode, encode, split
from app.resolvers.stats import Scope
from app.schema.context import Info
from app.schema.stats import RangeArgument, Stats, ZoneArgument, measure


@strawberry.interface(
    description="An object with a globally unique, opaque ID, which `Query.node` finds again."
)
class Node:
    id: strawberry.ID = strawberry.field(description="The globally unique ID. Treat it as opaque.")
    row: strawberry.Private[Any]

    # How the ID begins, and the table that it leads to.
    prefix: ClassVar[str] = ""
    model: ClassVar[type[SQLModel]]

    @classmethod
    def id_of(cls, row: Any) -> strawberry.ID:
        return strawberry.ID(encode(cls.prefix, row.id))

    @classmethod
    async def find(cls, info: Info, id: str) -> Any:
        """The object of this type and ID, or None: absent, garbage and another's alike."""
        return await cls.load(info, decode(cls.prefix, id))

    @classmethod
    async def load(cls, info: Info, key: int | None) -> Any:
        """The object of this key, or None where there is none that the viewer can see."""
        if key is None:
            return None
        row = await info.context.loaders.row(cls.model).load(key)
        return None if row is None else cls.of(row)

    @classmethod
    def of(cls, row: Any) -> Any:
        """The row as the graph shows it."""
        raise NotImplementedError


@strawberry.interface(description="Something that can be archived.")
class Archivable(Node):
    archived_at: datetime | None = strawberry.field(
        description="When it was archived, or null while it is live."
    )


@strawberry.interface(description="Something whose clicks and conversions are counted.")
class Measurable(Node):
    scope: ClassVar[Scope]

    @strawberry.field(
        description="Clicks and conversions. The default period is all time.", metadata={"cost": 3}
    )
    async def stats(
        self, info: Info, range: RangeArgument = None, time_zone: ZoneArgument = None
    ) -> Stats:
        return await measure(info, self.scope, self.row, range, time_zone)


NODES: dict[str, type[Node]] = {}
"""The types that `Query.node` finds, by the prefix of their IDs."""

AnyNode = TypeVar("AnyNode", bound=Node)


def node(type_: type[AnyNode]) -> type[AnyNode]:
    """Register a type with `Query.node`."""
    NODES[type_.prefix] = type_
    return type_


async def find(info: Info, id: str) -> Any:
    """The object of this ID, or None: absent, garbage and another program's alike."""
    found = split(id)
    type_ = NODES.get(found[0]) if found is not None else None
    return None if found is None or type_ is None else await type_.load(info, found[1])
