"""The hits behind a number in the graph, one by one, and how they add up to it."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.auth import Permission
from app.models import Click, Verdict
from app.resolvers import hits, pages
from app.resolvers.periods import Period, Scope
from app.resolvers.stats import Restated
from app.schema.connections import Edge, PageInfo
from app.schema.context import Info
from app.schema.enums import publish
from app.schema.permissions import check

if TYPE_CHECKING:
    from app.schema.tracking_links import TrackingLink

TRACKING_LINKS = strawberry.lazy("app.schema.tracking_links")

publish(
    Verdict,
    "What a hit counts as.",
    {
        "COUNTED": "A click: a person followed the link.",
        "EXCLUDED": "No click. The reason says why.",
        "AFTER_ARCHIVE": "The link was archived, and led nowhere.",
        "TEST": "Our own test of conversions. In no number, and listed only if asked for.",
    },
    name="HitVerdict",
)


@strawberry.type(description="One request of a link, as it was judged. It names nobody.")
class Hit:
    at: datetime = strawberry.field(description="When it was.")
    verdict: Verdict = strawberry.field(description="What it counts as.")
    reason: str | None = strawberry.field(
        description="Why it is excluded, as in `excludedByReason`. A click that has one was "
        "excluded first, and counted later."
    )
    is_unique: bool = strawberry.field(description="Whether it is a unique click.")
    is_suspect: bool = strawberry.field(
        description="Whether it is a click that lacks what browsers send along."
    )
    destination_version: int = strawberry.field(
        description="Which of the link's destinations it was sent to."
    )
    referrer_host: str | None = strawberry.field(description="The host of the page it came from.")
    country: str | None = strawberry.field(description="The two-letter code of the country.")
    device: str | None = strawberry.field(description="The kind of device.")
    browser: str | None = strawberry.field(description="The name of the browser.")
    os: str | None = strawberry.field(description="The name of the operating system.")
    in_app: str | None = strawberry.field(description="The app that it was opened within.")
    link_id: strawberry.Private[int]

    @strawberry.field(description="The link that was followed.", metadata={"cost": 1})
    async def tracking_link(self, info: Info) -> Annotated["TrackingLink", TRACKING_LINKS] | None:
        from app.schema.tracking_links import TrackingLink

        return await TrackingLink.load(info, self.link_id)

    @classmethod
    def of(cls, row: Click) -> "Hit":
        return cls(
            at=datetime.fromtimestamp(row.at_ms / 1000, UTC),
            verdict=row.verdict,
            reason=row.reason or None,
            is_unique=row.is_unique,
            is_suspect=row.is_suspect,
            destination_version=row.destination_version,
            referrer_host=row.referrer_host or None,
            country=row.country or None,
            device=row.device or None,
            browser=row.browser or None,
            os=row.os or None,
            in_app=row.in_app or None,
            link_id=row.link_id,
        )


@strawberry.input(description="Which hits to list.")
class HitFilterInput:
    verdict: Verdict | None = strawberry.field(
        default=strawberry.UNSET, description="Only those that count as this."
    )
    reason: str | None = strawberry.field(
        default=strawberry.UNSET, description="Only those that are excluded for this reason."
    )

    def as_filter(self) -> hits.Filter:
        verdict = self.verdict if isinstance(self.verdict, Verdict) else None
        return hits.Filter(verdict, self.reason or None)


@strawberry.type(description="A page of hits, newest first.")
class HitConnection:
    nodes: list[Hit] = strawberry.field(description="The hits of this page.")
    edges: list[Edge[Hit]] = strawberry.field(description="The same with their cursors.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")
    clicks_kept_since: datetime | None = strawberry.field(
        description="Single clicks before this moment are gone, and stay in all numbers. Null while "
        "all are there."
    )
    others_kept_since: datetime | None = strawberry.field(
        description="The same for hits that are excluded or came after the archive."
    )


@strawberry.type(
    description="How requests become numbers: `hits` less `excluded` and `afterArchive` are `clicks`, "
    "of which some are `uniqueClicks`, of which some led to `conversions`."
)
class Reconciliation:
    hits: int = strawberry.field(description="All requests of the links.")
    excluded: int = strawberry.field(description="Those by bots, previews and prefetches.")
    after_archive: int = strawberry.field(
        description="Those of links that were archived by then, or led to a blocked host."
    )
    clicks: int = strawberry.field(description="The rest: those by people.")
    unique_clicks: int = strawberry.field(description="Those that are unique.")
    conversions: int | None = strawberry.field(
        description="Credited conversions. Null until the program tracks conversions."
    )


@strawberry.type(
    description="Hits that were judged anew together, because a rule of the classifier was wrong for them."
)
class Restatement:
    at: datetime = strawberry.field(description="When they were judged anew.")
    reason: str = strawberry.field(
        description="The reason that the classifier had given, as in `excludedByReason`."
    )
    verdict: Verdict = strawberry.field(
        description="What they count as from then on: `COUNTED` if they were excluded before, and "
        "`EXCLUDED` if that was taken back."
    )
    hits: int = strawberry.field(
        description="How many of them are in these numbers. Without it, `clicks` were so many fewer, or more."
    )
    classifiers: list[int] = strawberry.field(
        description="The revisions of the classifier that had judged them."
    )
    from_: date = strawberry.field(name="from", description="The day of the first of them.")
    to: date = strawberry.field(description="The day of the last of them.")

    @classmethod
    def of(cls, row: Restated) -> "Restatement":
        return cls(
            at=row.at,
            reason=row.reason,
            verdict=row.verdict,
            hits=row.hits,
            classifiers=list(row.classifiers),
            from_=row.first,
            to=row.last,
        )


async def connect(
    info: Info,
    scope: Scope,
    key: int,
    program_id: int,
    period: Period,
    only: HitFilterInput | None,
    args: pages.PageArgs,
) -> HitConnection:
    check(info, Permission.READ)
    context = info.context
    filter_ = only.as_filter() if only else hits.Filter()
    async with context.database.reading() as session:
        page = await hits.listed(session, context.viewer, scope, key, period, filter_, args)
        clicks_since, others_since = await hits.kept_since(session, program_id)
    nodes = [Hit.of(row) for row in page.rows]
    return HitConnection(
        nodes=nodes,
        edges=[
            Edge(cursor=cursor, node=node) for cursor, node in zip(page.cursors, nodes, strict=True)
        ],
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=page.cursors[0] if page.cursors else None,
            end_cursor=page.cursors[-1] if page.cursors else None,
        ),
        clicks_kept_since=clicks_since,
        others_kept_since=others_since,
    )
