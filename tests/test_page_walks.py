"""Walks through a list that grows meanwhile, against a model of it: no skip, no repeat, no stranger.

DESIGN
------
A walk begins anywhere, also where another program's row is, and takes pages of any size in one
direction. Between pages creators are made, whose handles fall before and behind the walker. Each
page must be exactly what the model has next at that moment.
"""

import random
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from app.ids import decode
from tests.world import World, codes

Place = tuple[Any, int, str]  # the value in the order, the key, the id
GOOD_SIZES = (0, 1, 2, 7, 20, 100)
BAD_SIZES = (-1, 101, 1 << 31)
# In one call are made at the same moment, so that the key has to order them.
BATCH = 1000
ORDERS = ("HANDLE", "CREATED_AT")


def place(creator: dict[str, str], order: str) -> Place:
    key = decode("crt", creator["id"])
    assert key is not None
    if order == "HANDLE":
        return creator["handle"], key, creator["id"]
    return datetime.fromisoformat(creator["createdAt"]), key, creator["id"]


@dataclass
class Walker:
    """Knows what there is of a program, in each order upward, and cursors that lead into it."""

    world: World
    chance: random.Random
    places: dict[str, list[Place]] = field(default_factory=lambda: {each: [] for each in ORDERS})
    cursors: dict[tuple[str, bool], list[tuple[Place, str]]] = field(
        default_factory=lambda: {(each, way): [] for each in ORDERS for way in (False, True)}
    )

    def make(self, number: int, **whose: Any) -> None:
        """Creators of the program, or of another one."""
        for done in range(0, number, BATCH):
            creators = [
                {"handle": f"{self.chance.getrandbits(60):015x}", "displayName": "Ana"}
                for _ in range(min(BATCH, number - done))
            ]
            made = self.world.do(
                "createCreators",
                "results { creator { id handle createdAt } }",
                **{"programId": self.world.program_id, **whose, "creators": creators},
            )
            for result in made["results"]:
                for order in () if whose else ORDERS:
                    insort(self.places[order], place(result["creator"], order))

    def learn(self, key: str) -> None:
        """The cursors of what another key sees."""
        for order, is_descending in self.cursors:
            query = page_query(order, is_descending=is_descending, is_backward=False)
            edges = self.world.ask(query, key=key, size=100)["creators"]["edges"]
            self.cursors[order, is_descending] = [
                (place(edge["node"], order), edge["cursor"]) for edge in edges
            ]

    def walk(self) -> int:
        """Some pages from anywhere; says how many creators came by."""
        chance, order = self.chance, self.chance.choice(ORDERS)
        is_descending, is_backward = chance.random() < 0.5, chance.random() < 0.5
        query = page_query(order, is_descending=is_descending, is_backward=is_backward)
        known = self.cursors[order, is_descending]
        at, cursor = chance.choice(known) if chance.random() < 0.8 else (None, None)
        seen = 0
        for _ in range(chance.randint(1, 8)):
            if chance.random() < 0.2:
                errors = self.world.errors(query, size=chance.choice(BAD_SIZES), cursor=cursor)
                assert codes(errors) == ["BAD_USER_INPUT"]
            if chance.random() < 0.3:
                self.make(1)
            size = chance.choice(GOOD_SIZES)
            page = self.world.ask(query, size=size, cursor=cursor)["creators"]
            expected, more = self.next(order, at, size, upward=is_descending is is_backward)
            edges = page["edges"][::-1] if is_backward else page["edges"]
            assert [edge["node"]["id"] for edge in edges] == [each[2] for each in expected]
            info = page["pageInfo"]
            assert info["hasPreviousPage" if is_backward else "hasNextPage"] == more
            seen += len(edges)
            if edges:
                at, cursor = expected[-1], edges[-1]["cursor"]
                known.append((at, cursor))
        return seen

    def next(
        self, order: str, at: Place | None, size: int, *, upward: bool
    ) -> tuple[list[Place], bool]:
        """What lies beyond a place, nearest first, and whether there is more than that."""
        places = self.places[order]
        if upward:
            start = bisect_right(places, at) if at else 0
            return places[start : start + size], len(places) > start + size
        end = bisect_left(places, at) if at else len(places)
        return places[max(0, end - size) : end][::-1], end > size


def page_query(order: str, *, is_descending: bool, is_backward: bool) -> str:
    size, cursor = ("last", "before") if is_backward else ("first", "after")
    direction = "DESC" if is_descending else "ASC"
    return f"""query($size: Int, $cursor: String) {{
        creators({size}: $size, {cursor}: $cursor,
                 orderBy: {{field: {order}, direction: {direction}}}) {{
            edges {{ cursor node {{ id handle createdAt }} }}
            pageInfo {{ hasNextPage hasPreviousPage }} }} }}"""


def walks(world: World, operator_key: str, *, creators: int, number: int) -> None:
    walker = Walker(world, random.Random(22))  # noqa: S311 - a failing run has to be repeatable
    theirs = world.a_program(key=operator_key)
    made = world.do(
        "createApiKey", "text", key=operator_key, name="Theirs", role="ADMIN", programId=theirs
    )
    walker.make(creators // 2)
    walker.make(creators // 10, key=operator_key, programId=theirs)
    walker.make(creators // 2)
    walker.learn(made["text"])
    seen = sum(walker.walk() for _ in range(number))
    assert seen > 10 * number  # or nothing was compared


def test_no_walk_skips_or_repeats_anyone_or_meets_a_stranger(
    world: World, operator_key: str
) -> None:
    walks(world, operator_key, creators=300, number=25)


@pytest.mark.slow
def test_no_walk_skips_or_repeats_anyone_or_meets_a_stranger_at_length(
    world: World, operator_key: str
) -> None:
    """The figure of reliability test GQ-6."""
    walks(world, operator_key, creators=10_000, number=1_000)
