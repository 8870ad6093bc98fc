"""The one place that knows every part: puts them together into an application.

DESIGN
------
The redirect stands first, in an outer router without middleware, so that nothing added for
the graph or the pages can slow down or break a click. Everything else is behind it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import strawberry.asgi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from app import destinations
from app.auth import Authenticator
from app.change_table import ChangeTable
from app.clicks.keeper import RecorderKeeper
from app.codes import RESERVED
from app.database import Database
from app.messages.addresses import open_addresses
from app.messages.delivery import Delivery
from app.migrations import upgrade
from app.pages import static
from app.pages.manager import ManagerPage
from app.redirect import Redirect
from app.schema import Context, schema
from app.settings import Settings


class Application(Router):
    """The whole server. Its lifespan migrates, opens and closes everything."""

    def __init__(self, settings: Settings) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.change_table = ChangeTable(settings.data_dir / "link-changes")
        self.database = Database(settings.database, listeners=[self.change_table])
        self.redirect = Redirect(settings, self.change_table, reserved=RESERVED)
        self.addresses = open_addresses(settings)
        self.delivery = Delivery(settings, self.database)
        self.authenticate = Authenticator(self.database)
        self.recorder = RecorderKeeper(settings) if settings.recorder == "process" else None
        super().__init__(
            routes=[
                self.redirect.route(),
                Route("/graphql", View(self)),
                Route("/healthz", self.healthy),
                *ManagerPage(self.database, self.addresses).routes(),
                *static.routes(),
            ],
            redirect_slashes=False,
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Router) -> AsyncIterator[None]:
        await upgrade(self.settings.database)
        await self.redirect.open()
        if self.recorder is not None:
            await self.recorder.open()
        await self.delivery.open()
        yield
        await self.delivery.close()
        await self.redirect.close()
        if self.recorder is not None:
            await self.recorder.close()
        await self.authenticate.close()
        await self.database.close()
        self.change_table.close()

    async def healthy(self, request: Request) -> Response:
        """Whether this process serves. It says nothing of the database."""
        return JSONResponse({"status": "ok"})


class View(strawberry.asgi.GraphQL[Any, None]):
    def __init__(self, app: Application) -> None:
        super().__init__(schema)
        self.app = app
        self.check = destination_check(app.settings)

    async def get_context(self, request: Any, response: Any) -> Any:
        text = request.headers.get("authorization", "").removeprefix("Bearer ")
        viewer = await self.app.authenticate(text, now=datetime.now(UTC))
        assert viewer
        return Context(
            viewer=viewer,
            database=self.app.database,
            settings=self.app.settings,
            check_destination=self.check,
            addresses=self.app.addresses,
        )


def create_app() -> Application:
    """The application as the environment sets it up: what each server process runs."""
    return Application(Settings())


def destination_check(settings: Settings) -> Callable[[str], str]:
    """The installation's rules for destinations: returns the URL to store, or raises."""
    own = urlsplit(settings.base_url).hostname
    return partial(
        destinations.check,
        own_hosts=frozenset(settings.own_hosts) | ({own} if own else set()),
        allow_private=settings.allow_private_destinations,
    )


def demo_key_path(settings: Settings) -> Path:
    return settings.data_dir / "demo-key"


def demo_key(settings: Settings) -> str | None:
    """The key that the demo fills in everywhere, or None where there is no demo."""
    path = demo_key_path(settings)
    return path.read_text().strip() if settings.demo and path.exists() else None
