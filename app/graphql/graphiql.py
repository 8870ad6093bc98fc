"""GraphiQL for browsers, whole from this server: its page, its settings, its files.

Its files come from a package made for another framework, of which nothing is imported.
"""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

ASSETS_PATH: Final = "/static/graphiql"

_PACKAGE: Final = "graphene_django_graphiql_static"
_OWN: Final = Path(__file__).parent / "graphiql_page"

# GraphiQL and its editor write style attributes, and their fonts are data in the style sheet.
# Nothing else is let in, and nothing but this server is asked.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}


@dataclass(frozen=True, slots=True)
class Tab:
    """An example to begin with. ``variables`` is JSON."""

    query: str
    variables: str = ""


class GraphiQL:
    """The page as it is sent, and the application that serves its files."""

    def __init__(self, tabs: tuple[Tab, ...], demo_key: str | None) -> None:
        headers = json.dumps({"Authorization": f"Bearer {demo_key}"}, indent=2) if demo_key else ""
        config = json.dumps({"tabs": [asdict(tab) for tab in tabs], "headers": headers})
        template = (_OWN / "page.html").read_text(encoding="utf-8")
        self.page = (
            template.replace("{{assets}}", f"{ASSETS_PATH}/{version('tracklinks')}")
            # It stands in a script element, which "</script>" would end.
            .replace("{{config}}", config.replace("<", "\\u003c"))
            .encode()
        )
        self.assets = Starlette(
            routes=[
                Mount("/{version}/page", _Kept(directory=_OWN)),
                Mount("/{version}/graphiql", _Kept(directory=_package_files())),
            ]
        )


class _Kept(StaticFiles):
    """Files that browsers may keep for good: their address changes with the version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def _package_files() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the package {_PACKAGE} is not installed")
    return Path(spec.submodule_search_locations[0], "static", _PACKAGE)
