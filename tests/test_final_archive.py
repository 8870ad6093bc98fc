"""What the database itself refuses, on both engines, whoever asks.

"Archived links stop working immediately and can't be reactivated." "Tracking links can't be
deleted, but they can be archived."
"""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.database import Database
from app.models import LinkLabel, TrackingLink
from tests.rows import (
    ARCHIVED_CAMPAIGN_LINK,
    ARCHIVED_LINK,
    CAMPAIGN_LINK,
    CREATOR,
    ENROLLMENT,
    LINK,
    insert_one_of_each,
    link,
)

pytestmark = pytest.mark.breaks_sums  # rows that no recorder wrote

AN_ARCHIVED_LINK = "an archived link cannot change"
OWNER = "the code and the owner of a link cannot change"
LIKE = "a link can only replace an archived one of the same creator and campaign"
COPY_LINK = (
    "INSERT INTO tracking_link (id, program_id, campaign_id, creator_id, enrollment_id,"
    " campaign_link_id, code, destination_url, destination_version, replaces_id, created_at,"
    " changed_at)"
    " SELECT 100, program_id, {campaign_id}, {creator_id}, enrollment_id, {campaign_link_id},"
    " 'new', destination_url, 1, id, created_at, changed_at FROM tracking_link WHERE id = {id}"
)


MOVE_LABEL = (
    f"UPDATE link_label SET tracking_link_id = {ARCHIVED_LINK}, label = 'moved'"
    f" WHERE tracking_link_id = {LINK}"
)


def replacing(id: int, **changes: str) -> str:
    names = ("campaign_id", "creator_id", "campaign_link_id")
    return COPY_LINK.format(id=id, **{name: changes.get(name, name) for name in names})


# The trigger that refuses it, the statement, and what it says.
REFUSED = [
    (
        "tracking_link_is_never_deleted",
        f"DELETE FROM tracking_link WHERE id = {LINK}",
        "a tracking link cannot be deleted, only archived",
    ),
    (
        "tracking_link_is_never_deleted",
        f"DELETE FROM tracking_link WHERE id = {ARCHIVED_LINK}",
        "a tracking link cannot be deleted, only archived",
    ),
    (
        "tracking_link_stays_archived",
        f"UPDATE tracking_link SET archived_at = NULL WHERE id = {ARCHIVED_LINK}",
        AN_ARCHIVED_LINK,
    ),
    (
        "tracking_link_stays_archived",
        f"UPDATE tracking_link SET destination_url = 'https://b.example/' WHERE id = {ARCHIVED_LINK}",
        AN_ARCHIVED_LINK,
    ),
    *(
        (
            "tracking_link_stays_whose_it_is",
            f"UPDATE tracking_link SET {change} WHERE id = {LINK}",
            OWNER,
        )
        for change in (
            "id = 100",
            "program_id = 100",
            "campaign_id = 100",
            "creator_id = 100",
            "enrollment_id = 100",
            "campaign_link_id = NULL",
            f"campaign_link_id = {ARCHIVED_CAMPAIGN_LINK}",
            "code = 'other'",
            f"replaces_id = {ARCHIVED_LINK}",
            "created_at = '2020-01-01 00:00:00'",
        )
    ),
    ("tracking_link_replaces_its_like", replacing(LINK), LIKE),
    (
        "tracking_link_replaces_its_like",
        replacing(ARCHIVED_LINK, campaign_link_id=str(CAMPAIGN_LINK)),
        LIKE,
    ),
    ("tracking_link_replaces_its_like", replacing(ARCHIVED_LINK, creator_id="100"), LIKE),
    ("tracking_link_replaces_its_like", replacing(ARCHIVED_LINK, campaign_id="100"), LIKE),
    (
        "campaign_link_is_never_deleted",
        f"DELETE FROM campaign_link WHERE id = {CAMPAIGN_LINK}",
        "a campaign link cannot be deleted, only archived",
    ),
    (
        "campaign_link_stays_archived",
        f"UPDATE campaign_link SET archived_at = NULL WHERE id = {ARCHIVED_CAMPAIGN_LINK}",
        AN_ARCHIVED_LINK,
    ),
    (
        "campaign_link_stays_archived",
        f"UPDATE campaign_link SET name = 'other' WHERE id = {ARCHIVED_CAMPAIGN_LINK}",
        AN_ARCHIVED_LINK,
    ),
    *(
        (
            "campaign_link_stays_whose_it_is",
            f"UPDATE campaign_link SET {change} WHERE id = {CAMPAIGN_LINK}",
            "the tag and the campaign of a link cannot change",
        )
        for change in (
            "id = 100",
            "program_id = 100",
            "campaign_id = 100",
            "tag_key = 'other'",
            "created_at = '2020-01-01 00:00:00'",
        )
    ),
    (
        "link_destination_is_never_deleted",
        "DELETE FROM link_destination",
        "where a link led cannot be deleted",
    ),
    (
        "link_destination_never_changes",
        "UPDATE link_destination SET url = 'https://b.example/'",
        "where a link led cannot change: add the next version",
    ),
    (
        "link_label_is_not_added_to_an_archived_link",
        f"INSERT INTO link_label VALUES ({ARCHIVED_LINK}, 'new', 1)",
        AN_ARCHIVED_LINK,
    ),
    (
        "link_label_of_an_archived_link_never_changes",
        f"UPDATE link_label SET place = 1 WHERE tracking_link_id = {ARCHIVED_LINK}",
        AN_ARCHIVED_LINK,
    ),
    (
        "link_label_of_an_archived_link_never_changes",
        MOVE_LABEL,
        AN_ARCHIVED_LINK,
    ),
    (
        "link_label_of_an_archived_link_is_never_deleted",
        f"DELETE FROM link_label WHERE tracking_link_id = {ARCHIVED_LINK}",
        AN_ARCHIVED_LINK,
    ),
    (
        "stage_change_is_never_deleted",
        "DELETE FROM stage_change",
        "the history of a creator in a campaign cannot be deleted",
    ),
    (
        "stage_change_never_changes",
        "UPDATE stage_change SET to_stage = 10",
        "the history of a creator in a campaign cannot change",
    ),
    (
        "audit_entry_is_never_deleted",
        "DELETE FROM audit_entry",
        "an audit entry cannot be deleted",
    ),
    (
        "audit_entry_never_changes",
        "UPDATE audit_entry SET action = 'other'",
        "an audit entry cannot change",
    ),
    (
        "message_is_never_deleted",
        "DELETE FROM message",
        "a message cannot be deleted",
    ),
    (
        "message_never_changes",
        "UPDATE message SET body = 'other'",
        "what a message says, and to whom, cannot change",
    ),
    (
        "message_stays_sent",
        "UPDATE message SET status = 'QUEUED'",
        "a message that was sent stays so",
    ),
    (
        "message_link_is_never_deleted",
        "DELETE FROM message_link",
        "which links a message holds cannot change",
    ),
    (
        "message_link_never_changes",
        "UPDATE message_link SET tracking_link_id = 8",
        "which links a message holds cannot change",
    ),
    (
        "conversion_is_never_deleted",
        "DELETE FROM conversion",
        "a conversion cannot be deleted",
    ),
    (
        "conversion_stays_what_it_is",
        "UPDATE conversion SET order_id = '1002'",
        "the program, the type and the order of a conversion cannot change",
    ),
    (
        "conversion_entry_is_never_deleted",
        "DELETE FROM conversion_entry",
        "an entry of the ledger cannot be deleted",
    ),
    (
        "conversion_entry_never_changes",
        "UPDATE conversion_entry SET amount = 1",
        "an entry of the ledger cannot change: add another",
    ),
]
NEVER_EMPTIED = (
    "tracking_link",
    "campaign_link",
    "link_destination",
    "stage_change",
    "audit_entry",
    "message",
    "message_link",
    "conversion",
    "conversion_entry",
)
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


