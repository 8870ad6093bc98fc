"""Restating a hundred thousand hits, as an operator does it and as everybody sees it afterwards."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from os import environ
from typing import Any

import pytest

from app.clicks.classifier import VERSION
from app.clicks.journal import Journal
from app.ids import encode
from app.pages import report_words as words
from tests.clicks.hits import hit
from tests.site import PHONE, Site
from tests.test_manager_page import text_of
from tests.world import World

# Whose word is a bot's; say that it turns out to be a browser's.
REASON = "bot:word:survey"
SURVEY = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
    "Safari/537.36 NeverheardSurvey/2"
)
PROGRAMS = (1, 2)
LINKS = {1000: 1, 1001: 1, 1002: 2}
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"is_head": True},
    {"user_agent": "Twitterbot/1.0"},
    {"is_archived": True},
    {"user_agent": SURVEY, "is_archived": True},
)
NUMBERS = """clicks uniqueClicks excludedClicks hitsAfterArchive excludedByReason { reason hits }
    restatements { reason verdict hits classifiers } reconciliation { hits excluded afterArchive clicks }"""
ASKED = (
    f"""query($id: ID!) {{ node(id: $id) {{ ... on Measurable {{ stats {{ {NUMBERS} }} }} }} }}"""
)


async def store(site: Site, of_reason: int) -> dict[int, int]:
    """So many hits of the reason, and as many others, over two days. Returns the former by program."""
    rng = random.Random(7)  # noqa: S311 - test data
    await site.add_links("abcdefgh", "ijkmnpqr")
    await site.add_links("stvwxyz2", program=2)
    kinds = [{"user_agent": SURVEY}] * of_reason + [rng.choice(KINDS) for _ in range(of_reason)]
    rng.shuffle(kinds)
    now_ms, of_programs = int(datetime.now(UTC).timestamp() * 1000), Counter[int]()
    journal = Journal(site.data_dir / "journal")
    journal.open()
    for kind in kinds:
        link = rng.choice(list(LINKS))
        at_ms = now_ms - rng.randrange(2 * 86_400_000)
        journal.append(
            hit(0, link, at_ms=at_ms, program_id=LINKS[link], **{"user_agent": PHONE, **kind})
        )
        of_programs[LINKS[link]] += kind == {"user_agent": SURVEY}
    journal.close()
    assert await site.drain() == 2 * of_reason
    return of_programs


class Seen:
    """What a report says of a program: in the graph, and on a page that was shared."""

    def __init__(self, world: World, key: str, program: int, path: str) -> None:
        id_ = encode("prg", program)
        self.figures = world.ask(ASKED, key=key, id=id_)["node"]["stats"]
        self.reasons = {each["reason"]: each["hits"] for each in self.figures["excludedByReason"]}
        self.page = text_of(world.client.get(path).text)

    def __getitem__(self, name: str) -> int:
        return int(self.figures[name])


def shared(world: World, key: str, program: int) -> str:
    made = world.do(
        "createReportShare",
        "reportShare { url }",
        key=key,
        programId=encode("prg", program),
        name="Agency",
    )
    return str(made["reportShare"]["url"]).removeprefix("https://go.brand.example")


def run_restate(site: Site, *words_: str) -> str:
    return subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "app", "restate", *words_],
        env=environ | site.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


async def audited(site: Site) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = await site.rows(
        "SELECT program_id, key_id, changes FROM audit_entry WHERE action = 'restate'"
    )
    assert {key for _, key, _ in rows} == {None}  # the command line
    return (
        (program, json.loads(changes) if isinstance(changes, str) else changes)
        for program, _, changes in rows
    )


@pytest.mark.parametrize(
    "of_reason", [400, pytest.param(100_000, marks=pytest.mark.slow)], ids=["few", "many"]
)
async def test_old_and_new_figures_of_restated_hits_are_both_explained(
    site: Site, world: World, operator_key: str, of_reason: int
) -> None:
    of_programs = await store(site, of_reason)
    paths = {program: shared(world, operator_key, program) for program in PROGRAMS}
    before = {each: Seen(world, operator_key, each, paths[each]) for each in PROGRAMS}
    assert all("Restated" not in seen.page for seen in before.values())

    said = run_restate(site, REASON, "--as", "counted")

    assert sorted(said.splitlines()) == sorted(
        f"{encode('prg', program)}: {hits} hits are counted now."
        for program, hits in of_programs.items()
    )
    for program, moved in of_programs.items():
        old, new = before[program], Seen(world, operator_key, program, paths[program])
        assert old.reasons[REASON] == moved > 0
        # The new figures, from the old ones; and the old ones, from what the new report says.
        assert new["clicks"] == old["clicks"] + moved
        assert new["excludedClicks"] == old["excludedClicks"] - moved
        for name in ("uniqueClicks", "hitsAfterArchive"):
            assert new[name] == old[name]
        assert new.reasons == {why: n for why, n in old.reasons.items() if why != REASON}
        assert new.figures["restatements"] == [
            {"reason": REASON, "verdict": "COUNTED", "hits": moved, "classifiers": [VERSION]}
        ]
        for seen in (old, new):
            sums = seen.figures["reconciliation"]
            assert sums["hits"] == sums["clicks"] + sums["excluded"] + sums["afterArchive"]
            assert sums["excluded"] == sum(seen.reasons.values())
            assert sums["hits"] == old.figures["reconciliation"]["hits"]
        today = datetime.now(UTC).date()
        day = {words.day(today), words.day(today - timedelta(days=1))}
        assert any(f"Restated on {each}: {moved:,} hits of" in new.page for each in day)
        assert "now among the clicks." in new.page
        assert f"{new['clicks']:,}" in new.page
    told = Counter[int]()
    for program, changes in await audited(site):
        told[program] += changes["hits"]
        assert dict(changes, hits=0) == {
            "reason": REASON,
            "was": "EXCLUDED",
            "as": "COUNTED",
            "hits": 0,
        }
    assert told == of_programs
    await site.check_sums()
    print(f"restated {sum(of_programs.values()):,} of {2 * of_reason:,} hits")  # noqa: T201 - figures for the record

    run_restate(site, REASON, "--as", "excluded")

    for program, seen in before.items():
        undone = Seen(world, operator_key, program, paths[program])
        assert [undone[name] for name in ("clicks", "excludedClicks")] == [
            seen[name] for name in ("clicks", "excludedClicks")
        ]
        assert undone.reasons == seen.reasons
    await site.check_sums()
