"""Reports as CSV: the graph's figures, for whom they are, safe to open in a spreadsheet."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pages import csv_files
from app.resolvers import report_tables
from app.settings import Settings
from tests.selling import Shop
from tests.test_report_pages import a_key, share
from tests.world import World

COUNTED = ("clicks", "uniqueClicks", "suspectClicks", "excludedClicks", "hitsAfterArchive")
COLUMNS = ("clicks", "unique_clicks", "suspect_clicks", "excluded_clicks", "hits_after_archive")
FIGURES = f"""{" ".join(COUNTED)} conversions conversionRate
    revenue {{ gross {{ amount currencyCode }} refunded {{ amount }} net {{ amount }} }}"""


def fetch(world: World, path: str, key: str | None = None) -> Any:
    return world.client.get(path, headers={"Authorization": f"Bearer {key or world.key}"})


def table(world: World, path: str, key: str | None = None) -> list[dict[str, str]]:
    answer = fetch(world, path, key)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few rows are many batches."""
    monkeypatch.setattr(report_tables, "BATCH", 2)


@pytest.fixture
def campaign(world: World) -> str:
    """Five creators in a campaign, and one more in another; clicks, bots, sales, an archived link."""
    shop = Shop(world)
    campaign = world.a_campaign(name="Summer")
    world.a_campaign_link(campaign, name="The shop")
    enrolled = world.enroll(campaign, [world.a_creator() for _ in range(5)])
    world.promote(*enrolled)
    for number, enrollment in enumerate(enrolled):
        (link,) = world.links_of(enrollment)
        for person in range(number):
            world.click(link["code"], ip=f"203.0.113.{person}")
            world.click(link["code"], user_agent="Twitterbot/1.0")
    own = world.a_link(enrolled[0], labels=["TikTok", "Bio"])
    click = shop.visit(own)
    other = world.a_link(world.an_enrollment(world.a_campaign(name="Winter")))
    world.click(other["code"])
    world.drain()
    for order, currency in (("1", "EUR"), ("2", "USD"), ("3", "EUR")):
        sold = shop.sell(
            clickId=click, orderId=order, value={"amount": "10.50", "currencyCode": currency}
        )
    refund = {"conversion": {"id": sold["id"]}, "amount": "0.50", "idempotencyKey": "1"}
    assert shop.refund(**refund)["userErrors"] == []
    world.do("archiveTrackingLink", "", id=own["id"])
    world.click(own["code"])
    world.drain()
    return campaign


def figures_of(row: dict[str, str]) -> tuple[Any, ...]:
    """The figures of a row of CSV."""
    money = {
        name: value
        for name, value in row.items()
        if name.startswith(("gross_", "refunded_", "net_")) and value not in {"0.00", "0"}
    }
    rate = row["conversion_rate"]
    return (
        *(int(row[name]) for name in COLUMNS),
        int(row["conversions"]),
        float(rate) if rate else None,
        money,
    )


def stats_of(stats: dict[str, Any]) -> tuple[Any, ...]:
    """The same of the graph's."""
    money = {
        f"{name}_{each['gross']['currencyCode']}": each[name]["amount"]
        for each in stats["revenue"]
        for name in ("gross", "refunded", "net")
        if float(each[name]["amount"])
    }
    rate = stats["conversionRate"]
    return (
        *(stats[name] for name in COUNTED),
        stats["conversions"],
        None if rate is None else round(rate, 6),
        money,
    )


