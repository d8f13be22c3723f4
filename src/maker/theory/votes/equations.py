"""The arithmetic of voting: from p to k, and from k to the success, votes and cost of a whole run.

It promises numbers that hold at the extremes (s = 1e17 steps, p a hair above 1/2) and a ValueError,
never a number, where no answer exists. All functions are pure.

Not covered: samples are taken as independent, with one p for every step. Copied samples, errors that
cluster on a few steps and steps with p < 1/2 break these formulas, and no larger k repairs that.

Letters: p = P(right | valid), v = P(valid), k = margin of votes that wins, s = steps,
m = steps in a subtask, t = wanted P(whole run right). The rival: one wrong answer, with all of 1 - p.
Sources: Meyerson et al. 2025, arXiv 2511.09030 (all of k, s, m); Wald 1945 (the race is his sequential
probability ratio test, its length his identity).
"""

from __future__ import annotations

import math

from maker.theory.votes.checked import inside, real, share, whole

_MOST_WAVES_K = 500
MOST_SAMPLES = 10_000_000  # beyond it lgamma costs digits and the tail sum costs seconds


def step_success(p: float, k: int) -> float:
    """P(the right answer wins one step) in a race to be ahead by k.

    p: 0..1. k: whole, 1 or more. Returns 0..1; exactly p at k = 1. Raises ValueError outside these ranges.
    Equation: p_sub = 1 / (1 + ((1-p)/p)^k), Meyerson et al. 2025; the gambler's ruin.
    """
    p, k = share("p", p), whole("k", k)
    if k == 1:
        return p
    lead = k * _log_odds(p)
    return 1.0 / (1.0 + math.exp(-lead)) if lead >= 0 else math.exp(lead) / (1.0 + math.exp(lead))


def run_success(p: float, k: int, steps: float, m: int = 1) -> float:
    """P(every subtask of a run is won by the right answer).

    p: 0..1. k: whole, 1 or more. steps: s, any number >= m, as large as 1e17. m: steps in a subtask.
    Returns 0..1. Raises ValueError outside these ranges.
    Equation: p_full = p_sub^(s/m), Meyerson et al. 2025. p_sub does not depend on m: of the samples that
    vote, p^m are right and (1-p) p^(m-1) are the rival's, so the odds of a vote stay p/(1-p).
    """
    subtasks = _subtasks(steps, m)
    if subtasks == 1:
        return step_success(p, k)
    lead = whole("k", k) * _log_odds(share("p", p))
    # -ln p_sub = ln(1 + e^-lead): p_sub itself rounds to 1 long before p_sub^(s/m) does
    return math.exp(-subtasks * (max(-lead, 0.0) + math.log1p(math.exp(-abs(lead)))))


def k_min(p: float, steps: float, target: float, m: int = 1) -> int:
    """Find the smallest margin k with which the whole run is right with probability `target`.

    p: above 1/2, up to 1; p = 1 gives 1. target: t, strictly between 0 and 1. steps, m: as in run_success.
    Returns k >= 1 with run_success(p, k, steps, m) >= target. Where p is so near 1/2, or t so near 1, that
    run_success of neighbouring k differs by rounding only, k is right but for that rounding.
    Raises ValueError outside these ranges: at p <= 1/2 the rival wins as often, and no k helps.
    Equation: k = ceil(ln(t^(-m/s) - 1) / ln((1-p)/p)), Meyerson et al. 2025.
    """
    p, target = share("p", p), inside("target", target)
    subtasks = _subtasks(steps, m)
    if p <= 0.5:
        raise ValueError(f"p must be above 1/2, or no k helps, got {p!r}: use a finer step or a better model")
    excess = -math.log(target) / subtasks
    # ln(e^x - 1) = x + ln(1 - e^-x): no overflow for x large, no cancellation for x tiny
    k = max(1, math.ceil(-(excess + math.log(-math.expm1(-excess))) / _log_odds(p)))
    # the quotient can miss a whole number by a digit; run_success decides where it tells neighbours apart
    at = run_success(p, k, steps, m)
    if k > 1 and target <= run_success(p, k - 1, steps, m) < at:
        return k - 1
    return k if at >= target else k + 1


def expected_votes(p: float, k: int) -> float:
    """Give the expected number of votes until one answer of two is ahead by k, whichever wins.

    p: 0..1. k: whole, 1 or more. Returns k..k^2, k^2 at p = 1/2. Raises ValueError outside these ranges.
    Equation: k (2 p_sub - 1) / (2p - 1), exact for a lead that moves by one (Wald's identity).
    """
    p, k = share("p", p), whole("k", k)
    if p == 0.5:
        return float(k) * k
    # 2 p_sub - 1 = tanh(lead / 2): near 1/2 the difference itself would lose its digits
    return k * math.tanh(k * _log_odds(p) / 2) / (2 * p - 1)


def effective_votes(votes: float, rho: float) -> float:
    """Give the number of independent votes that are worth as much as so many votes on one step, whose errors correlate.

    votes: 0 or more, a mean too. rho: intra-class correlation of errors, 0..1. Returns 0..votes, at most 1 at rho = 1.
    Raises ValueError outside these ranges. Equation: n / (1 + (n-1) rho), Kish 1965 (the design effect); below one
    vote there is nothing that could correlate.
    """
    n, rho = real("votes", votes), share("rho", rho)
    if n < 0:
        raise ValueError(f"votes must be 0 or more, got {votes!r}")
    return n / (1 + max(n - 1, 0.0) * rho)


