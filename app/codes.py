"""Short codes: what stands after the slash of a tracking link.

DESIGN
------
Eight letters of 28 make 3.8e11 codes: with a million links, one guess in 378,000 hits. A
code is no secret and nothing private may hang on it; it is random so that one link does not
lead to the next. The alphabet has no vowels, so no code is a word, and none of 0 o 1 l i,
so a code survives being read aloud or typed from a picture.
"""

import re
import secrets
from typing import Final

ALPHABET: Final = "23456789bcdfghjkmnpqrstvwxyz"
LENGTH: Final = 8

_OUR_ROUTES: Final = """
    .well-known assets c conversion conversion.gif conversions favicon.ico graphiql graphql health
    healthz live livez manager metrics p pb pixel postback px ready readyz report reports robots.txt
    static track.js
"""
_ASKED_OF_EVERY_SITE: Final = """
    apple-touch-icon.png index.html security.txt sitemap.xml www
"""
_KEPT_FREE: Final = """
    account admin api app auth callback campaigns creators dashboard docs events export help hooks
    internal links login logout me messages oauth partners ping privacy programs qr register root
    settings signin signup status system tracklinks unsubscribe user users webhook webhooks
"""

# No link may stand in front of one of these first words of a path. Those with a dot can't be
# codes anyway: they are here so that a test can hold every route against this list.
RESERVED: Final = frozenset(f"{_OUR_ROUTES} {_ASKED_OF_EVERY_SITE} {_KEPT_FREE}".split())

_REQUESTED: Final = re.compile(r"[0-9A-Za-z_-]{3,64}")

# 252 is the largest multiple of 28 that a byte can reach: the four values above are thrown
# away, or the first four letters would come up more often than the others.
_FAIR: Final = 256 - 256 % len(ALPHABET)
_LETTERS: Final = bytes(ord(ALPHABET[value % len(ALPHABET)]) for value in range(256))
_UNFAIR: Final = bytes(range(_FAIR, 256))


class BadCode(ValueError):
    """Not a code that a link can have. ``reason`` is for programs, ``message`` for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


def new_code() -> str:
    """A random code. Whether it is taken, only the database knows: retry on a conflict."""
    (code,) = new_codes(1)
    return code


def new_codes(count: int) -> list[str]:
    """That many random codes, all different; all that there are, if they are fewer."""
    count = min(count, len(ALPHABET) ** LENGTH)
    codes: set[str] = set()
    while missing := count - len(codes):
        wanted = missing * LENGTH
        # Some extra for the bytes that are thrown away, so that one round is nearly always enough.
        drawn = secrets.token_bytes(wanted + wanted // 32 + LENGTH)
        letters = drawn.translate(_LETTERS, delete=_UNFAIR).decode("ascii")[:wanted]
        codes.update(
            letters[at : at + LENGTH] for at in range(0, len(letters) - LENGTH + 1, LENGTH)
        )
    return list(codes)


def fold(text: str) -> str | None:
    """How a requested code is kept and looked up: codes match without case.

    None when no link can have it, so that nothing needs to be asked.
    """
    return text.lower() if _REQUESTED.fullmatch(text) else None


def check_custom(text: str) -> str:
    """A code of the brand's own choice, as it is kept, or BadCode.

    Whether another link has it is the database's to say.
    """
    code = fold(text)
    if code is None or code[0] in "-_":
        raise BadCode(
            "pattern",
            "A code is 3 to 64 letters a to z, digits, - and _, and begins with a letter or a "
            "digit.",
        )
    if code in RESERVED:
        raise BadCode("reserved", f"“{code}” is kept for the server itself. Choose another code.")
    if word := _LOOKS.get(_looks(code)):
        raise BadCode(
            "look_alike",
            f"“{code}” looks like “{word}”, which is kept for the server itself. Choose another "
            "code.",
        )
    return code


def _looks(code: str) -> str:
    """The same text for all codes that one can take for another at a glance."""
    for seen, taken_for in (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l")):
        code = code.replace(seen, taken_for)
    return code


_LOOKS: Final = {_looks(word): word for word in sorted(RESERVED)}
