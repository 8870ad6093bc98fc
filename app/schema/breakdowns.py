"""Clicks and conversions split by one dimension, as the graph shows them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.ids import encode
from app.resolvers import breakdowns
from app.resolvers.breakdowns import Dimension
from app.resolvers.earnings import Earned
from app.schema.context import Info
from app.schema.earnings import Earnings
from app.schema.enums import publish

if TYPE_CHECKING:
    from app.schema.nodes import Node

NODES = strawberry.lazy("app.schema.nodes")

publish(
    Dimension,
    "What clicks can be split by.",
    {
        "CAMPAIGN": "The campaign.",
        "CREATOR": "The creator.",
        "CAMPAIGN_LINK": "The campaign link. Null for creator-level links, which have none.",
        "TRACKING_LINK": "The tracking link.",
        "LABEL": "A label of the link. A link with several labels counts under each, and one "
        "without any under null.",
        "UTM_SOURCE": "The `utm_source` of the destination that the visitor was sent to. Like all "
        "that follow, only in days of the program's own time zone.",
        "UTM_MEDIUM": "The `utm_medium` of the destination that the visitor was sent to.",
        "UTM_CAMPAIGN": "The `utm_campaign` of the destination that the visitor was sent to.",
        "REFERRER": "The host of the page that the visitor came from. Null where the browser "
        "did not say.",
        "COUNTRY": "The two-letter code of the country. Null without a country database.",
        "DEVICE": "The kind of device, like `mobile`.",
        "BROWSER": "The name of the browser.",
        "OS": "The name of the operating system.",
        "IN_APP": "The app that the visitor opened the link within. Null outside of apps.",
    },
    name="StatsDimension",
)

ByArgument = Annotated[Dimension, strawberry.argument(description="What to split by.")]
LimitArgument = Annotated[
    int,
    strawberry.argument(description="How many rows, 1 to 100. The rest is summed in `other`."),
]


@strawberry.type(
    description="Counts of one group of clicks, and of the conversions of what belongs to it."
)
class StatsCounts(Earnings):
    clicks: int = strawberry.field(description="Clicks by people.")
    unique_clicks: int = strawberry.field(description="Unique clicks by people.")
    earned: strawberry.Private[Earned | None]

    async def _earned(self, info: Info) -> Earned | None:
        return self.earned

    @classmethod
    def of(cls, part: breakdowns.Part, earned: Earned | None) -> "StatsCounts":
        return cls(clicks=part.clicks, unique_clicks=part.unique_clicks, earned=earned)


@strawberry.type(description="One value of a dimension and its counts.")
class StatsBreakdownRow:
    key: str | None = strawberry.field(
        description="The value, like `DE` or `mobile`; an ID when the dimension is one of objects. "
        "Null where there is none, or none is known."
    )
    counts: StatsCounts = strawberry.field(description="The counts.")
    prefix: strawberry.Private[str | None]
    number: strawberry.Private[int | None]

    @strawberry.field(
        description="The object that the value is the ID of, when the dimension is one of objects.",
        metadata={"cost": 1},
    )
    async def node(self, info: Info) -> Annotated["Node", NODES] | None:
        from app.schema.nodes import NODES as TYPES

        return None if self.prefix is None else await TYPES[self.prefix].load(info, self.number)

    @classmethod
    def of(cls, by: Dimension, part: breakdowns.Part, earned: Earned | None) -> "StatsBreakdownRow":
        prefix = breakdowns.OBJECTS[by][0] if by in breakdowns.OBJECTS else None
        number = part.value if isinstance(part.value, int) else None
        key = encode(prefix, number) if prefix and number else part.value
        return cls(
            key=None if key is None else str(key),
            counts=StatsCounts.of(part, earned),
            prefix=prefix,
            number=number,
        )


@strawberry.type(description="Clicks and conversions split by one dimension.")
class StatsBreakdown:
    by: Dimension = strawberry.field(description="What it is split by.")
    rows: list[StatsBreakdownRow] = strawberry.field(
        description="The values with the most clicks, most first; then those with conversions and "
        "no clicks, most conversions first. One without both has no row."
    )
    other: StatsCounts = strawberry.field(
        description="What is in no row, summed. Rows and this add up to the figures of the whole, "
        "except by label: there a link with several labels is in several rows."
    )

    @classmethod
    def of(
        cls,
        by: Dimension,
        found: breakdowns.Breakdown,
        earned: Sequence[Earned | None] | None = None,
    ) -> "StatsBreakdown":
        """``earned``: of each part and then of the others, where conversions can be told."""
        *parts, other = earned or [None] * (len(found.parts) + 1)
        return cls(
            by=by,
            rows=[
                StatsBreakdownRow.of(by, part, each)
                for part, each in zip(found.parts, parts, strict=True)
            ],
            other=StatsCounts.of(found.other, other),
        )
