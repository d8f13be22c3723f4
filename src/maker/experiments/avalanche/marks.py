"""What marks of right and wrong turns say: the slope in the share of errors shown, the horizon, errors after errors.

Each measure comes with the 95% interval of its bootstrap: 1,000 times as many runs, or histories, are drawn with
repetition from those seen (Efron 1979).

Not covered: where the marks come from (`totals.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from maker.experiments.kit.study import Row, Share, short

Marks = NDArray[np.bool_]
RESAMPLES = 1000
LEAST = 10  # wrong turns, to say what follows them


@dataclass(slots=True, frozen=True)
class Cell:
    """Marks of one reader in one arm: of one turn after many induced histories, or of many runs of many turns.

    share: of shifted answers in the history; None where the reader goes on from its own answers. turns: of a history,
    the marked one included. marks: a text of 0 and 1, or one for each run.
    """

    reader: str
    arm: str
    k: int
    share: float | None
    turns: int
    marks: tuple[str, ...]

    @classmethod
    def of(cls, reader: str, arm: str, k: int, share: float | None, turns: int, runs: Sequence[Sequence[bool]]) -> Self:
        """Return the cell of these marks."""
        return cls(reader, arm, k, share, turns, tuple("".join("01"[mark] for mark in run) for run in runs))

    @classmethod
    def read(cls, row: dict[str, str]) -> Self:
        """Return the cell of a row of a file."""
        share = float(row["share"]) if row["share"] else None
        return cls(row["reader"], row["arm"], int(row["k"]), share, int(row["turns"]), tuple(row["marks"].split()))

    def row(self) -> Row:
        """Return the cell as a row."""
        return {"reader": self.reader, "arm": self.arm, "k": self.k, "share": self.share, "turns": self.turns,
                "marks": " ".join(self.marks)}  # fmt: skip

    @property
    def runs(self) -> Marks:
        """The marks, a row for each run."""
        return np.array([[mark == "1" for mark in run] for run in self.marks], bool)

    @property
    def right(self) -> Share:
        """The share of right turns."""
        marks = "".join(self.marks)
        return Share(marks.count("1"), len(marks))


class Measure(NamedTuple):
    """A number with its 95% interval; None where there is nothing to say, or no end of it was reached."""

    value: float | None
    low: float | None
    high: float | None

    def text(self, none: str = "-") -> str:
        """Return number and interval for a table. none: said of an end that was not reached."""
        if self.value is None and self.low is None:
            return none
        return " ".join(
            (none if self.value is None else short(self.value),
             f"({none if self.low is None else short(self.low)} to {none if self.high is None else short(self.high)})")
        )  # fmt: skip


def slope(cells: Sequence[Cell], seed: int) -> Measure:
    """Return by how much the share of right answers changes from no answer shifted to all, by least squares.

    Resamples are drawn at (seen + 1/2) / (n + 1), so that a few marks that are all right have an interval, too.
    """
    shares = [0.0 if cell.share is None else cell.share for cell in cells]
    if len(set(shares)) < 2:
        return Measure(None, None, None)
    counts = np.array([[cell.right.seen, cell.right.n] for cell in cells])
    rng = np.random.default_rng(seed)
    rates = counts[:, 0] / counts[:, 1]
    near = (counts[:, 0] + 0.5) / (counts[:, 1] + 1)
    drawn = rng.binomial(counts[:, 1], near, (RESAMPLES, len(cells))) / counts[:, 1]
    weight = np.array(shares) - np.mean(shares)
    weight /= weight @ weight
    return Measure(round(float(rates @ weight), 9), *_ends(np.round(drawn @ weight, 9).tolist()))


def horizon(runs: Marks) -> float | None:
    """Return the first turn, from 1, by which fewer than half of the runs are without a mistake; None if none is."""
    below = np.flatnonzero(np.cumprod(runs, 1).mean(0) < 0.5)
    return float(below[0]) + 1 if len(below) else None


def follows(runs: Marks) -> float | None:
    """Return P(wrong | the turn before was wrong) / P(wrong), but for the first turn; None of too few wrong ones."""
    before, after = ~runs[:, :-1], ~runs[:, 1:]
    if before.sum() < LEAST or not after.any():
        return None
    return float(after[before].mean() / after.mean())


def bootstrapped(runs: NDArray[Any], of: Callable[[NDArray[Any]], float | None], seed: int) -> Measure:
    """Return a measure of runs with its interval over runs; what many resamples do not reach has no upper end."""
    rng = np.random.default_rng(seed)
    drawn = [of(runs[rng.integers(0, len(runs), len(runs))]) for _ in range(RESAMPLES)]
    return Measure(of(runs), *_ends(drawn))


def _ends(drawn: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Return the 2.5% and 97.5% quantiles of resamples; one that reached no end counts as the largest."""
    low, high = np.quantile([math.inf if one is None else one for one in drawn], (0.025, 0.975), method="nearest")
    return (None if math.isinf(low) else float(low)), (None if math.isinf(high) else float(high))
