"""The JSON of a foreign body. Pure.

Promises: it is read in a time in which others can wait. Parsing is one call that lets no other thread run, so a body of
far more values than a reply of the tokens asked for can have is not parsed at all (`crowded`), and a large one by a
parser that calls back for every object, where other threads have their turn.

Not covered: that a large body is read in a thread of its own (`http/wire.py`), and how many bytes one may have
(`http/body.py`).
"""

from __future__ import annotations

import json
from typing import Any

import orjson

LARGE = 2**17  # bytes of a body that others should not wait for
_LEAST = 100_000  # values that any body may have: some 10 ms
_A_TOKEN = 16  # values: its logprob, with each of its bytes
_OF_TOKEN = frozenset(("token", "logprob"))
_PIECE = 2**16  # bytes that are looked at in one go


def crowded(body: bytes, tokens: int) -> bool:
    """Say whether a body has more values than a reply of so many tokens has, what looks like some in a text aside."""
    if len(body) <= _LEAST:  # nearly always
        return False
    most = max(_LEAST, _A_TOKEN * tokens)
    if len(body) <= most or _marks(body) <= most:
        return False
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 2 * most:
        return True
    found = within = 0  # within a text: whether a piece begins there
    for at in range(0, len(plain), _PIECE):  # in pieces, between which others get their turn
        parts = plain[at : at + _PIECE].split(b'"')
        found += sum(map(_marks, parts[within::2]))
        within = (within + len(parts) - 1) % 2
    return found > most


def _marks(text: bytes) -> int:
    """Count what begins or parts values."""
    return len(text) - len(text.translate(None, b",[{"))


def parse(body: bytes) -> Any:
    """Return the JSON of a body, None for what is none; lone surrogates and NaN are let through, as text and as NaN."""
    large = len(body) >= LARGE
    try:
        if not large:
            return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8-sig", "replace"), object_hook=_turn if large else None)
    except (ValueError, RecursionError):
        return None


def _turn(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object, a token's without its bytes and rivals, which would only be work for the garbage collector.

    Where Python code is called, other threads may go on.
    """
    return {name: value[name] for name in _OF_TOKEN} if value.keys() >= _OF_TOKEN else value
