"""The links of all creators of a campaign, as CSV: Python's standard library is enough.

    TRACKLINKS_KEY=tl_… python link_set.py --url https://go.brand.example --campaign cmp_…

``--keep=FILE`` keeps them in a file, and asks next time only for what has changed.
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
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

OPERATIONS = Path(__file__).parents[2]
LINK_SET = (OPERATIONS / "partner-link-set.graphql").read_text(encoding="utf-8")
LINKS_OF_CREATOR = (OPERATIONS / "partner-links-of-creator.graphql").read_text(encoding="utf-8")
LINK_CHANGES = (OPERATIONS / "partner-link-changes.graphql").read_text(encoding="utf-8")
GENERATE = (OPERATIONS / "generate-missing-links.graphql").read_text(encoding="utf-8")
TIMEOUT_S = 30
COLUMNS = ["creator", "external id", "link", "short URL"]


class Refused(Exception):
    """What we asked for was not to be had: a sentence to show to a person."""


class RefusedCursor(Refused):
    """The server does not take the place from which we wanted to go on."""


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
            said = "; ".join(error["message"] for error in answer["errors"])
            raise (RefusedCursor if _is_about_cursor(answer["errors"]) else Refused)(said)
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
                # A proxy may answer with a date in place of seconds: then we choose.
                asked = answer.headers.get("Retry-After", "")
                return answer.code, said, int(asked) if asked.isdecimal() else 1
        except (OSError, HTTPException, ValueError) as error:
            raise Refused(f"No answer from {self._url}: {error}") from error


def _is_about_cursor(errors: list[Any]) -> bool:
    faults = (
        fault for error in errors for fault in error.get("extensions", {}).get("userErrors", ())
    )
    return any(fault["path"] == ["after"] for fault in faults)


class KeptLinks:
    """The live links of a campaign in a file, with how far we have read.

    The file has a line for each page that came, so wherever we are cut, it is good up to its
    last whole line, and the next run goes on from there.
    """

    def __init__(self, path: Path, campaign: str) -> None:
        self._path = path
        self._start(campaign)
        for number, line in enumerate(_lines(path)):
            try:
                page = json.loads(line)
                known = page["campaign"]
            except (ValueError, TypeError, KeyError):
                if number == 0:
                    raise Refused(f"{path} is not a file of kept links.") from None
                break  # cut while it was written: it is read again
            if known != campaign:
                raise Refused(f"{path} keeps the links of another campaign, {known}.")
            self._apply(page)
        self._write_anew()

    def _start(self, campaign: str) -> None:
        self.campaign = campaign
        self.rows: dict[str, list[str]] = {}
        self.is_complete = False
        self.creators_after: str | None = None
        self.changes_after: str | None = None

    def take(self, rows: dict[str, list[str] | None], **place: Any) -> None:
        """Keep what a page brought, None for a link that is gone, and where to go on after it."""
        page = {**self._place(), **place, "rows": rows}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(page) + "\n")
        self._apply(page)

    def forget(self) -> None:
        self._start(self.campaign)
        self._write_anew()

    def _place(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "is_complete": self.is_complete,
            "creators_after": self.creators_after,
            "changes_after": self.changes_after,
        }

    def _apply(self, page: dict[str, Any]) -> None:
        self.is_complete = page["is_complete"]
        self.creators_after = page["creators_after"]
        self.changes_after = page["changes_after"]
        for key, row in page["rows"].items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row

    def _write_anew(self) -> None:
        """All in one line, in one step: there is always a file, and always a whole first line."""
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_text(json.dumps({**self._place(), "rows": self.rows}) + "\n", encoding="utf-8")
        new.replace(self._path)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.removesuffix("\n").split("\n") if text else []


def catch_up(graph: Tracklinks, kept: KeptLinks) -> None:
    """Bring the kept links up to date, from wherever they are."""
    try:
        _read_on(graph, kept)
    except RefusedCursor:  # a backup's, or another version's: from the beginning, once
        kept.forget()
        _read_on(graph, kept)


def _read_on(graph: Tracklinks, kept: KeptLinks) -> None:
    while not kept.is_complete:
        page = graph.ask(LINK_SET, campaignId=kept.campaign, after=kept.creators_after)
        changes_after = kept.changes_after
        if kept.creators_after is None:
            # From before the first link was read. Later pages would say one that is too late.
            changes_after = page["trackingLinkChanges"]["pageInfo"]["endCursor"]
        found = links_of(graph, kept.campaign, page["creators"]["nodes"])
        kept.take(
            {link["id"]: _kept_row(creator, link) for creator, link in found},
            is_complete=not page["creators"]["pageInfo"]["hasNextPage"],
            creators_after=page["creators"]["pageInfo"]["endCursor"],
            changes_after=changes_after,
        )
    is_more = True
    while is_more:
        answer = graph.ask(LINK_CHANGES, campaignId=kept.campaign, after=kept.changes_after)
        changes = answer["trackingLinkChanges"]
        kept.take(
            {
                link["id"]: None if link["archivedAt"] else _kept_row(link["creator"], link)
                for link in changes["nodes"]
            },
            changes_after=changes["pageInfo"]["endCursor"] or kept.changes_after,
        )
        is_more = changes["pageInfo"]["hasNextPage"]


def _kept_row(creator: dict[str, Any], link: dict[str, Any]) -> list[str]:
    return [*row(creator, link), link["destinationUrl"]]


def row(creator: dict[str, Any], link: dict[str, Any]) -> list[str]:
    """What stands in `COLUMNS`."""
    name = link["campaignLink"]["name"] if link["campaignLink"] else "+".join(link["labels"])
    return [creator["handle"], creator["externalId"] or "", name, link["shortUrl"]]


def links(graph: Tracklinks, campaign: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each creator of the campaign with each of their links in it."""
    after = None
    while True:
        page = graph.ask(LINK_SET, campaignId=campaign, after=after)["creators"]
        yield from links_of(graph, campaign, page["nodes"])
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


def links_of(
    graph: Tracklinks, campaign: str, creators: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each of these creators with each of their links, those too that did not come along."""
    for creator in creators:
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


def main() -> None:
    parser = argparse.ArgumentParser(description="The links of a campaign's creators, as CSV.")
    parser.add_argument("--url", required=True, help="the server, like https://go.brand.example")
    parser.add_argument("--campaign", required=True, help="the campaign's ID, cmp_…")
    parser.add_argument("--keep", type=Path, help="a file for the links, to ask for changes only")
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
        if options.keep:
            kept = KeptLinks(options.keep, options.campaign)
            catch_up(graph, kept)
            out.writerow([*COLUMNS, "destination URL"])
            out.writerows(sorted(kept.rows.values()))
            return
        out.writerow([*COLUMNS, "clicks", "unique clicks"])
        for creator, link in links(graph, options.campaign):
            stats = link["stats"]
            out.writerow([*row(creator, link), stats["clicks"], stats["uniqueClicks"]])
    except Refused as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
