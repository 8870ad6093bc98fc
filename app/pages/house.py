"""What all pages have in common: how they are rendered, and what they tell browsers to keep off."""

from pathlib import Path
from typing import Final

import jinja2

from app.pages import static

# The address is all that opens a page, so it must not leak: no referrer, no cache, no index, and
# nothing on a page comes from or goes to anybody else.
HEADERS: Final = {
    "Cache-Control": "private, no-store, max-age=0",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


def templates() -> jinja2.Environment:
    """Text is escaped, and a name that is not there is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static.address
    return environment
