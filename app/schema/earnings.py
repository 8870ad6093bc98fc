"""What was earned, as the graph shows it: the same fields wherever clicks are counted."""

from typing import TYPE_CHECKING

import strawberry

from app.resolvers.earnings import Earned
from app.schema.context import Info
from app.schema.money import Money


@strawberry.type(description="The worth of conversions in one currency.")
class RevenueTotal:
    gross: Money = strawberry.field(description="What was reported, corrections included.")
    refunded: Money = strawberry.field(
        description="What was refunded since, wherever it falls: it counts where its sale does."
    )
    net: Money = strawberry.field(description="Gross less what was refunded.")
    payable: Money = strawberry.field(
        description="The net of verified conversions alone: what creators may be paid by."
    )


@strawberry.type(description="Conversions beside the clicks that they followed.")
class Earnings:
    """What a type of counts inherits."""

    if TYPE_CHECKING:
        unique_clicks: int

    async def _earned(self, info: Info) -> Earned | None:
        """None where the program does not track conversions."""
        raise NotImplementedError

    @strawberry.field(
        description="Credited conversions that happened in the period. Null until the program "
        "tracks conversions, and 0 when there are none.",
        metadata={"cost": 5},
    )
    async def conversions(self, info: Info) -> int | None:
        earned = await self._earned(info)
        return None if earned is None else earned.conversions

    @strawberry.field(
        description="Those of them that only a page has reported, which anybody could imitate: a "
        "part of `conversions`.",
        metadata={"cost": 5},
    )
    async def unverified_conversions(self, info: Info) -> int | None:
        earned = await self._earned(info)
        return None if earned is None else earned.unverified

    @strawberry.field(
        description="Conversions divided by unique clicks. Null without unique clicks, and until "
        "the program tracks conversions.",
        metadata={"cost": 5},
    )
    async def conversion_rate(self, info: Info) -> float | None:
        earned = await self._earned(info)
        if earned is None or not self.unique_clicks:
            return None
        return earned.conversions / self.unique_clicks

    @strawberry.field(
        description="What the conversions are worth, one entry a currency, most gross first. Null "
        "until the program tracks conversions.",
        metadata={"cost": 5},
    )
    async def revenue(self, info: Info) -> list[RevenueTotal] | None:
        earned = await self._earned(info)
        if earned is None:
            return None
        return [
            RevenueTotal(
                gross=Money.of(each.gross, currency),
                refunded=Money.of(each.refunded, currency),
                net=Money.of(each.net, currency),
                payable=Money.of(each.payable, currency),
            )
            for currency, each in earned.revenue
        ]
