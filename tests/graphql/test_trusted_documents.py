"""Queries that were agreed on beforehand, asked for by their hash."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.settings import Settings
from tests.graphql.toy import KEY, World, application

TRUSTED = "query Trusted { viewer }"
HASH = sha256(TRUSTED.encode()).hexdigest()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({HASH: TRUSTED}))
    return path


def served(manifest: Path, *, only: bool = False) -> TestClient:
    settings = Settings(trusted_documents=manifest, only_trusted_documents=only)
    return TestClient(application(World(), settings), headers={"Authorization": f"Bearer {KEY}"})


def persisted(digest: str) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}


@pytest.mark.parametrize("only", [False, True], ids=["others too", "only these"])
@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(persisted(HASH), id="as Apollo asks"),
        pytest.param({"documentId": HASH}, id="as graphql-codegen asks"),
        pytest.param({"documentId": f"sha256:{HASH}"}, id="as the draft has it"),
        pytest.param({"query": TRUSTED, **persisted(HASH)}, id="hash and text"),
        pytest.param({"query": TRUSTED}, id="text"),
    ],
)
def test_a_trusted_document_is_executed(
    manifest: Path, request_: dict[str, Any], only: bool
) -> None:
    answer = served(manifest, only=only).post("/graphql", json=request_)

    assert answer.json()["data"] == {"viewer": KEY}


def test_a_trusted_document_may_be_asked_by_get(manifest: Path) -> None:
    client = served(manifest, only=True)

    extensions = json.dumps(persisted(HASH)["extensions"])
    for parameters in ({"documentId": HASH}, {"extensions": extensions}):
        assert client.get("/graphql", params=parameters).json()["data"] == {"viewer": KEY}


@pytest.mark.parametrize(
    ("request_", "only", "code"),
    [
        pytest.param(persisted("0" * 64), False, "PERSISTED_QUERY_NOT_FOUND", id="unknown"),
        pytest.param({"query": "{ viewer }"}, True, "PERSISTED_QUERY_ONLY", id="another text"),
        pytest.param(
            {"query": "{ viewer }", **persisted(HASH)}, False, "BAD_USER_INPUT", id="wrong hash"
        ),
    ],
)
def test_what_is_not_agreed_on_is_refused(
    manifest: Path, request_: dict[str, Any], only: bool, code: str
) -> None:
    answer = served(manifest, only=only).post("/graphql", json=request_)

    assert answer.json()["errors"][0]["extensions"]["code"] == code


def test_a_client_can_not_add_a_document(manifest: Path) -> None:
    client = served(manifest)
    text = "{ viewer }"
    digest = sha256(text.encode()).hexdigest()

    assert client.post("/graphql", json={"query": text, **persisted(digest)}).json()["data"]
    answer = client.post("/graphql", json=persisted(digest))

    assert answer.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize("content", ['["x"]', '{"00": "{ viewer }"}', '{"00": 5}', "{"])
def test_a_manifest_that_is_wrong_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "documents.json"
    path.write_text(content)

    with pytest.raises(ValueError, match=r"documents\.json|Expecting"):
        served(path)
