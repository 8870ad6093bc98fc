"""Asks this installation from outside, as the world does: for what can only be seen from there."""

import asyncio
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

REACH_S = 1.0
ANSWER_MAX = 65_536
# What may be raised where nobody answers, or somebody who is not us. ValueError: no address.
AWAY = (OSError, HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    location: str
    body: bytes


async def ask(
    url: str,
    path: str,
    *,
    agent: str = "Tracklinks self-test",
    body: bytes | None = None,
    **headers: str,
) -> Answer:
    """One GET, or POST of a body. A redirect is an answer, and is not followed. Raises AWAY."""
    sent = {"User-Agent": agent, "Connection": "close"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await asyncio.to_thread(_asked, url, path, body, sent)


def _asked(url: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.netloc, timeout=REACH_S)
    try:
        connection.request("GET" if body is None else "POST", parts.path + path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get("Location", ""), answer.read(ANSWER_MAX))
    finally:
        connection.close()
