"""The transcript net: a small transformer that reads running totals and writes the next one, errors and all.

It learned from transcripts of writers who err at different rates (`transcript.py`), and was never told which turn is
wrong, nor how often its writer errs: what it makes of errors that it sees is its own. It runs on the bundled model's
arithmetic. A reply is one token, drawn as the net has it, T = 1; one that is a word is no answer.

Weights and their log are in `data/`; they are made anew by `make train-transcript`.

Not covered: training (`experiments/training/transcripts.py`); values beyond -9 to 9, histories of more turns than 40.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maker.experiments.avalanche.totals import Question
from maker.experiments.avalanche.transcript import SIZE, encode, total_of
from maker.models.neural.transformer import Cache, Transformer
from maker.models.neural.weights import read_weights

FILE = Path(__file__).with_name("data") / "transcript.safetensors"
SHA256 = "6b0fcd4efc4507de2f1460395765729779e6525d0ca20b664f5e282c4f06de24"


class NetReader:
    """The net as a reader.

    Of each history, by its number, it keeps what it read of it: a prompt that goes on from the one before is read from
    there. So no two questions of one call may have the same number. Raises ModelError where the weights are missing or
    damaged.
    """

    name = "transcript net"

    def __init__(self, seed: int, file: Path = FILE, sha256: str | None = SHA256) -> None:
        weights, shape = read_weights(file, np.float32, sha256)
        self._transformer = Transformer(weights, shape)
        self._cache = Cache(shape, np.float32)
        self._held: dict[int, list[int]] = {}
        self._rng = np.random.default_rng((seed, 3))

    def __call__(self, questions: Sequence[Question], draws: Sequence[int]) -> list[list[int | None]]:
        """Bring so many replies to each question."""
        found: list[list[int | None]] = []
        for question, chances, many in zip(questions, self.chances(questions), draws, strict=True):
            edges = np.cumsum(chances)
            tokens = (self._rng.random((many, 1)) * edges[-1] >= edges).sum(1)
            found.append([total_of(token, question.last) for token in tokens.tolist()])
        return found

    def chances(self, questions: Sequence[Question]) -> NDArray[np.float64]:
        """Return the probability of each token as the reply to each question, [questions, vocabulary]."""
        prompts = [encode(question) for question in questions]
        alike: dict[tuple[int, int], list[int]] = {}  # what is held, and the length: those are read together
        for index, (question, prompt) in enumerate(zip(questions, prompts, strict=True)):
            alike.setdefault((_common(self._held.get(question.number, []), prompt), len(prompt)), []).append(index)
        logits = np.zeros((len(questions), SIZE))
        for (held, length), indices in alike.items():
            slots = np.array([questions[index].number for index in indices])
            tokens = np.array([prompts[index][held:] for index in indices])
            self._cache.reserve(int(slots.max()) + 1, length)
            logits[indices] = self._transformer.read(tokens, held, slots, self._cache, 1)[:, 0]
            self._held.update((questions[index].number, prompts[index]) for index in indices)
        weight: NDArray[np.float64] = np.exp(logits - logits.max(1, keepdims=True))
        weight /= weight.sum(1, keepdims=True)
        return weight


def _common(held: Sequence[int], prompt: Sequence[int]) -> int:
    """Return how many tokens both begin with; the last of the prompt is read in any case."""
    same = 0
    for one, other in zip(held, prompt[:-1], strict=False):
        if one != other:
            break
        same += 1
    return same