def expected_waves(p: float, k: int) -> float:
    """Give the expected number of waves of a race drawn in waves of `need = k - margin`, whichever of two wins.

    p: 0..1. k: whole, 1..500. Returns 1..k. Raises ValueError outside these ranges.
    Derivation: the leads between waves are a Markov chain, of n = k - |lead| votes a step; its expected
    length solves one linear system. No wave can pass k, so it ends at exactly k ahead.
    """
    import numpy as np  # noqa: PLC0415 -- `import maker` stays light

    p, k = share("p", p), whole("k", k)
    if k > _MOST_WAVES_K:
        raise ValueError(f"k must be at most {_MOST_WAVES_K}, got {k}: the system grows with its square")
    system = np.eye(2 * k - 1)  # leads -(k-1) .. k-1
    for lead in range(1 - k, k):
        need = k - abs(lead)
        for right in range(need + 1):
            after = lead + 2 * right - need
            if abs(after) < k:
                system[lead + k - 1, after + k - 1] -= math.comb(need, right) * p**right * (1 - p) ** (need - right)
    return float(np.linalg.solve(system, np.ones(2 * k - 1))[k - 1])


def expected_cost(p: float, k: int, steps: float, cost_per_sample: float = 1.0, v: float = 1.0, m: int = 1) -> float:
    """Give the expected cost of a whole run, in the unit of cost_per_sample (the default counts samples).

    p, k, steps, m: as in run_success. cost_per_sample: c >= 0, of one reply, valid or not; a reply covers m
    steps, so where its length grows with m, c must. v: share of valid replies, above 0 up to 1.
    Returns (s/m) c expected_votes(p, k) / (v p^(m-1)); inf when that exceeds a double.
    Raises ValueError outside these ranges, and for p = 0 with m > 1, where nothing ever votes.
    Derivation: a valid reply moves the lead with p^m + (1-p) p^(m-1) = p^(m-1), else its error is scattered
    and it votes for nobody that matters; so 1 / (v p^(m-1)) replies a move, whatever the race does. A lone
    scattered vote is a runner-up all the same: simulated cost at m > 1 is up to 1.13 times this.
    With p_sub ~ 1 and m = 1 this is c s k / (v (2p-1)), Meyerson et al. 2025; exponential in m.
    """
    subtasks = _subtasks(steps, m)
    p, v, cost = share("p", p), share("v", v), real("cost_per_sample", cost_per_sample)
    if cost < 0:
        raise ValueError(f"cost_per_sample must be 0 or more, got {cost!r}")
    if v == 0 or (p == 0 and m > 1):
        raise ValueError(f"v, and p if m > 1, must be above 0, got v = {v!r}, p = {p!r}: nothing would vote")
    useful = v * p ** (m - 1)
    total = subtasks * expected_votes(p, k) * cost
    return total / useful if useful > 0 else math.inf


def k_from_odds(p: float, p_rival: float, error: float, candidates: int) -> int:
    """Find the margin k that keeps one step's error below `error` when wrong answers are spread out.

    p: P(right), above p_rival; a plurality below 1/2 is enough. p_rival: P(most common wrong answer), 0..1-p.
    error: delta of one step, strictly between 0 and 1 (see error_budget). candidates: M >= 2, the different
    answers there are, the right one included. Returns k >= 1. Raises ValueError outside these ranges.
    Equation: k = ceil(ln((M-1)/delta) / ln(p/p_rival)): Wald's bound (rival/p)^k, once for each rival.
    """
    p, p_rival, error = share("p", p), share("p_rival", p_rival), inside("error", error)
    rivals = whole("candidates", candidates, least=2) - 1
    if p_rival >= p:
        raise ValueError(f"p_rival must be below p, got {p_rival!r} and {p!r}: the plurality is wrong")
    if p + p_rival > 1:
        raise ValueError(f"p_rival must be at most 1 - p, got {p_rival!r}, p = {p!r}: shares of one whole")
    if p_rival == 0:
        return 1
    k = max(1, math.ceil(math.log(rivals / error) / math.log1p((p - p_rival) / p_rival)))
    return k - 1 if rivals * (p_rival / p) ** (k - 1) <= error else k  # a tie rounded up


def error_budget(target: float, steps: float) -> float:
    """Give the error one step may have so that a run of `steps` steps is right with probability `target`.

    target: t, strictly between 0 and 1. steps: s >= 1. Returns 0..1. Raises ValueError outside these ranges.
    Equation: delta = 1 - t^(1/s), from (1 - delta)^s = t, Meyerson et al. 2025 with p_sub = 1 - delta.
    """
    return -math.expm1(math.log(inside("target", target)) / _subtasks(steps, 1))


def _log_odds(p: float) -> float:
    """ln(p / (1-p)), to full precision: 2p - 1 is exact in floating point from p = 1/4 up."""
    if p in (0.0, 1.0):
        return math.copysign(math.inf, p - 0.5)
    return 2 * math.atanh(2 * p - 1) if p > 0.25 else math.log(p) - math.log1p(-p)


def _subtasks(steps: object, m: object) -> float:
    size = whole("m", m)
    total = real("steps", steps)
    if total < size:
        raise ValueError(f"steps must be at least m = {size} (and so 1 or more), got {steps!r}")
    return total / size
