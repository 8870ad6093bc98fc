"""Identifiers: a random 63-bit integer inside, ``prefix_key`` outside.

DESIGN
------
One number serves as primary key, as foreign key and, spelled in base 32, as the public id,
so there is no second key column to index and no mapping to keep. It is random, so that
nobody can walk from one id to the next and the application can make ids before the rows
exist, thousands in one statement. Two rows out of ten million share a key with a chance of
5 in a million, and then the primary key refuses the second. The order of creation is not in
the id: lists order by ``created_at``, then id.
"""

import secrets

# Crockford's base 32, lower case: no i, l, o, u, so an id survives being read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LENGTH = 13  # 13 letters of 5 bits hold 63 bits
LARGEST = (1 << 63) - 1


def new_id() -> int:
    """A fresh id from 1 to 2^63 - 1: fits a signed 64-bit column on both engines."""
    return secrets.randbits(63) or 1


def encode(prefix: str, key: int) -> str:
    """``encode("lnk", 5)`` is ``lnk_0000000000005``."""
    letters = [_ALPHABET[(key >> shift) & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)]
    return f"{prefix}_{''.join(letters)}"


def split(text: str) -> tuple[str, int] | None:
    """The prefix and key of a public id, or None for anything that is not one."""
    prefix, underscore, letters = text.rpartition("_")
    if not underscore or not prefix or len(letters) != _LENGTH:
        return None
    key = 0
    for letter in letters:
        value = _VALUES.get(letter)
        if value is None:
            return None
        key = key << 5 | value
    return (prefix, key) if 0 < key <= LARGEST else None


def decode(prefix: str, text: str) -> int | None:
    """The key of a public id of this prefix. None for garbage and for other prefixes alike:
    an id of the wrong type finds nothing, and never the wrong row."""
    found = split(text)
    return found[1] if found is not None and found[0] == prefix else None
