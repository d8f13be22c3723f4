"""One round of sampling of one step, as a value: what the journal keeps of it.

A `Wave` is the outcome: for each draw its candidate (the answers of a step are numbered as they first appear) or
that it was flagged, its text, its tokens; and, when the wave decided the step, the winner with the hashes of the step
and of the next state. A text is stored once a step, in full or as its digest. A candidate's first text is always
stored in full, because replay reads the winning answer from it.

Not covered: its bytes (`journal/records.py`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from maker.task.canonical import digest

FLAGGED = -1
UNKNOWN_TOKENS = 0xFFFFFFFF


@dataclass(slots=True)
class Wave:
    """One round of sampling of one step.

    draws: for each draw, flat, candidate or FLAGGED, text number, tokens in, tokens out.
    texts: new texts, numbered on from the step's earlier waves: (True, the text) or (False, its digest).
    extras: facts about single draws, by position in the wave: flag, finish reason, id and the like.
    verdict: (winning candidate, step hash, state digest) when this wave decided the step.
    """

    step: int
    first: int
    draws: list[int] = field(default_factory=list)
    texts: list[tuple[bool, bytes]] = field(default_factory=list)
    extras: dict[int, dict[str, Any]] = field(default_factory=dict)
    verdict: tuple[int, bytes, bytes] | None = None

    def __len__(self) -> int:
        return len(self.draws) // 4


def encode_text(text: str, full: bool) -> tuple[bool, bytes]:
    """Return a text as it is stored: whole, or its digest."""
    raw = text.encode("utf-8", "surrogatepass")
    return (True, raw) if full else (False, digest(raw))


_index = struct.Struct("<Q").pack


def step_hash(step: int, key: bytes, state_digest: bytes) -> bytes:
    """Return the hash of one decision: step index, canonical winning answer, digest of the next state."""
    return digest(_index(step) + state_digest + key)
