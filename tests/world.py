"""What tests say, in the product's words: a whole server on a fresh database, and its people."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.testclient import TestClient

from app.clicks.recorder import Recorder, open_store
from app.database import Database
from app.main import Application
from app.settings import Settings

DESTINATION = "https://brand.example/summer-sale"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)


SENT = """results { skipReason missing enrollment { id } generatedTrackingLinks { id code }
    message { id subject body toAddress status trackingLinks { id } } }"""


class Refusal(AssertionError):
    """The graph answered with errors where the test expected none."""


@dataclass
class World:
    """A brand's program on a running server, asked over HTTP with its own key."""

    client: TestClient
    key: str
    drain: Callable[[], int]
    database: Database
    program_id: str = ""
    _names: int = field(default=0)

    # Asking the graph.

    def post(self, query: str, *, key: str | None = None, **variables: Any) -> Any:
        """The HTTP answer to a query, whatever it is."""
        return self.client.post(
            "/graphql",
            # Not the client's own JSON, which refuses what a hostile one would send.
            content=json.dumps({"query": query, "variables": variables}),
            headers={
                "Authorization": f"Bearer {key or self.key}",
                "Content-Type": "application/json",
            },
        )

    def ask(self, query: str, *, key: str | None = None, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = self.post(query, key=key, **variables).json()
        if "errors" in answer:
            raise Refusal(answer["errors"])
        return answer["data"]

    def errors(self, query: str, *, key: str | None = None, **variables: Any) -> list[Any]:
        """The top-level errors of an answer that must have some."""
        answer = self.post(query, key=key, **variables).json()
        assert answer.get("errors"), answer
        return list(answer["errors"])

    def change(
        self, mutation: str, select: str = "", /, *, key: str | None = None, **input: Any
    ) -> Any:
        """A mutation's payload, which may hold userErrors."""
        type_ = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = (
            f"mutation($input: {type_}!) {{ {mutation}(input: $input) "
            f"{{ {select} userErrors {{ code message path }} }} }}"
        )
        return self.ask(query, key=key, input=input)[mutation]

    def do(self, mutation: str, select: str, /, *, key: str | None = None, **input: Any) -> Any:
        """A mutation's payload, which must hold none."""
        payload = self.change(mutation, select, key=key, **input)
        assert payload["userErrors"] == []
        return payload

    # People and campaigns.

    def name(self, word: str) -> str:
        self._names += 1
        return f"{word}{self._names}"

    def a_program(self, **values: Any) -> str:
        values.setdefault("name", self.name("Brand "))
        made = self.do("createProgram", "program { id }", **values)
        return str(made["program"]["id"])

    def a_campaign(self, **values: Any) -> str:
        values.setdefault("programId", self.program_id)
        values.setdefault("name", self.name("Summer "))
        return str(self.do("createCampaign", "campaign { id }", **values)["campaign"]["id"])

    def a_creator(self, **values: Any) -> str:
        values.setdefault("programId", self.program_id)
        values.setdefault("handle", self.name("ana"))
        values.setdefault("displayName", "Ana")
        values.setdefault("email", f"{self.name('ana')}@example.com")
        return str(self.do("createCreator", "creator { id }", **values)["creator"]["id"])

    def creators(self, number: int) -> list[str]:
        names = [self.name("ben") for _ in range(number)]
        creators = [
            {"handle": name, "displayName": "Ben", "email": f"{name}@example.com"} for name in names
        ]
        made = self.do(
            "createCreators",
            "results { creator { id } userErrors { message } }",
            programId=self.program_id,
            creators=creators,
        )
        return [result["creator"]["id"] for result in made["results"]]

    def enroll(self, campaign: str, creators: Sequence[str], stage: str = "APPLIED") -> list[str]:
        made = self.do(
            "enrollCreators",
            "results { enrollment { id } userErrors { message } }",
            campaignId=campaign,
            creatorIds=creators,
            stage=stage,
        )
        return [result["enrollment"]["id"] for result in made["results"]]

    def an_enrollment(self, campaign: str, stage: str = "APPLIED") -> str:
        return self.enroll(campaign, [self.a_creator()], stage)[0]

    def a_campaign_link(self, campaign: str, **values: Any) -> dict[str, Any]:
        values.setdefault("name", self.name("Link "))
        values.setdefault("destinationUrl", DESTINATION)
        made = self.do(
            "createCampaignLink",
            "campaignLink { id name mergeTag destinationUrl } generatedTrackingLinks { id code }",
            campaignId=campaign,
            **values,
        )
        return {**made["campaignLink"], "made": made["generatedTrackingLinks"]}

    def a_link(self, enrollment: str, **values: Any) -> dict[str, Any]:
        values.setdefault("destinationUrl", DESTINATION)
        made = self.do(
            "createTrackingLink",
            "trackingLink { id code shortUrl destinationUrl labels }",
            enrollmentId=enrollment,
            **values,
        )
        return dict(made["trackingLink"])

    # Messages.

    def a_template(self, campaign: str, body: str, **values: Any) -> str:
        values.setdefault("name", self.name("Template "))
        values.setdefault("subject", "News from {{campaign_name}}")
        made = self.do(
            "createMessageTemplate",
            "messageTemplate { id }",
            campaignId=campaign,
            body=body,
            **values,
        )
        return str(made["messageTemplate"]["id"])

    def message(
        self,
        content: str | dict[str, Any],
        *enrollments: str,
        again: bool = False,
        key: str | None = None,
    ) -> Any:
        """The payload of sending a template, by its ID, or a text."""
        return self.change(
            "sendMessage",
            SENT,
            content={"templateId": content} if isinstance(content, str) else {"oneOff": content},
            enrollmentIds=enrollments,
            idempotencyKey=key or self.name("send-"),
            includePastRecipients=again,
        )

    def send(self, campaign: str, body: str, *enrollments: str) -> list[dict[str, Any]]:
        """One result for each recipient of a text that must be sound."""
        text = {"campaignId": campaign, "subject": "Your links", "body": body}
        payload = self.message(text, *enrollments)
        assert payload["userErrors"] == []
        return list(payload["results"])

    def messages_of(self, enrollment: str) -> list[dict[str, Any]]:
        """Newest first."""
        query = """query($id: ID!) { enrollment(id: $id) { messages(first: 100) { nodes {
            id subject body toAddress status error attempts sentAt isAutomatic template { id }
            trackingLinks { id } } } } }"""
        return list(self.ask(query, id=enrollment)["enrollment"]["messages"]["nodes"])

    # Moving.

    def promote(self, *enrollments: str) -> list[dict[str, Any]]:
        """One result for each: its stage, its new links, its errors."""
        return self._moved("promoteEnrollments", enrollmentIds=enrollments)

    def move(self, stage: str, *enrollments: str) -> list[dict[str, Any]]:
        return self._moved("moveEnrollments", enrollmentIds=enrollments, stage=stage)

    def drop(self, *enrollments: str) -> list[dict[str, Any]]:
        return self._moved("dropEnrollments", enrollmentIds=enrollments)

    def _moved(self, mutation: str, /, **input: Any) -> list[dict[str, Any]]:
        payload = self.do(
            mutation,
            "results { enrollment { id stage } generatedTrackingLinks { id code campaignLink { id } }"
            " userErrors { code message path } }",
            **input,
        )
        return [
            {
                "stage": result["enrollment"] and result["enrollment"]["stage"],
                "links": result["generatedTrackingLinks"],
                "errors": result["userErrors"],
            }
            for result in payload["results"]
        ]

    def links_of(self, enrollment: str, archived: str = "ALL") -> list[dict[str, Any]]:
        """A creator's links in a campaign, oldest first."""
        query = """query($id: ID!, $archived: ArchiveState!) { enrollment(id: $id) {
            trackingLinks(first: 100, filter: {archived: $archived},
                          orderBy: {field: CREATED_AT, direction: ASC}) {
              nodes { id code shortUrl destinationUrl archivedAt labels
                      campaignLink { id } stats { clicks uniqueClicks } } } } }"""
        found = self.ask(query, id=enrollment, archived=archived)
        return list(found["enrollment"]["trackingLinks"]["nodes"])

    # Clicking and counting.

    def click(
        self, code: str, *, method: str = "GET", ip: str = "203.0.113.7", **headers: str
    ) -> Any:
        """Follow a link as a person on a phone would, unless the headers say otherwise."""
        sent = {"user-agent": PHONE, "x-forwarded-for": ip}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, f"/{code}", headers=sent, follow_redirects=False)

    def numbers(self, id: str, fields: str = "clicks uniqueClicks") -> Any:
        """The counts of anything that has some, once all that was clicked is counted."""
        self.drain()
        query = f"query($id: ID!) {{ node(id: $id) {{ ... on Measurable {{ stats {{ {fields} }} }} }} }}"
        return self.ask(query, id=id)["node"]["stats"]


@contextmanager
def a_world(settings: Settings, operator_key: str) -> Iterator[World]:
    """A whole server in this process with a new brand, asked with the key of an admin of it."""

    async def drain() -> int:
        store = open_store(settings.database)
        try:
            return await Recorder(settings, store).drain()
        finally:
            await store.close()

    application = Application(settings)
    with TestClient(
        application, base_url="https://go.brand.example", client=("127.0.0.1", 50000)
    ) as client:
        assert client.portal is not None
        portal = client.portal
        world = World(client, operator_key, lambda: portal.call(drain), application.database)
        world.program_id = world.a_program()
        world.key = world.do(
            "createApiKey", "text", name="Brand", role="ADMIN", programId=world.program_id
        )["text"]
        yield world


def codes(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    """The codes of userErrors or of top-level errors."""
    return [error.get("code") or error["extensions"]["code"] for error in errors]
