"""Blocked hosts: the operator stops every link that leads to a host, and lets them go on again."""

from typing import Any

import pytest

from app import cli, destinations
from app.auth import OPERATOR
from app.resolvers import blocked_hosts
from app.resolvers.change import Change
from app.settings import Settings
from tests.site import NOW, Site, ask
from tests.world import DESTINATION, World, codes

HOST = "brand.example"  # of DESTINATION
BELOW = f"https://shop.{HOST}/sale"
NEXT_TO_IT = f"https://not{HOST}/"
LIST = "{ blockedHosts { host note blockedAt } }"
# What somebody may give for a host, the code for it, and a part of what they read.
NO_HOSTS = [
    ("", "BLANK", "blank"),
    ("https://brand.example", "INVALID", "host alone"),
    ("https://brand.example/sale", "INVALID", "host alone"),
    ("brand.example/sale", "INVALID", "host alone"),
    ("brand.example:8443", "INVALID", "host alone"),
    ("brand.example?", "INVALID", "host alone"),
    ("brand example", "INVALID", "host alone"),
    ("ana@brand.example", "INVALID_URL", "@"),
    ("*.brand.example", "INVALID", "host alone"),
    ("brand.example.", "INVALID_URL", "dot"),
    ("example", "INVALID_URL", "inside one network"),
    ("10.0.0.1", "INVALID_URL", "IP address"),
    ("go.brand.example", "INVALID_URL", "tracking links themselves"),
    ("раypal.example", "INVALID_URL", "alphabets"),  # noqa: RUF001 - that is the point
]


class Operator:
    """Asks with the installation's own key."""

    def __init__(self, world: World, key: str) -> None:
        self._world = world
        self._key = key

    def block(self, host: str, **values: Any) -> Any:
        what = "blockedHost { host note blockedAt }"
        return self._world.change("blockHost", what, key=self._key, host=host, **values)

    def unblock(self, host: str) -> Any:
        return self._world.change("unblockHost", "blockedHost { host }", key=self._key, host=host)

    def hosts(self) -> list[str]:
        answer = self._world.ask(LIST, key=self._key)
        return [each["host"] for each in answer["blockedHosts"]]


@pytest.fixture
def operator(world: World, operator_key: str) -> Operator:
    return Operator(world, operator_key)


def answers(world: World, *links: dict[str, Any]) -> list[tuple[int, str | None]]:
    followed = [world.click(link["code"]) for link in links]
    return [(answer.status_code, answer.headers.get("location")) for answer in followed]


def test_a_block_stops_links_to_the_host_and_below_it_until_it_is_lifted(
    world: World, operator: Operator
) -> None:
    ana = world.an_enrollment(world.a_campaign())
    urls = [DESTINATION, BELOW, NEXT_TO_IT, f"https://{HOST}:8443/x", f"http://{HOST}/"]
    links = [world.a_link(ana, destinationUrl=url) for url in urls]
    archived = world.a_link(ana)
    world.do("archiveTrackingLink", "trackingLink { id }", id=archived["id"])
    leads = [(302, url) for url in urls]
    gone = (410, None)
    for _ in range(2):  # also when they are remembered
        assert answers(world, *links, archived) == [*leads, gone]

    for host, stopped in ((HOST, [0, 1, 3, 4]), (f"shop.{HOST}", [1]), (f"p.{HOST}", [])):
        assert operator.block(host)["userErrors"] == []
        for _ in range(2):
            assert answers(world, *links, archived) == [
                *(gone if place in stopped else lead for place, lead in enumerate(leads)),
                gone,
            ]
        assert operator.unblock(host)["blockedHost"] == {"host": host}
        for _ in range(2):
            assert answers(world, *links, archived) == [*leads, gone]


def test_the_block_concerns_every_program_and_stands_in_the_log_of_each(
    world: World, operator: Operator, operator_key: str
) -> None:
    ours = world.a_link(world.an_enrollment(world.a_campaign()))
    other = world.do("createProgram", "program { id }", key=operator_key, name="Other")
    key = world.do(
        "createApiKey",
        "text",
        key=operator_key,
        name="Other",
        role="ADMIN",
        programId=other["program"]["id"],
    )["text"]
    operator.block(HOST, note="Reported by many")
    operator.block(HOST)
    operator.unblock(HOST)
    operator.unblock(HOST)
    assert world.click(ours["code"]).status_code == 302
    query = """{ auditLog(filter: {actions: ["blockHost", "unblockHost"]}) {
      nodes { action subject { id } changes { field value } } } }"""
    for program, asks in ((world.program_id, world.key), (other["program"]["id"], key)):
        assert world.ask(query, key=asks)["auditLog"]["nodes"] == [
            {
                "action": action,
                "subject": {"id": program},
                "changes": [{"field": "host", "value": f'"{HOST}"'}],
            }
            for action in ("unblockHost", "blockHost")
        ]


