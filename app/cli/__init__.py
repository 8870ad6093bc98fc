"""The command line: serve, migrate, verify, rebuild, schema; keys, hosts and conversions beside it.

Each command imports what it needs itself, so that ``--help`` answers at once.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import ValidationError

from app.cli.conversions import conversions_app
from app.cli.hosts import hosts_app
from app.cli.keys import keys_app
from app.cli.work import with_database
from app.errors import Refused
from app.ids import decode, encode
from app.settings import Settings

if TYPE_CHECKING:
    from app.database import Database

DAY = "%Y-%m-%d"

app = typer.Typer(
    name="tracklinks",
    help="Tracking links for creator campaigns, self-hosted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys_app, name="keys")
app.add_typer(hosts_app, name="hosts")
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

    moved = asyncio.run(with_database(work))
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
