"""The self-test walks the whole way, says what to do where it ends, and leaves every figure alone."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

from app.cli import app
from app.clicks.classifier import SELF_TEST_AGENT
from app.database import Database
from app.models import Click, Conversion, Verdict
from app.resolvers.recount import verify
from app.settings import Settings
from tests.selling import Shop
from tests.server import request, serving
from tests.world import World, codes

SELF_TEST = """mutation($id: ID!) { conversionSelfTest(input: {programId: $id}) {
    isOk steps { name isOk message advice } userErrors { code } } }"""
COUNTS = "clicks uniqueClicks suspectClicks excludedClicks hitsAfterArchive"
GREEN = [
    "Settings", "Address", "Ways in", "Redirect", "Recorder", "Server", "Attribution (server)",
    "Page", "Attribution (page)", "Figures",
]  # fmt: skip


def walk(world: World, address: str) -> tuple[list[str], list[str]]:
    """The steps that work and those that don't, each of which says what to do."""
    body = json.dumps({"query": SELF_TEST, "variables": {"id": world.program_id}})
    status, answer = request(
        address, "POST", "/graphql", body,
        authorization=f"Bearer {world.key}", content_type="application/json",
    )  # fmt: skip
    assert status == 200
    payload = json.loads(answer)["data"]["conversionSelfTest"]
    assert payload["userErrors"] == []
    steps = payload["steps"]
    assert all(step["message"] and step["isOk"] is not bool(step["advice"]) for step in steps)
    assert payload["isOk"] is all(step["isOk"] for step in steps)
    return (
        [step["name"] for step in steps if step["isOk"]],
        [step["name"] for step in steps if not step["isOk"]],
    )


def figures(shop: Shop, link: dict[str, Any]) -> Any:
    world = shop.world
    return [
        (shop.figures(id_), world.numbers(id_, COUNTS)) for id_ in (link["id"], world.program_id)
    ]


async def tests_rows(database: Database) -> tuple[list[int], list[tuple[str, str | None]]]:
    """The verdicts of all clicks; and each conversion's status and order, without its number."""
    async with database.reading() as session:
        verdicts = (await session.exec(select(Click.verdict))).all()
        made = (await session.exec(select(Conversion))).all()
    return sorted(verdicts), [(each.status, (each.order_id or "")[:10]) for each in made]


def test_it_walks_the_whole_way_and_no_figure_changes(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(world, sites=["shop.example"])
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    shop.sell(orderId="1", clickId=click_id)
    shop.a_link()  # the newest, which the tests will follow, and nobody else has
    before = figures(shop, link)
    with serving(settings) as address:
        assert walk(world, address) == (GREEN, [])
        here = settings.model_copy(update={"base_url": address})
        monkeypatch.setattr("app.cli.conversions.Settings", lambda: here)
        done = CliRunner().invoke(app, ["conversions", "test", "--program", world.program_id])
    assert done.exit_code == 0, done.stdout
    assert [line[0] for line in done.stdout.splitlines()] == ["✓"] * len(GREEN)
    shop.settle()
    assert figures(shop, link) == before
    assert [each["orderId"] for each in shop.listed()] == ["1"]

    async def differences() -> list[str]:
        return [str(each) async for each in verify(world.database)]

    assert shop.call(differences) == []
    # All that was done is kept, and known for what it is: two walks, each with two orders.
    verdicts, made = shop.call(lambda: tests_rows(world.database))
    assert verdicts == [Verdict.COUNTED, Verdict.TEST, Verdict.TEST]
    assert sorted(made)[1:] == [("UNATTRIBUTED", "self-test-")] * 4


def test_it_says_what_to_do_where_it_ends(world: World, settings: Settings) -> None:
    with serving(settings) as address:
        assert walk(world, address) == ([], ["Settings"])
        shop = Shop(world)
        assert walk(world, address) == (["Settings", "Address", "Ways in"], ["Link"])
        enrollment = world.an_enrollment(world.a_campaign())
        world.a_link(enrollment, destinationUrl="https://brand.example/?tlid=own")
        world.do("revokeConversionSecret", "conversionSecret { id }", id=shop.secret_id)
        assert walk(world, address) == (["Settings", "Address"], ["Ways in", "Redirect"])
        shop.configure(sites=["shop.example"], clickParameter="click")
        without_secret = [name for name in GREEN if "erver" not in name]
        assert walk(world, address) == (without_secret, [])


def test_a_wrong_address_and_a_missing_recorder_are_told_apart(
    world: World, settings: Settings
) -> None:
    shop = Shop(world)
    shop.a_link()
    there = {"TRACKLINKS_BASE_URL": "http://127.0.0.1:1", "TRACKLINKS_RECORDER": "off"}
    with serving(settings, **there) as address:
        found = walk(world, address)
    assert found == (["Settings", "Ways in", "Redirect"], ["Address", "Recorder"])


def test_a_tests_click_earns_nobody_anything(world: World) -> None:
    shop = Shop(world)
    link = shop.a_link()
    assert world.click(link["code"], user_agent=SELF_TEST_AGENT).status_code == 302
    test = shop.past_click(link, timedelta(hours=1), verdict=Verdict.TEST)
    person = shop.past_click(link, timedelta(hours=2))
    zero = shop.figures(link["id"])
    made = shop.sell(orderId="1", clickId=test, value={"amount": "9.00", "currencyCode": "EUR"})
    assert (made["status"], made["reason"]) == ("UNATTRIBUTED", "self_test")
    assert made["trackingLink"] is None
    payload = world.change("creditConversion", id=made["id"], trackingLinkId=link["id"])
    assert codes(payload["userErrors"]) == ["NOT_FOUND"]
    assert (shop.figures(link["id"]), shop.listed()) == (zero, [])
    only_the_person = dict.fromkeys(COUNTS.split(), 0) | {"clicks": 1, "uniqueClicks": 1}
    assert world.numbers(link["id"], COUNTS) == only_the_person
    # A buyer who has both of them bought by the person's.
    assert shop.sell(orderId="2", clickIds=[test, person])["clickId"] == person