LISTS = {
    "campaigns": ("campaign_id", "campaigns"),
    "creators": ("creator_id", "creators"),
    "links": ("tracking_link_id", "trackingLinks"),
}


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_every_figure_is_the_graphs(world: World, campaign: str, zone: str) -> None:
    arguments = f'stats(range: {{lastDays: 7}}, timeZone: "{zone}")'
    query = f"?range=7d&zone={zone}"
    for name, (id_column, root) in LISTS.items():
        rows = table(world, f"/reports/{world.program_id}/{name}.csv{query}")
        every = "filter: {archived: ALL}, " if root != "campaigns" else ""
        found = world.ask(
            f"{{ {root}({every}first: 100) {{ nodes {{ id {arguments} {{ {FIGURES} }} }} }} }}"
        )[root]["nodes"]
        assert {row[id_column]: figures_of(row) for row in rows} == {
            each["id"]: stats_of(each["stats"]) for each in found
        }
        assert len(rows) == len(found)
        assert sum(int(row["clicks"]) for row in rows) == 12
    query_totals = f"query($id: ID!) {{ campaign(id: $id) {{ {arguments} {{ {FIGURES} }} }} }}"
    whole = world.ask(query_totals, id=campaign)["campaign"]["stats"]
    (total,) = table(world, f"/reports/{campaign}/totals.csv{query}")
    assert figures_of(total) == stats_of(whole)
    assert total["time_zone"] == zone


@pytest.mark.usefixtures("small_batches")
def test_a_campaigns_tables_add_up_to_the_campaign(world: World, campaign: str) -> None:
    (total,) = table(world, f"/reports/{campaign}/totals.csv")
    for name in ("creators", "links"):
        rows = table(world, f"/reports/{campaign}/{name}.csv")
        for column in (*COLUMNS, "conversions"):
            assert sum(int(row[column]) for row in rows) == int(total[column]), (name, column)
        for column in ("gross_EUR", "refunded_EUR", "net_EUR", "net_USD"):
            assert sum(float(row[column]) for row in rows) == float(total[column])
    assert len(table(world, f"/reports/{campaign}/creators.csv")) == 5
    (row,) = table(world, f"/reports/{campaign}/campaign-links.csv")
    assert (row["campaign_link"], row["clicks"]) == ("The shop", "10")


def test_the_series_and_the_splits_are_the_graphs_too(world: World, campaign: str) -> None:
    query = """query($id: ID!, $step: TimeGranularity!) { campaign(id: $id) {
        stats(range: {lastDays: 7}, timeZone: "Asia/Kathmandu") {
          timeSeries(granularity: $step) { start end clicks uniqueClicks excludedClicks }
          breakdown(by: LABEL) { rows { key counts { clicks uniqueClicks } } }
          excludedByReason { reason hits } } } }"""
    for step in ("HOUR", "DAY"):
        stats = world.ask(query, id=campaign, step=step)["campaign"]["stats"]
        asked = f"range=7d&zone=Asia/Kathmandu&granularity={step.lower()}"
        rows = table(world, f"/reports/{campaign}/series.csv?{asked}")
        assert [
            (
                datetime.fromisoformat(row["start"]),
                int(row["clicks"]),
                int(row["unique_clicks"]),
                int(row["excluded_clicks"]),
            )
            for row in rows
        ] == [
            (
                datetime.fromisoformat(each["start"]),
                each["clicks"],
                each["uniqueClicks"],
                each["excludedClicks"],
            )
            for each in stats["timeSeries"]
        ]
        assert rows[0]["start"].endswith("+05:45")
    labels = table(world, f"/reports/{campaign}/by-label.csv?{asked}")
    assert [(row["label"] or None, int(row["clicks"])) for row in labels] == [
        (each["key"], each["counts"]["clicks"]) for each in stats["breakdown"]["rows"]
    ]
    excluded = table(world, f"/reports/{campaign}/excluded.csv?{asked}")
    assert [(row["reason"], int(row["hits"])) for row in excluded] == [
        (each["reason"], each["hits"]) for each in stats["excludedByReason"]
    ]


def test_a_share_and_a_key_read_the_same_bytes(world: World, campaign: str) -> None:
    path = share(world, campaignId=campaign)["path"]
    for name in ("totals", "series", "creators", "links", "campaign-links", "by-label"):
        shared = world.client.get(f"{path}/{name}.csv")
        assert shared.content == fetch(world, f"/reports/{campaign}/{name}.csv").content, name
        assert shared.headers["cache-control"].startswith("private, no-store")


