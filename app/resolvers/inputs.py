"""What callers write, checked: every fault of a form at once, each with the path to its field."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from app.destinations import BadDestination, host_of
from app.errors import Fault, Refused, UserErrorCode
from app.utm import BadUtm
from app.utm import check as check_utm

NAME_MAX = 200
LABELS_MAX = 10
LABEL_MAX = 100
EMAIL_MAX = 320
MORE_THAN_A_HOST = re.compile(r"[\s/\\?#*]|:\d*$")


class Form:
    """Collects what is wrong with an input. Each method returns the value to store, or
    anything at all after a fault; `check` raises before that could matter."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, code: UserErrorCode, message: str, *path: str | int) -> None:
        self.faults.append(Fault(code, message, tuple(map(str, path))))

    def check(self) -> None:
        if self.faults:
            raise Refused(*self.faults)

    def text(self, value: str | None, *path: str | int, max_length: int = NAME_MAX) -> str:
        """A line of text that is not blank: white space around it is dropped."""
        value = (value or "").strip()
        if not value:
            self.fault(UserErrorCode.BLANK, "This can't be blank.", *path)
        return self._line(value, *path, max_length=max_length)

    def optional_text(
        self, value: str | None, *path: str | int, max_length: int = NAME_MAX
    ) -> str | None:
        value = (value or "").strip()
        return self._line(value, *path, max_length=max_length) or None

    def lines(self, value: str | None, *path: str | int, max_length: int) -> str:
        """Text of any number of lines that is not blank."""
        value = (value or "").replace("\r\n", "\n").replace("\r", "\n").strip()
        if not value:
            self.fault(UserErrorCode.BLANK, "This can't be blank.", *path)
        elif len(value) > max_length:
            message = f"This is too long: {max_length} characters at most."
            self.fault(UserErrorCode.TOO_LONG, message, *path)
        elif any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in value):
            self.fault(UserErrorCode.INVALID, "Control characters can't be used here.", *path)
        return value

    def _line(self, value: str, *path: str | int, max_length: int) -> str:
        if len(value) > max_length:
            message = f"This is too long: {max_length} characters at most."
            self.fault(UserErrorCode.TOO_LONG, message, *path)
        elif any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in value):
            message = "Control characters and line breaks can't be used here."
            self.fault(UserErrorCode.INVALID, message, *path)
        return value

    def email(self, value: str | None, *path: str | int) -> str | None:
        email = self.optional_text(value, *path, max_length=EMAIL_MAX)
        if email is not None:
            local, at, domain = email.rpartition("@")
            if not (at and local and "." in domain.strip(".")) or any(c.isspace() for c in email):
                message = "This is not an e-mail address, like ana@example.com."
                self.fault(UserErrorCode.INVALID, message, *path)
        return email

    def handle(self, value: str | None, *path: str | int) -> str:
        handle = self.text(value, *path, max_length=100).removeprefix("@").lower()
        if any(letter.isspace() for letter in handle):
            self.fault(UserErrorCode.INVALID, "A handle has no white space.", *path)
        return handle

    def destination(self, value: str, check: Callable[[str], str], *path: str | int) -> str:
        try:
            return check(value)
        except BadDestination as bad:
            self.fault(UserErrorCode.INVALID_URL, bad.message, *path)
            return ""

    def host(self, value: str, check: Callable[[str], str], *path: str | int) -> str:
        """A host alone, as the destinations on it spell it."""
        value = self.text(value, *path)
        if MORE_THAN_A_HOST.search(value):
            message = "Give the host alone, such as brand.com: no https://, port, path or *."
            self.fault(UserErrorCode.INVALID, message, *path)
        url = "" if self.faults else self.destination(f"https://{value}", check, *path)
        return host_of(url) if url else ""

    def labels(self, values: Sequence[str], *path: str | int) -> list[str]:
        """Labels in the order given, each once."""
        if len(values) > LABELS_MAX:
            self.fault(UserErrorCode.TOO_MANY, f"{LABELS_MAX} labels at most.", *path)
            return []
        labels = [
            self.text(value, *path, place, max_length=LABEL_MAX)
            for place, value in enumerate(values)
        ]
        return list(dict.fromkeys(labels))

    def utm(self, value: Mapping[str, str], *path: str | int) -> dict[str, str]:
        try:
            return check_utm(value)
        except BadUtm as bad:
            self.fault(UserErrorCode.INVALID, bad.message, *path)
            return {}

    def time_zone(self, value: str, *path: str | int) -> str:
        if value not in available_timezones():
            message = "This is not an IANA time zone name, like Europe/Berlin."
            self.fault(UserErrorCode.INVALID, message, *path)
        return value

    def number(self, value: int, *path: str | int, least: int, most: int) -> int:
        if not least <= value <= most:
            self.fault(UserErrorCode.INVALID, f"This must be from {least} to {most}.", *path)
        return value

    def days(self, starts_on: date | None, ends_on: date | None, *path: str | int) -> None:
        if starts_on and ends_on and ends_on < starts_on:
            self.fault(UserErrorCode.INVALID, "The last day is before the first.", *path)


def size(values: Sequence[Any], most: int, *path: str) -> None:
    """Refuse a list that is longer than one call takes."""
    if len(values) > most:
        raise Refused(
            Fault(UserErrorCode.TOO_MANY, f"{most} at most in one call; got {len(values)}.", path)
        )