def test_blocking_again_keeps_the_first_time_and_note(world: World, operator: Operator) -> None:
    first = operator.block(HOST, note="Phishing")
    assert first["blockedHost"]["note"] == "Phishing"
    for host in (HOST, HOST.upper(), f" {HOST} "):
        assert operator.block(host, note="Another") == first
    assert operator.hosts() == [HOST]
    assert operator.unblock(HOST.upper())["blockedHost"] == {"host": HOST}
    assert operator.unblock(HOST) == {"blockedHost": None, "userErrors": []}
    assert operator.hosts() == []


def test_a_name_of_other_letters_is_blocked_by_either_spelling(
    world: World, operator: Operator
) -> None:
    ana = world.an_enrollment(world.a_campaign())
    link = world.a_link(ana, destinationUrl="https://www.Bücher.example/")
    for spelling in ("BÜCHER.example", "xn--bcher-kva.example"):
        assert operator.block(spelling)["blockedHost"]["host"] == "xn--bcher-kva.example"
        assert world.click(link["code"]).status_code == 410
        operator.unblock(spelling)
        assert world.click(link["code"]).status_code == 302


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_is_no_host_is_refused_with_what_is_wrong(world: World, operator: Operator) -> None:
    for host, code, says in NO_HOSTS:
        for refused in (operator.block(host), operator.unblock(host)):
            (error,) = refused["userErrors"]
            assert (error["code"], error["path"]) == (code, ["input", "host"]), host
            assert says in error["message"]
    assert operator.hosts() == []


def test_what_is_blocked_by_a_name_above_is_unblocked_there(
    world: World, operator: Operator
) -> None:
    for host in (f"shop.{HOST}", HOST):
        operator.block(host)
    refused = operator.unblock(f"shop.{HOST}")
    assert codes(refused["userErrors"]) == ["HOST_BLOCKED"]
    assert f"below {HOST}" in refused["userErrors"][0]["message"]
    assert operator.hosts() == [HOST, f"shop.{HOST}"]
    for host in (HOST, f"shop.{HOST}"):
        assert operator.unblock(host)["blockedHost"] == {"host": host}


def test_no_link_is_made_or_edited_to_lead_to_a_blocked_host(
    world: World, operator: Operator
) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign)
    link, before = world.a_link(ana), world.a_link(ana, destinationUrl=NEXT_TO_IT)
    campaign_link = world.a_campaign_link(campaign, destinationUrl=NEXT_TO_IT)
    operator.block(HOST)
    for url in (DESTINATION, BELOW, HOST.upper()):
        for mutation, values in (
            ("createTrackingLink", {"enrollmentId": ana}),
            ("updateTrackingLink", {"id": before["id"]}),
            ("replaceTrackingLink", {"id": before["id"]}),
            ("createCampaignLink", {"campaignId": campaign, "name": "New"}),
            ("updateCampaignLink", {"id": campaign_link["id"]}),
        ):
            refused = world.change(mutation, destinationUrl=url, **values)
            (error,) = refused["userErrors"]
            assert error["code"] == "HOST_BLOCKED", mutation
            assert error["path"] == ["input", "destinationUrl"]
            assert error["message"].startswith(f"Links to {HOST} are blocked on this server.")
    # A replacement is a new link too, and here somebody can choose another destination.
    refused = world.change("replaceTrackingLink", id=link["id"])
    assert codes(refused["userErrors"]) == ["HOST_BLOCKED"]
    other = world.do(
        "replaceTrackingLink", "trackingLink { code }", id=link["id"], destinationUrl=NEXT_TO_IT
    )
    assert answers(world, other["trackingLink"], before) == [(302, NEXT_TO_IT)] * 2
    # The same in every other way: labels change, a name changes, and other hosts are free.
    world.do("updateTrackingLink", "trackingLink { id }", id=before["id"], labels=["story"])
    world.do("updateCampaignLink", "campaignLink { id }", id=campaign_link["id"], name="Shop")


