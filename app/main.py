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
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from app import destinations
from app.auth import Authenticator, Viewer
from app.change_table import ChangeTable
from app.clicks.keeper import RecorderKeeper
from app.codes import RESERVED
from app.database import Database
from app.migrations import upgrade
from app.redirect import Redirect
from app.schema import Context, schema
from app.settings import Settings


def destination_check(settings: Settings) -> Callable[[str], str]:
    """The installation's rules for destinations: returns the URL to store, or raises."""
    own = urlsplit(settings.base_url).hostname
    return partial(
        destinations.check,
        own_hosts=frozenset(settings.own_hosts) | ({own} if own else set()),
        allow_private=settings.allow_private_destinations,
    )
