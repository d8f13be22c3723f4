"""Batches for training the bundled model, and the hard states among them.

Promises: every row comes from `kit.hanoi_data.examples`, whose filter drops the 20-disk path, so
nothing mined lies on it either. A row is the tokens of one example, padded to its group, then the
length of its prompt and of the whole. Not covered: what is done with them (`train.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from maker.experiments.kit import hanoi_data as data
from maker.models.neural import vocabulary as v

Rows = NDArray[np.int64]


def rows_of(batch: data.Batch, length: int) -> Rows:
    """Return [b, length + 2]: tokens, then prompt length and total length."""
    tokens, prompt = data.encode_batch(batch)
    rows = np.full((len(tokens), length + 2), v.END)
    rows[:, : tokens.shape[1]] = tokens
    rows[:, -2], rows[:, -1] = prompt, prompt + batch.pegs.shape[1] + 7
    return rows


class Source:
    """Batches of one group of disk counts: fresh examples, and hard ones met before."""

    def __init__(self, rng: np.random.Generator, low: int, high: int, size: int, runs: bool) -> None:
        self.rng, self.low, self.high, self.size, self.runs = rng, low, high, size, runs
        self.length = 2 * high + 13
        self.keep = self.length - (low + 5)
        self.hard: list[Rows] = []

    def fresh(self, size: int) -> Rows:
        """Return `size` rows."""
        rows: list[Rows] = []
        while sum(map(len, rows)) < size:
            disks = int(self.rng.integers(self.low, self.high + 1))
            if self.high == v.MAX_DISKS and self.rng.random() < 0.3:
                disks = self.high
            batch = data.examples(self.rng, 3 * (size // 9 + 1), disks, self.runs)
            rows.append(rows_of(batch, self.length))
        return self.rng.permutation(np.concatenate(rows))[:size]

    def draw(self) -> Rows:
        """Return a batch: a quarter from the hard store, when it has as many."""
        old = min(len(self.hard), self.size // 4)
        taken = [self.hard.pop(int(self.rng.integers(len(self.hard)))) for _ in range(old)]
        fresh = self.fresh(self.size - old)
        return np.concatenate([fresh, np.stack(taken)]) if taken else fresh

    def learn(self, rows: Rows, each: NDArray[np.float64]) -> None:
        """Store the hardest eighth of a batch; the store forgets its oldest beyond 4,096."""
        self.hard.extend(rows[np.argsort(each)[-(self.size // 8) :]])
        del self.hard[:-4096]

    def mine(self, score: Callable[[Rows], NDArray[np.float64]], size: int, at_least: float) -> int:
        """Look at `size` fresh examples, store those whose loss is `at_least` so much; return how many."""
        found = 0
        for _ in range(size // 512):
            rows = self.fresh(512)
            worst = rows[np.asarray(score(rows)) >= at_least]
            self.hard.extend(worst)
            found += len(worst)
        return found

    def draw_mined(self) -> Rows:
        """Return a batch: half of it from the store, when there is one (and it stays there), the rest fresh."""
        if not self.hard:
            return self.fresh(self.size)
        again = self.rng.integers(0, len(self.hard), self.size // 2)
        return np.concatenate([self.fresh(self.size - len(again)), np.stack([self.hard[i] for i in again])])
