"""What we give to be copied works: the operations of README.md and of examples/."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate
from sqlmodel import col, select

from app.auth import Authenticator
from app.database import Database
from app.demo import seed
from app.destinations import check
from app.ids import encode
from app.messages.addresses import open_addresses
from app.models import Campaign, CampaignLink, CampaignStatus, Enrollment, Stage, TrackingLink
from app.schema import Context, schema
from app.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NOW = datetime(2026, 5, 20, 13, 37, tzinfo=UTC)

EXAMPLES = {path.name: path.read_text() for path in sorted((ROOT / "examples").glob("*.graphql"))}
STEPS = {
    f"README {place}": text
    for place, text in enumerate(re.findall(r"```graphql\n(.*?)```", README, re.DOTALL), start=1)
}
COMMANDS = {
    f"README curl {place}": json.loads(text)["query"]
    for place, text in enumerate(re.findall(r"-d '(\{.*?\})'$", README, re.MULTILINE), start=1)
}
OPERATIONS = COMMANDS | STEPS | EXAMPLES


def test_there_are_operations_in_the_readme_and_in_the_examples() -> None:
    assert COMMANDS
    assert STEPS
    assert EXAMPLES


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_that_we_show_is_valid(name: str) -> None:
    assert validate(schema._schema, parse(OPERATIONS[name])) == []


async def test_every_operation_that_we_show_works_on_the_demo(
    database: Database, tmp_path: Path
) -> None:
    key = await seed(database, check, now=NOW, progress=_quietly)
    authenticate = Authenticator(database)
    viewer = await authenticate(key or "", now=NOW)
    await authenticate.close()
    assert viewer is not None
    variables = await _variables(database)
    settings = Settings.model_validate({"data_dir": tmp_path})

    for name, text in OPERATIONS.items():
        wanted = re.findall(r"\$(\w+):", text)
        context = Context(viewer, database, settings, check, open_addresses(settings), now=NOW)
        result = await schema.execute(
            text,
            variable_values={each: variables[each] for each in wanted},
            context_value=context,
        )

        assert result.errors is None, name
        assert list(_empty(result.data)) == [], name
        assert list(_user_errors(result.data)) == [], name


def _quietly(what: str, done: int, total: int) -> None:
    pass


async def _variables(database: Database) -> dict[str, Any]:
    """What every variable of an example stands for. A new name needs its value here."""
    async with database.reading() as session:
        campaign = (
            await session.exec(select(Campaign).where(Campaign.status == CampaignStatus.LIVE))
        ).one()
        applied = (
            await session.exec(
                select(Enrollment.id).where(
                    Enrollment.campaign_id == campaign.id, Enrollment.stage == Stage.APPLIED
                )
            )
        ).all()
        link = (
            await session.exec(
                select(TrackingLink)
                .where(
                    col(TrackingLink.campaign_link_id).is_(None),
                    col(TrackingLink.archived_at).is_(None),
                )
                .limit(1)
            )
        ).one()
        campaign_link = (
            await session.exec(
                select(CampaignLink.id).where(
                    CampaignLink.campaign_id == campaign.id,
                    col(CampaignLink.archived_at).is_(None),
                )
            )
        ).first()
    assert campaign_link is not None
    return {
        "campaignId": encode("cmp", campaign.id),
        "campaignLinkId": encode("cml", campaign_link),
        "creatorId": encode("crt", link.creator_id),
        "enrollmentId": encode("enr", link.enrollment_id),
        "enrollmentIds": [encode("enr", each) for each in applied],
        "trackingLinkId": encode("lnk", link.id),
        "after": None,
    }


def _empty(data: Any) -> list[str]:
    """The root fields that found nothing."""
    return [name for name, value in data.items() if value is None]


def _user_errors(value: Any) -> list[Any]:
    """All user errors, however deep."""
    if isinstance(value, list):
        return [error for each in value for error in _user_errors(each)]
    if not isinstance(value, dict):
        return []
    own = list(value.get("userErrors", ()))
    return own + [error for each in value.values() for error in _user_errors(each)]
