"""The one place that knows every part: puts them together into an application.

DESIGN
------
The redirect stands first, in an outer router without middleware, so that nothing added for
the graph or the pages can slow down or break a click. Everything else is behind it.
"""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from app import destinations
from app.settings import Settings


def destination_check(settings: Settings) -> Callable[[str], str]:
    """The installation's rules for destinations: returns the URL to store, or raises."""
    own = urlsplit(settings.base_url).hostname
    return partial(
        destinations.check,
        own_hosts=frozenset(settings.own_hosts) | ({own} if own else set()),
        allow_private=settings.allow_private_destinations,
    )
