"""The links of all creators of a campaign, as CSV: Python's standard library is enough.

    TRACKLINKS_KEY=tl_… python link_set.py --url https://go.brand.example --campaign cmp_…

``--complete`` first gives creators the links that they lack; that takes a key of the role MANAGER.
"""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

OPERATIONS = Path(__file__).parents[2]
LINK_SET = (OPERATIONS / "partner-link-set.graphql").read_text(encoding="utf-8")
LINKS_OF_CREATOR = (OPERATIONS / "partner-links-of-creator.graphql").read_text(encoding="utf-8")
GENERATE = (OPERATIONS / "generate-missing-links.graphql").read_text(encoding="utf-8")
TIMEOUT_S = 30


class Refused(Exception):
    """The server understood and said no: a sentence to show to a person."""


class Tracklinks:
    """The graph, asked with a key. Waits when the key has asked too much, ``patience_s`` at most."""

    def __init__(self, url: str, key: str, *, patience_s: float = 120) -> None:
        self._url = f"{url.rstrip('/')}/graphql"
        self._key = key
        self._patience_s = patience_s

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer. Raises `Refused` for errors, whatever their kind."""
        deadline = time.monotonic() + self._patience_s
        while True:
            status, answer, wait_s = self._post({"query": query, "variables": variables})
            if status != HTTPStatus.TOO_MANY_REQUESTS:
                break
            if time.monotonic() + wait_s > deadline:
                raise Refused(f"Asked too much: the server wants us to wait for {wait_s} s.")
            time.sleep(wait_s)
        if "errors" in answer:
            raise Refused("; ".join(error["message"] for error in answer["errors"]))
        return answer["data"]

    def change(self, mutation: str, **variables: Any) -> Any:
        """The payload of the one mutation. Raises `Refused` for its ``userErrors``."""
        (payload,) = self.ask(mutation, **variables).values()
        if payload["userErrors"]:
            raise Refused("; ".join(error["message"] for error in payload["userErrors"]))
        return payload

    def _post(self, request: dict[str, Any]) -> tuple[int, Any, int]:
        """The status, the JSON and how many seconds we are asked to wait."""
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        }
        body = json.dumps(request).encode()
        try:
            with urlopen(Request(self._url, body, headers), timeout=TIMEOUT_S) as answer:  # noqa: S310 - the address is the caller's own
                return answer.status, json.load(answer), 0
        except HTTPError as answer:
            with answer:
                try:
                    said = json.load(answer)
                except ValueError:  # a proxy's page
                    said = {"errors": [{"message": f"{answer.code} {answer.reason}"}]}
                return answer.code, said, int(answer.headers.get("Retry-After", 0))


def links(graph: Tracklinks, campaign: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each creator of the campaign with each of their links in it."""
    after = None
    while True:
        page = graph.ask(LINK_SET, campaignId=campaign, after=after)["creators"]
        for creator in page["nodes"]:
            of_creator = creator["trackingLinks"]
            while True:
                for link in of_creator["nodes"]:
                    yield creator, link
                if not of_creator["pageInfo"]["hasNextPage"]:
                    break
                found = graph.ask(
                    LINKS_OF_CREATOR,
                    creatorId=creator["id"],
                    campaignId=campaign,
                    after=of_creator["pageInfo"]["endCursor"],
                )["creator"]
                if found is None:  # no longer ours to see
                    break
                of_creator = found["trackingLinks"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def main() -> None:
    parser = argparse.ArgumentParser(description="The links of a campaign's creators, as CSV.")
    parser.add_argument("--url", required=True, help="the server, like https://go.brand.example")
    parser.add_argument("--campaign", required=True, help="the campaign's ID, cmp_…")
    parser.add_argument("--complete", action="store_true", help="make missing links first")
    parser.add_argument("--patience", type=float, default=120, help="seconds to wait on a 429")
    options = parser.parse_args()
    graph = Tracklinks(
        options.url, os.environ.get("TRACKLINKS_KEY", ""), patience_s=options.patience
    )
    out = csv.writer(sys.stdout)
    try:
        if options.complete:
            graph.change(GENERATE, campaignId=options.campaign)
        out.writerow(["creator", "external id", "link", "short URL", "clicks", "unique clicks"])
        for creator, link in links(graph, options.campaign):
            name = (
                link["campaignLink"]["name"] if link["campaignLink"] else "+".join(link["labels"])
            )
            stats = link["stats"]
            numbers = (stats["clicks"], stats["uniqueClicks"])
            known_as = (creator["handle"], creator["externalId"] or "")
            out.writerow([*known_as, name, link["shortUrl"], *numbers])
    except Refused as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
