"""What a monitor sees of the click path."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.main import Application
from app.settings import Settings
from tests.world import World


def figures(client: TestClient) -> dict[str, float]:
    """Each figure by its name, and its status where it has one."""
    text = client.get("/metrics").text
    return {
        sample.name.removeprefix("tracklinks_") + sample.labels.get("status", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_off_unless_the_operator_wants_them(world: World) -> None:
    assert world.client.get("/metrics").status_code == 404


def test_a_monitor_sees_answers_clicks_losses_and_the_journal(
    settings: Settings, world: World
) -> None:
    url = world.a_link(world.an_enrollment(world.a_campaign()))["shortUrl"]
    watched = Application(settings.model_copy(update={"metrics": True}))
    with TestClient(watched, follow_redirects=False) as client:
        path = "/" + url.rpartition("/")[2]
        for _ in range(3):
            assert client.get(path).status_code == 302
        assert client.post(path).status_code == 405
        assert client.get("/nosuchcode").status_code == 404
        assert client.get(path, headers={"sec-purpose": "prefetch"}).status_code == 503
        journal = watched.redirect.journal
        journal.lost += 2
        journal._measure()
        found = figures(client)
    assert [found[f"redirects_total{status}"] for status in (302, 405, 404, 503)] == [3, 1, 1, 1]
    assert found["clicks_journaled_total"] == 4
    assert found["clicks_lost_total"] == 2
    assert found["unknown_codes_total"] == 1
    assert 0 < found["journal_bytes"] < found["journal_max_bytes"]
    assert "recorder_lag_seconds" not in found  # none ever ran here
