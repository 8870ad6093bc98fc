"""A graph of the tests' own, served by the real edge: pages, failures, waits, events."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import strawberry
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from app.errors import UserErrorCode, refuse
from app.graphql.graphiql import Tab
from app.graphql.view import GraphQLEndpoint
from app.settings import Settings

KEY = "tl_good"
OTHER_KEY = "tl_other"
MARKER = "SELECT secret FROM /var/lib/marker.db"


@dataclass
class World:
    """What the toy's resolvers and its authentication see and change."""

    keys: set[str] = field(default_factory=lambda: {KEY, OTHER_KEY})
    written: list[str] = field(default_factory=list)
    asked_keys: list[str | None] = field(default_factory=list)
    closed_streams: int = 0
    fail_in: str | None = None

    async def authenticate(self, key: str | None) -> str | None:
        self.asked_keys.append(key)
        if self.fail_in == "authenticate":
            raise RuntimeError(MARKER)
        return key if key in self.keys else None

    def make_context(self, connection: HTTPConnection, viewer: str) -> dict[str, Any]:
        if self.fail_in == "context":
            raise RuntimeError(MARKER)
        return {"viewer": viewer, "world": self}


Info = strawberry.Info[dict[str, Any], None]


@strawberry.type
class Thing:
    name: str = "thing"

    @strawberry.field
    def things(self, first: int | None = None, last: int | None = None) -> "ThingConnection":
        return ThingConnection()

    @strawberry.field
    def by_ids(self, ids: list[strawberry.ID]) -> "list[Thing]":
        return [Thing() for _ in ids]

    @strawberry.field(metadata={"cost": 10})  # type: ignore[untyped-decorator]  # Strawberry types it Any
    def report(self) -> int:
        return 1

    @strawberry.field
    def parent(self, note: str | None = None) -> "Thing":
        return Thing()


@strawberry.type
class ThingEdge:
    cursor: str = "c"

    @strawberry.field
    def node(self) -> Thing:
        return Thing()


@strawberry.type
class ThingConnection:
    total_count: int = 0

    @strawberry.field
    def owner(self) -> Thing:
        return Thing()

    @strawberry.field
    def nodes(self) -> list[Thing]:
        return [Thing()]

    @strawberry.field
    def edges(self) -> list[ThingEdge]:
        return [ThingEdge()]


@strawberry.type
class Query:
    @strawberry.field
    def thing(self) -> Thing | None:
        return Thing()

    @strawberry.field
    def viewer(self, info: Info) -> str:
        return str(info.context["viewer"])

    @strawberry.field
    def things(self, first: int | None = None, last: int | None = None) -> ThingConnection | None:
        return ThingConnection()

    @strawberry.field
    def echo(self, text: str) -> str | None:
        return text

    @strawberry.field
    async def slow(self, info: Info) -> str | None:
        try:
            await asyncio.sleep(60)
        finally:
            info.context["world"].written.append("slow was stopped")
        return None

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError(MARKER)

    @strawberry.field
    def unwritable(self) -> int | None:
        return MARKER  # type: ignore[return-value]  # on purpose: it can't be serialised

    @strawberry.field
    def careless(self) -> str | None:
        raise GraphQLError(MARKER)

    @strawberry.field
    def refused(self) -> str | None:
        raise refuse(UserErrorCode.TOO_MANY, "100 IDs at most.", "ids")

    @strawberry.field
    def forbidden(self) -> str | None:
        raise GraphQLError("Not for this role.", extensions={"code": "FORBIDDEN"})


@strawberry.type
class Mutation:
    @strawberry.mutation
    def write(self, info: Info, text: str) -> str:
        info.context["world"].written.append(text)
        return text


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, info: Info, to: int) -> AsyncGenerator[int, None]:
        try:
            for number in range(to):
                yield number
        finally:
            info.context["world"].closed_streams += 1

    @strawberry.subscription
    async def ticks(self, info: Info) -> AsyncGenerator[int, None]:
        number = 0
        try:
            while True:
                yield number
                number += 1
                await asyncio.sleep(0.02)
        finally:
            info.context["world"].closed_streams += 1

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError(MARKER)


schema = strawberry.Schema(Query, Mutation, Subscription)


def endpoint(world: World, settings: Settings | None = None) -> GraphQLEndpoint:
    return GraphQLEndpoint(
        schema,
        authenticate=world.authenticate,
        make_context=world.make_context,
        settings=settings or Settings(),
        tabs=(Tab("{ thing { name } } # </script>"),),
        demo_key=KEY,
    )


def application(world: World, settings: Settings | None = None) -> Starlette:
    return Starlette(routes=endpoint(world, settings).routes())
