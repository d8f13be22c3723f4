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

from maker.decision.sample import Request
from maker.experiments.avalanche.totals import SHIFTS, Question
from maker.experiments.kit.speaker import Speaker
from maker.task.prompt import prompt_of

_NUMBER = re.compile(r"-?\d+")
TOKENS = 12  # of a reply: a number of four digits, a sign, and room for a full stop


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


def number_in(text: str | None) -> int | None:
    """Return the number that a reply is; None for a reply that is anything else, or says more."""
    said = (text or "").strip().rstrip(".")
    return int(said) if _NUMBER.fullmatch(said) else None


class ModelReader(Speaker):
    """A language model as a reader; see `Speaker` for what it raises."""

    def __init__(self, spec: str, temperature: float, seed: int) -> None:
        super().__init__(spec, temperature, seed)
        self._asked: dict[tuple[int, int, str], int] = {}

    def __call__(self, questions: Sequence[Question], draws: Sequence[int]) -> list[list[int | None]]:
        """Bring so many replies to each question."""
        requests = [
            request for one, many in zip(questions, draws, strict=True) for request in self._requests(one, many)
        ]
        read = iter([number_in(sample.text) for sample in self.send(requests)])
        return [[next(read) for _ in range(many)] for many in draws]

    def _requests(self, question: Question, many: int) -> list[Request]:
        """Return the next draws of a question, each with a seed of its own."""
        text = prompt(question)
        where = question.number, question.turn, text
        first = self._asked.get(where, 0)
        self._asked[where] = first + many
        step = question.number << 32 | question.turn
        return [self.request(step, draw, text, TOKENS) for draw in range(first, first + many)]
