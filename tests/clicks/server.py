"""The click path as a server of its own, to be killed: ``python -m tests.clicks.server PORT WORKERS``."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from app.change_table import ChangeTable
from app.clicks.keeper import RecorderKeeper
from app.http_protocol import LimitedHttpProtocol
from app.redirect import Redirect
from app.settings import Settings


def create() -> Router:
    settings = Settings()
    redirect = Redirect(settings, ChangeTable(settings.data_dir / "links.changes"))
    keeper = RecorderKeeper(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Router) -> AsyncIterator[dict[str, Any]]:
        await redirect.open()
        await keeper.open()
        yield redirect.state
        await redirect.close()
        await keeper.close()

    routes = [redirect.route(), Route("/process/id", process)]
    return Router(routes, redirect_slashes=False, lifespan=lifespan)


async def process(request: Request) -> Response:
    """Which of the workers answers."""
    return PlainTextResponse(str(os.getpid()))


def main() -> None:
    uvicorn.run(
        "tests.clicks.server:create",
        factory=True,
        port=int(sys.argv[1]),
        workers=int(sys.argv[2]),
        http=LimitedHttpProtocol,
        proxy_headers=False,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
