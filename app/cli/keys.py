"""API keys on the command line: the first one comes from here."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.work import in_change
from app.ids import decode, encode
from app.settings import Settings

if TYPE_CHECKING:
    from app.resolvers.change import Change

keys_app = typer.Typer(help="API keys: who may ask the graph.", no_args_is_help=True)


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="A name to know it by.")],
    role: Annotated[str, typer.Option(help="ADMIN, MANAGER, ANALYST, PARTNER or CONVERSIONS.")],
    program: Annotated[
        str | None,
        typer.Option(help="The program's ID. Without: the installation's own key, ADMIN only."),
    ] = None,
    campaign: Annotated[
        list[str] | None, typer.Option(help="Limit it to this campaign's ID; may be repeated.")
    ] = None,
    expires: Annotated[
        datetime | None, typer.Option(help="When it stops working by itself, in UTC.")
    ] = None,
) -> None:
    """Make an API key and print it, this once."""
    from app.models import Role
    from app.resolvers import keys

    if role not in Role.__members__:
        raise typer.BadParameter(f"must be one of {', '.join(Role)}", param_hint="--role")

    async def create(change: "Change") -> str:
        _, text = await keys.create(
            change,
            name=name,
            role=Role(role),
            program_id=None if program is None else decode("prg", program) or 0,
            campaign_ids=[decode("cmp", id_) for id_ in campaign or ()],
            expires_at=None if expires is None else expires.replace(tzinfo=UTC),
        )
        return text

    typer.echo(asyncio.run(in_change(create)))


@keys_app.command("list")
def list_keys() -> None:
    """List all API keys, newest first. None of them can be read out again."""
    from rich.console import Console
    from rich.table import Table

    from app.models import ApiKey

    async def load() -> list[ApiKey]:
        from sqlmodel import col, select

        from app.database import Database

        database = Database(Settings().database)
        try:
            async with database.reading() as session:
                newest = select(ApiKey).order_by(col(ApiKey.created_at).desc())
                return list((await session.exec(newest)).all())
        finally:
            await database.close()

    table = Table("ID", "Begins", "Name", "Role", "Program", "Created", "State", box=None)
    for key in asyncio.run(load()):
        state = "live"
        if key.revoked_at is not None:
            state = f"revoked {key.revoked_at:%Y-%m-%d}"
        elif key.expires_at is not None:
            past = key.expires_at <= datetime.now(UTC)
            state = f"{'expired' if past else 'expires'} {key.expires_at:%Y-%m-%d}"
        program = "(all)" if key.program_id is None else encode("prg", key.program_id)
        table.add_row(
            encode("key", key.id),
            f"tl_{key.kid}_",
            key.name,
            key.role,
            program,
            f"{key.created_at:%Y-%m-%d}",
            state,
        )
    Console(markup=False).print(table)


@keys_app.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(help="The key's ID, as `keys list` shows it.")],
) -> None:
    """Stop a key for good."""
    from app.resolvers import keys

    async def revoke(change: "Change") -> str:
        key = await keys.revoke(change, decode("key", id))
        return f"Revoked: {key.name}."

    typer.echo(asyncio.run(in_change(revoke)))
