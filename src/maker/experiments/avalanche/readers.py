"""Who carries a running total on: the exact reader of known writers, and any language model.

The writers that the exact reader knows each have an error rate of their own, any from 0 to 1/2 alike; a wrong answer is
off by one of 20 shifts. Errors in a history are then evidence about who writes, and the reader writes on as that
one would: the share of errors it expects is the mean of the rates that are left, each weighed by how well it explains
the turns seen (Bayes). It is no model of a language model: it says how much conditioning on errors is rational.

Not covered: the vote, and how much a reader is shown (`totals.py`).
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence

import numpy as np

from maker.decision.sample import Sample
from maker.experiments.avalanche.totals import SHIFTS, Question
from maker.experiments.kit.speaker import Speaker
from maker.task.prompt import prompt_of

_NUMBER = re.compile(r"(?<![\d.,])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?![\d.,]*\d)")
_SAYS = re.compile(r"=|\bis\b|\bequals\b")  # what stands before an answer that is said in a sentence
TOKENS = 24  # of a reply: a number, or a short sentence with one


@functools.cache
def error_rate(wrong: int, seen: int) -> float:
    """Return the chance of an error after so many wrong ones of those seen: the mean of e^w (1-e)^(n-w) on 0 .. 1/2.

    A ratio of incomplete beta functions, which for whole numbers are tails of tosses of a coin.
    """
    return (wrong + 1) / (seen + 2) * _tail(seen + 2, wrong + 2) / _tail(seen + 1, wrong + 1)


def _tail(tosses: int, heads: int) -> float:
    """P(at least so many heads)."""
    chance: float = sum(math.comb(tosses, i) for i in range(heads, tosses + 1)) / 2**tosses
    return chance


def expected(turns: int, share: float, window: int | None) -> float:
    """Return how often the exact reader is right at the last of so many turns, over all induced histories: no sampling.

    A turn of such a history is wrong when its shift differs from that of the turn before.
    """
    before = turns - 1
    seen = before if window is None else min(window, before)
    # chance of (shifted, wrong turns so far), begun where the window begins
    chance = {(True, 0): share, (False, 0): 1 - share} if seen < before else {(False, 0): 1.0}
    for _ in range(seen):
        after: dict[tuple[bool, int], float] = {}
        for (shifted, wrong), mass in chance.items():
            same = share / len(SHIFTS) if shifted else 1 - share
            for to, error, part in (
                (shifted, 0, same),
                (True, 1, share - same if shifted else share),
                (False, 1, 1 - share if shifted else 0.0),
            ):
                after[to, wrong + error] = after.get((to, wrong + error), 0.0) + mass * part
        chance = after
    return 1 - sum(mass * error_rate(wrong, seen) for (_, wrong), mass in chance.items())


class ExactReader:
    """The Bayesian reader of the writers described above, as one that samples."""

    name = "exact reader"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 2))

    def __call__(self, questions: Sequence[Question], draws: Sequence[int]) -> list[list[int | None]]:
        """Bring so many replies to each question."""
        found: list[list[int | None]] = []
        for question, many in zip(questions, draws, strict=True):
            rate = error_rate(sum(not turn.right for turn in question.turns), len(question.turns))
            off = np.where(self._rng.random(many) < rate, self._rng.choice(SHIFTS, many), 0)
            found.append([question.right + int(shift) for shift in off])
        return found


def prompt(question: Question) -> str:
    """Return what a language model is asked: a chat of the turns shown, with the sum that is due as its last word."""
    chat = []
    for turn in question.turns:
        chat += [("user", _sum(turn.before, turn.value)), ("assistant", str(turn.answer))]
    chat.append(("user", _sum(question.last, question.value)))
    first = chat[0]
    chat[0] = (first[0], f"Answer each sum with the number alone.\n{first[1]}")
    return prompt_of([{"role": role, "content": content} for role, content in chat], "a question is")


def _sum(last: int, value: int) -> str:
    return f"{last} {'-' if value < 0 else '+'} {abs(value)} ="


def number_in(sample: Sample) -> int | None:
    """Return the number that a reply gives, alone or in a sentence; None where it gives none, or more than one.

    The first line that has one counts, of that what stands last behind `=` or `is`; a line that was cut off has none.
    """
    lines = (sample.text or "").replace("\u2212", "-").splitlines()
    whole = lines[:-1] if sample.finish_reason == "length" else lines
    for line in whole:
        said = _NUMBER.findall(_SAYS.split(line)[-1])
        if said:
            return int(said[0].replace(",", "")) if len(said) == 1 else None
    return None


class ModelReader(Speaker):
    """A language model as a reader; see `Speaker` for what it raises."""

    def __call__(self, questions: Sequence[Question], draws: Sequence[int]) -> list[list[int | None]]:
        """Bring so many replies to each question."""
        prompts = [text for one, many in zip(questions, draws, strict=True) for text in [prompt(one)] * many]
        read = map(number_in, self.replies(prompts, [TOKENS] * len(prompts)))
        return [[next(read) for _ in range(many)] for many in draws]
