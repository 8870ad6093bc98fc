"""The demo program is what a newcomer judges us by: it must look alive, and its sums be true."""

from collections import Counter
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import SQLModel, col, func, select

from app.auth import OPERATOR, Authenticator, Permission
from app.database import Database, ReadSession
from app.demo import seed
from app.destinations import check
from app.models import (
    AuditEntry,
    Campaign,
    CampaignLink,
    CampaignStatus,
    Click,
    ClickQuarter,
    Creator,
    Enrollment,
    ExcludedQuarter,
    LinkLabel,
    Program,
    Stage,
    StageChange,
    TrackingLink,
    Verdict,
)
from app.resolvers import stats
from app.resolvers.recount import verify
from app.resolvers.stats import Scope
from app.settings import Settings
from tests.world import a_world

NOW = datetime(2026, 5, 20, 13, 37, tzinfo=UTC)


async def _seed(database: Database) -> str | None:
    return await seed(database, check, now=NOW, progress=_quietly)


def _quietly(what: str, done: int, total: int) -> None:
    pass


async def _number(session: ReadSession, model: type[SQLModel], *conditions: Any) -> int:
    statement = select(func.count()).select_from(model).where(*conditions)
    return (await session.exec(statement)).one()


async def test_the_demo_has_every_stage_every_kind_of_link_and_a_history(
    database: Database,
) -> None:
    key = await _seed(database)

    assert key is not None
    authenticate = Authenticator(database)
    viewer = await authenticate(key, now=NOW)
    await authenticate.close()
    assert viewer is not None
    assert viewer.may(Permission.ADMINISTER)
    assert not viewer.may(Permission.INSTALL)
    async with database.reading() as session:
        statuses = (await session.exec(select(Campaign.status))).all()
        assert sorted(statuses) == [
            CampaignStatus.DRAFT,
            CampaignStatus.LIVE,
            CampaignStatus.PAUSED,
        ]
        assert await _number(session, Creator) == 60
        stages = (await session.exec(select(Enrollment.stage).distinct())).all()
        assert set(stages) == set(Stage)

        campaign_links = (await session.exec(select(CampaignLink))).all()
        assert sorted(Counter(link.campaign_id for link in campaign_links).values()) == [1, 2, 3]
        assert await _number(session, CampaignLink, col(CampaignLink.archived_at).is_not(None)) == 1
        assert await _number(session, TrackingLink, col(TrackingLink.replaces_id).is_not(None)) == 1

        first, last = (
            await session.exec(select(func.min(StageChange.at), func.max(StageChange.at)))
        ).one()
        assert NOW - timedelta(days=101) < first < NOW - timedelta(days=98)
        assert NOW - timedelta(days=7) < last < NOW
        assert await _number(session, AuditEntry, col(AuditEntry.at) < NOW) > 500

        # As the seed advises: one destination, told apart by label and by utm_medium.
        rows = await session.exec(
            select(TrackingLink.creator_id, LinkLabel.label, TrackingLink.destination_url)
            .join(LinkLabel)
            .where(col(LinkLabel.label).in_(["TikTok", "Instagram", "YouTube"]))
        )
        compared: dict[int, set[str]] = {}
        for creator_id, label, url in rows.all():
            if f"utm_medium={label.lower()}" in url:
                compared.setdefault(creator_id, set()).add(url.partition("?")[0] + " " + label)

    assert len(compared) == 6
    for variants in compared.values():
        assert len(variants) == 3
        assert len({variant.partition(" ")[0] for variant in variants}) == 1


async def test_the_sums_of_the_demo_are_those_of_its_clicks_at_every_level(
    database: Database,
) -> None:
    await _seed(database)

    quarters: dict[tuple[int, int], list[int]] = {}
    excluded: Counter[tuple[int, int, str]] = Counter()
    async with database.reading() as session:
        links = {link.id: link for link in (await session.exec(select(TrackingLink))).all()}
        clicks = (await session.exec(select(Click))).all()
        assert 30_000 <= len(clicks) <= 60_000
        for click in clicks:
            at, link = datetime.fromtimestamp(click.at_ms / 1000, UTC), links[click.link_id]
            assert link.created_at < at < NOW
            is_late = link.archived_at is not None and at >= link.archived_at
            assert (click.verdict is Verdict.AFTER_ARCHIVE) == is_late
            assert int.from_bytes(click.id[:6], "big") == click.at_ms
            place = (click.link_id, click.at_ms // 900_000)
            counts = quarters.setdefault(place, [0, 0, 0, 0, 0])
            counts[0] += click.verdict is Verdict.COUNTED
            counts[1] += click.is_unique
            counts[2] += click.is_suspect
            counts[3] += click.verdict is Verdict.EXCLUDED
            counts[4] += click.verdict is Verdict.AFTER_ARCHIVE
            if click.verdict is Verdict.EXCLUDED:
                excluded[*place, click.reason] += 1

        assert quarters == {
            (row.link_id, row.quarter): [
                row.clicks,
                row.unique_clicks,
                row.suspect_clicks,
                row.excluded_hits,
                row.hits_after_archive,
            ]
            for row in (await session.exec(select(ClickQuarter))).all()
        }
        assert excluded == {
            (row.link_id, row.quarter, row.reason): row.hits
            for row in (await session.exec(select(ExcludedQuarter))).all()
        }
        assert {"head", "prefetch", "duplicate"} <= {reason for _, _, reason in excluded}
    assert [str(difference) async for difference in verify(database)] == []

    async with database.reading() as session:
        everything = stats.Counts(*map(sum, zip(*quarters.values(), strict=True)))
        assert all(number > 0 for number in astuple(everything))
        period = stats.all_time(ZoneInfo("UTC"), now=NOW)
        for scope in Scope:
            keys = {getattr(link, scope.value) for link in links.values()} - {None}
            totals = await stats.totals(session, OPERATOR, scope, list(keys), period)
            assert all(0 <= each.unique_clicks <= each.clicks for each in totals.values())
            if scope is not Scope.CAMPAIGN_LINK:  # creator-level links belong to none
                assert sum(totals.values(), stats.NOTHING) == everything


async def test_an_installation_that_has_a_program_gets_no_demo(database: Database) -> None:
    async with database.writing() as session:
        session.add(Program(name="Somebody's own", created_at=NOW))

    assert await _seed(database) is None

    async with database.reading() as session:
        assert await _number(session, Program) == 1
        assert await _number(session, Creator) == 0


async def test_a_demo_that_is_interrupted_was_never_begun(database: Database) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await seed(database, check, now=NOW, progress=stop)

    async with database.reading() as session:
        assert await _number(session, Program) == 0


def test_only_the_demos_bare_address_leads_anywhere(settings: Settings, operator_key: str) -> None:
    for is_demo, expected in ((True, (307, "/graphql")), (False, (404, None))):
        with a_world(settings.model_copy(update={"demo": is_demo}), operator_key) as world:
            answer = world.client.get("/", follow_redirects=False)
        assert (answer.status_code, answer.headers.get("location")) == expected
