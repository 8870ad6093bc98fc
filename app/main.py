"""The one place that knows every part: puts them together into an application.

DESIGN
------
The redirect stands first, in an outer router without middleware, so that nothing added for
the graph or the pages can slow down or break a click. Everything else is behind it.
"""

import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from app import destinations
from app.auth import Authenticator, Viewer
from app.change_table import ChangeTable
from app.clicks.keeper import RecorderKeeper
from app.codes import RESERVED
from app.conversions import Conversions
from app.database import Database
from app.graphql.graphiql import Tab
from app.graphql.view import GraphQLEndpoint
from app.messages.addresses import open_addresses
from app.messages.delivery import Delivery
from app.metrics import Metrics
from app.migrations import upgrade
from app.pages import static, well_known
from app.pages.manager import ManagerPage
from app.pages.reports import ReportPages
from app.redirect import Redirect
from app.schema import Context, schema
from app.settings import Settings


class Application(Router):
    """The whole server. Its lifespan migrates, opens and closes everything."""

    def __init__(self, settings: Settings) -> None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.change_table = ChangeTable(settings.link_changes)
        self.database = Database(settings.database, listeners=[self.change_table])
        self.redirect = Redirect(settings, self.change_table, reserved=RESERVED)
        self.addresses = open_addresses(settings)
        self.delivery = Delivery(settings, self.database)
        self.authenticate = Authenticator(self.database)
        self.recorder = RecorderKeeper(settings) if settings.recorder == "process" else None
        self.conversions = Conversions(self.database, self._viewer_of)
        self.graph = GraphQLEndpoint(
            schema,
            authenticate=self._viewer_of,
            make_context=self._context,
            settings=settings,
            tabs=example_tabs() if settings.demo else (),
            demo_key=demo_key(settings),
        )
        self._check_destination = destination_check(settings)
        super().__init__(
            routes=[
                self.redirect.route(),
                *self.graph.routes(),
                *self.conversions.routes(),
                Route("/healthz", self.healthy),
                *ManagerPage(self.database, self.addresses).routes(),
                *ReportPages(self.database, self.addresses, self.graph.gate, settings).routes(),
                *static.routes(),
                *well_known.routes(settings),
                # Who opens the demo's address looks for something to see.
                *([Route("/", RedirectResponse("/graphql"))] if settings.demo else ()),
                *([Metrics(settings, self.redirect).route()] if settings.metrics else ()),
            ],
            redirect_slashes=False,
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Router) -> AsyncIterator[dict[str, Any]]:
        await upgrade(self.settings.database)
        await self.redirect.open()
        if self.recorder is not None:
            await self.recorder.open()
        await self.conversions.open()
        await self.delivery.open()
        # What is there now stays: collecting garbage need not look at it again, 30 ms each time.
        gc.freeze()
        yield self.redirect.state
        await self.delivery.close()
        await self.redirect.close()
        await self.conversions.close()
        if self.recorder is not None:
            await self.recorder.close()
        await self.authenticate.close()
        await self.database.close()
        self.change_table.close()

    async def _viewer_of(self, key: str | None) -> Viewer | None:
        return None if key is None else await self.authenticate(key, now=datetime.now(UTC))

    def _context(self, request: HTTPConnection, viewer: Viewer) -> Context:
        return Context(
            viewer=viewer,
            database=self.database,
            settings=self.settings,
            check_destination=self._check_destination,
            addresses=self.addresses,
        )

    async def healthy(self, request: Request) -> Response:
        """Whether this process serves. It says nothing of the database."""
        return JSONResponse({"status": "ok"})


def create_app() -> Application:
    """The application as the environment sets it up: what each server process runs."""
    # A thread that computes, as for a new query's text, leaves the rest to the viewers within a
    # tenth of the time that Python gives it.
    sys.setswitchinterval(0.0005)
    return Application(Settings())


def destination_check(settings: Settings) -> Callable[[str], str]:
    """The installation's rules for destinations: returns the URL to store, or raises."""
    return partial(
        destinations.check,
        own_hosts=settings.all_own_hosts,
        allow_private=settings.allow_private_destinations,
    )


def demo_key_path(settings: Settings) -> Path:
    return settings.data_dir / "demo-key"


def demo_key(settings: Settings) -> str | None:
    """The key that the demo fills in everywhere, or None where there is no demo."""
    path = demo_key_path(settings)
    return path.read_text().strip() if settings.demo and path.exists() else None


def example_tabs() -> tuple[Tab, ...]:
    """What GraphiQL begins with in the demo: the operations of examples/."""
    here = Path(__file__)
    folders = (here.parent / "examples", here.parents[1] / "examples")  # installed, checked out
    files = [file for folder in folders for file in sorted(folder.glob("*.graphql"))]
    texts = [file.read_text(encoding="utf-8") for file in files]
    # First what runs as it stands, then what wants an ID, and what changes anything last.
    texts.sort(key=lambda text: ("mutation" in text, "$" in text))
    return tuple(Tab(text) for text in texts)
