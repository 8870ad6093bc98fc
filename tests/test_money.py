"""Amounts are exact: text in, whole numbers of the smallest unit inside, the same text out."""

import random
from decimal import Decimal
from typing import Any

import pytest

from app import money

TAKEN = [
    ("0", "EUR", 0),
    ("0.00", "EUR", 0),
    ("1", "EUR", 100),
    ("1.5", "EUR", 150),
    ("49.90", "EUR", 4990),
    ("0.01", "USD", 1),
    ("10000000000.00", "USD", 10**12),
    ("10000000000", "USD", 10**12),
    ("1", "JPY", 1),
    ("1000000000000", "JPY", 10**12),
    ("1.234", "KWD", 1234),
    ("1.2", "KWD", 1200),
    ("1000000000.000", "KWD", 10**12),
    ("1.2345", "CLF", 12345),
    ("0.1", "BHD", 100),
]
REFUSED: list[tuple[Any, str]] = [
    ("1e3", "EUR"),
    ("1E3", "EUR"),
    ("NaN", "EUR"),
    ("Infinity", "EUR"),
    ("-Infinity", "EUR"),
    ("-1", "EUR"),
    ("+1", "EUR"),
    ("-0", "EUR"),
    ("", "EUR"),
    (" ", "EUR"),
    (" 1", "EUR"),
    ("1 ", "EUR"),
    ("1\n", "EUR"),
    (".5", "EUR"),
    ("5.", "EUR"),
    ("1,5", "EUR"),
    ("1,000.00", "EUR"),
    ("1 000", "EUR"),
    ("1_000", "EUR"),
    ("1'000", "EUR"),
    ("01", "EUR"),
    ("0x10", "EUR"),
    ("1.2.3", "EUR"),
    ("€1", "EUR"),
    ("1 EUR", "EUR"),
    ("12.345", "USD"),
    ("12.340", "USD"),
    ("1.5", "JPY"),
    ("1.0", "JPY"),
    ("1.2345", "KWD"),
    ("1.23456", "CLF"),
    ("10000000000.01", "USD"),
    ("10000000001", "USD"),
    ("1000000000001", "JPY"),
    ("1000000000.001", "KWD"),
    ("9" * 40, "EUR"),
    ("１２", "EUR"),  # noqa: RUF001 - full-width digits
    ("१२", "EUR"),
    ("²", "EUR"),
    ("1．5", "EUR"),  # noqa: RUF001
    ("1\u200b", "EUR"),
    (0.1 + 0.2, "EUR"),
    (12.34, "EUR"),
    (float("nan"), "EUR"),
    (12, "EUR"),
    (10**12 + 1, "EUR"),
    (True, "EUR"),
    (None, "EUR"),
    ([], "EUR"),
    ({}, "EUR"),
    (b"1", "EUR"),
    (Decimal("1.5"), "EUR"),
]


@pytest.mark.parametrize(("amount", "currency", "minor"), TAKEN)
def test_an_amount_is_exact(amount: str, currency: str, minor: int) -> None:
    assert money.parse(amount, currency) == minor
    assert Decimal(money.text(minor, currency)) == Decimal(amount)


@pytest.mark.parametrize(("amount", "currency"), REFUSED)
def test_what_is_no_amount_is_refused(amount: Any, currency: str) -> None:
    with pytest.raises(money.BadAmount):
        money.parse(amount, currency)


@pytest.mark.parametrize("code", ["eur", "EURO", "", "XXX", "BTC", None, 978])
def test_what_is_no_currency_is_refused(code: Any) -> None:
    with pytest.raises(money.BadAmount):
        money.currency(code)


def test_a_million_amounts_add_up() -> None:
    random_ = random.Random(4)  # noqa: S311 - to be the same each time
    minors = [random_.randrange(money.MOST_MINOR + 1) for _ in range(1_000_000)]
    total = 0
    for minor in minors:
        total += money.parse(money.text(minor, "EUR"), "EUR")
    assert total == sum(minors)
