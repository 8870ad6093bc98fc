"""Edits, archives and blocked hosts while four workers serve: no worker serves what was before.

The load is set by the clock and not by the answers: each request is due at its time, and goes to
each of the workers in turn, over connections that are known to be its own.
"""

import json
import math
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import count
from threading import Event
from typing import Any, NamedTuple

import pytest

from app.settings import Settings
from tests.selling import wait_until
from tests.server import request, serving
from tests.world import DESTINATION, PHONE, World

WORKERS = 4
CONNECTIONS = 16  # of all workers
STARTED_S = 60
# Nobody reads an old destination later than this after the answer, and each change is watched
# for longer.
LATEST_S = 1.0
WATCHED_S = 1.5
BLOCKED = "bad.example"
GONE = (410, None)


class Followed(NamedTuple):
    began: float
    ended: float
    worker: str
    code: str
    answer: tuple[int, str | None]


class State(NamedTuple):
    """What a link answers, from somewhen between the two moments on."""

    asked: float
    answered: float
    answer: tuple[int, str | None]


class Load:
    """So many requests a second in all, for each of the codes in turn."""

    def __init__(self, address: str, codes: Sequence[str], rate: int) -> None:
        self._codes = codes
        self._rate = rate
        self._is_over = Event()
        self.followed: list[Followed] = []
        self._connections = _of_each_worker(address.removeprefix("http://"))

    @contextmanager
    def blowing(self) -> Iterator[None]:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            self.began = time.monotonic()
            viewers = [
                pool.submit(self._follow, place, *each)
                for place, each in enumerate(self._connections)
            ]
            try:
                yield
            finally:
                self._is_over.set()
        self.ended = time.monotonic()
        for viewer in viewers:
            self.followed += viewer.result()

    def _follow(self, place: int, worker: str, connection: HTTPConnection) -> list[Followed]:
        followed = []
        for number in count(place, CONNECTIONS):
            due = self.began + number / self._rate
            if self._is_over.wait(max(due - time.monotonic(), 0)):
                break
            # Every connection comes to every code: 17 shares no divisor with their number.
            code = self._codes[(number + number // CONNECTIONS) % len(self._codes)]
            began = time.monotonic()
            connection.request("GET", f"/{code}", headers={"User-Agent": PHONE})
            answer = connection.getresponse()
            answer.read()
            said = (answer.status, answer.headers["location"])
            followed.append(Followed(began, time.monotonic(), worker, code, said))
        connection.close()
        return followed


def _of_each_worker(host: str) -> list[tuple[str, HTTPConnection]]:
    """As many connections to one worker as to another, which tells its name on them."""
    names: set[str] = set()
    deadline = time.monotonic() + STARTED_S
    while len(names) < WORKERS:  # or the first ones would be closed while the last worker starts
        assert time.monotonic() < deadline, names
        name, connection = _connected(host)
        names.add(name)
        connection.close()
    found: dict[str, list[HTTPConnection]] = {name: [] for name in names}
    each = CONNECTIONS // WORKERS
    while any(len(connections) < each for connections in found.values()):
        name, connection = _connected(host)
        if len(found[name]) < each:
            found[name].append(connection)
        else:
            connection.close()
    return [(name, found[name][place]) for place in range(each) for name in names]


def _connected(host: str) -> tuple[str, HTTPConnection]:
    connection = HTTPConnection(host, timeout=30)
    connection.request("GET", "/metrics")
    named = re.search(r'process="(\d+)"', connection.getresponse().read().decode())
    assert named is not None
    return named[1], connection


class Watch:
    """Changes links under load, and knows what each may answer when."""

    def __init__(self, address: str, key: str, operator_key: str) -> None:
        self._address = address
        self._key = key
        self._operator_key = operator_key
        self._states: defaultdict[str, list[State]] = defaultdict(list)
        # When each change was answered that was followed by no other for a while.
        self._watched: set[float] = set()

    def leads(self, link: dict[str, Any]) -> None:
        self._states[link["code"]].append(State(-1, -1, (302, link["destinationUrl"])))

    def edit(self, link: dict[str, Any], url: str) -> None:
        moments = self._change("updateTrackingLink", id=link["id"], destinationUrl=url)
        self._states[link["code"]].append(State(*moments, (302, url)))

    def archive(self, link: dict[str, Any]) -> None:
        moments = self._change("archiveTrackingLink", id=link["id"])
        self._states[link["code"]].append(State(*moments, GONE))

    def block(self, *links: dict[str, Any]) -> None:
        moments = self._change("blockHost", self._operator_key, host=BLOCKED)
        for link in links:
            self._states[link["code"]].append(State(*moments, GONE))

    def unblock(self, *links: dict[str, Any]) -> None:
        moments = self._change("unblockHost", self._operator_key, host=BLOCKED)
        for link in links:
            self._states[link["code"]].append(State(*moments, (302, link["destinationUrl"])))

    def for_a_while(self) -> None:
        """Until the last change has been watched for as long as it should be."""
        last = max(state.answered for states in self._states.values() for state in states)
        self._watched.add(last)
        wait_until(lambda: time.monotonic() > last + WATCHED_S)

    def _change(self, mutation: str, key: str | None = None, **input: str) -> tuple[float, float]:
        type_ = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"mutation($input: {type_}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}"
        asked = time.monotonic()
        _, body = request(
            self._address,
            "POST",
            "/graphql",
            json.dumps({"query": query, "variables": {"input": input}}),
            authorization=f"Bearer {key or self._key}",
            content_type="application/json",
        )
        answered = time.monotonic()
        assert json.loads(body)["data"] == {mutation: {"userErrors": []}}
        return asked, answered

    def check(self, followed: Sequence[Followed]) -> float:
        """Each answer is what its link may have answered then, and never what was before.

        Returns how many seconds after a change's answer the last request that had begun before
        it was answered as before.
        """
        latest = 0.0
        for each in followed:
            states = self._states[each.code]
            ends = [state.answered for state in states[1:]] + [math.inf]
            possible = [
                end
                for state, end in zip(states, ends, strict=True)
                if state.answer == each.answer and state.asked < each.ended and each.began < end
            ]
            assert possible, (each, states)
            latest = max(latest, each.ended - possible[-1])
        return latest

    def missed(self, followed: Sequence[Followed]) -> set[tuple[str, float, str]]:
        """The watched changes that a worker was not asked about in the second after the answer."""
        watched = [
            (code, state.answered)
            for code, states in self._states.items()
            for state in states
            if state.answered in self._watched
        ]
        workers = {each.worker for each in followed}
        return {(*change, worker) for change in watched for worker in workers} - {
            (code, answered, each.worker)
            for each in followed
            for code, answered in watched
            if each.code == code and answered < each.began < answered + LATEST_S
        }


@pytest.mark.parametrize(
    ("rate", "rounds"), [(200, 1), pytest.param(500, 10, marks=pytest.mark.slow)]
)
def test_no_worker_serves_what_was_edited_archived_or_blocked_before_the_answer(
    world: World, settings: Settings, operator_key: str, rate: int, rounds: int
) -> None:
    ana = world.an_enrollment(world.a_campaign())
    moved, untouched = world.a_link(ana), world.a_link(ana)
    stopped = [world.a_link(ana) for _ in range(rounds)]
    blocked = [
        world.a_link(ana, destinationUrl=f"https://{host}/sale")
        for host in (BLOCKED, f"shop.{BLOCKED}")
    ]
    links = [moved, untouched, *stopped, *blocked]
    with serving(settings, "--workers", str(WORKERS), TRACKLINKS_METRICS="true") as address:
        watch = Watch(address, world.key, operator_key)
        for link in links:
            watch.leads(link)
        load = Load(address, [link["code"] for link in links], rate)
        with load.blowing():
            for round_ in range(rounds):
                for number in range(20):  # one right after the other
                    watch.edit(moved, f"{DESTINATION}/{round_}/{number}")
                watch.for_a_while()
                watch.archive(stopped[round_])
                watch.for_a_while()
                watch.block(*blocked)
                watch.for_a_while()
                watch.unblock(*blocked)
                watch.for_a_while()
    sent = len(load.followed) / (load.ended - load.began)
    latest = watch.check(load.followed)
    print(f"{sent:.0f} requests a second; an old answer {max(latest, 0) * 1000:.0f} ms after")  # noqa: T201 - the figures
    assert sent >= 0.9 * rate
    assert latest <= LATEST_S
    assert len({each.worker for each in load.followed}) == WORKERS
    assert watch.missed(load.followed) == set()
