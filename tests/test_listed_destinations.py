"""The list of hostile and ordinary destinations, asked of the graph of a real server."""

import re
from dataclasses import replace
from typing import Any, cast

import httpx2
from starlette.testclient import TestClient

from app.settings import Settings
from tests.server import serving
from tests.test_destinations import DECIDED, OWN_HOSTS, rows
from tests.world import World, codes

# How the message to people begins for each reason of the list, and for no other.
SAID = {
    "backslash": "The address holds a backslash",
    "control_character": "The address holds a line break or another control character",
    "credentials": "The address has an @ before its first /",
    "empty": "Give the address of the page",
    "host": r"The host is not a possible name|\.\w+ is no ending of a host name",
    "host_percent_encoded": "The host is percent-encoded",
    "invisible_character": "The address holds a character that nobody can see",
    "ip_host": "The host is an IP address",
    "mixed_script_host": "“.+” mixes alphabets",
    "not_a_url": "This is not a web address",
    "own_host": "(go|links).brand.example is the address of the tracking links themselves",
    "port": "Browsers refuse to open port",
    "private_host": "Viewers can't reach names that end in",
    "scheme": "The address must begin with https:// or http://",
    "single_label_host": ".+ is a name inside one network",
    "space": "The address holds a space",
    "surrogate": "The address holds half of a character",
    "too_long": "The address may be 2,048 characters long",
    "trailing_dot": "The host ends in a dot",
}
LINK = "trackingLink { id code destinationUrl }"
STORED = """query($id: ID!) { trackingLink(by: {id: $id}) {
    destinationUrl destinations { url } } }"""


def verdict(payload: Any) -> str:
    """What is kept, or the reason for refusing, told from what a caller is told."""
    if not payload["userErrors"]:
        return str(payload["trackingLink"]["destinationUrl"])
    assert payload["trackingLink"] is None
    (error,) = payload["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID_URL", ["input", "destinationUrl"])
    (reason,) = [reason for reason, said in SAID.items() if re.match(said, error["message"])]
    return reason


def _refused_at_the_door(caller: World, enrollment: str, text: str) -> bool:
    query = """mutation($input: CreateTrackingLinkInput!) {
        createTrackingLink(input: $input) { userErrors { code } } }"""
    answer = caller.post(query, input={"enrollmentId": enrollment, "destinationUrl": text})
    return (answer.status_code, codes(answer.json()["errors"])) == (400, ["BAD_REQUEST"])


def test_every_listed_destination_is_judged_in_the_graph_as_the_list_says(
    world: World, settings: Settings
) -> None:
    listed = rows("destinations.jsonl")
    assert len(listed) == 139
    assert {row.get("reason") for row in listed} - {None} == SAID.keys()
    own, other = OWN_HOSTS
    environment = {
        "TRACKLINKS_BASE_URL": f"https://{own}",
        "TRACKLINKS_OWN_HOSTS": f'["{other}"]',
        "TRACKLINKS_GRAPHQL_REQUESTS_PER_MINUTE": "100000",
        "TRACKLINKS_GRAPHQL_COST_PER_MINUTE": "10000000",
    }
    campaign = world.a_campaign()
    ana, ben = world.an_enrollment(campaign), world.an_enrollment(campaign)
    edited = world.a_link(ben)
    kept = []
    with serving(settings, **environment) as address, httpx2.Client(base_url=address) as client:
        caller = replace(world, client=cast("TestClient", client))  # of which it is a kind
        for row in listed:
            text = row["input"]
            expected = DECIDED.get(text) or row.get("normalized") or row["reason"]
            if expected == "surrogate":  # no JSON can hold it: it gets no further than the door
                assert _refused_at_the_door(caller, ana, text)
                continue
            made = caller.change("createTrackingLink", LINK, enrollmentId=ana, destinationUrl=text)
            assert verdict(made) == expected, row
            done = caller.change("updateTrackingLink", LINK, id=edited["id"], destinationUrl=text)
            assert verdict(done) == expected, row
            if made["trackingLink"] is None:
                continue
            kept.append(expected)
            for link in (made["trackingLink"], edited):
                assert caller.click(link["code"]).headers["location"] == expected, row
                stored = caller.ask(STORED, id=link["id"])["trackingLink"]
                assert stored["destinationUrl"] == expected
                assert stored["destinations"][0] == {"url": expected}
    assert sorted(link["destinationUrl"] for link in world.links_of(ana)) == sorted(kept)
