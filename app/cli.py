"""The command line: serve, migrate, verify, rebuild, keys, schema.

Each command imports what it needs itself, so that ``--help`` answers at once.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer
from pydantic import ValidationError

from app.errors import Refused
from app.ids import decode, encode
from app.settings import Settings

if TYPE_CHECKING:
    from app.database import Database
    from app.resolvers.change import Change

Result = TypeVar("Result")
DAY = "%Y-%m-%d"

app = typer.Typer(
    name="tracklinks",
    help="Tracking links for creator campaigns, self-hosted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="API keys: who may ask the graph.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
conversions_app = typer.Typer(help="Conversions: try them end to end.", no_args_is_help=True)
app.add_typer(conversions_app, name="conversions")


def main() -> None:
    """What the `tracklinks` script runs."""
    try:
        app()
    except Refused as refused:
        for fault in refused.faults:
            where = f" ({'.'.join(fault.path)})" if fault.path else ""
            typer.echo(f"{fault.message}{where}", err=True)
        sys.exit(1)
    except ValidationError as invalid:
        for error in invalid.errors():
            name = "_".join(("TRACKLINKS", *map(str, error["loc"]))).upper()
            typer.echo(f"{name}: {error['msg']}.", err=True)
        sys.exit(2)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="How many server processes.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="With a demo program, its key, and GraphiQL.")
    ] = False,
) -> None:
    """Serve the redirect, the graph and the pages."""
    from app.serving import serve as run

    chosen = {"HOST": host, "PORT": port, "WORKERS": workers, "DEMO": demo or None}
    for name, value in chosen.items():
        if value is not None:
            os.environ[f"TRACKLINKS_{name}"] = str(value)  # the workers read it there
    if "TRACKLINKS_BASE_URL" not in os.environ:
        settings = Settings()
        os.environ["TRACKLINKS_BASE_URL"] = f"http://{settings.host}:{settings.port}"
    run(Settings())


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema. Serving does so too."""
    from app.migrations import upgrade

    asyncio.run(upgrade(Settings().database))
    typer.echo("The database is up to date.")


@app.command()
def record() -> None:
    """Move clicks from the journal into the database until told to stop.

    Only for servers that run with TRACKLINKS_RECORDER=off: others start a recorder themselves.
    """
    from app.clicks.recorder import record as run

    if not asyncio.run(run(Settings())):
        typer.echo("This machine has a recorder already.", err=True)
        raise typer.Exit(1)


@app.command()
def restate(
    reason: Annotated[str, typer.Argument(help="The stored reason, such as `bot:word`.")],
    as_: Annotated[
        Literal["counted", "excluded"],
        typer.Option("--as", help="What its hits are from now on; excluded undoes counted."),
    ],
    program: Annotated[str | None, typer.Option(help="Only this program's ID.")] = None,
    from_: Annotated[
        datetime | None, typer.Option("--from", formats=[DAY], help="The first day, in UTC.")
    ] = None,
    to: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="The last day, in UTC.")
    ] = None,
) -> None:
    """Judge stored hits anew by their reason, when a rule was wrong. Written to the audit log."""
    from app.auth import OPERATOR
    from app.models import Verdict
    from app.resolvers.restatement import Restatement
    from app.resolvers.restatement import restate as run

    what = Restatement(
        reason,
        Verdict[as_.upper()],
        None if program is None else decode("prg", program) or 0,
        None if from_ is None else from_.date(),
        None if to is None else to.date(),
    )

    async def work(database: "Database") -> dict[int, int]:
        return await run(database, OPERATOR, what, now=datetime.now(UTC))

    moved = asyncio.run(_with_database(work))
    for key, hits in sorted(moved.items()):
        typer.echo(f"{encode('prg', key)}: {hits} hits are {as_} now.")
    if not moved:
        typer.echo(f"No stored hit with this reason is to be {as_}.")


@app.command()
def verify() -> None:
    """Count the raw clicks again and compare: exits with 1 if any report would be wrong."""
    from app.database import Database
    from app.resolvers.recount import verify as compare

    async def run() -> int:
        database, differences = Database(Settings().database), 0
        try:
            async for difference in compare(database):
                differences += 1
                typer.echo(difference)
        finally:
            await database.close()
        return differences

    if differences := asyncio.run(run()):
        typer.echo(f"{differences} rows differ. `tracklinks rebuild` restores them.", err=True)
        raise typer.Exit(1)
    typer.echo("Every report is what the raw clicks add up to.")


@app.command()
def rebuild() -> None:
    """Make every report what the raw clicks add up to. The server may run meanwhile."""
    from app.database import Database
    from app.resolvers.recount import rebuild as restore

    async def run() -> int:
        database = Database(Settings().database)
        try:
            return await restore(database)
        finally:
            await database.close()

    typer.echo(f"Restored {asyncio.run(run())} rows.")


@app.command()
def schema() -> None:
    """Print the graph's schema, as it is published in schema.graphql."""
    from app.schema import published

    typer.echo(published(), nl=False)


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

    typer.echo(asyncio.run(_change(create)))


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
    Console().print(table)


@keys_app.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(help="The key's ID, as `keys list` shows it.")],
) -> None:
    """Stop a key for good."""
    from app.resolvers import keys

    async def revoke(change: "Change") -> str:
        key = await keys.revoke(change, decode("key", id))
        return f"Revoked: {key.name}."

    typer.echo(asyncio.run(_change(revoke)))


@conversions_app.command("test")
def test_conversions(
    program: Annotated[str, typer.Option(help="The program's ID.")],
) -> None:
    """Walk a test click and its conversions end to end, on a running server. None is counted."""
    from app.auth import OPERATOR
    from app.clicks.classifier import SELF_TEST_AGENT
    from app.database import Database
    from app.resolvers import self_test

    async def run() -> list[self_test.Step]:
        settings = Settings()
        database = Database(settings.database)
        try:
            return await self_test.run(
                database,
                OPERATOR,
                decode("prg", program),
                now=datetime.now(UTC),
                base_url=settings.base_url,
                local_url=settings.local_url,
                agent=SELF_TEST_AGENT,
            )
        finally:
            await database.close()

    steps = asyncio.run(run())
    for step in steps:
        mark, colour = ("✓", "green") if step.is_ok else ("✗", "red")
        typer.echo(f"{typer.style(mark, fg=colour)} {step.name}: {step.message}")
        if step.advice:
            typer.echo(f"  {step.advice}")
    if not all(step.is_ok for step in steps):
        raise typer.Exit(1)


async def _change(work: "Callable[[Change], Awaitable[Result]]") -> Result:
    """Run one change as the operator, on a database that is up to date."""
    from app.auth import OPERATOR
    from app.main import destination_check
    from app.resolvers.change import Change

    async def change(database: "Database") -> Result:
        check = destination_check(Settings())
        async with database.writing() as session:
            return await work(Change(session, OPERATOR, datetime.now(UTC), check))

    return await _with_database(change)


async def _with_database(work: "Callable[[Database], Awaitable[Result]]") -> Result:
    from app.database import Database
    from app.migrations import upgrade

    settings = Settings()
    await upgrade(settings.database)
    database = Database(settings.database)
    try:
        return await work(database)
    finally:
        await database.close()
