"""Shops that report sales and refunds, each call again until it is answered, whatever happens.

What they say to the server they keep as it must be stored in the end. Each sale has followed a
click of its own shop's link, which is counted with the storm's.
"""

import asyncio
import contextlib
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.auth import OPERATOR
from app.conversions import sign
from app.ids import encode
from app.models import EntryKind
from app.resolvers import conversion_settings
from app.resolvers.change import Change
from tests.site import NOW, Site
from tests.storms import ENDED_S, LENGTH, Storm, at_work, until
from tests.test_conversion_order import figures, settle

PROGRAM = 1
TLID = re.compile(rb"\r\nlocation: [^\r]*[?&]tlid=([0-9a-f]{32})")
# What a server says whose database does not answer in time: try again.
AWAY = b"HTTP/1.1 503 "


@dataclass
class Order:
    """What must be stored of it, in cents."""

    shop: int
    amount: int
    refunded: int = 0

    def report(self, id_: str, click_id: str) -> dict[str, Any]:
        return {"orderId": id_, "clickId": click_id, **_euros(self.amount)}

    def refund(self, id_: str) -> dict[str, Any]:
        key = f"refund of {id_}"
        return {"orderId": id_, "idempotencyKey": key, "reason": "Back", **_euros(self.refunded)}


def _euros(cents: int) -> dict[str, str]:
    return {"amount": f"{cents / 100:.2f}", "currency": "EUR"}


@dataclass
class Shops:
    storm: Storm
    secret: str
    count: int = 4
    # Between two customers of a shop: a server takes 6,000 reports a minute.
    pause_s: float = 0.2
    orders: dict[str, Order] = field(default_factory=dict)
    # Calls that were answered; those among them that broke off before; and the answers that no
    # shop should get.
    told: int = 0
    broken: int = 0
    wrong: list[Any] = field(default_factory=list)
    # How many wait for an answer.
    _waiting: int = 0
    _is_over: bool = False

    @contextlib.asynccontextmanager
    async def selling(self) -> AsyncIterator[None]:
        """At the end each shop goes on until it has been told of all that it has reported."""
        async with at_work(map(self._shop, range(self.count)), self._end):
            yield

    def _end(self) -> None:
        self._is_over = True

    async def more(self, count: int) -> None:
        """Wait until so many more calls were answered."""
        goal = self.told + count
        await until(lambda: self.told >= goal)

    async def calling(self) -> None:
        """Wait until a shop waits for its answer."""
        await until(lambda: self._waiting > 0, look_s=0.0005)

    async def _shop(self, number: int) -> None:
        line = _Line(self.storm.port)
        rng = random.Random(number)  # noqa: S311 - test data
        past: list[tuple[str, list[Any]]] = []
        customers = 0
        while not self._is_over:
            click_id = await self._customer(number, line)
            customers += 1
            orders = {
                f"{number}-{customers}-{place}": Order(number, rng.randrange(100, 10_000))
                for place in range(rng.randrange(1, 6))
            }
            returned = {id_: order for id_, order in orders.items() if rng.random() < 0.5}
            for order in returned.values():
                order.refunded = rng.randrange(1, order.amount + 1)
            sales = [order.report(id_, click_id) for id_, order in orders.items()]
            refunds = [order.refund(id_) for id_, order in returned.items()]
            # A refund may come before its sale.
            calls = [("/conversions", sales), ("/conversions/refunds", refunds)]
            for path, bodies in calls if rng.random() < 0.7 else reversed(calls):
                if bodies:
                    await self._report(line, path, bodies, rng)
                    past.append((path, bodies))
            self.orders |= orders
            if rng.random() < 0.3:  # what was acknowledged once is there, however often it is said
                await self._report(line, *rng.choice(past), rng, is_known=True)
            await asyncio.sleep(self.pause_s)
        line.close()

    async def _customer(self, number: int, line: "_Line") -> str:
        """Somebody follows the shop's link; the id that the shop's page then sees."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await line.open()
                head = await self.storm.click(code_of(number), reader, writer)
                if not head.startswith(AWAY):
                    found = TLID.search(head)
                    assert found is not None, head
                    return found[1].decode()
            await line.broke()

    async def _report(
        self,
        line: "_Line",
        path: str,
        bodies: list[Any],
        rng: random.Random,
        *,
        is_known: bool = False,
    ) -> None:
        """One call, as often as it takes, of a list or of one alone. Some break off by themselves."""
        raw = json.dumps(bodies if len(bodies) > 1 else bodies[0]).encode()
        attempts = 0
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                connection = await line.open()
                attempts += 1
                self._waiting += 1
                try:
                    patience_s = rng.random() * 0.05 if rng.random() < 0.1 else ENDED_S
                    async with asyncio.timeout(patience_s):
                        head, answer = await self._ask(path, raw, *connection)
                finally:
                    self._waiting -= 1
                if not head.startswith(AWAY):
                    break
            await line.broke()
        self.told += 1
        self.broken += attempts > 1
        results = answer.get("results", [answer])
        # A call is one transaction, and one that broke off was either heard or it was not.
        may_be = [{True}] if is_known else [{False}] if attempts == 1 else [{False}, {True}]
        if (
            not head.startswith(b"HTTP/1.1 200 ")
            or len(results) != len(bodies)
            or {each.get("status", 200) for each in results} != {200}
            or {each.get("duplicate") for each in results} not in may_be
        ):
            self.wrong.append((path, is_known, attempts, head, answer))

    async def _ask(
        self, path: str, raw: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[bytes, Any]:
        signature = sign(raw, self.secret, at_s=int(time.time()))
        writer.write(
            f"POST {path}?program={encode('prg', PROGRAM)} HTTP/1.1\r\nHost: x\r\n"
            f"X-Signature: {signature}\r\nContent-Length: {len(raw)}\r\n\r\n".encode()
        )
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        assert length is not None, head
        return head, json.loads(await reader.readexactly(int(length[1])))


class _Line:
    """A shop's connection, made again when it is broken."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self._port)
        return self._open

    async def broke(self) -> None:
        self.close()
        await asyncio.sleep(0.02)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


