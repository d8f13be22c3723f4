"""Steps that are not all alike: each has its own p_s, drawn from a Beta distribution.

Mean p and intra-class correlation rho fix the distribution: Beta(p c, (1-p) c), c = (1 - rho) / rho.
rho = 0 is the usual model, one p for all. It promises the step error at a margin k, the share of
steps that no k can save, and the votes they take, to six digits from rho = 1e-8 to .99.

A step is lost when its most common wrong answer comes oftener than the right one. With one rival
(`spread` = 1) that is p_s < 1/2; where the most common wrong answer has only a share `spread` of
the step's wrong ones, it is p_s < spread (1 - p_s), and a plurality below 1/2 can win.

Not covered: other shapes. A few steps that are always wrong among many that never are look like a
large rho here; whether they were seen at all is `evidence.py`'s affair.
Sources: Skellam 1948 (the beta-binomial); Meyerson et al. 2025, arXiv 2511.09030 (one step).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from maker import theory

Array = Any  # numpy's, which `import maker` does not load
MOST_K = 1500  # what a run accepts as k
MOST_RHO = 0.999
_ALIKE = 1e-8  # below it the steps count as alike
_FAINT = 50.0  # nats below the peak that no integral notices
_PANELS = 1.5  # each panel is so much wider than the one before it, away from a point of interest


@dataclass(frozen=True)
class Steps:
    """The steps of a task as a population of p_s.

    p: mean P(right | valid), strictly between 0 and 1. rho: intra-class correlation of errors, 0 to .999.
    spread: share of a step's wrong answers that its most common one has, above 0, at most 1.
    Raises ValueError outside these ranges.
    """

    p: float
    rho: float = 0.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.p < 1 and 0 <= self.rho <= MOST_RHO and 0 < self.spread <= 1):
            raise ValueError(f"p must be inside (0, 1), rho in [0, {MOST_RHO}], spread in (0, 1], got {self}")

    @property
    def alike(self) -> bool:
        """Whether all steps have the same p."""
        return self.rho < _ALIKE

    def error(self, k: int) -> float:
        """Return P(a wrong answer wins a step), at a margin of k.

        With one rival (spread = 1) exact, the mean of 1 / (1 + (p_s / (1 - p_s))^k). With several it is the mean of
        Wald's bound, once for each rival: sum_j (r_j / p_s)^k <= (spread (1 - p_s) / p_s)^k / spread, because
        no r_j exceeds spread (1 - p_s) and they add up to 1 - p_s.
        """
        if self.alike and self.spread == 1:
            return theory.step_success(1 - self.p, k)
        import numpy as np  # noqa: PLC0415 -- `import maker` stays light

        surrender = math.log(self.spread) * (1 / k - 1)  # log-odds above which the bound says nothing

        def log_error(y: Array) -> Array:
            return -np.logaddexp(0.0, -k * y) if self.spread == 1 else np.minimum(0.0, k * (y - surrender))

        return self._mean(log_error, slope=k, kinks=(0.0, surrender))

    def lost(self) -> float:
        """Return the share of steps whose most common wrong answer comes oftener than the right one."""
        edge = -math.log(self.spread)
        if self.alike:
            return float(math.log1p(-self.p) - math.log(self.p) > edge)
        return self._mean(lambda y: 0.0 * y, slope=0, kinks=(edge,), start=edge)

    def votes(self, k: int) -> float:
        """Return the expected votes of a step until the right answer or its first rival is k ahead of the other.

        With one rival exact. With several a lower bound: another one may be the runner-up.
        """
        if self.alike and self.spread == 1:
            return theory.expected_votes(self.p, k)
        return self._mean(lambda y: _log_votes(y, k, self.spread), slope=0, kinks=(-math.log(self.spread),))

    def success(self, k: int, steps: float) -> float:
        """Return P(all of `steps` steps are won by the right answer)."""
        return _all_won(self.error(k), steps)

    def ceiling(self, steps: float) -> float:
        """Return the success that no k passes: what is lost stays lost."""
        return _all_won(self.lost(), steps)

    def k_for(self, steps: float, target: float) -> int | None:
        """Return the smallest k up to 1,500 that reaches the target over `steps` steps; None where none does."""
        budget = theory.error_budget(target, steps)
        if self.lost() > budget or self.error(MOST_K) > budget:
            return None
        low, high = 0, MOST_K  # the error falls with k
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.error(middle) > budget else (low, middle)
        return high

    # -- the integral over the log-odds y of a wrong answer, in which every factor is log-concave ---------------

    @cached_property
    def _log_whole(self) -> float:
        return math.log(self._integral(lambda y: 0.0 * y, slope=0, kinks=(), start=-math.inf))

    def _mean(
        self, log_value: Callable[[Array], Array], *, slope: float, kinks: tuple[float, ...], start: float = -math.inf
    ) -> float:
        """Return the mean of exp(log_value(y)) over steps, those below `start` counted as 0."""
        import numpy as np  # noqa: PLC0415 -- `import maker` stays light

        if self.alike:
            return float(np.exp(log_value(np.array([math.log1p(-self.p) - math.log(self.p)])))[0])
        log_whole = self._log_whole
        return self._integral(lambda y: log_value(y) - log_whole, slope=slope, kinks=kinks, start=start)

    def _integral(
        self, log_value: Callable[[Array], Array], *, slope: float, kinks: tuple[float, ...], start: float
    ) -> float:
        """Integrate exp(log_value(y)) against a density of y, 1 at its peak, from `start` up.

        Panels widen geometrically from the peak of the density, from the same tilted by `slope` on the left, and
        from the kinks, so that scales from 1/k to 1/b are all resolved; 16 Gauss-Legendre points each.
        """
        import numpy as np  # noqa: PLC0415 -- `import maker` stays light

        c = (1 - self.rho) / self.rho
        a, b = self.p * c, (1 - self.p) * c  # of right answers, and of wrong ones
        peak = math.log(b / a)
        tilted = math.log((b + slope) / max(a - slope, a / 2)) if slope else peak
        width = min(1 / math.sqrt(max(b, 1e-3)), 1 / math.sqrt(a) + 1 / math.sqrt(b + 1), 1.0)
        fine = min(width, 1 / max(slope, 1.0)) / 4
        left, right = -(_FAINT / b + abs(peak) + 10), _FAINT / a + abs(peak) + 10
        edges = _edges((peak, tilted, *kinks), fine, max(start, left), right)
        nodes, weights = _legendre()
        half = np.diff(edges)[:, None] / 2
        y = (edges[:-1, None] + half) + half * nodes
        log_density = b * (y - peak) - (a + b) * (np.logaddexp(0.0, y) - np.logaddexp(0.0, peak))
        return float(np.sum(np.exp(log_density + log_value(y)) * weights * half))


def _edges(points: tuple[float, ...], fine: float, left: float, right: float) -> Array:
    """Return panel edges that start `fine` at each point of interest and widen away from it."""
    import numpy as np  # noqa: PLC0415 -- `import maker` stays light

    count = math.ceil(math.log((right - left) / fine, _PANELS)) + 2
    away = fine * np.cumsum(_PANELS ** np.arange(count))
    edges = np.unique(np.concatenate([[left, right], *[(x, *(x + away), *(x - away)) for x in points]]))
    return edges[(edges >= left) & (edges <= right)]


@cache
def _legendre() -> tuple[Array, Array]:
    import numpy as np  # noqa: PLC0415 -- `import maker` stays light

    return np.polynomial.legendre.leggauss(16)


def _log_votes(y: Array, k: int, spread: float) -> Array:
    """Log of k tanh(k x/2) / tanh(x/2), x the log-odds of the two answers, over the share of votes for either.

    Wald's identity; k^2 at x = 0. The share is 1 with one rival, else p_s + spread (1 - p_s).
    """
    import numpy as np  # noqa: PLC0415 -- `import maker` stays light

    x = y + math.log(spread)
    small = np.abs(x) < 1e-6
    safe = np.where(small, 1.0, x)
    votes = np.where(small, 2 * math.log(k), math.log(k) + np.log(np.tanh(k * safe / 2) / np.tanh(safe / 2)))
    return votes - np.logaddexp(-np.logaddexp(0.0, y), math.log(spread) - np.logaddexp(0.0, -y))


def _all_won(error: float, steps: float) -> float:
    return math.exp(steps * math.log1p(-error)) if error < 1 else 0.0
