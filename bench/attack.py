"""What an attack on the graph costs everybody else: ``make bench-attack``.

Against one server as `tracklinks serve` starts it, at its own rate limits, quiet and attacked
slices alternate, and each attacked one is divided by the quiet one before it. In the first part
somebody with valid keys sends everything in ``tests/graphql/attacks.py``, each text a new one; in
the second a key asks ten times as often as it may, while others ask half as often as they may.
Links are followed at a fixed rate all the time. It fails if a follower or one of the others is
refused, or if the attacker is not.
"""

import argparse
import asyncio
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from app.settings import Settings
from bench.redirect import HOT, RESULTS, Load, load, load_script, make_database
from bench.tables import make_key
from tests.graphql.attacks import ATTACKS, MALFORMED, OUR_WORDS, in_words
from tests.server import serving

# Each follows a link and waits up to 0.2 s: 1,000 a second. They are many and wait long, so that
# a server that stops for a moment does not stop the asking as well.
FOLLOWERS, PAUSE_MS = 100, 200
ATTACKS_PER_S = 20
BUDGET_PER_S = Settings().graphql_requests_per_minute / 60
EXCESS = 10
OTHERS = 10
QUERY = "{ viewer { role } trackingLinks(first: 20) { nodes { id code shortUrl destinationUrl } } }"


@dataclass(frozen=True)
class Target:
    """A server, and keys for it."""

    port: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    status: int
    has_retry_after: bool
    took_ms: float


# Who asks the graph, in processes of their own.


def attack(target: Target, seconds: float, number: int) -> list[Answer]:
    """Every attack in turn, by two keys, so that neither is stopped for asking too often."""
    first = round(number * seconds * ATTACKS_PER_S)
    numbers, bodies = itertools.count(first), attacks()

    def send(due: float) -> Coroutine[Any, Any, Answer]:
        number = next(numbers)
        # A comment makes each text a new one, or it would be refused from memory.
        new = b'{"query": "#%d\\n' % number
        body = bodies[number % len(bodies)].replace(b'{"query": "', new, 1)
        return ask(target.port, target.keys[number % 2], body, due)

    return asyncio.run(at_rate(ATTACKS_PER_S, seconds, send))


def make_ready() -> None:
    """In each process that asks: what wrk measures beside it must not wait for its core."""
    os.nice(10)
    attacks()


@cache
def attacks() -> list[bytes]:
    texts = [in_words(text, OUR_WORDS) for text in ATTACKS.values()]
    return [*(json.dumps({"query": text}).encode() for text in texts), *MALFORMED.values()]


def hurry(target: Target, seconds: float, number: int = 0) -> list[Answer]:
    """One key, ten times as often as it may."""
    return work(Target(target.port, target.keys[:1]), seconds, budgets=EXCESS)


def work(target: Target, seconds: float, number: int = 0, *, budgets: float = 0.5) -> list[Answer]:
    """An ordinary query, by each of the keys so many times as often as it may."""
    body = json.dumps({"query": QUERY}).encode()
    keys = itertools.cycle(target.keys)
    per_s = len(target.keys) * BUDGET_PER_S * budgets
    return asyncio.run(at_rate(per_s, seconds, lambda due: ask(target.port, next(keys), body, due)))


