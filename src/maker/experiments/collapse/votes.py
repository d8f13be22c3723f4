"""What a vote sees of a policy whose probabilities are known: right answers, agreement, lost steps, and the cost.

A vote is for a whole answer. Right answers differ from each other, so votes split among them, and whoever counts
does not know which are right: truth grades a step only after it is decided. A step is *lost* where its most common
answer is wrong: a larger k makes that one surer. `raced` plays the engine's rule, ahead by k, on many steps at once.

Not covered: red flags; here every answer can be read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maker.experiments.collapse.coins import Bools, Ints
from maker.experiments.kit.exact import Floats, summary

KS = range(1, 9)
MOST = 100  # votes of one step: the engine's own limit up to k = 5; an open step is not right
NEAR = 0.005  # of the best share of right steps: a smaller k that comes so near is as good
ERROR = 0.1  # of a step: the target whose cost is told


@dataclass(slots=True, frozen=True)
class Seen:
    """What a vote sees of one policy on some steps.

    p: share of right answers, one reply a step. rho: correlation of two replies' errors on a step. agree: P(two
    replies to a step are the same). entropy: of the replies to a step, in nats. lost: share of the steps whose most
    common answer is wrong; halves: of those with p_s <= 1/2. right, open, votes: by k from 1 to 8, the share of steps
    decided rightly, of those without a decision, and mean votes.
    """

    p: float
    rho: float
    agree: float
    entropy: float
    lost: float
    halves: float
    right: tuple[float, ...]
    open: tuple[float, ...]
    votes: tuple[float, ...]

    @property
    def best_k(self) -> int:
        """The smallest k that comes within half a point of the best."""
        best = max(self.right)
        return next(k for k, share in zip(KS, self.right, strict=True) if share >= best - NEAR)

    @property
    def gain(self) -> float:
        """What voting adds at the best k, as a share of all steps: 0 where a single reply is best."""
        return self.right[self.best_k - 1] - self.p

    @property
    def cost(self) -> float | None:
        """Mean votes a step at the smallest k that decides 90% of the steps rightly; None where none does."""
        return next((n for n, share in zip(self.votes, self.right, strict=True) if share >= 1 - ERROR), None)


def seen(table: Floats, right: Bools, races: int, rng: np.random.Generator) -> Seen:
    """Return what a vote sees. table: P of each answer to each question, right: which are. races: a question."""
    p = (table * right).sum(1)
    one = summary(p)
    logs = np.log(np.where(table > 0, table, 1.0))
    won, ended = raced(table, races, rng)
    done = ended > 0
    decided = np.repeat(right, races, 0)[np.arange(done.shape[1]), won] & done
    return Seen(
        p=one["p"],
        rho=one["rho"],
        agree=float((table**2).sum(1).mean()),
        entropy=float(-(table * logs).sum(1).mean()),
        lost=float(((table * ~right).max(1) >= (table * right).max(1)).mean()),
        halves=float((p <= 0.5).mean()),
        right=(one["p"], *map(float, decided[1:].mean(1))),  # one reply needs no race: its share is p itself
        open=tuple(map(float, 1 - done.mean(1))),
        votes=tuple(map(float, np.where(done, ended, MOST).mean(1))),
    )


def raced(table: Floats, races: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return, for each k from 1 to 8 and each race, who is first ahead by k and after how many votes; 0 if none is.

    races: of a question; a question's stand together. The same votes are counted for all k.
    """
    edges = np.cumsum(table, 1)
    edges /= edges[:, -1:]
    votes = np.concatenate([np.searchsorted(edge, rng.random((races, MOST)), side="right") for edge in edges])
    rows = np.arange(len(votes))
    won, ended = np.zeros((2, len(KS), len(votes)), np.int64)
    counts = np.zeros((len(votes), table.shape[1]), np.int16)
    leader, second = np.zeros((2, len(votes)), np.int64)
    for number, vote in enumerate(votes.T, 1):
        counts[rows, vote] += 1
        mine, top = counts[rows, vote], counts[rows, leader]
        new = (vote != leader) & (mine > top)
        second = np.where(new, top, np.where(vote == leader, second, np.maximum(second, mine)))
        leader = np.where(new, vote, leader)
        lead = counts[rows, leader] - second
        for at, k in enumerate(KS):
            first = (lead >= k) & (ended[at] == 0)
            won[at, first], ended[at, first] = leader[first], number
        if ended.all():
            break
    return won, ended
