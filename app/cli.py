"""The command line: serve, migrate, keys, schema.

Each command imports what it needs itself, so that ``--help`` answers at once.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.errors import Refused
from app.settings import Settings

if TYPE_CHECKING:
    from app.resolvers.change import Change

Result = TypeVar("Result")

app = typer.Typer(
    name="tracklinks",
    help="Tracking links for creator campaigns, self-hosted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_app = typer.Typer(help="API keys: who may ask the graph.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


def main() -> None:
    """What the `tracklinks` script runs."""
    try:
        app()
    except Refused as refused:
        for fault in refused.faults:
            where = f" ({'.'.join(fault.path)})" if fault.path else ""
            typer.echo(f"{fault.message}{where}", err=True)
        sys.exit(1)
