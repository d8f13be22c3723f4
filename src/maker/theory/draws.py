"""Graded draws at one step: what was seen there, and whether the step is clear or lost.

A step is *lost* when a wrong answer comes oftener than the right one: the vote then decides for it at any k. It is
*cleared* when draws made after it had erred show the opposite. Draws that made it a suspect never judge it.

Not covered: where draws come from (`engine/probe.py`), and what many steps say together (`evidence.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CLEARED = 0.025  # a step is cleared when a lost one would show so few errors more seldom than this
SHOWN = 0.01  # chance that any step at all is called lost and is not


@dataclass(slots=True, frozen=True)
class Draw:
    """One reply: its vote key (None: it cannot be read), the flag that dropped it, its length in tokens, its beginning.

    text: what a person is shown of it. model: whose it is, where models of a pool take turns.
    """

    key: bytes | None
    flag: str | None
    tokens: int
    text: str = ""
    model: str = ""


@dataclass(slots=True)
class Seen:
    """All draws at one step. `right` is the key they are graded by; `picked`: how often the step was chosen.

    draws: of the first round, made because the step was chosen. again: made because it had erred.
    """

    index: int
    state: Any
    right: bytes = b""
    kind: str = ""
    picked: int = 1
    draws: list[Draw] = field(default_factory=list)
    again: list[Draw] = field(default_factory=list)

    def voted(self, draws: Iterable[Draw]) -> list[bool]:
        """Return, for each valid draw, whether it was wrong."""
        return [draw.key != self.right for draw in draws if draw.flag is None]

    @property
    def erred(self) -> bool:
        """Whether a valid draw of the first round was wrong."""
        return any(draw.flag is None and draw.key != self.right for draw in self.draws)

    @property
    def rival(self) -> tuple[int, int, int]:
        """Of its further draws: right ones, those of the most common wrong answer, and different wrong answers."""
        if not self.again:
            return 0, 0, 0
        votes = Counter(draw.key for draw in self.again if draw.flag is None)
        right = votes.pop(self.right, 0)
        return right, max(votes.values(), default=0), len(votes)

    @property
    def cleared(self) -> bool:
        """Whether its further draws show that the right answer comes oftener than any wrong one."""
        right, wrong, _ = self.rival
        return _at_least(right, right + wrong) <= CLEARED

    def shown_lost(self, looks: int) -> bool:
        """Whether its further draws show that a wrong answer comes oftener than the right one.

        looks: how many times, at most, any step is looked at so.
        """
        right, wrong, answers = self.rival
        return wrong > 0 and _at_least(wrong, right + wrong) <= SHOWN / (looks * answers)


def _at_least(count: int, n: int) -> float:
    """P(at least `count` heads of n tosses of a coin)."""
    return float(sum(math.comb(n, i) for i in range(count, n + 1)) / 2**n)
