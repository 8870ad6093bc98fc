"""The one place that knows every part: puts them together into an application.

DESIGN
------
The redirect stands first, in an outer router without middleware, so that nothing added for
the graph or the pages can slow down or break a click. Everything else is behind it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import strawberry.asgi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from app import destinations
from app.auth import Authenticator
from app.change_table import ChangeTable
from app.clicks.keeper import RecorderKeeper
from app.codes import RESERVED
from app.database import Database
from app.migrations import upgrade
from app.redirect import Redirect
from app.schema import Context, schema
from app.settings import Settings


def create_app(settings: Settings | None = None) -> Router:
    """The whole server as an ASGI application. Its lifespan migrates, opens and closes all."""
    settings = settings or Settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    table = ChangeTable(settings.data_dir / "link-changes")
    database = Database(settings.database, listeners=[table])
    redirect = Redirect(settings, table, reserved=RESERVED)
    authenticate = Authenticator(database)
    keeper = RecorderKeeper(settings)

    @asynccontextmanager
    async def lifespan(app: Router) -> AsyncIterator[None]:
        await upgrade(settings.database)
        await redirect.open()
        if settings.recorder == "process":
            await keeper.open()
        yield
        await redirect.close()
        if settings.recorder == "process":
            await keeper.close()
        await authenticate.close()
        await database.close()
        table.close()

    async def healthy(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    class View(strawberry.asgi.GraphQL[Any, None]):
        async def get_context(self, request: Any, response: Any) -> Any:
            from datetime import UTC, datetime
            text = request.headers.get("authorization", "").removeprefix("Bearer ")
            viewer = await authenticate(text, now=datetime.now(UTC))
            assert viewer
            return Context(viewer=viewer, database=database, settings=settings, check_destination=destination_check(settings))

    application = Router(
        routes=[
            redirect.route(),
            Route("/graphql", View(schema)),
            Route("/healthz", healthy),
        ],
        redirect_slashes=False,
        lifespan=lifespan,
    )
    return application


def destination_check(settings: Settings) -> Callable[[str], str]:
    """The installation's rules for destinations: returns the URL to store, or raises."""
    own = urlsplit(settings.base_url).hostname
    return partial(
        destinations.check,
        own_hosts=frozenset(settings.own_hosts) | ({own} if own else set()),
        allow_private=settings.allow_private_destinations,
    )
