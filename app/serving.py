"""Starts the server: brings the database up to date, says where it is, and serves."""

import asyncio
import os
import sys
from datetime import UTC, datetime

import uvicorn
from rich.console import Console
from rich.progress import Progress

from app.database import Database
from app.demo import seed, shared_report
from app.http_protocol import LimitedHttpProtocol
from app.main import demo_key, demo_key_path, destination_check
from app.messages.addresses import open_addresses
from app.migrations import upgrade
from app.settings import Settings

GRACE_S = 10


def serve(settings: Settings) -> None:
    """Serve until told to stop. Each worker process builds the application by itself."""
    console = Console(stderr=True)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(upgrade(settings.database))
    if settings.demo:
        key, share_id = asyncio.run(_demo(settings, console))
        _welcome(settings, key, share_id, console)
    uvicorn.run(
        "app.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        # Without these two a redirect costs three times as much, so they are not left to chance.
        loop="uvloop",
        http=LimitedHttpProtocol,
        ws="websockets-sansio",
        ws_max_size=settings.graphql_max_body_kb * 1024,
        # The redirect and the graph judge X-Forwarded-For themselves: see trusted_proxies.
        proxy_headers=False,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


async def _demo(settings: Settings, console: Console) -> tuple[str | None, int | None]:
    """The demo's key, made with its program the first time and kept beside the data; and the share
    of its report."""
    database = Database(settings.database)
    try:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("Making the demo program")

            def show(what: str, done: int, total: int) -> None:
                bar.update(task, description=f"Demo: {what}", completed=done, total=total)

            key = await seed(
                database, destination_check(settings), now=datetime.now(UTC), progress=show
            )
        share_id = await shared_report(database)
    finally:
        await database.close()
    if key is not None:
        with os.fdopen(
            os.open(demo_key_path(settings), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w"
        ) as file:
            file.write(key)
    return demo_key(settings), share_id


def _welcome(settings: Settings, key: str | None, share_id: int | None, console: Console) -> None:
    url = settings.base_url
    console.print(
        f"\n[bold]Tracklinks[/bold] at {url}   GraphiQL at {url}/graphql\n", highlight=False
    )
    if key is None:
        console.print(
            "The database holds a program that is not the demo's, so there is no demo key.\n"
            "Make one of your own: tracklinks keys create --name me --role ADMIN\n",
            highlight=False,
        )
        return
    # Plain text: a terminal that wraps must not break what is to be pasted.
    report = open_addresses(settings).report(share_id) if share_id is not None else "(not shared)"
    sys.stderr.write(f"""Demo key: {key}
Report:   {report}

Paste these:
  export KEY={key}
  curl -s {url}/graphql -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
    -d '{{"query": "{{ campaigns {{ nodes {{ name stats {{ clicks uniqueClicks }} }} }} }}"}}'
  curl -si "$(curl -s {url}/graphql -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
    -d '{{"query": "{{ trackingLinks(first: 1) {{ nodes {{ shortUrl }} }} }}"}}' | grep -o 'http[^"]*')"

""")
