"""Batches for training the bundled model, and the hard states among them.

Promises: every row comes from `kit.hanoi_data.examples`, whose filter drops the paths that are held out, so
nothing mined lies on them either. A row is `2 * ROOM` tokens, then the length of its prompt and of its answer; the
prompt ends in the middle and the answer begins there, so that a batch is read with no more room than its longest needs.

Not covered: what is done with them (`train.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maker.experiments.kit import hanoi_data as data
from maker.models.neural.vocabulary import Vocabulary

Rows = NDArray[np.int64]
#: tokens of the longest prompt or answer, at most
ROOM = 36
#: room is given in steps of this many tokens: every size is compiled once
_STEP = 4
#: batches made at once and sorted by length, so that each is of like lengths
_TOGETHER = 8


def rows_of(batch: data.Batch, vocabulary: Vocabulary) -> Rows:
    """Return [b, 2 * ROOM + 2]."""
    pairs = data.encoded(batch, vocabulary)
    rows = np.zeros((len(pairs), 2 * ROOM + 2), np.int64)
    for row, (prompt, answer) in zip(rows, pairs, strict=True):
        row[ROOM - len(prompt) : ROOM + len(answer)] = prompt + answer
        row[-2:] = len(prompt), len(answer)
    return rows


def trimmed(rows: Rows) -> Rows:
    """Return the same rows with less room on both sides of the middle."""
    room = min(ROOM, -(-int(rows[:, -2:].max()) // _STEP) * _STEP)
    return np.concatenate([rows[:, ROOM - room : ROOM + room], rows[:, -2:]], 1)


class Source:
    """Batches of one group of disk counts: fresh examples, and hard ones met before."""

    def __init__(
        self, vocabulary: Vocabulary, rng: np.random.Generator, low: int, high: int, size: int, *, runs: bool
    ) -> None:
        self.vocabulary, self.rng, self.low, self.high, self.size, self.runs = vocabulary, rng, low, high, size, runs
        self.hard: list[Rows] = []
        self._ready: list[Rows] = []

    def fresh(self, size: int) -> Rows:
        """Return `size` rows of like lengths."""
        if not self._ready or len(self._ready[-1]) != size:
            rows = self._made(_TOGETHER * size)
            parts = np.split(rows[np.argsort(rows[:, -2:].sum(1), kind="stable")], _TOGETHER)
            self._ready = [parts[i] for i in self.rng.permutation(_TOGETHER)]
        return self._ready.pop()

    def _made(self, size: int) -> Rows:
        """Return `size` rows in any order."""
        rows: list[Rows] = []
        while sum(map(len, rows)) < size:
            disks = int(self.rng.integers(self.low, self.high + 1))
            if self.high == self.vocabulary.disks and self.rng.random() < 0.3:
                held = [disks for disks in data.HELD_OUT if disks <= self.high]
                disks = held[int(self.rng.integers(len(held)))]
            batch = data.examples(self.rng, 3 * (size // 9 + 1), disks, self.runs)
            rows.append(rows_of(batch, self.vocabulary))
        return self.rng.permutation(np.concatenate(rows))[:size]

    def draw(self) -> Rows:
        """Return a batch: a quarter from the hard store, when it has as many."""
        old = self.size // 4 if len(self.hard) >= self.size else 0
        fresh = self.fresh(self.size - old)
        taken = [self.hard.pop(i) for i in sorted(self._like(fresh, old), reverse=True)]
        return np.concatenate([fresh, np.stack(taken)]) if taken else fresh

    def _like(self, rows: Rows, count: int) -> list[int]:
        """Return the numbers of `count` rows of the store at random: those no longer than `rows` before others."""
        longest = rows[:, -2:].max()
        taken: list[int] = []
        others: list[int] = []
        for i in self.rng.permutation(len(self.hard)).tolist():
            (taken if self.hard[i][-2:].max() <= longest else others).append(i)
            if len(taken) == count:
                break
        return [*taken, *others][:count]

    def learn(self, rows: Rows, each: NDArray[np.float64]) -> None:
        """Store the hardest eighth of a batch; the store forgets its oldest beyond 4,096."""
        self.hard.extend(rows[np.argsort(each)[-(self.size // 8) :]])
        del self.hard[:-4096]

    def mine(self, score: Callable[[Rows], NDArray[np.float64]], size: int, at_least: float) -> int:
        """Look at `size` fresh examples, store those whose loss is `at_least` so much; return how many."""
        found = 0
        for _ in range(size // 512):
            rows = self._made(512)
            worst = rows[np.asarray(score(rows)) >= at_least]
            self.hard.extend(worst)
            found += len(worst)
        return found

    def draw_mined(self) -> Rows:
        """Return a batch: half of it from the store, when there is one (and it stays there), the rest fresh."""
        if not self.hard:
            return self.fresh(self.size)
        fresh = self.fresh(self.size - self.size // 2)
        again = [self.hard[i] for i in self._like(fresh, self.size // 2)]
        return np.concatenate([fresh, np.stack(again)])

    def kept(self) -> tuple[Rows, Rows]:
        """Return the store and the batches that are made but not drawn, each as one array, for a later start."""
        none = np.zeros((0, 2 * ROOM + 2), np.int64)
        return np.stack(self.hard) if self.hard else none, np.stack(self._ready) if self._ready else none

    def take_up(self, hard: NDArray[Any], ready: NDArray[Any]) -> None:
        """Have what `kept` returned."""
        self.hard, self._ready = list(hard), list(ready)
