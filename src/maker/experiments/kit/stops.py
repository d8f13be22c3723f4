"""Stopping rules: when to end a vote. Each with what it guarantees; the engine itself uses the first alone.

A `Rule` looks after every `every` votes at the counts and says whether to stop; the answer with most
votes then wins, ties at random. `exact` gives error and expected votes for two answers by walking all
counts; `played` the same for any number of answers, simulated; `cheapest` compares rules at equal error.
The rule with a confidence for each vote, `weighted`, has its own exact walk.

Not covered: votes that depend on each other, and flagged replies (a rule sees valid votes alone).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
MOST = 1200  # votes of one race; an exact walk must leave less than LEFT beyond it
LEFT = 1e-7
FAINT = 1e-13  # leads less probable than this are dropped from the weighted walk
WINDOWS = 8  # windows of ESC before it gives up and takes the majority (its paper: 40 samples, windows of 5)


@dataclass(slots=True, frozen=True)
class Rule:
    """A stopping rule with its parameter set.

    stop: (counts [n, answers], counts of the last `every` votes alone) -> which of the n races end.
    """

    name: str
    parameter: float
    stop: Callable[[Counts, Counts], NDArray[np.bool_]]
    every: int = 1


@dataclass(slots=True, frozen=True)
class Cost:
    """What a rule does: P(the wrong answer wins), expected votes, and the number of simulated races (0: exact)."""

    error: float
    votes: float
    races: int = 0


def ahead_by(k: int) -> Rule:
    """Stop when the leader is k votes ahead of every other: the engine's rule.

    Guarantee: with two answers and p known it is Wald's sequential probability ratio test, error
    1/(1 + (p/(1-p))^k), and no rule with this error needs fewer votes on average (Wald & Wolfowitz 1948).
    With more answers the error is at most the sum of (p_rival/p)^k over the rivals. Nothing when p <= p_rival.
    """
    return Rule("ahead by k", k, lambda counts, _: np.subtract(*_top(counts)) >= k)


def first_to(k: int) -> Rule:
    """Stop when an answer has k votes.

    Guarantee: with two answers the error of a majority of 2k - 1, P(Binomial(2k-1, p) < k), and at most
    2k - 1 votes. Never more votes than that majority, and the same winner.
    """
    return Rule("first to k", k, lambda counts, _: _top(counts)[0] >= k)


def majority(n: int) -> Rule:
    """Draw n votes, whatever they say (self-consistency, Wang et al. 2023).

    Guarantee: with two answers the error is P(Binomial(n, p) < n/2), ties halved, at most exp(-2 n (p - 1/2)^2)
    (Hoeffding). It needs no p to be run, and always n votes.
    """
    return Rule("majority of n", n, lambda counts, _: np.ones(len(counts), bool), n)


def beta_posterior(confidence: float) -> Rule:
    """Stop when P(leader's share > 1/2) >= confidence, for Beta(a+1, b+1) of the two most common answers.

    The rule of Adaptive-Consistency (Aggarwal et al. 2023), without its cap. Guarantee: none on the error of a
    step. The level is a posterior under a uniform prior, looked at after each vote; at p near 1/2 the error
    exceeds 1 - confidence by far.
    """
    return Rule("Beta posterior", confidence, lambda counts, _: _posterior(MOST + 1)[_top(counts)] >= confidence)


def window(size: int) -> Rule:
    """Stop when a window of `size` votes is unanimous, at the latest after 8 windows; the majority of all votes wins.

    The rule of ESC (Li et al. 2024). Guarantee: at most 8 `size` votes. P(a window is unanimously wrong) is
    p_rival^size summed over the rivals, for each window looked at; there is no bound for the majority at the end.
    """
    last = WINDOWS * size
    return Rule("ESC window", size, lambda counts, recent: (recent.max(1) == size) | (counts.sum(1) >= last), size)


def ppr(delta: float, candidates: int) -> Rule:
    """Stop when B(a+1, b+1) 2^(a+b) >= (K-1)/delta for the leader's a votes against each rival's b.

    PPR-1v1 (Jain et al. 2022), K candidates. Guarantee: the error is at most delta for any p whatever, known or not,
    as long as the right answer is the most common one; it may be looked at after each vote. The price is votes.
    """
    wanted = math.log((candidates - 1) / delta)

    def stop(counts: Counts, _: Counts) -> NDArray[np.bool_]:
        log_factorial = _log_factorials(2 * MOST + 3)
        a, b = _top(counts)
        level = log_factorial[a] + log_factorial[b] - log_factorial[a + b + 1] + (a + b) * math.log(2)
        return np.asarray((level >= wanted) & (a > b))

    return Rule("PPR-1v1", delta, stop)


def weighted(delta: float, kinds: Mapping[float, float]) -> Cost:
    """Weigh each vote by ln(p_i/(1-p_i)), stop at a lead of ln((1-delta)/delta): exact walk, two answers.

    kinds: P(such a vote) by its confidence p_i, which must be true. Guarantee: the error is at most delta, and as
    Wald's test on the weighted votes no rule that sees votes and confidences needs fewer at its error. With one
    kind it is ahead-by-k. Nothing when the confidences are not calibrated.
    """
    goal = math.log((1 - delta) / delta) - 1e-12  # a lead that reaches it but for rounding has reached it
    order = sorted(kinds)
    weights = [math.log(p / (1 - p)) for p in order]
    open_: dict[tuple[int, ...], float] = {(0,) * len(order): 1.0}
    error = votes = 0.0
    while open_:
        votes += sum(open_.values())
        after: dict[tuple[int, ...], float] = defaultdict(float)
        for lead, mass in open_.items():
            for i, p in enumerate(order):
                for change, chance in ((1, p), (-1, 1 - p)):
                    moved = (*lead[:i], lead[i] + change, *lead[i + 1 :])
                    height = sum(n * weight for n, weight in zip(moved, weights, strict=True))
                    if abs(height) < goal:
                        after[moved] += mass * kinds[p] * chance
                    elif height < 0:
                        error += mass * kinds[p] * chance
        open_ = {lead: mass for lead, mass in after.items() if mass > FAINT}
    return Cost(error, votes)


def exact(rule: Rule, p: float) -> Cost:
    """Return error and expected votes for two answers, the right one with probability p, by walking all counts.

    Raises ValueError when more than 1e-7 of the races are open after 1,200 votes.
    """
    right = np.array([1.0])  # P(open, a votes for the right answer), at n votes
    size, n = rule.every, 0
    block = [math.comb(size, j) * p**j * (1 - p) ** (size - j) for j in range(size + 1)]
    error = votes = 0.0
    while right.sum() > LEFT and n + size <= MOST:
        votes += size * right.sum()
        after = np.zeros(len(right) + size)
        a = np.arange(len(right))
        for j, chance in enumerate(block):
            counts = np.stack([a + j, n + size - a - j], 1)
            ended = rule.stop(counts, np.broadcast_to([j, size - j], counts.shape))
            mass = right * chance
            lost = (counts[:, 1] > counts[:, 0]) + 0.5 * (counts[:, 1] == counts[:, 0])
            error += float((mass * lost)[ended].sum())
            after[j : j + len(right)] += np.where(ended, 0.0, mass)
        right, n = after, n + size
    if right.sum() > LEFT:
        raise ValueError(f"{rule.name} {rule.parameter}: {right.sum():.2g} of the races are open after {n} votes")
    return Cost(error, float(votes))


def played(rule: Rule, shares: Sequence[float], races: int, rng: np.random.Generator) -> Cost:
    """Return error and mean votes over simulated races; shares: P(each answer), the right one first."""
    edges = np.cumsum(shares)[:-1]
    counts = np.zeros((races, len(shares)), np.int64)
    wrong = votes = 0.0
    while len(counts) and counts[0].sum() + rule.every <= MOST:
        recent = np.zeros_like(counts)
        for _ in range(rule.every):
            recent[np.arange(len(counts)), np.searchsorted(edges, rng.random(len(counts)), side="right")] += 1
        counts += recent
        votes += rule.every * len(counts)
        ended = rule.stop(counts, recent)
        done = counts[ended]
        best = done == done.max(1, keepdims=True) if len(done) else done
        wrong += float((1 - best[:, 0] / np.maximum(best.sum(1), 1)).sum())
        counts = counts[~ended]
    return Cost((wrong + len(counts)) / races, votes / races, races)  # one still open counts as wrong


def cheapest(costs: Sequence[Cost], error: float) -> float | None:
    """Return the fewest expected votes at exactly this error, or None where no parameter reaches it.

    Between two parameters the rule that tosses a coin for one of them before it begins has the mean of both.
    """
    best = [cost.votes for cost in costs if cost.error == error]
    for low in (cost for cost in costs if cost.error < error):
        for high in (cost for cost in costs if cost.error > error):
            share = (error - low.error) / (high.error - low.error)
            best.append(low.votes + share * (high.votes - low.votes))
    return min(best, default=None)


def _top(counts: Counts) -> tuple[Counts, Counts]:
    """Return the largest and the second largest count of each row."""
    ordered = np.sort(counts, 1)
    return ordered[:, -1], ordered[:, -2]


@cache
def _log_factorials(n: int) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n)))])


@cache
def _posterior(n: int) -> NDArray[np.float64]:
    """Return [a, b]: P(X > 1/2) for X ~ Beta(a+1, b+1), the problem of points: f(a,b) = (f(a-1,b) + f(a,b-1)) / 2."""
    table = np.zeros((n + 1, n + 1))  # shifted by one, so that row 0 is a = -1 and column 0 is b = -1
    table[1:, 0] = 1.0
    for total in range(2, n + 1):
        a = np.arange(1, total)
        table[a, total - a] = (table[a - 1, total - a] + table[a, total - a - 1]) / 2
    return table[1:, 1:]
