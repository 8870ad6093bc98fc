"""GET /manager/{token}: a creator's own page, with their links to copy and the clicks on them.

DESIGN
------
The address is all that opens it, so it must not leak: no referrer, no cache, no index, no log,
and nothing on the page comes from or goes to anybody else. Short links stand there as text, not
as links, so that a creator's own look is not a click. Without the script everything is there but
the button that copies.

Whoever comes with an address that is wrong, revoked or of an erased creator reads the same page.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.database import Database, ReadSession
from app.messages import qr_codes
from app.messages.addresses import Addresses
from app.models import Creator
from app.pages.house import HEADERS, templates
from app.resolvers import manager

QR_SHOWN: Final = 200  # pixels
QR_SAVED: Final = 1024
LINE_WIDTH: Final = 120
LINE_HEIGHT: Final = 28

PICTURES: Final = {
    "svg": (qr_codes.svg, "image/svg+xml"),
    "png": (qr_codes.png, "image/png"),
}


class ManagerPage:
    """The page, and the QR codes to save from it."""

    def __init__(self, database: Database, addresses: Addresses) -> None:
        self._database = database
        self._addresses = addresses
        environment = templates()
        environment.globals.update(line=line, address=addresses.link)
        self._template = environment.get_template("manager.html")
        self._missing = environment.get_template("manager_missing.html").render()

    def routes(self) -> list[Route]:
        return [
            Route("/manager/{token}", self.show),
            Route("/manager/{token}/{code}.{kind}", self.save),
        ]

    async def show(self, request: Request) -> Response:
        token = request.path_params["token"]
        now = datetime.now(UTC)
        async with self._database.reading() as session:
            creator = await self._creator(session, token)
            if creator is None:
                return self._not_found()
            page = await manager.page(session, creator, now=now)
        pictures = await asyncio.to_thread(self._pictures, page)
        html = self._template.render(page=page, pictures=pictures, token=token, days=manager.DAYS)
        return HTMLResponse(html, headers=HEADERS)

    async def save(self, request: Request) -> Response:
        """A QR code as a file."""
        code, kind = request.path_params["code"], request.path_params["kind"]
        async with self._database.reading() as session:
            creator = await self._creator(session, request.path_params["token"])
            link = None
            if creator is not None and kind in PICTURES:
                link = await manager.live_link(session, creator, code)
        if link is None:
            return self._not_found()
        draw, media_type = PICTURES[kind]
        picture = await asyncio.to_thread(draw, self._addresses.link(link.code), QR_SAVED)
        name = {"Content-Disposition": f'attachment; filename="{link.code}.{kind}"'}
        return Response(picture, media_type=media_type, headers=HEADERS | name)

    async def _creator(self, session: ReadSession, text: str) -> Creator | None:
        token = self._addresses.read(text)
        if token is None:
            return None
        return await manager.find(session, token.creator_id, token.version)

    def _pictures(self, page: manager.Page) -> dict[str, Markup]:
        """The QR code of each live link, by its code. Only what segno drew, so it is markup."""
        return {
            link.row.code: Markup(  # noqa: S704 - drawn by segno from our own address
                qr_codes.svg(self._addresses.link(link.row.code), QR_SHOWN).decode()
            )
            for each in page.campaigns
            for link in each.live
        }

    def _not_found(self) -> Response:
        return HTMLResponse(self._missing, 404, headers=HEADERS)


def line(days: Sequence[int]) -> str:
    """The points of a small line of clicks by day, as SVG takes them."""
    top = max(days) or 1
    step = LINE_WIDTH / (len(days) - 1)
    inner = LINE_HEIGHT - 4
    return " ".join(
        f"{place * step:.1f},{LINE_HEIGHT - 2 - clicks / top * inner:.1f}"
        for place, clicks in enumerate(days)
    )
