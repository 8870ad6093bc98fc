"""How long one call takes that promotes 1,000 creators into 3 campaign links each: 3,000 links; and
one that sends each of them a message with the tags of two campaign links that they lack.

    python -m bench.promote [creators]

The whole way: HTTP, key, limits, transaction, JSON. On SQLite, in a server process of its own.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from app.settings import Settings
from tests.server import serving


def main(creators: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with serving(settings, "--demo") as address:
            key = (Path(folder) / "demo-key").read_text()
            measure(address, key, creators)


def measure(address: str, key: str, creators: int) -> None:
    def ask(query: str, **variables: Any) -> Any:
        request = Request(  # noqa: S310 - our own server on the loopback
            f"{address}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return found["data"]

    program = ask("{ viewer { program { id } } }")["viewer"]["program"]["id"]
    made = ask(
        'mutation($p: ID!) { createCampaign(input: {programId: $p, name: "B"}) { campaign { id } } }',
        p=program,
    )
    campaign = made["createCampaign"]["campaign"]["id"]

    def add_link(name: str) -> Any:
        made = ask(
            """mutation($c: ID!, $n: String!) { createCampaignLink(input: {campaignId: $c, name: $n,
            destinationUrl: "brand.example/sale"}) { campaignLink { mergeTag } } }""",
            c=campaign,
            n=name,
        )
        return made["createCampaignLink"]["campaignLink"]

    for name in ("One", "Two", "Three"):
        add_link(name)
    people = [
        {"handle": f"bench{number}", "displayName": "B", "email": f"b{number}@example.com"}
        for number in range(creators)
    ]
    made = ask(
        """mutation($p: ID!, $c: [NewCreatorInput!]!) {
        createCreators(input: {programId: $p, creators: $c}) { results { creator { id } } } }""",
        p=program,
        c=people,
    )
    ids = [result["creator"]["id"] for result in made["createCreators"]["results"]]
    made = ask(
        """mutation($c: ID!, $ids: [ID!]!) { enrollCreators(input: {campaignId: $c, creatorIds: $ids,
        stage: APPLIED}) { results { enrollment { id } } } }""",
        c=campaign,
        ids=ids,
    )
    ids = [result["enrollment"]["id"] for result in made["enrollCreators"]["results"]]
    began = time.perf_counter()
    made = ask(
        """mutation($ids: [ID!]!) { promoteEnrollments(input: {enrollmentIds: $ids}) { results {
        enrollment { stage } generatedTrackingLinks { code shortUrl } } userErrors { code } } }""",
        ids=ids,
    )
    took = time.perf_counter() - began
    results = made["promoteEnrollments"]["results"]
    links = sum(len(result["generatedTrackingLinks"]) for result in results)
    assert links == 3 * creators
    print(f"{creators} creators promoted, {links} links made and answered in {took:.2f} s")
    tags = [add_link(name)["mergeTag"] for name in ("Four", "Five")]
    began = time.perf_counter()
    made = ask(
        """mutation($content: MessageContentInput!, $ids: [ID!]!) {
        sendMessage(input: {content: $content, enrollmentIds: $ids, idempotencyKey: "bench"}) {
        results { message { id } generatedTrackingLinks { id } } userErrors { code } } }""",
        content={"oneOff": {"campaignId": campaign, "subject": "Yours", "body": " ".join(tags)}},
        ids=ids,
    )
    took = time.perf_counter() - began
    results = made["sendMessage"]["results"]
    links = sum(len(result["generatedTrackingLinks"]) for result in results)
    assert all(result["message"] for result in results)
    assert links == 2 * creators
    print(f"{creators} messages queued, {links} links made and answered in {took:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
