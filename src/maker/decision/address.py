"""Where a draw belongs: its address, its seed, and what the number of a draw says.

A draw has an `Address` (run, step, draw), from which its seed is hashed. A step that is tried in another way begins
a *round*: a race of its own, with draws and seeds of its own. Its draws are numbered on from ROUND times its number,
so that the number of a draw tells its round, and no two draws of a step ever bear the same number. When steps are
rolled back, their segment begins a new *branch*.

Not covered: which rounds and branches begin, and why (`engine/ladder/escalations.py`).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

SEED_BLOCK = 8  # seeds that one hash gives

_AHEAD = "@"  # stands in no other name of a run

_seeds = struct.Struct("<8Q").unpack
_seed_input = struct.Struct("<QQ").pack


@dataclass(slots=True, unsafe_hash=True)
class Address:
    """Where a draw belongs: run id, global step index, draw number within the step (from 0)."""

    run: str
    step: int
    draw: int


def ahead_of(run: str, prompt: str) -> str:
    """Return the name under which a run's own first draws of a step are kept that were made before it was begun.

    prompt: the fingerprint of what they asked; where the run asks otherwise there, they are not its draws.
    """
    return f"{run}{_AHEAD}{prompt}"


def is_ahead(run: str) -> bool:
    """Say whether a name is one that `ahead_of` gives."""
    return _AHEAD in run


def seed_key(seed: int, epoch: int = 0, branch: int = 0, question: bytes = b"") -> bytes:
    """Return the key from which all seeds of one epoch and branch of a run are hashed.

    question: of a vote by itself, whose steps all have the same number: what is asked, so that no two questions share
    their seeds. A run has none.
    """
    return hashlib.blake2b(struct.pack("<QQQ", seed, epoch, branch) + question, digest_size=32).digest()


def key_ahead(key: bytes, step: int, candidate: int) -> bytes:
    """Return the key of the seeds with which an answer of a step is rolled ahead. key: that of the step's own."""
    return hashlib.blake2b(_seed_input(step, candidate), key=key, digest_size=32, person=b"ahead").digest()


def draw_seeds(key: bytes, step: int, block: int) -> tuple[int, ...]:
    """Return the 64-bit seeds of draws 8 block .. 8 block + 7 of a step: a hash of their address alone."""
    return _seeds(hashlib.blake2b(_seed_input(step, block), key=key).digest())


ROUND = 1 << 16  # draws that one round can have: more than votes and flags may be
ATTEMPTS = 1 << 6  # rounds of a step in one branch; round 0 is the plain vote
BRANCHES = 1 << 10  # of a segment; draws are numbered in 32 bits


def round_of(draw: int) -> int:
    """Return the round to which a draw belongs, by its number."""
    return draw // ROUND
