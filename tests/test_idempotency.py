"""A call that is retried with the same key does nothing twice and answers as it did."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.world import World, codes

RESULTS = """results { enrollment { id stage } generatedTrackingLinks { code }
  userErrors { code message path } }"""


def test_a_promotion_that_is_retried_promotes_once(world: World) -> None:
    campaign = world.a_campaign()
    world.a_campaign_link(campaign)
    ids = [*world.enroll(campaign, world.creators(3)), "enr_0000000000001"]

    def promote() -> Any:
        return world.do("promoteEnrollments", RESULTS, enrollmentIds=ids, idempotencyKey="batch-1")

    first = promote()
    assert [each["enrollment"] and each["enrollment"]["stage"] for each in first["results"]] == [
        "DELIVERABLES",
        "DELIVERABLES",
        "DELIVERABLES",
        None,
    ]
    assert promote() == first
    later = world.do("promoteEnrollments", RESULTS, enrollmentIds=ids[:1], idempotencyKey="batch-2")
    assert later["results"][0]["enrollment"]["stage"] == "CONFIRMATION"


def test_a_link_that_is_made_again_is_the_same_link(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    links = [world.a_link(ana, idempotencyKey="k")["id"] for _ in range(3)]
    assert len(set(links)) == 1
    assert len(world.links_of(ana)) == 1


def test_calls_with_one_key_at_the_same_moment_do_it_once(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: world.a_link(ana, idempotencyKey="k")["id"], range(6)))
    assert len(set(made)) == 1
    assert len(world.links_of(ana)) == 1


def test_a_key_for_another_call_is_refused(world: World) -> None:
    campaign = world.a_campaign()
    ana, ben = world.an_enrollment(campaign), world.an_enrollment(campaign)
    world.do("promoteEnrollments", RESULTS, enrollmentIds=[ana], idempotencyKey="k")
    payload = world.change("promoteEnrollments", enrollmentIds=[ben], idempotencyKey="k")
    assert [(each["code"], each["path"]) for each in payload["userErrors"]] == [
        ("TAKEN", ["input", "idempotencyKey"])
    ]
    moved = world.do(
        "moveEnrollments", RESULTS, enrollmentIds=[ben], stage="DRAFT", idempotencyKey="k"
    )
    assert moved["results"][0]["enrollment"]["stage"] == "DRAFT"


def test_what_was_refused_may_be_mended_under_the_same_key(world: World) -> None:
    ana = world.an_enrollment(world.a_campaign())
    payload = world.change(
        "createTrackingLink", enrollmentId=ana, destinationUrl="no url", idempotencyKey="k"
    )
    assert codes(payload["userErrors"]) == ["INVALID_URL"]
    assert world.a_link(ana, idempotencyKey="k")["id"]


def test_a_blank_key_is_refused(world: World) -> None:
    payload = world.change("promoteEnrollments", enrollmentIds=[], idempotencyKey=" ")
    assert codes(payload["userErrors"]) == ["BLANK"]
