"""The style sheets and scripts of our own pages, in memory, under addresses that change with them;
and robots.txt."""

from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

# Nothing is forbidden: who may not fetch a link shows no preview of it, and does not see that all
# answers say noindex.
ROBOTS: Final = "User-agent: *\nDisallow:\n"

_FILES: Final = {file.name: file.read_bytes() for file in FOLDER.iterdir() if file.suffix in TYPES}


def address(name: str) -> str:
    """Where a page finds the file. Browsers may keep it: another content has another address."""
    return f"/static/pages/{name}?{sha256(_FILES[name]).hexdigest()[:12]}"


def routes() -> list[Route]:
    files = [Route(f"/static/pages/{name}", partial(_serve, name=name)) for name in _FILES]
    return [*files, Route("/robots.txt", _robots)]


async def _serve(request: Request, name: str) -> Response:
    return Response(
        _FILES[name],
        headers={
            "Content-Type": TYPES[Path(name).suffix],
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _robots(request: Request) -> Response:
    return PlainTextResponse(ROBOTS)