def test_links_of_a_campaign_link_are_made_and_live_when_the_block_is_lifted(
    world: World, operator: Operator
) -> None:
    """A promotion does not fail for what the manager who promotes can't mend."""
    campaign = world.a_campaign()
    tag = world.a_campaign_link(campaign)
    ana, ben = world.enroll(campaign, world.creators(2))
    world.promote(ana)
    (before,) = world.links_of(ana)
    operator.block(HOST)
    (moved,) = world.promote(ben)
    assert (moved["errors"], len(moved["links"])) == ([], 1)
    world.do(
        "updateCampaignLink",
        "campaignLink { id }",
        id=tag["id"],
        utm=[{"name": "utm_source", "value": "tiktok"}],
    )
    assert answers(world, before, *moved["links"]) == [(410, None)] * 2
    operator.unblock(HOST)
    leads = (302, f"{DESTINATION}?utm_source=tiktok")
    assert answers(world, before, *moved["links"]) == [leads] * 2


def test_hits_on_a_blocked_destination_are_no_clicks(world: World, operator: Operator) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    fields = "clicks excludedClicks hitsAfterArchive reconciliation { hits afterArchive clicks }"
    world.click(link["code"], ip="203.0.113.1")
    operator.block(HOST)
    for place in (2, 3):
        world.click(link["code"], ip=f"203.0.113.{place}")
    operator.unblock(HOST)
    world.click(link["code"], ip="203.0.113.4")
    assert world.numbers(link["id"], fields) == {
        "clicks": 2,
        "excludedClicks": 0,
        "hitsAfterArchive": 2,
        "reconciliation": {"hits": 4, "afterArchive": 2, "clicks": 2},
    }


def test_only_the_installations_own_key_blocks_hosts(world: World) -> None:
    refused = [
        world.errors(LIST),
        world.errors('mutation { blockHost(input: {host: "a.example"}) { userErrors { code } } }'),
        world.errors(
            'mutation { unblockHost(input: {host: "a.example"}) { userErrors { code } } }'
        ),
    ]
    assert [codes(errors) for errors in refused] == [["FORBIDDEN"]] * 3


async def test_every_worker_knows_and_what_cant_be_asked_never_redirects(site: Site) -> None:
    free, stopped = "bcdfghjk", "mnpqrstv"
    await site.add_links(free, destination=NEXT_TO_IT)
    await site.add_links(stopped, destination=BELOW)

    async def both(*workers: Any) -> list[int]:
        return [
            (await ask(worker, f"/{code}")).status for worker in workers for code in (free, stopped)
        ]

    async with site.redirecting() as one, site.redirecting() as two:
        assert await both(one, two) == [302] * 4
        async with site.database() as database, database.writing() as session:
            change = Change(session, OPERATOR, NOW, destinations.check)
            await blocked_hosts.block(change, HOST)
        assert await both(one) == [302, 410]
        await two._links.close()
        path = site.data_dir / "tracklinks.db"
        if site.url.startswith("sqlite"):
            path.rename(path.with_suffix(".away"))
        # Either may be blocked now, and this worker can't ask which.
        assert await both(two) == [503] * 2
        if site.url.startswith("sqlite"):
            path.with_suffix(".away").rename(path)


@pytest.fixture
def command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """`tracklinks …` on the same installation: its exit code and what it says."""
    monkeypatch.setenv("TRACKLINKS_DATA_DIR", str(settings.data_dir))
    if settings.database_url is not None:
        monkeypatch.setenv("TRACKLINKS_DATABASE_URL", settings.database_url.get_secret_value())

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["tracklinks", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def test_the_operator_blocks_hosts_on_the_command_line_of_a_server_that_runs(
    world: World, command: Any
) -> None:
    link = world.a_link(world.an_enrollment(world.a_campaign()))
    assert answers(world, link) == [(302, DESTINATION)]
    for _ in range(2):
        code, said = command("hosts", "block", "Brand.Example", "--note", "[/by] many")
        assert code == 0
        assert said.endswith(f": {HOST} and every name below it.\n")
        assert answers(world, link) == [(410, None)]
    code, said = command("hosts", "list")
    assert (code, said.split()[3::2]) == (0, [HOST, "[/by]"])
    assert command("hosts", "unblock", HOST) == (0, f"Unblocked: {HOST}.\n")
    assert answers(world, link) == [(302, DESTINATION)]
    assert command("hosts", "unblock", HOST) == (0, "It was not blocked.\n")
    assert HOST not in command("hosts", "list")[1]
    code, said = command("hosts", "block", "https://brand.example/sale")
    assert code == 1
    assert said == "Give the host alone, such as brand.com: no https://, port, path or *. (host)\n"
