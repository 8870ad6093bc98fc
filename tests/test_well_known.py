"""What others look for under /.well-known/."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from app.main import Application
from app.settings import Settings

ONCE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
GPC, SECURITY = "/.well-known/gpc.json", "/.well-known/security.txt"


def answer(settings: Settings, path: str, **values: Any) -> Any:
    with TestClient(Application(settings.model_copy(update=values))) as client:
        head = client.head(path)
        found = client.get(path)
    assert (head.status_code, head.content) == (found.status_code, b"")
    return found


@ONCE
def test_that_global_privacy_control_is_honoured_can_be_read(settings: Settings) -> None:
    found = answer(settings, GPC)
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    assert found.headers["cache-control"] == "public, max-age=86400"
    said = found.json()
    assert said.keys() == {"gpc", "lastUpdate"}
    assert said["gpc"] is True
    assert date.fromisoformat(said["lastUpdate"]) <= datetime.now(UTC).date()


@ONCE
@pytest.mark.parametrize(
    "contact", ["mailto:abuse@go.brand.example", "https://brand.example/abuse"]
)
def test_whom_to_tell_of_abuse_can_be_read_where_somebody_is_named(
    settings: Settings, contact: str
) -> None:
    now = datetime.now(UTC)
    found = answer(settings, SECURITY, abuse_contact=contact)
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/plain; charset=utf-8"
    assert found.headers["cache-control"] == "public, max-age=86400"
    contacts, expires, rest = found.text.split("\n")
    assert contacts == f"Contact: {contact}"
    assert rest == ""
    name, _, moment = expires.partition(": ")
    assert name == "Expires"
    # A copy that was kept for its day is good for weeks yet, and none for a year: RFC 9116.
    left = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S%z") - now
    assert timedelta(days=2) < left < timedelta(days=365)


@ONCE
def test_where_nobody_is_named_there_is_no_such_file(settings: Settings) -> None:
    assert answer(settings, SECURITY).status_code == 404


@pytest.mark.parametrize(
    "contact",
    [
        "",
        "abuse@brand.example",
        "mailto:",
        "mailto:abuse",
        "http://brand.example/abuse",
        "https://",
        "javascript:alert(1)",
        "mailto:abuse@brand.example\nContact: mailto:me@evil.example",
        "mailto:abuse@brand.example\n",
        "https://brand.example/a b",
        "mailto:ä@brand.example",
    ],
)
def test_what_is_no_contact_stops_the_server_at_its_start(contact: str) -> None:
    with pytest.raises(ValidationError, match="must be mailto: and an address"):
        Settings.model_validate({"abuse_contact": contact})
