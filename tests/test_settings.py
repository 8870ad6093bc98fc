"""What an operator may choose is written down, with the default that really holds."""

import json
import re
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings

PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()
PREFIX = "TRACKLINKS_"
ENTRY = re.compile(
    rf"^### `{PREFIX}(?P<name>\w+)`\n(?P<text>.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE
)
DOCUMENTED = {entry["name"].lower(): entry["text"] for entry in ENTRY.finditer(PAGE)}


def _written(default: Any) -> str:
    """A default as the page writes it, which is how the environment would."""
    if default is None or default == "":
        return "empty"
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, bool | int | float | list | dict):
        return f"`{json.dumps(default)}`"
    return f"`{default}`"


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    assert sorted(DOCUMENTED) == sorted(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_documented_with_its_default_and_its_cost(name: str) -> None:
    text = DOCUMENTED.get(name, "")
    default = Settings.model_fields[name].get_default(call_default_factory=True)

    assert text.startswith(f"Default: {_written(default)}\n")
    assert "Costs" in text


def test_a_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLINKS_BASE_URL", "https://go.example.com/")
    monkeypatch.setenv("TRACKLINKS_OWN_HOSTS", '["old.example.com"]')

    settings = Settings.model_validate({})

    assert settings.base_url == "https://go.example.com"
    assert settings.own_hosts == ["old.example.com"]


def test_the_password_of_the_database_is_not_in_what_is_printed() -> None:
    settings = Settings.model_validate({"database_url": "postgresql://u:hunter2@db/t"})

    assert "hunter2" not in f"{settings!r} {settings}"
    assert settings.database == "postgresql://u:hunter2@db/t"


def test_a_setting_that_cannot_be_right_is_refused() -> None:
    with pytest.raises(ValidationError, match="http"):
        Settings.model_validate({"base_url": "go.example.com"})
