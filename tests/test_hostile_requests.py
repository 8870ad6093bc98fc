"""Every request of the catalogue, raw over a socket to the whole server: what each of them gets,
and what is stored and counted of exactly that one."""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from app.clicks.classifier import Verdict
from app.http_protocol import LimitedHttpProtocol
from app.main import Application
from app.settings import Settings
from tests.site import DESTINATION, HttpProtocol, Site, send_raw, uvicorn_serving

FIXTURES: Final = Path(__file__).parent / "fixtures"
ROWS: Final[list[dict[str, Any]]] = [
    json.loads(line) for line in (FIXTURES / "requests.jsonl").read_text().splitlines()
]
AGENTS: Final[dict[str, str]] = json.loads((FIXTURES / "requests_context.json").read_text())[
    "user_agents"
]
# Why a hit of the catalogue that is answered is not counted.
REASONS: Final = {
    **dict.fromkeys(("r0427", "r0428", "r0429", "r0432", "r0433", "r0435", "r0437"), "prefetch"),
    "r0458": "bot:preview:discordbot",
    "r0460": "bot:preview:telegrambot",
    "r0461": "bot:preview:linkedinbot",
    "r0463": "bot:word:bot",
    "r0465": "bot:library:curl",
    "r0467": "bot:library:go-http-client",
    "r0468": "bot:library:okhttp",
    "r0470": "bot:word:bot",
    "r0475": "head",
    "r0479": "subresource",
    "r0480": "subresource",
    "r0482": "scanner",
}
SLASH_BEHIND, ABSOLUTE_TARGET = "r0294", "r0425"


def code_of(row: dict[str, Any]) -> str:
    """Each row asks for a link of its own: what is stored of it is of this request alone."""
    return f"{row['id']}k7w"


def status_of(row: dict[str, Any], http: HttpProtocol) -> int | None:
    """The one that is right, where the catalogue leaves us a choice that clicks depend on."""
    if row["id"] == SLASH_BEHIND:
        return 404
    if row["id"] == ABSOLUTE_TARGET:  # h11 hands it on as it stands, which is no code
        return 404 if http == "h11" else 302
    return 503 if REASONS.get(row["id"]) == "prefetch" else None


def request_of(number: int, row: dict[str, Any]) -> bytes:
    target = row["target"].replace("{code}", code_of(row))
    lines = [f"{row['method']} {target} HTTP/1.1", "Host: go.brand.example"]
    lines += [f"User-Agent: {AGENTS[row['ua']]}"]
    lines += [f"{name}: {value}" for name, value in row["headers"].items()]
    if "X-Forwarded-For" not in row["headers"]:
        lines.append(f"X-Forwarded-For: 198.51.100.{number}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def is_right_location(row: dict[str, Any], location: str) -> bool:
    if row["expect_location"] != "HOST_OF_DEST":
        return location == DESTINATION
    asked, own = urlsplit(location), urlsplit(DESTINATION)
    return asked._replace(query="") == own._replace(query="") and f"{asked.query}&".startswith(
        f"{own.query}&"
    )


@pytest.mark.parametrize("http", [LimitedHttpProtocol, "h11"], ids=["ours", "h11"])
async def test_each_request_of_the_catalogue_gets_its_answer_and_its_verdict(
    site: Site, settings: Settings, http: HttpProtocol
) -> None:
    await site.add_links(*map(code_of, ROWS))
    wrong: list[str] = []
    # By code: clicks, excluded hits, and each hit's verdict and reason.
    expected: dict[str, tuple[int, int, Verdict, str]] = {}
    async with uvicorn_serving(Application(settings), http) as port:
        for number, row in enumerate(ROWS):
            answer = await send_raw(port, request_of(number, row))
            ruled = status_of(row, http)
            is_right = answer.status in row["expect_status"] and answer.status == (
                ruled or answer.status
            )
            if answer.status == 302:
                is_right &= is_right_location(row, answer.location or "")
            else:
                is_right &= answer.location is None
            if not is_right:
                wrong.append(f"{row['id']} {row['target']}: {answer.status} {answer.location}")
            reason = REASONS.get(row["id"], "")
            if reason:
                expected[code_of(row)] = (0, 1, Verdict.EXCLUDED, reason)
            elif answer.status == 302:
                expected[code_of(row)] = (1, 0, Verdict.COUNTED, "")
            counted = row["expect_counted_clicks"]
            if counted not in {None, expected.get(code_of(row), (0,))[0]}:
                wrong.append(f"{row['id']} is to be counted {counted} times")
    assert wrong == []
    assert len(ROWS) == 89
    await site.drain()
    stored = await site.rows(
        "SELECT code, q.clicks, q.excluded_hits, verdict, reason FROM click AS c "
        "JOIN tracking_link AS l ON l.id = c.link_id JOIN click_quarter AS q ON q.link_id = c.link_id"
    )
    assert sorted(map(tuple, stored)) == sorted((code, *each) for code, each in expected.items())
    numbers = await site.numbers()
    assert numbers["clicks"] == sum(clicks for clicks, *_ in expected.values())
    assert numbers["excluded_hits"] == len(REASONS)
