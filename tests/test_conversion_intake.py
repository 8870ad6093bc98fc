"""How shops report over HTTP: who is believed, who is turned away, and what all are told."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.auth import Viewer
from app.conversions import GIF, sign
from app.errors import Refused
from app.ids import decode
from app.models import Role
from app.resolvers import conversions
from app.resolvers.change import Change
from app.resolvers.conversion_reports import LATEST, Report
from tests.selling import Shop
from tests.world import World, codes

ORDER = {"orderId": "1001", "amount": "49.90", "currency": "EUR"}


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


# Signatures (CV-3).

T = 1_800_000_000
RAW = json.dumps(ORDER).encode()


def _flip(text: str, place: int) -> str:
    flipped = chr(ord(text[place]) ^ 1)
    return text[:place] + flipped + text[place + 1 :]


def _header(secret: str, *, at_s: int = T, raw: bytes = RAW) -> str:
    return sign(raw, secret, at_s=at_s)


VALID: dict[str, Callable[[str], str]] = {
    "now": _header,
    "300 s ago": lambda secret: _header(secret, at_s=T - 300),
    "300 s ahead": lambda secret: _header(secret, at_s=T + 300),
    "with spaces": lambda secret: _header(secret).replace(",", ", "),
    "with a scheme of the future": lambda secret: _header(secret) + ",v2=abc",
    "two v1, ours first": lambda secret: _header(secret) + ",v1=" + "0" * 64,
    "two v1, ours second": lambda secret: (
        f"t={T},v1={'0' * 64},{_header(secret).partition(',')[2]}"
    ),
}
INVALID: dict[str, Callable[[str], str]] = {
    "missing": lambda _: "",
    "no t": lambda secret: _header(secret).partition(",")[2],
    "no v1": lambda _: f"t={T}",
    "empty v1": lambda _: f"t={T},v1=",
    "301 s ago": lambda secret: _header(secret, at_s=T - 301),
    "301 s ahead": lambda secret: _header(secret, at_s=T + 301),
    "a day ago": lambda secret: _header(secret, at_s=T - 86_400),
    "another t": lambda secret: _header(secret).replace(f"t={T}", f"t={T + 1}"),
    "two t": lambda secret: f"t={T},{_header(secret)}",
    "t is no number": lambda secret: _header(secret).replace(f"t={T}", "t=now"),
    "t in full-width digits": lambda secret: _header(secret).replace("t=1", "t=１"),  # noqa: RUF001
    "t with a sign": lambda secret: _header(secret).replace("t=", "t=+"),
    "t too long": lambda secret: _header(secret).replace("t=", "t=" + "0" * 20),
    "v1 upper case": lambda secret: _header(secret).upper().replace("T=", "t=").replace("V1", "v1"),
    "v1 cut": lambda secret: _header(secret)[:-1],
    "v1 longer": lambda secret: _header(secret) + "0",
    "v1 under another name": lambda secret: _header(secret).replace("v1", "v0"),
    "only the t signed": lambda secret: f"t={T},v1={_header(secret, raw=b'')[15:]}",
    "another body": lambda secret: _header(secret, raw=b"{}"),
    "body serialised again": lambda secret: _header(
        secret, raw=json.dumps(ORDER, separators=(",", ":")).encode()
    ),
    "wrong secret": lambda _: _header("tlcs_wrong"),
    "secret cut": lambda secret: _header(secret[:-1]),
    "no secret": lambda _: _header(""),
    "what stands for no secret": lambda _: _header("no secret at all"),
    "not ASCII": lambda secret: _header(secret) + "é",
    **{
        f"bit of v1 flipped at {place}": lambda secret, place=place: _flip(  # type: ignore[misc]
            _header(secret), place
        )
        for place in range(16, 80, 8)
    },
}


def _send(shop: Shop, header: str, *, program: str | None = None) -> Any:
    program = shop.world.program_id if program is None else program
    return shop.world.client.post(
        f"/conversions?program={program}",
        content=RAW,
        headers={b"X-Signature": header.encode()},
    )


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.conversions.time.time", lambda: T + 0.9)


@pytest.mark.usefixtures("at_noon")
def test_only_a_true_signature_of_these_bytes_and_of_now_is_taken(shop: Shop) -> None:
    """40 cases; every refusal is the same, byte for byte."""
    assert len(VALID) + len(INVALID) == 40
    taken = {name: _send(shop, header(shop.secret)).status_code for name, header in VALID.items()}
    assert taken == dict.fromkeys(VALID, 200)
    answers = {name: _send(shop, header(shop.secret)) for name, header in INVALID.items()}
    assert {name: a.status_code for name, a in answers.items()} == dict.fromkeys(INVALID, 401)
    answers["unknown program"] = _send(shop, _header(shop.secret), program="prg_0000000000001")
    answers["no program"] = _send(shop, _header(shop.secret), program="")
    assert len({(a.content, str(a.headers)) for a in answers.values()}) == 1
    assert len(shop.listed()) == 1


@pytest.mark.usefixtures("at_noon")
def test_secrets_are_rotated_without_a_gap(shop: Shop, world: World) -> None:
    new = world.do("createConversionSecret", "text",
                   programId=world.program_id, name="New")["text"]  # fmt: skip
    for secret in (shop.secret, new):
        assert _send(shop, _header(secret)).status_code == 200
    both = f"{_header(shop.secret)},{_header(new).partition(',')[2]}"
    assert _send(shop, both).status_code == 200
    world.do("revokeConversionSecret", "conversionSecret { revokedAt }", id=shop.secret_id)
    assert _send(shop, _header(shop.secret)).status_code == 401
    assert _send(shop, both).status_code == 200


def test_a_secret_is_shown_once_and_to_admins_only(shop: Shop, world: World) -> None:
    query = """query($id: ID!) { program(id: $id) { conversionSettings {
        isOn secrets { id name } } } }"""
    found = world.ask(query, id=world.program_id)["program"]["conversionSettings"]
    assert found["secrets"] == [{"id": shop.secret_id, "name": "Shop"}]
    for role, seen in (("MANAGER", {"isOn": True, "secrets": []}), ("PARTNER", None)):
        key = world.do("createApiKey", "text", name="x", role=role,
                       programId=world.program_id)["text"]  # fmt: skip
        answer = world.ask(query, key=key, id=world.program_id)
        assert answer["program"]["conversionSettings"] == seen


def test_a_key_of_the_role_may_report_and_of_another_may_not(shop: Shop, world: World) -> None:
    def report(role: str) -> int:
        key = world.do("createApiKey", "text", name="x", role=role,
                       programId=world.program_id)["text"]  # fmt: skip
        answer = world.client.post(
            "/conversions", json=ORDER, headers={"Authorization": f"Bearer {key}"}
        )
        return int(answer.status_code)

    found = {role: report(role) for role in ("CONVERSIONS", "MANAGER", "ANALYST", "PARTNER")}
    assert found == {"CONVERSIONS": 200, "MANAGER": 200, "ANALYST": 401, "PARTNER": 401}


# What is said back.


def test_a_repeat_is_answered_with_the_first(shop: Shop, world: World) -> None:
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    body = {**ORDER, "clickId": click_id, "occurredAt": datetime.now(UTC).isoformat()}
    first, again = shop.post(body).json(), shop.post(body).json()
    assert (first.pop("duplicate"), again.pop("duplicate")) == (False, True)
    assert first == again
    assert first["conversion"]["status"] == "ATTRIBUTED"
    assert first["conversion"]["amount"] == "49.90"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None),
        (b'"1001"', 400, None),
        (b'{"orderId": NaN}', 400, None),
        (b'{"orderId": "1", "amount": 1e999}', 400, None),
        ({}, 422, "orderId"),
        ({"order_id": "1"}, 422, None),
        ({"orderId": 1001}, 422, "orderId"),
        ({"orderId": "x" * 129}, 422, "orderId"),
        ({"orderId": "é"}, 422, "orderId"),
        ({"orderId": "1", "amount": 49.9, "currency": "EUR"}, 422, "amount"),
        ({"orderId": "1", "amount": 49, "currency": "EUR"}, 422, "amount"),
        ({"orderId": "1", "amount": True, "currency": "EUR"}, 422, "amount"),
        ({"orderId": "1", "amount": "49.90"}, 422, "currency"),
        ({"orderId": "1", "currency": "EUR"}, 422, "amount"),
        ({"orderId": "1", "amount": "49.90", "currency": "eur"}, 422, "currency"),
        ({"orderId": "1", "type": "Big Sale"}, 422, "type"),
        ({"orderId": "1", "occurredAt": "yesterday"}, 422, "occurredAt"),
        ({"orderId": "1", "occurredAt": "2020-01-01T00:00:00Z"}, 422, "occurredAt"),
        ({"orderId": "1", "occurredAt": "2026-01-01T00:00:00"}, 422, "occurredAt"),
        ({"orderId": "1", "clickIds": "x"}, 422, "clickIds"),
        ({"orderId": "1", "linkCode": "nothing"}, 404, "linkCode"),
        (b"x" * 300_000, 413, None),
    ],
)
def test_a_report_that_cannot_be_is_refused_with_its_field(
    shop: Shop, body: Any, status: int, field: str | None
) -> None:
    answer = shop.post(body)
    assert answer.status_code == status
    assert answer.json()["errors"][0].get("field") == field
    assert shop.listed() == []


@pytest.mark.parametrize(("is_there", "status"), [(True, 408), (False, 400)])
def test_a_report_that_does_not_arrive_is_given_up(
    shop: Shop,
    is_there: bool,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("app.conversions.BODY_S", 0.1)
    begun, sent = [{"type": "http.request", "body": b"{", "more_body": True}], []

    async def receive() -> Any:
        if begun:
            return begun.pop()
        if is_there:  # and says nothing more
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/conversions",
        "raw_path": b"/conversions",
        "query_string": b"",
        "headers": [(b"content-length", b"100")],
        "client": ("192.0.2.1", 1),
    }
    assert shop.world.client.portal is not None
    shop.world.client.portal.call(shop.world.client.app, scope, receive, send)

    assert sent[0]["status"] == status
    assert ((b"connection", b"close") in sent[0]["headers"]) is is_there
    assert not caplog.records


def test_a_time_in_the_future_is_not_believed(shop: Shop) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    said = shop.post({"orderId": "1", "occurredAt": soon}).json()["conversion"]["occurredAt"]
    assert datetime.fromisoformat(said) < datetime.now(UTC) + timedelta(minutes=1)


def test_a_shop_refunds_by_order(shop: Shop, world: World) -> None:
    link = shop.a_link()
    body = {"orderId": "1001", "reason": "Returned", "idempotencyKey": "r-1"}
    path = "/conversions/refunds"
    assert shop.post(body, path=path).status_code == 422  # the sale is not known: say how much
    early = {**body, "amount": "9.90", "currency": "EUR"}
    assert shop.post(early, path=path).json()["conversion"]["status"] == "AWAITED"
    shop.post({**ORDER, "linkCode": link["code"]})
    assert shop.post(early, path=path).json()["duplicate"] is True
    answer = shop.post({**body, "idempotencyKey": "r-2"}, path=path)
    assert answer.json()["conversion"]["refunded"] == "49.90"
    answer = shop.post({**early, "idempotencyKey": "r-3"}, path=path)
    assert (answer.status_code, codes(answer.json()["errors"])) == (422, ["REFUND_TOO_LARGE"])
    answer = shop.post({**early, "orderId": " ", "idempotencyKey": "r-4"}, path=path)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "orderId")
    assert shop.figures(link["id"])["revenue"] == {"EUR": ("49.90", "49.90", "0.00", "0.00")}


def test_a_storm_of_reports_is_limited(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    application: Any = shop.world.client.app
    monkeypatch.setattr(application.conversions._budget, "per_minute", 3)
    answers = [shop.post({"orderId": str(number)}).status_code for number in range(5)]
    assert answers == [200, 200, 200, 429, 429]


# Pages (CV-7).


def test_a_page_is_answered_the_same_whatever_it_says(shop: Shop, world: World) -> None:
    shop.configure(sites=["shop.example"])
    link = shop.a_link()
    click_id = shop.visit(link)
    world.drain()
    shop.post({**ORDER, "clickId": click_id})
    before = shop.figures(world.program_id)
    good = {"orderId": "2", "amount": "9.00", "currency": "EUR", "clickIds": click_id}
    answers = [
        shop.pixel(page=None, **good),
        shop.pixel(page="https://evil.example/", **good),
        shop.pixel(page="https://shop.example.evil.example/", **good),
        shop.pixel(page="https://evilshop.example/", **good),
        shop.pixel(page="https://shop.example@evil.example/", **good),
        shop.pixel(page="https://evil.example/?https://shop.example/", **good),
        shop.pixel(program="prg_0000000000001", **good),
        shop.pixel(program="garbage", **good),
        shop.pixel(),
        shop.pixel(**{**good, "amount": "NaN"}),
        shop.pixel(**{**good, "orderId": "x" * 500}),
        shop.pixel(**{**ORDER, "amount": "0.01"}),
        shop.pixel(**{**ORDER, "clickIds": "0" * 32}),
    ]
    assert shop.figures(world.program_id) == before
    answers.append(shop.pixel(**good))
    answers.append(shop.pixel(page="https://www.shop.example/thanks", **good))
    assert {(a.status_code, a.content) for a in answers} == {(200, GIF)}
    assert len({str(sorted(a.headers.items())) for a in answers}) == 1
    assert len(GIF) == 43
    assert answers[0].headers["cache-control"] == "no-store"
    assert answers[0].headers["content-type"] == "image/gif"
    assert shop.figures(link["id"]) == {
        "conversions": 2,
        "unverifiedConversions": 1,
        "conversionRate": 2.0,
        "revenue": {"EUR": ("58.90", "0.00", "58.90", "49.90")},
    }


def _hostile(shop: Shop, number: int) -> None:
    """Half of them are as a page of the shop might be; the others can't be taken."""
    link = shop.a_link()
    click_id = shop.visit(link)
    shop.world.drain()
    worth = {"amount": "1000.00", "currency": "EUR", "clickIds": click_id}
    contents = set()
    for each in range(0, number, 4):
        order = {"orderId": str(each), **worth}
        for query in (
            order,
            {"type": "lead", **order},
            {**order, "program": "prg_0000000000001"},
            {"amount": "1e3", "currency": "EUR"},
        ):
            answer = shop.pixel(page=f"https://evil{each}.example/", **query)
            contents.add((answer.status_code, answer.content, answer.headers["cache-control"]))
    assert contents == {(200, GIF, "no-store")}
    figures = shop.figures(link["id"])
    assert figures["conversions"] == figures["unverifiedConversions"] == number // 2
    assert figures["revenue"]["EUR"] == (f"{number * 500}.00", "0.00", f"{number * 500}.00", "0.00")


