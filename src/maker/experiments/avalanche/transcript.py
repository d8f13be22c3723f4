"""Transcripts of running totals as a small network reads and learns them: tokens, and the writers of its lessons.

A transcript begins with a total; each turn is a word, which stands for a value from -9 to 9 in a dictionary of 19 words
that is always the same, and the total that was answered. Totals are shown modulo 40, one token each: a value and a
shift come to 19 at most, so that together with the total before there is no doubt which one is meant.

The writers are those that the exact reader knows (`readers.py`): each has an error rate of its own, any from 0 to 1/2
alike; a wrong answer is off by one of 20 shifts, and the next turn goes on from it.

Not covered: the network (`net.py`), and its training (`experiments/training/transcripts.py`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maker.experiments.avalanche.readers import error_rate
from maker.experiments.avalanche.totals import SHIFTS, Question

COUNTER = 40  # what totals are shown modulo; tokens 0 to 39 are totals
LARGEST = 9  # of a value, in either direction
_ZERO = COUNTER + LARGEST  # the word whose value is 0
SIZE = _ZERO + LARGEST + 1  # of the vocabulary
MOST_ERRORS = 0.5  # of a writer

Ints = NDArray[np.int64]


def encode(question: Question) -> list[int]:
    """Return the tokens of what a reader is shown, the last of them the word whose value is due."""
    tokens = [(question.turns[0].before if question.turns else question.last) % COUNTER]
    for turn in question.turns:
        tokens += [_ZERO + turn.value, turn.answer % COUNTER]
    return [*tokens, _ZERO + question.value]


def total_of(token: int, last: int) -> int | None:
    """Return the total that a token means, the nearest to the last one; None for a word."""
    half = COUNTER // 2
    return last + (token - last + half) % COUNTER - half if token < COUNTER else None


def written(number: int, turns: int, rng: np.random.Generator) -> Ints:
    """Return so many transcripts, each by a writer of its own, as tokens [number, 1 + 2 turns]."""
    rates = rng.uniform(0, MOST_ERRORS, (number, 1))
    values = rng.integers(-LARGEST, LARGEST + 1, (number, turns))
    shifts = np.where(rng.random((number, turns)) < rates, rng.choice(SHIFTS, (number, turns)), 0)
    first = rng.integers(0, COUNTER, (number, 1))
    tokens = np.zeros((number, 1 + 2 * turns), np.int64)
    tokens[:, :1] = first
    tokens[:, 1::2] = _ZERO + values
    tokens[:, 2::2] = (first + np.cumsum(values + shifts, 1)) % COUNTER
    return tokens


def exact_losses(tokens: Ints) -> NDArray[np.float64]:
    """Return minus the log probability that the exact reader gives to each answer of transcripts, [number, turns]."""
    totals, values = tokens[:, ::2], tokens[:, 1::2] - _ZERO
    wrong = (totals[:, :-1] + values - totals[:, 1:]) % COUNTER != 0
    before = np.cumsum(wrong, 1) - wrong
    rates = np.array([[error_rate(int(w), seen) for seen, w in enumerate(row)] for row in before])
    return -np.log(np.where(wrong, rates / len(SHIFTS), 1 - rates))
