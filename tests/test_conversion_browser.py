"""A real browser follows a link to a shop on another origin, buys, and shows up once."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.conversions import sign
from app.settings import Settings
from tests.browser import open_browser
from tests.selling import Shop, wait_until
from tests.server import request, serving
from tests.world import PHONE, World

pytestmark = pytest.mark.tools  # Chromium

PAGE = """<!doctype html><title>Shop</title>
<script src="{go}/track.js?program={program}"></script><script src="/shop.js"></script>"""
# As a shop's own script on the page of thanks.
SHOP_JS = """if (location.pathname === "/thanks")
  tracklink.conversion({orderId: "1001", amount: "49.90", currency: "EUR"})
    .then(function () { window.isReported = true; });"""


@contextmanager
def shop_pages(go: str, program: str) -> Iterator[str]:
    """A shop with a strict Content-Security-Policy, at a name of its own."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_script = self.path == "/shop.js"
            body = (SHOP_JS if is_script else PAGE.format(go=go, program=program)).encode()
            self.send_response(200)
            type_ = "text/javascript" if is_script else "text/html; charset=utf-8"
            self.send_header("Content-Type", type_)
            policy = f"default-src 'none'; script-src 'self' {go}; img-src {go}"
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_browser_clicks_buys_and_shows_up_once(world: World, settings: Settings) -> None:
    shop = Shop(world)
    enrollment = world.an_enrollment(world.a_campaign())
    private = {"TRACKLINKS_ALLOW_PRIVATE_DESTINATIONS": "true"}
    with (
        serving(settings, **private) as go,
        shop_pages(go, world.program_id) as pages,
        open_browser() as browser,
    ):

        def ask(query: str, **variables: Any) -> Any:
            _, answer = request(
                go, "POST", "/graphql", json.dumps({"query": query, "variables": variables}),
                authorization=f"Bearer {world.key}", content_type="application/json",
            )  # fmt: skip
            return json.loads(answer)["data"]

        shop.configure(sites=[pages.removeprefix("http://")])
        link = ask(
            """mutation($input: CreateTrackingLinkInput!) { createTrackingLink(input: $input) {
                 trackingLink { id code } } }""",
            input={"enrollmentId": enrollment, "destinationUrl": f"{pages}/"},
        )["createTrackingLink"]["trackingLink"]

        tab = browser.tab()
        tab.tell("Network.setUserAgentOverride", userAgent=PHONE)
        tab.open(f"{go}/{link['code']}")
        assert tab.run("location.origin") == pages
        (click_id,) = tab.run("tracklink.clickIds()")
        assert tab.run("new URL(location).searchParams.get('tlid')") == click_id
        for _ in range(2):  # whoever looks at the page of thanks again buys nothing
            tab.open(f"{pages}/thanks")
            tab.wait_for("window.isReported")

        wait_until(lambda: shop.figures(link["id"])["conversions"] == 1, seconds=20)
        (sale,) = shop.listed()
        assert (sale["status"], sale["clickId"], sale["isVerified"]) == (
            "ATTRIBUTED", click_id, False,
        )  # fmt: skip

        raw = json.dumps({"orderId": "1001", "amount": "49.90", "currency": "EUR"})
        signature = sign(raw.encode(), shop.secret, at_s=int(time.time()))
        path = f"/conversions?program={world.program_id}"
        status, answer = request(go, "POST", path, raw, x_signature=signature)
        assert (status, json.loads(answer)["duplicate"]) == (200, True)
        assert shop.figures(link["id"]) == {
            "conversions": 1,
            "unverifiedConversions": 0,
            "conversionRate": 1.0,
            "revenue": {"EUR": ("49.90", "0.00", "49.90", "49.90")},
        }

        tested = ask(
            """mutation($input: ConversionSelfTestInput!) { conversionSelfTest(input: $input) {
                 isOk steps { name isOk message } } }""",
            input={"programId": world.program_id},
        )["conversionSelfTest"]
        assert tested["isOk"], tested
