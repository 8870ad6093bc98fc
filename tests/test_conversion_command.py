"""`tracklinks conversions test` says what works, and what to do about what does not."""

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.settings import Settings
from tests.selling import Shop
from tests.world import World


def test_each_step_is_green_or_red_with_what_to_do(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.Settings", lambda: settings)
    command = ["conversions", "test", "--program", world.program_id]
    off = CliRunner().invoke(app, command)
    assert off.exit_code == 1
    assert "✗ Settings" in off.stdout
    assert "Turn them on" in off.stdout

    shop = Shop(world)
    link = shop.a_link()
    # The address of the tests leads nowhere; all else works.
    monkeypatch.setattr("app.resolvers.self_test._fetch", lambda _: None)
    on = CliRunner().invoke(app, command)
    assert on.exit_code == 0, on.stdout
    assert "✗" not in on.stdout
    assert shop.figures(link["id"])["conversions"] == 0
