"""What a request costs does not grow with what it names: the alarm for one query a row.

The numbers are exact on purpose. When one changes, look, then mend the code or write the new
number down.
"""

from tests.statements import count_statements
from tests.world import World

REPORT = """query($id: ID!, $first: Int!) { campaign(id: $id) { name program { name }
  stats(range: {lastDays: 30}) { clicks timeSeries { clicks } excludedByReason { hits } }
  enrollments(first: $first) { totalCount nodes { stage creator { handle email stats { clicks } }
    stats { clicks }
    stageChanges(first: 5) { totalCount nodes { to } }
    trackingLinks(first: 3) { totalCount nodes { code labels destinations { url } replacedBy { id }
      campaign { name } campaignLink { name } enrollment { stage }
      stats { clicks timeSeries { clicks } } } } } } } }"""


def test_a_report_of_one_and_of_a_hundred_creators_costs_the_same(world: World) -> None:
    campaign = world.a_campaign()
    for _ in range(3):
        world.a_campaign_link(campaign)
    enrolled = world.enroll(campaign, world.creators(100))
    world.promote(*enrolled)
    for link in world.links_of(enrolled[0]):
        world.click(link["code"])
    world.drain()

    def cost(first: int) -> list[str]:
        with count_statements(world.database) as counted:
            report = world.ask(REPORT, id=campaign, first=first)
        assert len(report["campaign"]["enrollments"]["nodes"]) == first
        return [" ".join(statement.split())[:60] for statement in counted.statements]

    world.ask(REPORT, id=campaign, first=1)  # the key's last use is kept once a minute
    one, hundred = cost(1), cost(100)
    assert len(one) == len(hundred) == 31, (one, hundred)


def test_promoting_one_and_a_hundred_costs_the_same(world: World) -> None:
    campaign = world.a_campaign()
    for _ in range(3):
        world.a_campaign_link(campaign)
    enrolled = world.enroll(campaign, world.creators(101))

    def cost(*enrollments: str) -> list[str]:
        with count_statements(world.database) as counted:
            results = world.promote(*enrollments)
        assert sum(len(result["links"]) for result in results) == 3 * len(enrollments)
        return [" ".join(statement.split())[:60] for statement in counted.statements]

    one, hundred = cost(enrolled[0]), cost(*enrolled[1:])
    assert len(one) == len(hundred) == 14, (one, hundred)
