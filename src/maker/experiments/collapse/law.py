"""The law of entropy and reward, the effective rank of features, and intervals over runs of different seeds.

R = b - a e^H (Cui et al. 2025, arXiv 2505.22617): a reward bought with entropy; b - a is where it ends. The effective
rank of features is e to the entropy of their normalised singular values (Roy & Vetterli 2007); its velocity is what it
is beyond its own mean so far, its acceleration the change of that (Huang et al. 2025, arXiv 2509.23808).

Not covered: what the numbers mean (`entropy_collapse.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from maker.experiments.kit.study import short

Floats = NDArray[Any]
RESAMPLES = 1000


class Mean(NamedTuple):
    """A mean over runs with its 95% interval."""

    value: float
    low: float
    high: float

    def text(self) -> str:
        """Return mean and interval for a table."""
        return f"{short(self.value)} ({short(self.low)} to {short(self.high)})"


class Law(NamedTuple):
    """The law as fitted: a, b and the share of variance that it explains."""

    a: float
    b: float
    explained: float


def law(entropy: Floats, reward: Floats) -> Law:
    """Fit R = b - a e^H by least squares."""
    x = np.exp(entropy)
    slope, b = np.polyfit(x, reward, 1)
    left = reward - (b + slope * x)
    return Law(float(-slope), float(b), float(1 - left.var() / reward.var()))


def mean(values: Sequence[float], seed: int) -> Mean:
    """Return the mean of one value a run, with the interval of 1,000 resamples of the runs (Efron 1979)."""
    each = np.asarray(values, float)
    drawn = each[np.random.default_rng(seed).integers(0, len(each), (RESAMPLES, len(each)))].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Mean(float(each.mean()), float(low), float(high))


def effective_rank(features: Floats) -> float:
    """Return e to the entropy of the normalised singular values of centred features, a row each."""
    sizes = np.linalg.svd(features - features.mean(0), compute_uv=False)
    share = sizes[sizes > 0] / sizes.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def velocity(ranks: Sequence[float]) -> list[float]:
    """Return, of each rank but the first, by how much it is beyond the mean of those before it."""
    return [rank - float(np.mean(ranks[:at])) for at, rank in enumerate(ranks) if at]


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Pearson's correlation; 0 where one of them never changes, or there are fewer than two."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