@pytest.fixture
async def full(database: Database) -> Database:
    await insert_one_of_each(database)
    return database


async def run(database: Database, statement: str) -> None:
    async with database.writing() as session:
        await (await session.connection()).execute(text(statement))


@pytest.mark.parametrize(("statement", "says"), [case[1:] for case in REFUSED])
async def test_the_database_refuses(full: Database, statement: str, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        await run(full, statement)


async def test_every_guard_of_the_database_is_tested_here(database: Database) -> None:
    catalog = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if database.is_sqlite
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    )
    async with database.reading() as session:
        found = set((await (await session.connection()).execute(text(catalog))).scalars())
    tested = {case[0] for case in REFUSED}
    if not database.is_sqlite:
        tested |= {f"{table}_is_never_emptied" for table in NEVER_EMPTIED}
    assert found == tested


async def test_a_live_link_can_be_edited_labelled_and_archived(full: Database) -> None:
    async with full.writing() as session:
        live = await session.get_one(TrackingLink, LINK)
        live.destination_url = "https://b.example/"
        live.destination_version = 2
        session.add(LinkLabel(tracking_link_id=LINK, label="bio", place=1))
    await run(full, f"DELETE FROM link_label WHERE tracking_link_id = {LINK} AND label = 'story'")
    await run(full, f"UPDATE tracking_link SET archived_at = created_at WHERE id = {LINK}")


async def test_an_archived_link_can_be_replaced_once(full: Database) -> None:
    async with full.writing() as session:
        session.add(link(100, "next", replaces_id=ARCHIVED_LINK))

    with pytest.raises(IntegrityError, match="replaces_id"):
        async with full.writing() as session:
            session.add(link(101, "another", replaces_id=ARCHIVED_LINK))


async def test_a_creator_has_one_original_link_for_each_campaign_link(full: Database) -> None:
    with pytest.raises(IntegrityError, match="campaign_link_id"):
        async with full.writing() as session:
            session.add(link(100, "twin", campaign_link_id=CAMPAIGN_LINK))


@only_sqlite
@pytest.mark.parametrize("conflict", [f"id = {LINK}", "code = 'archived'"])
async def test_replacing_a_row_does_not_delete_a_link_in_passing(
    full: Database, conflict: str
) -> None:
    replace = (
        "INSERT OR REPLACE INTO tracking_link SELECT"
        f" {LINK if conflict.startswith('id') else 100}, program_id, campaign_id, creator_id,"
        " enrollment_id, NULL, 'archived', 'https://b.example/', 1, NULL, created_at, changed_at, NULL"
        f" FROM tracking_link WHERE {conflict}"
    )
    with pytest.raises(IntegrityError, match="a tracking link cannot be deleted"):
        await run(full, replace)


@only_postgresql
@pytest.mark.parametrize("table", NEVER_EMPTIED)
async def test_truncate_does_not_pass_by_the_guards(full: Database, table: str) -> None:
    with pytest.raises(IntegrityError, match="links and their history cannot be deleted"):
        await run(full, f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM creator WHERE id = {CREATOR}",
        f"DELETE FROM enrollment WHERE id = {ENROLLMENT}",
        "DELETE FROM campaign",
        "DELETE FROM program",
        "DELETE FROM api_key",
        "INSERT INTO link_label VALUES (100, 'of no link', 0)",
        "INSERT INTO link_destination SELECT 100, version, url, at FROM link_destination",
    ],
)
async def test_nothing_is_left_without_what_it_refers_to(full: Database, statement: str) -> None:
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        await run(full, statement)
