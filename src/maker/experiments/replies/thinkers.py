"""Who multiplies: a language model, with its thought cut off at a number of tokens, or a simulated stand-in.

A thought that is cut off is shown to the model again as its own, and the answer asked for at once.

The stand-in is no model of thought: its chances are planted (`STANDING_IN`), to show what the experiment counts.

Not covered: models that think in a channel of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from maker.experiments.kit.speaker import Speaker
from maker.experiments.replies.sums import Product, answer_in

BRIEF = 16  # tokens of an answer that is asked for at once
STOP = "Stop here. Give the number alone, as far as you can tell."
# of the stand-in: right at once, gained by a thought, its length in tokens, lost for each 100 tokens beyond it
STANDING_IN = {"at once": 0.55, "gain": 0.35, "length": 80, "lost": 0.09}


class Said(NamedTuple):
    """An answer, None where there is none, and the tokens written for it."""

    answer: int | None
    tokens: int


# answers each product once, after a thought of at most so many tokens; 0 is at once
Thinker = Callable[[Sequence[Product], int], list[Said]]


class StandIn:
    """Answers by chance: more rightly after a thought, less so after a very long one. Wrong answers are near ones."""

    name = "stand-in"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 4))

    def __call__(self, asked: Sequence[Product], tokens: int) -> list[Said]:
        """Answer each product once."""
        planted, said = STANDING_IN, []
        thought = 1 - math.exp(-tokens / planted["length"])
        p = planted["at once"] + planted["gain"] * thought - planted["lost"] * max(0, tokens - planted["length"]) / 100
        for one, lucky in zip(asked, self._rng.random(len(asked)) < max(0.1, p), strict=True):
            slip = 10 * int(self._rng.integers(1, 6))
            said.append(Said(one.right + (0 if lucky else slip), tokens + len(str(one.right))))
        return said


class ModelThinker(Speaker):
    """A language model."""

    def __call__(self, asked: Sequence[Product], tokens: int) -> list[Said]:
        """Answer each product once."""
        if not tokens:
            brief = self.replies([one.short for one in asked], [BRIEF] * len(asked))
            return [Said(answer_in(sample.text), sample.tokens_out or 0) for sample in brief]
        thoughts = self.replies([one.aloud for one in asked], [tokens] * len(asked))
        cut = [at for at, sample in enumerate(thoughts) if (sample.tokens_out or 0) >= tokens]
        ends = self.replies([_forced(asked[at], thoughts[at].text or "") for at in cut], [BRIEF] * len(cut))
        said = [Said(answer_in(sample.text), sample.tokens_out or 0) for sample in thoughts]
        for at, end in zip(cut, ends, strict=True):
            said[at] = Said(answer_in(end.text), said[at].tokens + (end.tokens_out or 0))
        return said


def _forced(one: Product, thought: str) -> list[dict[str, str]]:
    """Return the request for the answer after a thought that was cut off."""
    return [{"role": "user", "content": one.aloud}, {"role": "assistant", "content": thought},
            {"role": "user", "content": STOP}]  # fmt: skip