@pytest.mark.usefixtures("small_batches")
def test_conversions_are_listed_one_by_one_for_keys_that_may_read_them(
    world: World, campaign: str
) -> None:
    rows = table(world, f"/reports/{campaign}/conversions.csv")
    assert [(row["order_id"], row["amount"], row["currency"], row["refunded"]) for row in rows] == [
        ("1", "10.50", "EUR", "0.00"),
        ("2", "10.50", "USD", "0.00"),
        ("3", "10.50", "EUR", "0.50"),
    ]
    assert {row["status"] for row in rows} == {"ATTRIBUTED"}
    assert table(world, f"/reports/{campaign}/conversions.csv?from=2026-01-01&to=2026-01-02") == []
    path = share(world, campaignId=campaign)["path"]
    assert world.client.get(f"{path}/conversions.csv").status_code == 404
    partner = a_key(world, "PARTNER", campaign)
    assert fetch(world, f"/reports/{campaign}/conversions.csv", partner).status_code == 404


# Who may read what.


def test_who_has_no_key_or_may_not_read_is_told_before_anything_is_sent(
    world: World, campaign: str
) -> None:
    path = f"/reports/{campaign}/links.csv"
    nobody = world.client.get(path)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert fetch(world, path, "tl_x").status_code == 401
    assert fetch(world, path, a_key(world, "CONVERSIONS")).status_code == 403
    for role in ("ADMIN", "MANAGER", "ANALYST", "PARTNER"):
        assert fetch(world, path, a_key(world, role)).status_code == 200
    assert fetch(world, f"/reports/{campaign}/nothing.csv").status_code == 404
    assert fetch(world, f"/reports/{campaign}/campaigns.csv").status_code == 404
    assert nobody.headers["content-type"] == "application/json"


def test_a_key_of_some_campaigns_reads_these_only(world: World, campaign: str) -> None:
    other = world.a_campaign()
    key = a_key(world, "PARTNER", campaign)
    assert fetch(world, f"/reports/{other}/links.csv", key).status_code == 404
    (own,) = table(world, f"/reports/{world.program_id}/campaigns.csv", key)
    assert own["campaign_id"] == campaign
    (total,) = table(world, f"/reports/{world.program_id}/totals.csv", key)
    assert total["clicks"] == own["clicks"] == "11"
    assert len(table(world, f"/reports/{world.program_id}/creators.csv", key)) == 5


def test_nothing_of_another_program_is_in_a_report(
    world: World, campaign: str, operator_key: str
) -> None:
    ours, our_program = world.key, world.program_id
    world.key = operator_key
    world.program_id = world.a_program()
    theirs = world.a_campaign(name="Theirs")
    link = world.a_link(world.an_enrollment(theirs), labels=["theirs"])
    world.click(link["code"])
    world.drain()
    their_path = share(world)["path"]

    for subject in (world.program_id, theirs):
        assert fetch(world, f"/reports/{subject}/links.csv", ours).status_code == 404
        # The installation's own key sees every program, and each report is of one.
        assert fetch(world, f"/reports/{subject}/links.csv", operator_key).status_code == 200
    assert len(table(world, f"/reports/{campaign}/links.csv", operator_key)) == 6
    (row,) = table(world, f"{their_path}/links.csv")
    assert row["tracking_link_id"] == link["id"]
    assert len(table(world, f"/reports/{our_program}/links.csv", ours)) == 7
    page = world.client.get(their_path).text
    assert "Summer" not in page
    assert "TikTok" not in page


def test_wrong_keys_are_counted_with_those_at_the_graph(
    world: World, campaign: str, settings: Settings
) -> None:
    path = f"/reports/{campaign}/links.csv"
    for _ in range(settings.graphql_auth_failures_per_minute):
        assert fetch(world, path, "tl_x").status_code == 401
    refused = fetch(world, path, "tl_x")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["errors"][0]["code"] == "RATE_LIMITED"
    assert world.client.post("/graphql", json={"query": "{ __typename }"}).status_code == 429
    assert fetch(world, path).status_code == 200, "others behind the address go on"