def code_of(shop: int) -> str:
    return f"shop{shop:04}"


async def open_shops(site: Site, storm: Storm, count: int) -> Shops:
    """Their links, the last ones of the site, and the secret that they sign with."""
    await site.add_links(*map(code_of, range(count)))
    async with site.database() as database, database.writing() as session:
        change = Change(session, OPERATOR, NOW, check_destination=str)
        await conversion_settings.update(change, PROGRAM, {"is_on": True})
        _, secret = await conversion_settings.create_secret(change, PROGRAM, name="Shop")
    return Shops(storm, secret, count)


async def compare_sales(site: Site, shops: Shops) -> None:
    """Each order is stored once, is worth what was reported, and is credited to its click's link."""
    assert shops.wrong == []
    async with site.database() as database:
        # What came before its click was recorded, now and not when it would be looked at.
        await settle(database, now=datetime.now(UTC) + timedelta(days=1))
    rows = await site.rows(
        "SELECT order_id, code, amount, refunded FROM conversion "
        "LEFT JOIN tracking_link ON tracking_link.id = tracking_link_id ORDER BY order_id"
    )
    expected = sorted(
        (id_, code_of(order.shop), order.amount, order.refunded)
        for id_, order in shops.orders.items()
    )
    assert [tuple(row) for row in rows] == expected
    ledger = await site.rows(
        "SELECT order_id, kind, conversion_entry.amount FROM conversion_entry "
        "JOIN conversion ON conversion.id = conversion_id"
    )
    assert Counter(map(tuple, ledger)) == Counter(
        (id_, kind, amount)
        for id_, order in shops.orders.items()
        for kind, amount in ((EntryKind.SALE, order.amount), (EntryKind.REFUND, order.refunded))
        if amount
    )
    links = [id_ for (id_,) in await site.rows("SELECT id FROM tracking_link ORDER BY id")]
    async with site.database() as database:
        sums, rebuilt = await figures(database, links[-shops.count :])
    assert sums == rebuilt
    net = Counter[int]()
    for (link, _, _), (*_, payable) in sums.items():
        net[link] += payable
    for order in shops.orders.values():
        net[order.shop] -= order.amount - order.refunded
    assert not any(net.values())
