"""Amounts to be paid with coins: a task that can be checked, with several right answers to most questions.

There are coins of three values, one of 1 to 3, one of 4 to 6 and one of 7 to 9, and an amount; the answer says how
many of each to pay, 0 to 5, the largest coin first: three tokens, 216 answers. An answer is right if it comes to the
amount. Every question here has at least two right answers.

Not covered: who answers (`policy.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOKENS = 3  # of an answer
MOST = 5  # coins of one value
WORDS = MOST + 1
LARGEST = MOST * (3 + 6 + 9)
ANSWERS: Ints = np.stack(np.meshgrid(*[np.arange(WORDS)] * TOKENS, indexing="ij"), -1).reshape(-1, TOKENS)


@dataclass(slots=True, frozen=True)
class Questions:
    """Questions: the values of the coins, the largest first, and the amounts."""

    coins: Ints
    amounts: Ints

    def __len__(self) -> int:
        return len(self.amounts)

    def __getitem__(self, which: Ints) -> Questions:
        return Questions(self.coins[which], self.amounts[which])

    @property
    def right(self) -> Bools:
        """Of each question, which of the 216 answers are right."""
        right: Bools = self.coins @ ANSWERS.T == self.amounts[:, None]
        return right


def every() -> Questions:
    """Return all questions with two right answers or more."""
    coins = np.array([(c, b, a) for a in (1, 2, 3) for b in (4, 5, 6) for c in (7, 8, 9)])
    amounts = np.arange(1, LARGEST)
    asked = Questions(np.repeat(coins, len(amounts), 0), np.tile(amounts, len(coins)))
    return asked[np.flatnonzero(asked.right.sum(1) > 1)]


def split(rng: np.random.Generator) -> tuple[Questions, Questions]:
    """Return half of the questions to learn from, and the other half to be asked."""
    asked = every()
    order = rng.permutation(len(asked))
    half = len(order) * 4 // 5
    return asked[order[:half]], asked[order[half:]]
