"""What docs/conversions.md has to paste does what it says there."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from tests.selling import Shop
from tests.server import serving
from tests.world import World

DOCS = Path(__file__).parents[1] / "docs" / "conversions.md"


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


def pasted(language: str, program: str, address: str = "") -> list[str]:
    """The blocks of a language, with what a reader would fill in."""
    text = DOCS.read_text(encoding="utf-8")
    text = text.replace("prg_…", program).replace("https://go.brand.example", address)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    found = [block for of, block in blocks if of == language]
    assert found
    return found


def orders(shop: Shop) -> dict[str, tuple[str, str]]:
    return {each["orderId"]: (each["status"], each["value"]["amount"]) for each in shop.listed()}


def test_conversions_are_turned_on_by_the_mutation_as_it_stands(world: World) -> None:
    (mutation,) = pasted("graphql", world.program_id)
    done = world.ask(mutation)["updateConversionSettings"]
    assert done["userErrors"] == []
    defaults = {"clickParameter": "tlid", "windowDays": 28, "model": "LAST_CLICK"}
    assert done["conversionSettings"] == defaults


def test_the_back_ends_snippets_report_what_was_bought(
    shop: Shop, world: World, settings: Settings
) -> None:
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    world.do("createCoupon", "coupon { id }", trackingLinkId=link["id"], code="ANA10")
    with serving(settings) as address:
        (python,) = pasted("python", world.program_id, address)
        code = compile(python.replace("tlcs_…", shop.secret), "docs/conversions.md", "exec")
        exec(code, {"cookies": {"_tracklink": click_id}})  # noqa: S102 - our own words
        (shell,) = pasted("sh", world.program_id, address)
        done = subprocess.run(  # noqa: S603 - our own words
            ["/bin/sh", "-euc", shell],
            env={**os.environ, "SECRET": shop.secret},
            capture_output=True,
            check=True,
        )
    assert json.loads(done.stdout)["conversion"]["status"] == "ATTRIBUTED"
    assert orders(shop) == {"1001": ("ATTRIBUTED", "49.90"), "1002": ("ATTRIBUTED", "49.90")}


def test_the_refund_is_made_as_it_is_written(shop: Shop, world: World) -> None:
    shop.sell(orderId="1001", value={"amount": "49.90", "currencyCode": "EUR"})
    (refund,) = (each for each in pasted("", world.program_id) if each.startswith("POST"))
    line, _, body = refund.partition("\n")
    answer = shop.post(body.strip().encode(), path=line.split()[1].partition("?")[0])
    assert (answer.status_code, answer.json()["conversion"]["refunded"]) == (200, "9.90")


def test_pages_load_the_script_that_is_served_and_call_what_it_has(world: World) -> None:
    scripts = "".join(pasted("html", world.program_id) + pasted("js", world.program_id))
    sources = set(re.findall(r'src="([^"]+)"', scripts))
    assert sources == {f"/track.js?program={world.program_id}"}
    script = world.client.get(sources.pop()).text
    called: Any = set(re.findall(r"tracklink\.(\w+)\(", scripts))
    assert called == {"conversion"}
    assert "conversion: function" in script
