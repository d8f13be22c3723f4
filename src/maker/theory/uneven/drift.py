"""Whether errors are spread evenly along the task, and where they gather if not.

The steps that were drawn on stand in the order of the task, and one walk goes along them: up at each that erred, and
down a little at each that did not, so that it ends where it began. Errors that are spread by chance keep it near; a run
of many or of few leads it away. How far it may go by chance is known (Kuiper's statistic), wherever the run lies: at
the end, in the middle, or at both ends.

Not covered: errors that come back every so many steps, and bursts shorter than the steps between two that were drawn.
Sources: Kuiper 1960; Stephens 1970 (his correction for few).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from maker.theory.draws import Seen

BY_CHANCE = 0.01  # of steps that are all alike, so many look as if they drifted
_SLIGHT = 0.25  # of the way that the walk goes: a turn of less, at an end of the task, is left out


def stretch(seen: Sequence[Seen]) -> tuple[int, int] | None:
    """Return the first and the last step of where errors gather, at 1%; None where they may be spread evenly.

    Where they gather at both ends, these are the ends of what lies between, the last before the first.
    """
    ordered = sorted((step for step in seen if step.voted(step.draws)), key=lambda step: step.index)
    erred = [step.voted(step.draws)[0] for step in ordered]
    n, wrong = len(erred), sum(erred)
    if not 0 < wrong < n:
        return None
    walk = [0, *accumulate(n * bad - wrong for bad in erred)]
    low, high = min(walk), max(walk)
    if _by_chance((high - low) / (wrong * (n - wrong)), wrong * (n - wrong) / n) > BY_CHANCE:
        return None
    first = 0 if -low < (high - low) * _SLIGHT else walk.index(low)
    last = n - 1 if high < (high - low) * _SLIGHT else walk.index(high) - 1
    return ordered[first].index, ordered[last].index


def within(step: int, ends: tuple[int, int]) -> bool:
    """Say whether a step lies in a stretch."""
    first, last = ends
    return first <= step <= last if first <= last else step >= first or step <= last


def _by_chance(apart: float, count: float) -> float:
    """P(two samples of one distribution are at least so far apart), by their effective count."""
    root = math.sqrt(count)
    x = (root + 0.155 + 0.24 / root) * apart
    if x < 0.4:
        return 1.0
    return min(1.0, 2 * math.fsum((4 * (j * x) ** 2 - 1) * math.exp(-2 * (j * x) ** 2) for j in range(1, 30)))
