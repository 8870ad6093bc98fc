"""Blocked hosts on the command line."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.work import in_change, with_database

if TYPE_CHECKING:
    from app.database import Database
    from app.resolvers.change import Change

hosts_app = typer.Typer(help="Hosts that no link may lead to.", no_args_is_help=True)


@hosts_app.command("block")
def block_host(
    host: Annotated[str, typer.Argument(help="Such as `brand.com`: with every name below it.")],
    note: Annotated[str | None, typer.Option(help="Why, for whoever runs the server.")] = None,
) -> None:
    """Stop every link that leads to a host, from the next request on, and refuse new ones."""
    from app.resolvers import blocked_hosts

    async def block(change: "Change") -> str:
        blocked = await blocked_hosts.block(change, host, note=note)
        since = f"{blocked.blocked_at:%Y-%m-%d}"
        return f"Blocked since {since}: {blocked.host} and every name below it."

    typer.echo(asyncio.run(in_change(block)))


@hosts_app.command("unblock")
def unblock_host(
    host: Annotated[str, typer.Argument(help="The host, as `hosts list` shows it.")],
) -> None:
    """Let links lead to a host again. Archived ones stay archived."""
    from app.resolvers import blocked_hosts

    async def unblock(change: "Change") -> str:
        blocked = await blocked_hosts.unblock(change, host)
        return "It was not blocked." if blocked is None else f"Unblocked: {blocked.host}."

    typer.echo(asyncio.run(in_change(unblock)))


@hosts_app.command("list")
def list_hosts() -> None:
    """List all blocked hosts."""
    from rich.console import Console
    from rich.table import Table

    from app.models import BlockedHost
    from app.resolvers import blocked_hosts

    async def load(database: "Database") -> Sequence[BlockedHost]:
        async with database.reading() as session:
            return await blocked_hosts.listed(session)

    table = Table("Host", "Since", "Note", box=None)
    for each in asyncio.run(with_database(load)):
        table.add_row(each.host, f"{each.blocked_at:%Y-%m-%d}", each.note)
    Console(markup=False).print(table)
