"""A policy that says an answer token after token: a small network in numpy, with its gradient and its optimiser.

It reads the coins, the amount, the tokens said so far, and, where it is told, how many of its last eight answers were
wrong. Two hidden layers; the same weights for every question, so that what it learns of one is felt by others. The
probability of each of the 216 answers is computed exactly (`table`), without sampling.

Not covered: what it is trained for (`training.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maker.experiments.collapse.coins import ANSWERS, LARGEST, TOKENS, WORDS, Ints, Questions

Floats = NDArray[np.float32]
HIDDEN = 64
LAST = 8  # answers before this one, of which the wrong ones are counted
NO_HISTORY = -1
_AMOUNT = 9
_SAID = _AMOUNT + LARGEST
_PLACE = _SAID + (TOKENS - 1) * WORDS
_HISTORY = _PLACE + TOKENS
INPUTS = _HISTORY + LAST + 1
_HEADS: Ints = np.concatenate([ANSWERS[:1], ANSWERS[:: WORDS * WORDS], ANSWERS[::WORDS]])  # all beginnings, ...
_AT: Ints = np.repeat(np.arange(TOKENS), WORDS ** np.arange(TOKENS))  # ... and how many tokens of each are said


def seen(asked: Questions, said: Ints, place: Ints, wrong: Ints) -> Floats:
    """Return what the network sees before each token: of each row a question, an answer, and the token's place in it.

    wrong: of the last eight answers, or NO_HISTORY.
    """
    rows = np.arange(len(place))
    x = np.zeros((len(place), INPUTS), np.float32)
    for coin in range(TOKENS):
        x[rows, asked.coins[:, coin] - 1] = 1
    x[:, _AMOUNT:_SAID] = asked.amounts[:, None] > np.arange(LARGEST)
    for before in range(TOKENS - 1):
        known = rows[place > before]
        x[known, _SAID + before * WORDS + said[known, before]] = 1
    x[rows, _PLACE + place] = 1
    told = rows[wrong != NO_HISTORY]
    x[told, _HISTORY + wrong[told]] = 1
    return x


class Policy:
    """The network: its weights, what it says, and one step of Adam (Kingma & Ba 2015)."""

    def __init__(self, rng: np.random.Generator) -> None:
        shapes = ((INPUTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, WORDS))
        self.weights: list[Floats] = [
            array
            for shape in shapes
            for array in (
                (rng.standard_normal(shape) / np.sqrt(shape[0] / 4)).astype(np.float32),
                np.zeros(shape[1], np.float32),
            )
        ]
        self.rested()

    def rested(self) -> None:
        """Forget the optimiser's moments: a new phase of training begins."""
        self._moments = [(np.zeros_like(weight), np.zeros_like(weight)) for weight in self.weights]
        self._steps = 0

    def copy(self) -> Policy:
        """Return another one with the same weights."""
        other = Policy(np.random.default_rng(0))
        other.weights = [weight.copy() for weight in self.weights]
        return other

    def forward(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Return both hidden layers and log P of each next token."""
        w1, b1, w2, b2, w3, b3 = self.weights
        first = np.tanh(x @ w1 + b1)
        second = np.tanh(first @ w2 + b2)
        logits = second @ w3 + b3
        logits -= logits.max(1, keepdims=True)
        return first, second, logits - np.log(np.exp(logits).sum(1, keepdims=True))

    def step(self, x: Floats, layers: tuple[Floats, Floats], slope: NDArray[Any], rate: float) -> None:
        """Go one step downhill. layers: those of `forward`. slope: of the loss, by each logit. rate: of learning."""
        first, second = layers
        w2, w3 = self.weights[2], self.weights[4]
        inner = slope @ w3.T * (1 - second * second)
        outer = inner @ w2.T * (1 - first * first)
        slopes = (x.T @ outer, outer.sum(0), first.T @ inner, inner.sum(0), second.T @ slope, slope.sum(0))
        self._steps += 1
        warm = rate * np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        for weight, (mean, square), change in zip(self.weights, self._moments, slopes, strict=True):
            mean += 0.1 * (change - mean)  # noqa: PLW2901 -- in place
            square += 0.001 * (change * change - square)  # noqa: PLW2901
            weight -= warm * mean / (np.sqrt(square) + 1e-8)  # noqa: PLW2901

    def say(self, asked: Questions, wrong: Ints, rng: np.random.Generator) -> Ints:
        """Sample an answer to each question."""
        said = np.zeros((len(asked), TOKENS), np.int64)
        for place in range(TOKENS):
            at = np.full(len(said), place)
            *_, log = self.forward(seen(asked, said, at, wrong))
            edges = np.cumsum(np.exp(log.astype(float)), 1)
            said[:, place] = (rng.random((len(said), 1)) * edges[:, -1:] >= edges).sum(1)
        return said

    def table(self, asked: Questions, wrong: int = NO_HISTORY, heat: float = 1.0) -> NDArray[np.float64]:
        """Return P of each of the 216 answers to each question, exactly. heat: the temperature of sampling."""
        number, heads = len(asked), len(_HEADS)
        rows = asked[np.repeat(np.arange(number), heads)]
        told = np.full(number * heads, wrong)
        *_, log = self.forward(seen(rows, np.tile(_HEADS, (number, 1)), np.tile(_AT, number), told))
        warm = np.exp((log - log.max(1, keepdims=True)).astype(float) / heat)
        each = (warm / warm.sum(1, keepdims=True)).reshape(number, heads, WORDS)
        whole: NDArray[np.float64] = each[:, 0]
        for place in range(1, TOKENS):
            after = each[:, np.equal(_AT, place)].reshape(number, -1)
            whole = np.repeat(whole, WORDS, 1) * after
        return whole

    def features(self, asked: Questions, said: Ints) -> Floats:
        """Return the last hidden layer before each token of an answer to each question."""
        x = seen(*rows_of(asked, said, np.full(len(said), NO_HISTORY)))
        return self.forward(x)[1]


def rows_of(asked: Questions, said: Ints, wrong: Ints) -> tuple[Questions, Ints, Ints, Ints]:
    """Return a row for each token of each answer, as `seen` reads them."""
    again = np.repeat(np.arange(len(said)), TOKENS)
    return asked[again], said[again], np.tile(np.arange(TOKENS), len(said)), wrong[again]


def number_of(said: Ints | Sequence[Ints]) -> Ints:
    """Return where each answer stands among the 216."""
    return np.asarray(said) @ (WORDS ** np.arange(TOKENS)[::-1])
