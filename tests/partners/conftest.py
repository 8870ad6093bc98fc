"""The clients in both languages, and a campaign whose links they read."""

import pytest

from tests.partners.client import Client, run
from tests.world import World

MANY = 60
MORE_THAN_A_PAGE = 25


@pytest.fixture(
    scope="session", params=["python", pytest.param("typescript", marks=pytest.mark.tools)]
)
def client(request: pytest.FixtureRequest) -> Client:
    if request.param == "typescript":
        for tool, *arguments in (("graphql-codegen", "--config", "codegen.ts"), ("tsc", "-p", ".")):
            done = run(f"node_modules/.bin/{tool}", *arguments)
            assert done.returncode == 0, done.stdout + done.stderr
    return Client(request.param)


@pytest.fixture
def engine() -> str:
    """A client can't tell which one there is."""
    return "sqlite"


@pytest.fixture
def campaign(world: World) -> str:
    """Of many creators, each with two links; the first has more links than come with a page."""
    campaign = world.a_campaign()
    for name in ("Shop", "App, for phones"):
        world.a_campaign_link(campaign, name=name)
    enrolled = world.enroll(campaign, world.creators(MANY))
    world.move("DELIVERABLES", *enrolled)
    for number in range(MORE_THAN_A_PAGE):
        world.a_link(enrolled[0], labels=[f"post {number}"])
    return campaign


def a_key(world: World, role: str, campaign: str) -> str:
    return str(
        world.do(
            "createApiKey",
            "text",
            name="Agency",
            role=role,
            programId=world.program_id,
            campaignIds=[campaign],
        )["text"]
    )
