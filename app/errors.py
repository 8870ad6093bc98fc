"""What a caller can get wrong, told apart by who can do something about it.

Resolvers raise these; each boundary renders them: a mutation as ``userErrors``, a plain
route as JSON, the command line as a sentence. Anything else that is raised is ours: it is
logged with its traceback and the caller reads only that the server failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class UserErrorCode(StrEnum):
    """Why something asked for was not done. Published: values are added, never renamed."""

    INVALID = "INVALID"
    BLANK = "BLANK"
    TOO_LONG = "TOO_LONG"
    TOO_MANY = "TOO_MANY"
    TAKEN = "TAKEN"
    NOT_FOUND = "NOT_FOUND"
    ARCHIVED = "ARCHIVED"
    INVALID_URL = "INVALID_URL"
    LINK_ARCHIVED = "LINK_ARCHIVED"
    TAG_ARCHIVED = "TAG_ARCHIVED"
    UNKNOWN_TAG = "UNKNOWN_TAG"
    HOST_BLOCKED = "HOST_BLOCKED"
    FORBIDDEN_STAGE_MOVE = "FORBIDDEN_STAGE_MOVE"
    REFUND_TOO_LARGE = "REFUND_TOO_LARGE"
    CONFLICT = "CONFLICT"
    FORBIDDEN = "FORBIDDEN"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the caller has to fix, as it goes to the caller.

    ``path`` leads from the field's arguments to the value at fault, list places as numbers:
    ``("input", "labels", "0")``. None when no single value is.
    """

    code: UserErrorCode
    message: str
    path: tuple[str, ...] | None = None


class Refused(Exception):
    """The request was understood and can't be done. Nothing was changed."""

    def __init__(self, *faults: Fault) -> None:
        self.faults: Sequence[Fault] = faults
        super().__init__("; ".join(fault.message for fault in faults))


def refuse(code: UserErrorCode, message: str, *path: str | int) -> Refused:
    """A refusal with a single fault: ``raise refuse(TAKEN, "…", "input", "handle")``."""
    return Refused(Fault(code, message, tuple(map(str, path)) or None))


def not_found(noun: str, *path: str | int) -> Refused:
    """The one answer for what is absent, malformed, of another type or of another program."""
    return refuse(UserErrorCode.NOT_FOUND, f"There is no such {noun}.", *path)
