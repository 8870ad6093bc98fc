"""What others look for at every site's /.well-known/: whom to write to, and how we take GPC."""

from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.settings import Settings

# https://www.w3.org/TR/gpc/: since then a click with `Sec-GPC: 1` is counted of nobody.
GPC: Final = {"gpc": True, "lastUpdate": "2026-11-26"}
KEPT: Final = {"Cache-Control": "public, max-age=86400"}
# RFC 9116 wants a day after which nobody trusts a copy. It moves on while the server runs.
GOOD_FOR: Final = timedelta(days=30)


def routes(settings: Settings) -> list[Route]:
    async def security(request: Request) -> Response:
        expires = datetime.now(UTC).replace(microsecond=0) + GOOD_FOR
        text = f"Contact: {settings.abuse_contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\n"
        return PlainTextResponse(text, headers=KEPT)

    async def gpc(request: Request) -> Response:
        return JSONResponse(GPC, headers=KEPT)

    served = [Route("/.well-known/gpc.json", gpc)]
    if settings.abuse_contact is not None:
        served.append(Route("/.well-known/security.txt", security))
    return served
