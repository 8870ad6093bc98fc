"""What tests about conversions say: a program that tracks them, its clicks and its shop."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from uuid_utils import uuid7

from app.conversions import sign
from app.ids import decode
from app.models import Click, Verdict
from app.resolvers.recount import rebuild
from tests.world import World

FIGURES = """conversions unverifiedConversions conversionRate
    revenue { gross { amount currencyCode } refunded { amount } net { amount } payable { amount } }"""
CONVERSION = """conversion { id status reason type orderId clickId coupon isVerified
    isCreditedByHand value { amount currencyCode } refunded { amount } occurredAt
    trackingLink { id } entries { kind reason amount { amount currencyCode } } }"""


class Shop:
    """A brand's shop, that its creators' links lead to."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        world.do(
            "updateConversionSettings",
            "conversionSettings { isOn }",
            programId=world.program_id,
            **{"isOn": True, **settings},
        )
        made = world.do(
            "createConversionSecret",
            "conversionSecret { id } text",
            programId=world.program_id,
            name="Shop",
        )
        self.secret, self.secret_id = made["text"], made["conversionSecret"]["id"]

    def configure(self, **settings: Any) -> Any:
        return self.world.do(
            "updateConversionSettings",
            "conversionSettings { isOn clickParameter windowDays model couponPrecedence sites }",
            programId=self.world.program_id,
            **settings,
        )["conversionSettings"]

    # Clicks.

    def a_link(self) -> dict[str, Any]:
        return self.world.a_link(self.world.an_enrollment(self.world.a_campaign()))

    def visit(self, link: dict[str, Any], parameter: str = "tlid", **values: Any) -> str:
        """Follow the link; the click's id, as the shop's page sees it."""
        answer = self.world.click(link["code"], **values)
        assert answer.status_code == 302
        return parse_qs(urlsplit(answer.headers["location"]).query)[parameter][0]

    def past_click(
        self, link: dict[str, Any], ago: timedelta, *, verdict: Verdict = Verdict.COUNTED,
        reason: str = "",
    ) -> str:  # fmt: skip
        """The id of a click that was recorded so long ago."""
        at_ms = int((datetime.now(UTC) - ago).timestamp() * 1000)
        id_ = at_ms.to_bytes(6) + uuid7().bytes[6:]
        click = Click(
            id=id_,
            link_id=decode("lnk", link["id"]) or 0,
            at_ms=at_ms,
            destination_version=1,
            verdict=verdict,
            reason=reason,
            classifier=1,
            is_unique=verdict is Verdict.COUNTED,
            is_suspect=False,
        )

        async def add() -> None:
            async with self.world.database.writing() as session:
                session.add(click)
            await rebuild(self.world.database)  # as if the recorder had added it up

        self.call(add)
        return id_.hex()

    # Ways in.

    def record(self, **input: Any) -> Any:
        """recordConversion, whatever it answers."""
        return self.world.change("recordConversion", f"{CONVERSION} isDuplicate", **input)

    def sell(self, **input: Any) -> Any:
        """recordConversion's conversion."""
        payload = self.world.do("recordConversion", f"{CONVERSION} isDuplicate", **input)
        return payload["conversion"]

    def post(self, body: Any, *, path: str = "/conversions", **values: Any) -> Any:
        """A signed report; the HTTP answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        at_s = values.pop("at_s", int(time.time()))
        headers = {"X-Signature": sign(raw, values.pop("secret", self.secret), at_s=at_s)}
        headers |= values.pop("headers", {})
        program = values.pop("program", self.world.program_id)
        return self.world.client.post(f"{path}?program={program}", content=raw, headers=headers)

    def pixel(self, *, page: str | None = "https://shop.example/", **query: str) -> Any:
        headers = {} if page is None else {"Referer": page}
        params = {"program": self.world.program_id, **query}
        return self.world.client.get("/conversion.gif", params=params, headers=headers)

    def refund(self, **input: Any) -> Any:
        input.setdefault("reason", "Returned")
        return self.world.change("refundConversion", f"{CONVERSION} isDuplicate", **input)

    # What came of it.

    def figures(self, id: str) -> Any:
        """The figures of a link or of what it adds up to, its money by currency."""
        found = self.world.numbers(id, FIGURES)
        if found["revenue"] is not None:
            found["revenue"] = {
                each["gross"]["currencyCode"]: tuple(
                    each[name]["amount"] for name in ("gross", "refunded", "net", "payable")
                )
                for each in found["revenue"]
            }
        return found

    def listed(self, **filter: Any) -> list[Any]:
        query = f"""query($filter: ConversionFilterInput) {{ conversions(filter: $filter, first: 100) {{
            nodes {{ {CONVERSION.partition("{")[2].rpartition("}")[0]} }} }} }}"""
        return list(self.world.ask(query, filter=filter)["conversions"]["nodes"])

    def settle(self) -> int:
        """Attribute what came before its click, now and not in a second."""
        application: Any = self.world.client.app
        return int(self.call(application.conversions.settle))

    def call(self, function: Callable[[], Any]) -> Any:
        assert self.world.client.portal is not None
        return self.world.client.portal.call(function)


def wait_until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
