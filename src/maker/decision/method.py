"""How the steps of one run are voted on: its Config made ready for polls.

Not covered: which method a step in trouble gets (`engine/ladder/escalations.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from maker.decision.address import seed_key
from maker.decision.config import Config
from maker.decision.flags import Flag, comparing, copied
from maker.decision.pool import Weights
from maker.task.tools import Tools
from maker.theory.votes.tables import Table


@dataclass(slots=True, frozen=True)
class Method:
    """How the steps of a run are voted on: all that is the same for every step.

    run: its name, in the addresses of draws. key: from which seeds are hashed. k: the margin that decides; the least
    that does, where there is a table. max_votes, max_flags: of one step.
    keep: whose texts the journal stores in full. schema: of the answer, None where the prompt alone asks for its form.
    stop: texts that end a reply. system, examples: said before every question. tools: what may be called.
    weights: how many votes a draw counts, by turn of a pool.
    """

    run: str
    key: bytes
    k: int
    max_votes: int
    max_flags: int
    flags: tuple[Flag, ...]
    temperature: float | None
    first_temperature: float | None
    token_cap: int
    long_answer: int
    keep: str = "all"
    schema: dict[str, Any] | None = None
    stop: tuple[str, ...] = ()
    system: str | None = None
    examples: tuple[tuple[str, str], ...] = ()
    table: Table | None = None
    tools: Tools | None = None
    weights: Weights = ()
    again: tuple[Flag, ...] = field(init=False)  # flags to ask when the very same sample comes again
    again_unmarked: tuple[Flag, ...] = field(init=False)  # the same, for a sample that nothing marks as a copy

    @classmethod
    def of(
        cls, config: Config, k: int, flags: tuple[Flag, ...], most: tuple[int, int],
        *, run: str, epoch: int = 0, branch: int = 0, question: bytes = b"", schema: dict[str, Any] | None = None,
        table: Table | None = None, tools: Tools | None = None, weights: Weights = (),
    ) -> Method:  # fmt: skip
        """Return the method of a configuration. most: votes and flagged samples that one step may take.

        weights: those in force, which the configuration may leave to a calibration.
        """
        return cls(
            run, seed_key(config.seed, epoch, branch, question), k, *most, flags, config.temperature,
            config.first_temperature, config.token_cap, config.long_answer, config.keep_samples, schema, config.stop,
            config.system, config.examples, table, tools, weights,
        )  # fmt: skip

    def need(self, total: int) -> int:
        """Return the margin that decides at a total of valid votes."""
        return self.k if self.table is None else self.table.need(total)

    def __post_init__(self) -> None:
        again = comparing(self.flags)
        object.__setattr__(self, "again", again)
        object.__setattr__(self, "again_unmarked", tuple(flag for flag in again if flag is not copied))