def test_nothing_that_hostile_pages_say_is_payable(shop: Shop) -> None:
    _hostile(shop, 100)


@pytest.mark.slow
def test_nothing_of_ten_thousand_that_hostile_pages_say_is_payable(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    application: Any = shop.world.client.app
    monkeypatch.setattr(application.conversions._budget, "per_minute", 10_000)
    _hostile(shop, 10_000)


def test_what_one_page_may_say_is_limited_and_answered_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    application: Any = shop.world.client.app
    monkeypatch.setattr(application.conversions._budget, "per_minute", 3)
    answers = [shop.pixel(orderId=str(number)) for number in range(5)]
    assert {(a.status_code, a.content) for a in answers} == {(200, GIF)}
    assert len(shop.listed()) == 3


# Replays (CV-8).


@pytest.mark.parametrize(
    "later",
    [
        timedelta(seconds=1),
        timedelta(hours=1),
        timedelta(days=2),
        timedelta(days=8),
        timedelta(days=90),
        timedelta(days=91),
    ],
)
def test_what_is_replayed_changes_nothing_however_late(
    shop: Shop, world: World, later: timedelta
) -> None:
    link = shop.a_link()
    click_id = shop.past_click(link, timedelta(days=1))
    now = datetime.now(UTC)
    reports = [
        Report(order_id="1", click_ids=(click_id,), amount="49.90", currency="EUR"),
        Report(type="lead", click_ids=(click_id,)),
        Report(order_id="2", link_code=link["code"], amount="5", currency="JPY"),
        Report(order_id="3", click_ids=("0" * 32,), occurred_at=now),
    ]
    program_id = decode("prg", world.program_id)
    viewer = Viewer(Role.CONVERSIONS, program_id)

    async def play(at: datetime) -> None:
        for report in reports:
            try:
                async with world.database.writing() as session:
                    change = Change(session, viewer, at, check_destination=str)
                    await conversions.record(change, program_id, report, is_verified=True)
                    await conversions.record(change, program_id, report, is_verified=False)
            except Refused:
                assert later > LATEST

    shop.call(lambda: play(now))
    before, listed = shop.figures(world.program_id), shop.listed()
    assert before["conversions"] == 3
    shop.call(lambda: play(now + later))
    assert (shop.figures(world.program_id), shop.listed()) == (before, listed)


@pytest.mark.parametrize("later", [301, 3600, 2 * 86_400, 8 * 86_400, 90 * 86_400])
def test_a_captured_request_is_worth_nothing_after_five_minutes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    at_s = int(time.time())
    assert shop.post(ORDER, at_s=at_s).status_code == 200
    monkeypatch.setattr("app.conversions.time.time", lambda: at_s + later)
    assert shop.post(ORDER, at_s=at_s).status_code == 401


# The script.


def test_the_script_is_small_cached_and_asks_for_nothing(world: World) -> None:
    answer = world.client.get("/track.js?program=x")
    assert answer.status_code == 200
    assert len(gzip.compress(answer.content)) < 2048
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    again = world.client.get("/track.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for forbidden in (b"eval", b"innerHTML", b"Function(", b"http://", b"https://", b"fetch("):
        assert forbidden not in answer.content
