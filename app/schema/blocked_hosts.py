"""Blocked hosts in the graph, for the installation's own key."""

from datetime import datetime

import strawberry

from app import models
from app.auth import Permission
from app.resolvers import blocked_hosts
from app.resolvers.change import Change
from app.schema.context import Info
from app.schema.mutations import UserError, mutation, outcome, user_errors
from app.schema.permissions import Needs


@strawberry.type(description="A host that no link may lead to, with every name below it.")
class BlockedHost:
    host: str = strawberry.field(description="Its name, in lower-case ASCII.")
    note: str | None = strawberry.field(description="Why, for whoever runs the server.")
    blocked_at: datetime = strawberry.field(description="Since when.")

    @classmethod
    def of(cls, row: models.BlockedHost) -> "BlockedHost":
        return cls(host=row.host, note=row.note, blocked_at=row.blocked_at)


@strawberry.input(description="What `blockHost` takes.")
class BlockHostInput:
    host: str = strawberry.field(
        description="The host alone, like `brand.com`. Every name below it is blocked with it."
    )
    note: str | None = strawberry.field(default=None, description="Why, 200 characters at most.")


@strawberry.type(description="What `blockHost` answers.")
class BlockHostPayload:
    blocked_host: BlockedHost | None = outcome("The block, or null if there are errors.")
    user_errors: list[UserError] = user_errors()


@strawberry.input(description="What `unblockHost` takes.")
class UnblockHostInput:
    host: str = strawberry.field(description="The host, as it was blocked.")


@strawberry.type(description="What `unblockHost` answers.")
class UnblockHostPayload:
    blocked_host: BlockedHost | None = outcome(
        "The block that there was, or null if there was none or there are errors."
    )
    user_errors: list[UserError] = user_errors()


@strawberry.type
class BlockedHostQuery:
    @strawberry.field(
        description="All blocked hosts, by their names. Needs the installation's own key.",
        extensions=[Needs(Permission.INSTALL)],
    )
    async def blocked_hosts(self, info: Info) -> list[BlockedHost] | None:
        async with info.context.database.reading() as session:
            return [BlockedHost.of(row) for row in await blocked_hosts.listed(session)]


@strawberry.type
class BlockedHostMutation:
    @mutation(
        "Stop every link of every program that leads to a host or below it, from the next request "
        "on. Again, it changes nothing. Needs the installation's own key.",
        needs=Permission.INSTALL,
    )
    async def block_host(self, change: Change, input: BlockHostInput) -> BlockHostPayload:
        row = await blocked_hosts.block(change, input.host, note=input.note)
        return BlockHostPayload(blocked_host=BlockedHost.of(row))

    @mutation(
        "Let links lead to a host again; archived ones stay archived. Again, it changes nothing. "
        "Needs the installation's own key.",
        needs=Permission.INSTALL,
    )
    async def unblock_host(self, change: Change, input: UnblockHostInput) -> UnblockHostPayload:
        row = await blocked_hosts.unblock(change, input.host)
        return UnblockHostPayload(blocked_host=None if row is None else BlockedHost.of(row))
