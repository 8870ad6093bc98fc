"""Conversions on the command line."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from app.ids import decode
from app.settings import Settings

conversions_app = typer.Typer(help="Conversions: try them end to end.", no_args_is_help=True)


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
