"""Texts that cost much to look at: what the tests refuse and ``bench/attack.py`` sends.

They are in the words of the toy graph; `in_words` says them in another graph's, so that the same
attack comes as far there.
"""

import re
from collections.abc import Mapping


def bomb(levels: int, last: str = "{ name }") -> str:
    """Each fragment spreads the next one twice: 2^levels fields."""
    spreads = "".join(
        f"fragment F{n} on Thing {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)
    )
    return f"{{ thing {{ ...F0 }} }} {spreads} fragment F{levels} on Thing {last}"


def deep(levels: int) -> str:
    return "{ thing " + "{ parent " * (levels - 2) + "{ name }" + " }" * (levels - 2) + " }"


def crossing(fragments: int) -> str:
    """Each fragment spreads the next two: what validation compares most."""
    bodies = "".join(
        f"fragment F{n} on Thing {{ name "
        + "".join(f"parent {{ ...F{m} }} " for m in range(n + 1, min(fragments, n + 3)))
        + "}"
        for n in range(fragments)
    )
    spreads = " ".join(f"...F{n}" for n in range(fragments))
    return f"{{ thing {{ {spreads} }} }} {bodies}"


ATTACKS = {
    **{f"fragments doubling, {k} levels": bomb(k) for k in (20, 40, 45, 49, 60)},
    "fragments doubling nothing": bomb(48, "{ }"),
    **{f"{n} crossing fragments": crossing(n) for n in (10, 18, 50)},
    "1,000 aliases": "{" + " ".join(f"a{n}: viewer" for n in range(1000)) + "}",
    "3,000 equal fields": "{ thing {" + " name" * 3000 + "} }",
    "500 equal objects": "{ thing {" + " parent { name }" * 500 + "} }",
    "240 equal objects": "{ thing {" + " parent { name }" * 240 + "} }",
    "20 equal places on each of many levels": "{ thing {"
    + (" parent {" * 9 + " name" * 20 + " }" * 9) * 2
    + " } }",
    "400 equal objects in a fragment that is not used": "{ viewer } fragment A on Thing {"
    + " parent { name }" * 400
    + "}",
    "2,000 directives": "{ viewer" + " @skip(if: false)" * 2000 + "}",
    "300 directives": "{ viewer" + " @skip(if: false)" * 300 + "}",
    "5,000 levels": deep(5000),
    "300 levels": deep(300),
    "lists in lists": "{ thing { byIds(ids: " + "[" * 5000 + "]" * 5000 + ") { name } } }",
    "lists in lists, 400": "{ thing { byIds(ids: " + "[" * 400 + "]" * 400 + ") { name } } }",
    "objects in objects": "{ echo(text: " + "{a: " * 400 + "1" + "}" * 400 + ") }",
    "5 MB string": '{ echo(text: "' + "x" * 5_000_000 + '") }',
    "64 KB string": '{ echo(nope: "' + "x" * 65_000 + '") }',
    "64 KB of escapes": '{ echo(nope: "' + "\\u0041" * 10_800 + '") }',
    "5 MB comment": "{ viewer } #" + "x" * 5_000_000,
    "64 KB comment": "{ nope } #" + "x" * 65_000,
    "30,000 comments": "{ viewer }" + "#\n" * 30_000,
    "500 operations": " ".join(f"query Q{n} {{ viewer }}" for n in range(500)),
    "fragments in a circle": "{ thing { ...A } } fragment A on Thing { ...B } "
    "fragment B on Thing { ...A }",
    "introspection in itself": "{ __schema { types "
    + "{ fields { type " * 6
    + "{ name }"
    + " } }" * 6
    + " } }",
    "brackets": "[" * 60_000,
    "braces": "{" * 60_000,
    "unknown names": "{ thing {" + " ".join(f"nnnnnnnnname{n}" for n in range(450)) + " } }",
    "unknown arguments": "{ echo(" + " ".join(f"tttttttext{n}: 1" for n in range(450)) + ") }",
    "unknown variables": "{ " + " ".join(f"echo(text: $v{n})" for n in range(20)) + " }",
    "unused variables": "query (" + " ".join(f"$v{n}: Int" for n in range(390)) + ") { viewer }",
    "half of a surrogate": '{ echo(text: "\\uD800") }',
}


# Bodies that are no request at all.
MALFORMED = {
    "empty": b"",
    "cut off": b"{",
    "nested open": b"[" * 100_000,
    "nested": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"query":"{viewer}","variables":' + b'{"a":' * 5000,
    "no UTF-8": b'{"query": "\xff"}',
    "byte order mark": b'\xef\xbb\xbf{"query": "{viewer}"}',
    "UTF-16": '{"query": "{viewer}"}'.encode("utf-16"),
    "half a surrogate": rb'{"query": "{viewer}", "operationName": "\ud800"}',
    "NaN": b'{"query": "{viewer}", "variables": {"a": NaN}}',
    "Infinity": b'{"query": "{viewer}", "variables": {"a": Infinity}}',
    "query twice": b'{"query": "{viewer}", "query": "{thing}"}',
    "variable twice": b'{"query": "{viewer}", "variables": {"a": 1, "a": 2}}',
    "more behind": b'{"query": "{viewer}"} x',
    "single quotes": b"{'query': '{viewer}'}",
    "null": b"null",
    "number": b"5",
    "string": b'"{viewer}"',
    "no query": b"{}",
    "empty query": b'{"query": ""}',
    "query a number": b'{"query": 5}',
    "name a list": b'{"query": "{viewer}", "operationName": []}',
    "variables a string": b'{"query": "{viewer}", "variables": "x"}',
    "variables a list": b'{"query": "{viewer}", "variables": []}',
    "extensions a number": b'{"query": "{viewer}", "extensions": 1}',
    "hash no object": b'{"extensions": {"persistedQuery": 1}}',
    "hash a number": b'{"extensions": {"persistedQuery": {"sha256Hash": 1}}}',
    "batch": b'[{"query": "{viewer}"}]',
    "empty batch": b"[]",
}

# The toy's words and ours. A link leads to the link that it replaces, and so on.
OUR_WORDS = {
    "thing": 'trackingLink(by: {code: "nosuchcode"})',
    "Thing": "TrackingLink",
    "parent": "replaces",
    "name": "code",
    "report": "destinationUrl",
    "viewer": "__typename",
    "echo": "creatorExport",
    "text": "id",
    "byIds": "nodes",
}


def in_words(text: str, words: Mapping[str, str]) -> str:
    """The attack on another graph, which has these words for the toy's."""
    return re.sub(rf"\b({'|'.join(words)})\b", lambda found: words[found[0]], text)
