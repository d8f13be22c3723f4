"""How much the votes of several models weigh, and the margin that so weighed votes have to be decided at.

The unit. A model that is right with probability p against one wrong answer adds log(p / (1 - p)) to the log odds that
the answer it votes for is the right one. Where draws are independent given the step, the odds of all draws multiply, so
that the sum of these numbers for one answer, less the sum for the other, is the log posterior odds of the two (neither
being likelier at first): to decide at a margin of it is to decide at a chance of error. A weight is that number in half
nats, rounded; all of them are divided by what they have in common, so that models alike weigh 1 each, and a vote is a
vote. Half a nat is what some hundred draws can tell two models apart by; finer weights would be noise.

The margin. Take a round of one draw a turn, and let t(w) be the t > 0 at which E[exp(t S)] = 1, for S the votes of the
wrong answer less those of the right one. exp(t S) is then a martingale over rounds, and P(wrong leads by k) is
exp(-k t(w)) at most, whatever the weights are: they need not be exact to be safe. For one model and weight 1, t is
log(p / (1 - p)), the base of the usual margin. So a margin of k votes that all count one becomes k t(1) / t(w), rounded
up: the same bound. t is worked out at the best estimate of each p and at its lower bound, and the larger margin taken.

Assumed beside independence: that a step harder for one model is harder for all, in like measure. k is planned for the
pool as a whole, with the spread of its steps; a step at which the heaviest model alone is lost is won by the others the
more seldom, the more it weighs.

Not covered: wrong answers that models share (`theory/together.py` counts them), and more than two answers: all errors
are taken to agree, which is the worst case.
Sources: Wald 1945 (the ratio of likelihoods); Nitzan & Paroush 1982 (log-odds weights are the best ones).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maker.errors import Infeasible
from maker.theory.votes.bounds import p_lower
from maker.theory.votes.mixture import MOST_K

SCALE = 2.0  # units to a nat
_ALMOST = 1e-9  # how near p may come to 0 and 1, and what a margin may be above a whole number by rounding

Graded = Mapping[str, Sequence[int]]  # by model: valid draws at steps of their own, and wrong ones of these


def calibrated(models: Graded, turns: Sequence[str]) -> tuple[int, ...]:
    """Return the weight of each turn. turns: the model of each.

    Raises Infeasible where a model is not shown to be right more often than wrong: its votes are not known to be worth
    anything, and a weight is 1 at least.
    """
    for name in dict.fromkeys(turns):
        if (low := _lower(models, name)) <= 0.5:
            n, wrong = models.get(name, (0, 0))
            raise Infeasible(
                f"weights: {name}: {wrong:,} of {n:,} votes were wrong, so p may be {low:.2f} (95%), and a vote worth "
                "nothing. Leave the model out of the pool, draw on more steps, or give weights as numbers."
            )
    weights = [max(1, round(SCALE * _log_odds(_likely(models, name)))) for name in turns]
    common = math.gcd(*weights)
    return tuple(weight // common for weight in weights)


def margin_for(k: int, models: Graded, turns: Sequence[str], weights: Sequence[int]) -> int:
    """Return the margin of weighed votes with the bound of error that k votes have which all count one.

    Raises Infeasible where votes so weighed do not lead to the right answer, or no margin that a step can reach does.
    """
    equal = [1] * len(turns)
    needed = []
    for seen in (_likely, _lower):
        chances = [seen(models, name) for name in turns]
        by = rate(chances, weights)
        if by == 0:
            raise Infeasible(f"weights {', '.join(map(str, weights))}: votes so weighed may be for wrong answers more "
                             "often than for right ones. Give other weights, or leave them out.")  # fmt: skip
        needed.append(math.ceil(k * rate(chances, equal) / by - _ALMOST))
    if (margin := max(1, *needed)) > MOST_K:
        raise Infeasible(f"weights {', '.join(map(str, weights))}: they need a margin of {margin:,}, and {MOST_K:,} is "
                         "the most. Give smaller weights, or leave them out.")  # fmt: skip
    return margin


@dataclass(frozen=True, slots=True)
class Weighing:
    """What weights would do for a run planned at k equal votes.

    votes: by turn; k: the margin of these, with the same bound of error; share: about what share of the samples they
    take, where all steps are alike. why: there are none; the others are then (), None and None.
    """

    votes: tuple[int, ...]
    k: int | None
    share: float | None
    why: str = ""


def weighing(k: int | None, models: Graded, turns: Sequence[str], given: tuple[int, ...] = ()) -> Weighing:
    """Return the weights of a pool's turns, those that are given or else by its graded draws, and what they would do.

    k: of a run by equal votes, None for no plan.
    """
    try:
        votes = given or calibrated(models, turns)
        if k is None:
            return Weighing(votes, None, None)
        margin = margin_for(k, models, turns, votes)
    except Infeasible as error:
        return Weighing((), None, None, str(error))
    taken = [_samples(*of) for of in ((margin, models, turns, votes), (k, models, turns, [1] * len(turns)))]
    return Weighing(votes, margin, taken[0] / taken[1])


def rate(chances: Sequence[float], weights: Sequence[int]) -> float:
    """Return t: how fast P(the wrong answer leads by k) falls with k, at least exp(-t k). 0 where it does not.

    chances: P(right) of each turn.
    """
    chances = [min(max(p, _ALMOST), 1 - _ALMOST) for p in chances]
    if sum(w * (2 * p - 1) for p, w in zip(chances, weights, strict=True)) <= 0:
        return 0.0
    low, high = 0.0, max(_log_odds(p) / w for p, w in zip(chances, weights, strict=True))
    for _ in range(100):
        middle = (low + high) / 2
        grown = sum(_log_growth(p, w * middle) for p, w in zip(chances, weights, strict=True))
        low, high = (middle, high) if grown < 0 else (low, middle)
    return high


def _samples(k: int, models: Graded, turns: Sequence[str], weights: Sequence[int]) -> float:
    """Return about how many valid draws a step takes at a margin, where all are alike: Wald's, without excess."""
    chances = [_likely(models, name) for name in turns]
    drift = sum(w * (2 * p - 1) for p, w in zip(chances, weights, strict=True)) / len(turns)
    return k / drift * math.tanh(k * rate(chances, weights) / 2)


def _log_growth(p: float, step: float) -> float:
    """Return log(q e^step + p e^-step), where q = 1 - p."""
    up, down = math.log1p(-p) + step, math.log(p) - step
    return max(up, down) + math.log1p(math.exp(-abs(up - down)))


def _log_odds(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _likely(models: Graded, name: str) -> float:
    """Return the best estimate of a model's p, as `Evidence.p` has it."""
    n, wrong = models.get(name, (0, 0))
    return (n - wrong + 0.5) / (n + 1)


def _lower(models: Graded, name: str) -> float:
    """Return the exact one-sided 95% lower bound of a model's p."""
    n, wrong = models.get(name, (0, 0))
    return p_lower(wrong, n) if n else 0.0
