"""CSV as RFC 4180 has it, safe to open in a spreadsheet, a batch at a time.

A cell of text that a spreadsheet would take for a formula gets an apostrophe in front: a label
may be anybody's words. Numbers are left as they are, negative ones too.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

# What a formula begins with, in full width too; tabs and line ends are dropped before some look.
_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
NAME_MAX: Final = 90


def encode(rows: Sequence[Sequence[Any]]) -> bytes:
    """The rows as bytes of UTF-8, each line ended as the RFC wants it."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def safe(cell: Any) -> Any:
    """What is written for a cell: None is empty, and no text is a formula."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return cell


def file_name(*words: str) -> str:
    """A name of plain letters, digits and hyphens, whatever the words are."""
    plain = unicodedata.normalize("NFKD", "-".join(words)).encode("ascii", "ignore").decode()
    return _NOT_IN_NAMES.sub("-", plain.lower())[:NAME_MAX].strip("-") or "report"
