"""The servers that the redirect's benchmark compares: ``python -m bench.servers PORT WORKERS``."""

import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from sqlmodel import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp
from uuid_utils import uuid7

KIND = os.environ["BENCH_KIND"]
DESTINATION = "https://brand.example/summer-sale?utm_source=creator"


def bare() -> ASGIApp:
    async def follow(request: Request) -> RedirectResponse:
        return RedirectResponse(DESTINATION, 302)

    return Starlette(routes=[Route("/{code}", follow)])


def naive() -> ASGIApp:
    """As one would write it first: a session for the link, and an insert for the click."""
    from app.database import Database
    from app.models import Click, TrackingLink, Verdict
    from app.settings import Settings

    settings = Settings()
    database = Database(settings.database)
    answered = 0

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        write_answered(settings.data_dir, answered)

    async def follow(request: Request) -> RedirectResponse:
        nonlocal answered
        code = request.path_params["code"]
        async with database.writing() as session:
            link = (await session.exec(select(TrackingLink).where(TrackingLink.code == code))).one()
            session.add(
                Click(
                    id=uuid7().bytes,
                    link_id=link.id,
                    at_ms=time.time_ns() // 1_000_000,
                    destination_version=1,
                    verdict=Verdict.COUNTED,
                    classifier=1,
                    is_unique=False,
                    is_suspect=False,
                )
            )
        answered += 1
        return RedirectResponse(link.destination_url, 302)

    return Starlette(routes=[Route("/{code}", follow)], lifespan=lifespan)


def write_answered(data_dir: Path, count: int) -> None:
    """How many redirects this worker has answered, for the comparison with what was recorded."""
    (data_dir / f"answered-{os.getpid()}").write_text(str(count))


def ours(*, is_drained: bool) -> ASGIApp:
    from app.change_table import ChangeTable
    from app.clicks.keeper import RecorderKeeper
    from app.redirect import Redirect
    from app.settings import Settings

    settings = Settings()
    redirect = Redirect(settings, ChangeTable(settings.data_dir / "links.changes"))
    keeper = RecorderKeeper(settings) if is_drained else None

    @contextlib.asynccontextmanager
    async def lifespan(app: Router) -> AsyncIterator[dict[str, Any]]:
        await redirect.open()
        if keeper is not None:
            await keeper.open()
        yield redirect.state
        await redirect.close()
        write_answered(settings.data_dir, redirect.answered[302])
        if keeper is not None:
            await keeper.close()

    routes = [redirect.route(), Mount("/", app=Starlette())]
    return Router(routes, redirect_slashes=False, lifespan=lifespan)


def create() -> ASGIApp:
    match KIND:
        case "bare":
            return bare()
        case "naive":
            return naive()
        case _:
            return ours(is_drained=KIND == "drained")


def main() -> None:
    os.sched_setaffinity(0, map(int, os.environ["BENCH_CORES"].split(",")))
    is_ours = KIND in {"ours", "drained"}
    uvicorn.run(
        "bench.servers:create",
        factory=True,
        port=int(sys.argv[1]),
        workers=int(sys.argv[2]),
        http="app.http_protocol:LimitedHttpProtocol" if is_ours else "httptools",
        loop="uvloop",
        proxy_headers=False,
        access_log=False,
        log_level="critical",
    )


if __name__ == "__main__":
    main()
