"""The JSON of a foreign body. Pure.

Promises: it is read in a time in which others can wait. Parsing is one call that lets no other thread run, so a body of
far more values than a reply of the tokens asked for can have is not parsed at all (`crowded`).

Not covered: in which thread that is (`http/wire.py`), and how many bytes a body may have (`http/body.py`).
"""

from __future__ import annotations

import json
from typing import Any

import orjson

_LEAST = 100_000  # values that any body may have: some 10 ms
_A_TOKEN = 16  # values: its logprob, with each of its bytes


def crowded(body: bytes, tokens: int) -> bool:
    """Say whether a body has more values than a reply of so many tokens has, what looks like some in a text aside."""
    most = max(_LEAST, _A_TOKEN * tokens)
    if len(body) <= most or _marks(body) <= most:  # nearly always
        return False
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return plain.count(b'"') > 2 * most or sum(_marks(outside) for outside in plain.split(b'"')[::2]) > most


def _marks(text: bytes) -> int:
    """Count what begins or parts values."""
    return len(text) - len(text.translate(None, b",[{"))


def parse(body: bytes) -> Any:
    """Return the JSON of a body, None for what is none; lone surrogates and NaN are let through, as text and as NaN."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None
