"""How the steps of one run are voted on: its Config made ready for polls.

Not covered: which method a step in trouble gets (`engine/escalations.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from maker.decision.flags import Flag, comparing, copied


@dataclass(slots=True, frozen=True)
class Method:
    """How the steps of a run are voted on: all that is the same for every step."""

    run: str
    key: bytes
    k: int
    max_votes: int
    max_flags: int
    flags: tuple[Flag, ...]
    temperature: float
    first_temperature: float | None
    token_cap: int
    keep: str = "all"
    schema: dict[str, Any] | None = None
    again: tuple[Flag, ...] = field(init=False)  # flags to ask when the very same sample comes again
    again_unmarked: tuple[Flag, ...] = field(init=False)  # the same, for a sample that nothing marks as a copy

    def __post_init__(self) -> None:
        again = comparing(self.flags)
        object.__setattr__(self, "again", again)
        object.__setattr__(self, "again_unmarked", tuple(flag for flag in again if flag is not copied))
