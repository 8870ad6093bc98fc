"""Every list of the graph, in every order: page by page forward and backward it is the whole list.

The lists and their orders are those of the schema. **A list in a new type needs a line in
`HOLDERS`**, and something to show in `Filled`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, get_named_type

from app.resolvers import tracking_links
from tests.cases import GRAPH
from tests.selling import Shop
from tests.world import World

# How a type that has lists is come by; its ID stands for itself.
HOLDERS = {
    "Query": "{list}",
    "Program": 'program(id: "{Program}") {{ {list} }}',
    "Stats": 'program(id: "{Program}") {{ stats {{ {list} }} }}',
    "Campaign": 'campaign(id: "{Campaign}") {{ {list} }}',
    "CampaignLink": 'campaignLink(id: "{CampaignLink}") {{ {list} }}',
    "LinkHolders": 'archivePreview(id: "{CampaignLink}") {{ {list} }}',
    "Creator": 'creator(by: {{id: "{Creator}"}}) {{ {list} }}',
    "Enrollment": 'enrollment(id: "{Enrollment}") {{ {list} }}',
}


class List(NamedTuple):
    """A field that has pages, and an order that it can be asked for in, if any."""

    type: str
    field: str
    order: str = ""

    def __str__(self) -> str:
        return f"{self.type}.{self.field} {self.order}"


def lists() -> Iterator[List]:
    for name, type_ in GRAPH.type_map.items():
        for field, definition in getattr(type_, "fields", {}).items():
            if not isinstance(type_, GraphQLObjectType) or "first" not in definition.args:
                continue
            if "orderBy" not in definition.args:
                yield List(name, field)
                continue
            input_ = get_named_type(definition.args["orderBy"].type)
            assert isinstance(input_, GraphQLInputObjectType)
            by = get_named_type(input_.fields["field"].type)
            assert isinstance(by, GraphQLEnumType)
            for value in by.values:
                for direction in ("ASC", "DESC"):
                    yield List(name, field, f"{{field: {value}, direction: {direction}}}")


LISTS = list(lists())


@dataclass
class Filled:
    """Four of everything and more, with the IDs of those whose lists are walked."""

    world: World
    key: str
    ids: dict[str, str]

    @classmethod
    def of(cls, world: World, operator_key: str) -> "Filled":
        shop = Shop(world)
        campaign, *others = (world.a_campaign() for _ in range(4))
        creators = world.creators(8)
        enrolled = world.enroll(campaign, creators)
        for other in others:
            world.an_enrollment(other)
            world.enroll(other, creators[-1:])
            world.a_link(world.enroll(other, [world.a_creator()])[0])
        world.promote(*enrolled[:4])  # these lack the links that are made next
        tags = [world.a_campaign_link(campaign) for _ in range(4)]
        world.promote(*enrolled[4:])
        world.promote(enrolled[-1])
        world.promote(enrolled[-1])
        for number in range(4):
            body = f"{tags[0]['mergeTag']} {number}"
            world.send(campaign, body, enrolled[-1])
            world.a_template(campaign, "Hello")
            world.do("createApiKey", "text", name="A", role="PARTNER", programId=world.program_id)
            for owner in ({"programId": world.program_id}, {"campaignId": campaign}):
                world.do("createReportShare", "reportShare { id }", name="Agency", **owner)
            shop.sell(orderId=f"{number}", value={"amount": "9.00", "currencyCode": "EUR"})
            world.do("createProgram", "program { id }", key=operator_key, name=f"Brand {number}")
        # Some are clicked, some of these as often as others, and most never.
        for times, link in zip((1, 3, 1, 2), world.links_of(enrolled[-1]), strict=True):
            for place in range(times):
                world.click(link["code"], ip=f"203.0.113.{place}")
            world.drain()
        ids = {
            "Program": world.program_id,
            "Campaign": campaign,
            "CampaignLink": tags[0]["id"],
            "Creator": creators[-1],
            "Enrollment": enrolled[-1],
        }
        return cls(world, operator_key, ids)

    def page(self, each: List, arguments: str, cursor: str | None = None) -> Any:
        if each.order:
            arguments += f", orderBy: {each.order}"
        ids = "nodes { id }" if each.order else ""
        info = "hasNextPage hasPreviousPage startCursor endCursor"
        asked = f"{each.field}({arguments}) {{ {ids} edges {{ cursor }} pageInfo {{ {info} }} }}"
        query = HOLDERS[each.type].format(list=asked, **self.ids)
        declared = "($cursor: String)" if "$cursor" in arguments else ""
        answer = self.world.ask(f"query{declared} {{ {query} }}", key=self.key, cursor=cursor)
        while "edges" not in answer:
            (answer,) = answer.values()
        return answer

    def whole(self, each: List) -> list[str]:
        page = self.page(each, "first: 100")
        assert not page["pageInfo"]["hasNextPage"], each
        return [edge["cursor"] for edge in page["edges"]]

    def walk(self, each: List, *, size: int, is_forward: bool) -> list[str]:
        """All cursors in the order in which they are met."""
        arguments = ("first: {}, after" if is_forward else "last: {}, before").format(size)
        found: list[str] = []
        cursor: str | None = None
        for _ in range(10):
            page = self.page(each, f"{arguments}: $cursor", cursor)
            cursors, info = [edge["cursor"] for edge in page["edges"]], page["pageInfo"]
            assert (info["startCursor"], info["endCursor"]) == (cursors[0], cursors[-1]), each
            found += cursors if is_forward else cursors[::-1]
            if not info["hasNextPage" if is_forward else "hasPreviousPage"]:
                return found
            assert len(cursors) == size, each
            cursor = info["endCursor" if is_forward else "startCursor"]
        raise AssertionError(f"{each} does not end")


@pytest.fixture
def filled(world: World, operator_key: str, monkeypatch: pytest.MonkeyPatch) -> Filled:
    monkeypatch.setattr(tracking_links, "SETTLED", timedelta())
    return Filled.of(world, operator_key)


def test_every_list_walked_forward_and_backward_is_the_whole_list_once(filled: Filled) -> None:
    for each in LISTS:
        whole = filled.whole(each)
        assert len(set(whole)) == len(whole) >= 4, each
        assert filled.walk(each, size=len(whole) // 3 + 1, is_forward=True) == whole, each
        backward = filled.walk(each, size=len(whole) // 2, is_forward=False)
        assert backward[::-1] == whole, each
