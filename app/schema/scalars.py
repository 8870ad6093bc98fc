"""The graph's scalars: strict where Strawberry's own take what nobody meant."""

import re
from datetime import UTC, date, datetime
from typing import Any, NewType
from zoneinfo import ZoneInfo, available_timezones

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

URL = NewType("URL", str)
TimeZone = NewType("TimeZone", str)
# Text all the way: a float would not keep the digits. What it means, the currency says.
Decimal = NewType("Decimal", str)
CurrencyCode = NewType("CurrencyCode", str)

# RFC 3339, with an offset: "2026-01-31" and "T24:00" are nobody's idea of an instant.
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _refused(what: str, example: str) -> GraphQLError:
    return GraphQLError(f"{what}, like {example}.", extensions={"code": "BAD_USER_INPUT"})


def parse_instant(value: Any) -> datetime:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _refused("A DateTime is an RFC 3339 timestamp with an offset", "2026-01-31T09:00:00Z")


def print_instant(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"


def parse_day(value: Any) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _refused("A Date is a calendar date", "2026-01-31")


def parse_zone(value: Any) -> str:
    if isinstance(value, str) and value in _zones():
        return value
    raise _refused("A TimeZone is an IANA time zone name", "Europe/Berlin")


def _zones() -> frozenset[str]:
    global _ZONES  # noqa: PLW0603 - read from the disk once, when first needed
    if not _ZONES:
        _ZONES = frozenset(available_timezones())
    return _ZONES


_ZONES: frozenset[str] = frozenset()


def zone_of(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def parse_url(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _refused("A URL is a string", "https://example.com/")


def parse_decimal(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _refused("A Decimal is a string", '"49.90"')


def parse_currency(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _refused("A CurrencyCode is a string", '"EUR"')


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant as an RFC 3339 timestamp with an offset. Output is always UTC "
        "with milliseconds, like `2026-01-31T09:00:00.000Z`.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=print_instant,
        parse_value=parse_instant,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A calendar date without a time, `YYYY-MM-DD`.",
        specified_by_url="https://scalars.graphql.org/andimarek/local-date.html",
        serialize=date.isoformat,
        parse_value=parse_day,
    ),
    URL: strawberry.scalar(
        name="URL",
        description="An absolute `http` or `https` URL.",
        specified_by_url="https://url.spec.whatwg.org/",
        serialize=str,
        parse_value=parse_url,
    ),
    TimeZone: strawberry.scalar(
        name="TimeZone",
        description="An IANA time zone name, like `Europe/Berlin`.",
        specified_by_url="https://www.iana.org/time-zones",
        serialize=str,
        parse_value=parse_zone,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description='A decimal number as text, with a point and no exponent, like `"49.90"`.',
        serialize=str,
        parse_value=parse_decimal,
    ),
    CurrencyCode: strawberry.scalar(
        name="CurrencyCode",
        description="A currency of ISO 4217, like `EUR`.",
        specified_by_url="https://www.iso.org/iso-4217-currency-codes.html",
        serialize=str,
        parse_value=parse_currency,
    ),
}