async def at_rate(
    per_s: float, seconds: float, send: Callable[[float], Coroutine[Any, Any, Answer]]
) -> list[Answer]:
    """Each is sent when it is due, however long the answers take."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        sent = []
        for number in range(round(per_s * seconds)):
            due = began + number / per_s
            await asyncio.sleep(due - time.perf_counter())
            sent.append(tasks.create_task(send(due)))
    return [task.result() for task in sent]


async def ask(port: int, key: str, body: bytes, due: float) -> Answer:
    """One request on a connection of its own."""
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        "Accept: application/graphql-response+json\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
    except ConnectionResetError:
        # Refused while it was still sending what is too large: the answer may be lost with the rest.
        answer = b"HTTP/1.1 000"
    finally:
        writer.close()
    took_ms = (time.perf_counter() - due) * 1000
    return Answer(int(answer[9:12]), b"\r\nretry-after:" in answer.lower(), took_ms)


# The measurement.


@dataclass(frozen=True)
class Slice:
    links: Load
    attackers: list[Answer]
    others: list[Answer]

    def others_ms(self, percent: int) -> float:
        return statistics.quantiles([each.took_ms for each in self.others], n=100)[percent - 1]


Pairs = list[tuple[Slice, Slice]]
Asking = Callable[[Target, float, int], list[Answer]]


@dataclass(frozen=True)
class Bench:
    """The server, and what asks it: wrk follows links, the processes ask the graph."""

    target: Target
    script: Path
    core: int
    processes: Executor
    seconds: float

    def pairs(self, rounds: int, attackers: Asking, others: Asking | None = None) -> Pairs:
        """So often a quiet slice, and an attacked one after it."""
        pairs = []
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            quiet = self.slice(number, None, others)
            pairs.append((quiet, self.slice(number, attackers, others)))
        return pairs

    def slice(self, number: int, attackers: Asking | None, others: Asking | None) -> Slice:
        def start(asking: Asking | None, keys: tuple[str, ...]) -> Callable[[], list[Answer]]:
            if asking is None:
                return list
            target = Target(self.target.port, keys)
            return self.processes.submit(asking, target, self.seconds, number).result

        attacked = start(attackers, self.target.keys[:2])
        worked = start(others, self.target.keys[2:])
        port = self.target.port
        links = load(
            self.script, self.core, self.seconds, "paced", port=port, connections=FOLLOWERS
        )
        return Slice(links, attacked(), worked())


def under_attack(bench: Bench, rounds: int) -> list[dict[str, Any]]:
    pairs = bench.pairs(rounds, attack)
    statuses = Counter(answer.status for _, attacked in pairs for answer in attacked.attackers)
    print("the attacks were answered by", dict(sorted(statuses.items())))
    assert set(statuses) <= {0, 400, 413}, statuses
    return [links_row("following links, the graph under attack", pairs)]


def beside_a_hasty_key(bench: Bench, rounds: int) -> list[dict[str, Any]]:
    hurry(bench.target, 60 / EXCESS)  # so that its minute is used up before the first round
    pairs = bench.pairs(rounds, hurry, work)
    answers = [answer for _, attacked in pairs for answer in attacked.attackers]
    refused = [answer for answer in answers if answer.status == 429]
    print(f"of {len(answers)} requests of the hasty key {len(refused)} were refused")
    assert all(answer.has_retry_after for answer in refused)
    assert {answer.status for answer in answers} <= {200, 429}
    assert len(refused) > len(answers) / 2
    for each in itertools.chain(*pairs):
        assert {answer.status for answer in each.others} == {200}
    return [
        links_row("following links beside a hasty key", pairs),
        row(
            "asking the graph beside a hasty key",
            [
                (
                    (quiet.others_ms(50), quiet.others_ms(99)),
                    (attacked.others_ms(50), attacked.others_ms(99)),
                )
                for quiet, attacked in pairs
            ],
        ),
    ]


def links_row(name: str, pairs: Pairs) -> dict[str, Any]:
    ms = [[(each.links.p50_us / 1e3, each.links.p99_us / 1e3) for each in pair] for pair in pairs]
    return row(name, [(quiet, attacked) for quiet, attacked in ms])


Percentiles = tuple[float, float]


def row(name: str, pairs: list[tuple[Percentiles, Percentiles]]) -> dict[str, Any]:
    """Medians of p50 and p99, and of the attacked one's ratios to the quiet one before it."""
    found: dict[str, Any] = {"who": name, "rounds": len(pairs)}
    for place, percentile in enumerate(("p50", "p99")):
        ratios = [attacked[place] / quiet[place] for quiet, attacked in pairs]
        found |= {
            f"{percentile}_quiet_ms": round(statistics.median(q[place] for q, _ in pairs), 2),
            f"{percentile}_attacked_ms": round(statistics.median(a[place] for _, a in pairs), 2),
            f"{percentile}_ratio": round(statistics.median(ratios), 2),
            f"{percentile}_ratios": [round(ratio, 2) for ratio in sorted(ratios)],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="6 of them beside the hasty key")
    parser.add_argument("--seconds", type=float, default=5, help="of each slice")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk, or brew install wrk")
    cores = sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(2, get_context("spawn"), make_ready) as processes,
    ):
        data_dir = Path(folder)
        shutil.move(asyncio.run(make_database(data_dir, HOT)), data_dir / "tracklinks.db")
        settings = Settings(data_dir=data_dir, database_url=None)
        keys = tuple(asyncio.run(make_key(settings)) for _ in range(2 + OTHERS))
        script = data_dir / "load.lua"
        script.write_text(load_script(HOT, PAUSE_MS))
        os.sched_setaffinity(0, cores[:1])  # the server inherits it
        # The recorder is another process: what an attack does to this one is the question.
        with serving(settings, TRACKLINKS_RECORDER="off") as address:
            os.sched_setaffinity(0, cores[-1:])
            target = Target(int(address.rpartition(":")[2]), keys)
            bench = Bench(target, script, cores[-1], processes, options.seconds)
            rows = under_attack(bench, options.rounds)
            rows += beside_a_hasty_key(bench, (options.rounds + 1) // 2)
    report(rows)


def report(rows: list[dict[str, Any]]) -> None:
    print(f"{'':44}{'p50 ms: quiet attacked ratio':^30} | {'p99 ms: quiet attacked ratio':^30}")
    for each in rows:
        columns = [
            "".join(
                f"{each[f'{name}_{what}']:>10}" for what in ("quiet_ms", "attacked_ms", "ratio")
            )
            for name in ("p50", "p99")
        ]
        print(f"{each['who']:44}{columns[0]} | {columns[1]}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "attack.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
