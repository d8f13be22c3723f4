"""Bounds for steps of which more than two moments are known: a linear program over atoms.

Each of many steps was drawn on r times. How many of them were wrong at least 1, 2, ..., r times tells the first r
moments of their error rates q_s, as far as the sampling error goes. `Program` holds for *every* distribution of q_s
that fits: the rates lie in cells, and each cell counts at the end that leaves the most room, so that no rate between
two atoms is left out. Fine cells make it as narrow as it can be, to some parts in a thousand.

Needs scipy (`pip install maker[experiments]`). Not covered: draws that depend on one another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from maker.theory.votes.bounds import Range, p_lower, p_upper

Array = Any  # numpy's, which `import maker` does not load
_ALL_LOW, _ALL_HIGH = 0.01, 0.02  # chance that one of the lower ends, or of the upper ones, is missed


def available() -> bool:
    """Say whether what solves the program is there."""
    return find_spec("scipy") is not None


def sampled(tails: Sequence[int]) -> list[Range]:
    """Return the ends of P(at least j of r draws wrong), j = 1..r, all of them together at 97%.

    tails: of how many steps, and how many of these were wrong at least 1, 2, ..., r times.
    """
    n, *counts = tails
    low, high = 1 - _ALL_LOW / len(counts), 1 - _ALL_HIGH / len(counts)
    return [(1 - p_upper(count, n, low), 1 - p_lower(count, n, high)) for count in counts]


class Program:
    """What every distribution of error rates does that has P(at least j of r draws wrong) in these ranges."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        import numpy as np  # noqa: PLC0415 -- `import maker` stays light

        self._edges = np.concatenate(
            [[0.0], np.geomspace(1e-6, 0.05, 300), np.linspace(0.05, 1, 381)[1:]]
        )  # 1/2 is one
        low, high = self._edges[:-1], self._edges[1:]
        r = len(ranges)
        rows = [(_at_least(j + 1, r, low), -_at_least(j + 1, r, high)) for j in range(r)]
        self._rows = np.array([row for pair in rows for row in pair])
        self._ends = np.array([end for least, most in ranges for end in (most, -least)])

    def lost(self) -> Range:
        """Return the least and the largest share of steps with an error rate of 1/2 or more."""
        share = (self._edges[:-1] > 0.4999).astype(float)
        return max(0.0, -self._most(-share)), min(1.0, self._most(share))

    def step_error(self, k: int) -> float:
        """Return the largest P(a wrong answer wins a step) at a margin of k, one rival."""
        import numpy as np  # noqa: PLC0415 -- `import maker` stays light

        high = self._edges[1:]
        odds = np.log(np.maximum(1 - high, 1e-300)) - np.log(high)
        return min(1.0, self._most(1 / (1 + np.exp(np.minimum(k * odds, 700.0)))))

    def _most(self, values: Array) -> float:
        """Return the largest mean of values, one a cell. Raises ValueError for ranges that no distribution has."""
        import numpy as np  # noqa: PLC0415 -- `import maker` stays light
        from scipy.optimize import linprog  # noqa: PLC0415 -- likewise, and it may be missing

        whole = np.ones((1, len(values)))
        found = linprog(-values, A_ub=self._rows, b_ub=self._ends, A_eq=whole, b_eq=[1.0], method="highs")
        if not found.success:
            raise ValueError(f"no distribution has these moments: {found.message}")
        return float(-found.fun) + 1e-9  # the solver's own tolerance


def _at_least(j: int, r: int, q: Array) -> Array:
    """P(at least j of r draws wrong), for an array of error rates."""
    return sum(math.comb(r, i) * q**i * (1 - q) ** (r - i) for i in range(j, r + 1))