@asynccontextmanager
async def slow_readers(world: World, path: str, number: int, **headers: str) -> AsyncIterator[None]:
    """So many who have read the beginning of a file, and leave at the end."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "server": ("go.brand.example", 443),
        "client": ("127.0.0.1", 50000),
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    began: asyncio.Queue[Any] = asyncio.Queue()

    async def send(message: Any) -> None:
        await began.put(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def read() -> None:
        await world.client.app(dict(scope), receive, send)

    tasks = [asyncio.create_task(read()) for _ in range(number)]
    for _ in range(2 * number):
        message = await began.get()
        assert message.get("status", 200) == 200, message
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_caller_has_a_number_of_files_open_at_a_time(
    world: World, campaign: str, settings: Settings
) -> None:
    portal = world.client.portal
    assert portal is not None
    path, shared = f"/reports/{campaign}/links.csv", share(world, campaignId=campaign)["path"]
    for slow, headers, other in (
        (path, {"authorization": f"Bearer {world.key}"}, a_key(world, "ANALYST")),
        (f"{shared}/links.csv", {}, world.key),
    ):
        with portal.wrap_async_context_manager(
            slow_readers(world, slow, settings.max_downloads, **headers)
        ):
            refused = world.client.get(slow, headers=headers)
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["errors"][0]["code"] == "RATE_LIMITED"
            assert world.client.head(slow, headers=headers).status_code == 200
            assert fetch(world, path, other).status_code == 200
        assert world.client.get(slow, headers=headers).status_code == 200, "a place is free again"


# The file.


def test_the_file_has_a_safe_name_and_says_what_it_is(world: World, campaign: str) -> None:
    wild = world.a_campaign(name='Ünï/../" x: y; 文字 = 🎉')
    day = datetime.now(UTC).date()
    answer = fetch(world, f"/reports/{wild}/links.csv?range=7d&zone=UTC")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    name = answer.headers["content-disposition"]
    assert name.startswith('attachment; filename="report-uni-x-y-links-2')
    assert name.endswith(f'-{day}.csv"')
    head = world.client.head(
        f"/reports/{campaign}/links.csv", headers={"Authorization": f"Bearer {world.key}"}
    )
    assert head.status_code == 200
    assert head.content == b""


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "＠x"]  # noqa: RUF001 - full width on purpose


def test_no_cell_of_text_is_a_formula_and_every_cell_is_whole(world: World) -> None:
    words = '=HYPERLINK("https://evil.example","x"), "quoted"; ünï'
    campaign = world.a_campaign(name=words)
    (mine,) = world.enroll(campaign, [world.a_creator(displayName="@ana", handle="+ana")])
    world.a_link(mine, labels=["-1", "b"])
    (row,) = table(world, f"/reports/{world.program_id}/links.csv")
    assert row["campaign"] == f"'{words}"
    assert row["creator"] == "'@ana"
    assert row["creator_handle"] == "'+ana"
    assert row["labels"] == "'-1, b"


@pytest.mark.parametrize("cell", FORMULAS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell: str) -> None:
    assert csv_files.safe(cell) == f"'{cell}"


@given(st.lists(st.lists(st.one_of(st.text(), st.integers(), st.none()), min_size=2), min_size=1))
def test_what_is_written_is_read_back(rows: list[list[Any]]) -> None:
    text = csv_files.encode(rows).decode()
    assert text.endswith("\r\n")
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [["" if c is None else str(csv_files.safe(c)) for c in row] for row in rows]


@given(st.lists(st.text(), min_size=1))
def test_a_file_name_is_plain_whatever_it_is_made_of(words: list[str]) -> None:
    name = csv_files.file_name(*words)
    assert name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(name) <= csv_files.NAME_MAX
