"""Arms that are asked about the same states: which of two errs more, and which are shown to be worse. Pure.

Two arms (models, or designs of a task's steps) are told apart by the pairs of replies in which one is right and the
other wrong; all other pairs say nothing of which is better.

`chance` is McNemar's exact test, for a number of pairs that was fixed beforehand. `surprise` may be looked at after
every pair: it is 1 over a mixture of likelihood ratios, a supermartingale where the arm is not worse, which passes 1/a
with a chance of a at most. `holm` makes either hold for many comparisons at once.

Not covered: pairs that depend on each other beyond the state they share; what an error costs (`api/comparing/`).
Sources: McNemar 1947; Ville 1939; Robbins 1970 (mixtures); Holm 1979.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

ERROR = 0.05  # chance that any arm at all is called worse and is not, over all looks and all arms
_Name = TypeVar("_Name")


@dataclass(slots=True)
class Pairs:
    """Pairs of replies, of one arm and of another, to the same states; both of each pair could vote.

    n: all of them. worse: those in which the one is wrong and the other right; better: the other way round.
    """

    n: int = 0
    worse: int = 0
    better: int = 0

    def add(self, outcomes: Iterable[tuple[bool | None, bool | None]]) -> None:
        """Count pairs: whether the one was wrong, and whether the other was; None for what could not vote."""
        for one, other in outcomes:
            if one is not None and other is not None:
                self.n += 1
                self.worse += one and not other
                self.better += other and not one

    @property
    def turned(self) -> Pairs:
        """The same pairs, as the other arm's."""
        return Pairs(self.n, self.better, self.worse)

    @property
    def chance(self) -> float:
        """P(pairs as one-sided as these, in either direction), where both arms err equally often: McNemar, exact."""
        n = self.worse + self.better
        return min(1.0, 2 * _at_most(min(self.worse, self.better), n) / (1 << n))

    @property
    def surprise(self) -> float:
        """P(the pairs ever speak as much against the one), at most, where it is not worse: however often looked at.

        It is 1 over the mean of (2 t)^worse (2 - 2 t)^better, for all t from 1/2 to 1 alike: how much better the pairs
        are explained by the one being worse than by its not being so. That mean is a sum of binomials.
        """
        n = self.worse + self.better
        return min(1.0, (n + 1) * math.comb(n, self.worse) / _at_most(self.worse, n + 1))

    @property
    def surprise_of_either(self) -> float:
        """The same of whichever speaks more against it, where both err equally often."""
        return min(1.0, 2 * self.surprise, 2 * self.turned.surprise)


def _at_most(heads: int, tosses: int) -> int:
    """Return in how many of 2^tosses ways so many tosses of a coin give at most so many heads."""
    return sum(math.comb(tosses, i) for i in range(heads + 1))


def holm(p_values: Mapping[_Name, float]) -> dict[_Name, float]:
    """Return p-values that hold for all of them at once: by Holm, each as large as the one before it at least."""
    adjusted: dict[_Name, float] = {}
    least = 0.0
    for place, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = least
    return adjusted


def shown_worse(pairs: Mapping[tuple[str, str], Pairs]) -> set[tuple[str, str]]:
    """Return which arms are shown to err more than which others, as (one, other). May be asked at any time, again.

    pairs: of every two arms, in one of their orders. The chance that anything at all is returned wrongly, ever, is
    ERROR at most.
    """
    both = {**pairs, **{(other, one): found.turned for (one, other), found in pairs.items()}}
    return {names for names, p in holm({names: found.surprise for names, found in both.items()}).items() if p <= ERROR}
