"""Amounts of money in the graph."""

import strawberry

from app import money
from app.schema.scalars import CurrencyCode, Decimal


@strawberry.type(description="An amount of money.")
class Money:
    amount: Decimal = strawberry.field(description="The amount in the currency's main unit.")
    currency_code: CurrencyCode = strawberry.field(description="The currency.")

    @classmethod
    def of(cls, minor: int, currency: str) -> "Money":
        return cls(
            amount=Decimal(money.text(minor, currency)), currency_code=CurrencyCode(currency)
        )

    @classmethod
    def or_none(cls, minor: int | None, currency: str | None) -> "Money | None":
        return None if minor is None or currency is None else cls.of(minor, currency)


@strawberry.input(description="An amount of money.")
class MoneyInput:
    amount: Decimal = strawberry.field(description="The amount in the currency's main unit.")
    currency_code: CurrencyCode = strawberry.field(description="The currency.")
