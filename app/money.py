"""Amounts of money: decimal text outside, whole numbers of a currency's smallest unit inside.

No float ever holds an amount. How many digits a currency has after the point is ISO 4217's to
say, and it changes about once a year: a small table here beats a dependency.
"""

import re
from typing import Final

# About what the largest payment of the world would be in cents: beyond it, it is a mistake.
MOST_MINOR: Final = 10**12

_TWO_DIGITS: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
    CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
    PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
    TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
_EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,4}))?", re.ASCII)


class BadAmount(ValueError):
    """Not an amount of money. The message is for people."""


def currency(code: object) -> str:
    """The code, if it is a currency of ISO 4217 in capital letters. Raises `BadAmount`."""
    if isinstance(code, str) and code in _EXPONENTS:
        return code
    raise BadAmount("This is not a currency of ISO 4217, like EUR.")


def parse(amount: object, currency: str) -> int:
    """The whole number of minor units: ``parse("12.50", "EUR")`` is 1250. Raises `BadAmount`.

    Text only: by the time a program has a number, the digits that were meant may be lost.
    """
    if not isinstance(amount, str):
        raise BadAmount('An amount is written as text, like "49.90".')
    found = _AMOUNT.fullmatch(amount)
    if found is None:
        raise BadAmount("This is not an amount, like 49.90: digits, and a point if need be.")
    whole, fraction = found[1], found[2] or ""
    digits = _EXPONENTS[currency]
    if len(fraction) > digits:
        raise BadAmount(f"{currency} has {digits or 'no'} digits after the point.")
    minor: int = int(whole) * 10**digits + int(fraction.ljust(digits, "0") or 0)
    if minor > MOST_MINOR:
        raise BadAmount(f"This is too much: {text(MOST_MINOR, currency)} {currency} at most.")
    return minor


def text(minor: int, currency: str) -> str:
    """The amount as people write it: ``text(-1250, "EUR")`` is "-12.50"."""
    digits = _EXPONENTS[currency]
    whole, fraction = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{fraction:0{digits}}" if digits else f"{sign}{whole}"
