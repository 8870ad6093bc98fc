"""GraphiQL comes whole from this server, and only where it was switched on."""

import json
import re

import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from tests.graphql.toy import KEY, World, application

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def browser() -> TestClient:
    return TestClient(application(World(), Settings(graphiql=True)), headers=BROWSER)


def test_a_browser_sees_graphiql_with_the_examples_and_the_key(browser: TestClient) -> None:
    page = browser.get("/graphql")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    (config,) = re.findall(r'id="config">(.*?)</script>', page.text, re.DOTALL)
    assert json.loads(config)["tabs"][0]["query"] == "{ thing { name } } # </script>"
    assert KEY in json.loads(config)["headers"]


def test_the_page_loads_nothing_from_elsewhere_and_its_files_may_be_kept(
    browser: TestClient,
) -> None:
    page = browser.get("/graphql")

    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    files = [address for address in addresses if address != "data:,"]
    assert len(files) == 9
    for address in files:
        assert address.startswith("/static/graphiql/")
        file = browser.get(address)
        assert file.status_code == 200
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["..%2f..%2fview.py", "%2e%2e/view.py", "page/../../view.py"])
def test_nothing_but_its_files_can_be_had(browser: TestClient, path: str) -> None:
    assert browser.get(f"/static/graphiql/1/page/{path}").status_code == 404


def test_a_query_in_the_address_is_answered_and_not_shown(browser: TestClient) -> None:
    assert browser.get("/graphql?query={viewer}").status_code == 401


def test_without_the_setting_there_is_no_page() -> None:
    client = TestClient(application(World()), headers=BROWSER)

    assert client.get("/graphql").status_code == 401
    assert client.get("/static/graphiql/1/page/page.js").status_code == 404
