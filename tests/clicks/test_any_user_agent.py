"""Whatever a stranger sends as their user agent: they are sent on, and it gets a known verdict."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.clicks.classifier import REASONS, Hit, Verdict, judge
from app.redirect import LONGEST_AGENT
from tests.site import DESTINATION, Site, application, ask, uvicorn_serving

CODE = "abcdefgh"
# What no header may hold; a tab it may.
CONTROLS = frozenset(range(32)) - {9} | {127}
LINE_ENDS = frozenset(b"\r\n")

texts = st.one_of(
    st.binary(),
    st.text().map(str.encode),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")).map(
        lambda text: text.encode("latin-1")
    ),
    st.text(st.sampled_from("Mozila/5.0 ();[]@+<'${}botAndroidFB\\\n\0")).map(
        lambda text: b"Mozilla/5.0 (" + text.encode()
    ),
)
# Most are short, and some are longer than what is looked at.
agents = st.tuples(texts, st.sampled_from([1, 1, 1, 300])).map(
    lambda each: (each[0] * each[1])[:4096]
)


class Sender:
    """Asks over one connection, as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._socket = socket.create_connection(self._address, timeout=10)

    def send(self, request: bytes) -> bytes:
        """The head of the answer."""
        self._socket.sendall(request)
        head = b""
        while b"\r\n\r\n" not in head:
            data = self._socket.recv(65_536)
            assert data, head
            head += data
        if not head.startswith(b"HTTP/1.1 302 "):
            self.close()
            self._socket = socket.create_connection(self._address, timeout=10)
        return head

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize(
    "examples", [300, pytest.param(20_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
async def test_any_bytes_as_a_user_agent_get_a_known_verdict(site: Site, examples: int) -> None:
    """Over a socket what HTTP lets through, and past it what HTTP refuses."""
    await site.add_links(CODE)
    sent: list[bytes] = []
    loop = asyncio.get_running_loop()
    async with (
        site.redirecting(trusted_proxies=["127.0.0.1"]) as redirect,
        uvicorn_serving(application(redirect)) as port,
    ):
        sender = Sender(port)

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(agents)
        def send(agent: bytes) -> None:
            number = len(sent)
            sent.append(agent)
            target = f"/{CODE}?utm_campaign={number}"
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            if LINE_ENDS.isdisjoint(agent):  # with one of them it would be more than a header
                head = sender.send(
                    f"GET {target} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n".encode()
                    + b"User-Agent: " + agent + b"\r\n\r\n"
                )  # fmt: skip
                if CONTROLS.isdisjoint(agent):
                    assert head.startswith(b"HTTP/1.1 302 ")
                    assert DESTINATION.partition("?")[0].encode() in head
                    return
                assert head.startswith(b"HTTP/1.1 400 ")
            headers = {"user-agent": agent.decode("latin-1")}
            asked = ask(redirect, target, headers=headers, address=address)
            assert asyncio.run_coroutine_threadsafe(asked, loop).result(10).status == 302

        run: Callable[[], None] = send
        await asyncio.to_thread(run)
        sender.close()
        assert redirect.journal.lost == 0
    await site.drain()
    rows = await site.rows("SELECT utm_campaign, verdict, reason FROM click")
    assert len(rows) == len(sent) >= examples
    stored = {int(number): (verdict, reason) for number, verdict, reason in rows}
    for number, agent in enumerate(sent):
        verdict, reason = stored[number]
        assert (verdict, reason) == (Verdict.COUNTED, "") or (
            verdict == Verdict.EXCLUDED and reason in REASONS
        )
        # Around a header's value, HTTP knows no spaces.
        value = agent.strip(b" \t") if CONTROLS.isdisjoint(agent) else agent
        hit = Hit(user_agent=value[:LONGEST_AGENT].decode("latin-1"))
        assert (verdict, reason) == judge(hit)[:2]
    assert len({reason for _, reason in stored.values()}) > 1
    assert sum(CONTROLS.isdisjoint(agent) for agent in sent) > examples / 3
    await site.check_sums()
