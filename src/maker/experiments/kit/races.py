"""Simulated votes through the engine's own rule, `race.first_to_ahead`: no model, only coins.

`race` decides one subtask by ballots that a caller supplies, `coins` makes ballots of two answers.
All of this is simulated; what it checks is that rule and formula agree.

Not covered: red flags and what a model's text looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from maker.decision.race import Ballot, first_to_ahead

RIGHT = b"right"
RIVAL = b"rival"
MOST = 30_000  # votes of one race; none of those simulated comes near it


@dataclass(slots=True, frozen=True)
class Ended:
    """How one race ended: right or not, and the replies it took, flagged ones included."""

    right: bool
    replies: int


def race(ballots: Callable[[], Ballot], k: int) -> Ended:
    """Run one race of the engine's rule on ballots drawn one by one."""
    contest = first_to_ahead(k, MOST, MOST)
    need, replies = next(contest), 0
    while True:
        replies += need
        try:
            need = contest.send([ballots() for _ in range(need)])
        except StopIteration as end:
            return Ended(end.value.winner == RIGHT, replies)


def coins(rng: np.random.Generator, p: float, v: float = 1.0, m: int = 1) -> Callable[[], Ballot]:
    """Return a source of ballots for a subtask of m steps: right, the rival's, or one nobody shares.

    p: P(a step is right). v: P(a reply is valid), else the ballot is None. The rival has the same first m - 1
    steps and errs at the last one; an error before that is scattered, another answer each time.
    """
    return _ballots(rng, v, v * p**m, v * p ** (m - 1)).__next__


def _ballots(rng: np.random.Generator, v: float, right: float, shared: float) -> Iterator[Ballot]:
    number = 0
    while True:
        for u in rng.random(4096).tolist():
            if u < right:
                yield RIGHT
            elif u < shared:
                yield RIVAL
            elif u < v:
                number += 1
                yield b"%d" % number
            else:
                yield None
