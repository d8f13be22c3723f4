"""Stopping rules: each against an independent calculation."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from maker import theory
from maker.experiments.kit import stops

RACES = 40_000


def simulated(rule: stops.Rule, p: float, seed: int) -> tuple[float, float]:
    """Play a rule one race and one vote at a time, by plain Python rules of its own; return error and mean votes."""
    rng = np.random.default_rng(seed)
    coins = iter(())
    wrong = votes = 0.0
    for _ in range(RACES):
        a = b = a0 = b0 = n = 0
        while True:
            try:
                right = next(coins)
            except StopIteration:
                coins = iter((rng.random(100_000) < p).tolist())
                right = next(coins)
            a, b, n = a + right, b + (not right), n + 1
            if n % rule.every == 0:
                if ends(rule, a, b, a - a0, b - b0):
                    break
                a0, b0 = a, b
        votes += n
        wrong += (b > a) + 0.5 * (a == b)
    return wrong / RACES, votes / RACES


@cache
def ends(rule: stops.Rule, a: int, b: int, recent_a: int, recent_b: int) -> bool:
    """Say by the rule's definition, written anew, whether it stops at a votes against b."""
    x, high, low = rule.parameter, max(a, b), min(a, b)
    if rule.name == "ahead by k":
        return high - low >= x
    if rule.name == "first to k":
        return high >= x
    if rule.name == "majority of n":
        return a + b >= x
    if rule.name == "ESC window":
        return max(recent_a, recent_b) == x or a + b >= 8 * x
    if rule.name == "Beta posterior":  # P(Beta(high + 1, low + 1) > 1/2) as a binomial tail
        n = a + b + 1
        return sum(math.comb(n, j) for j in range(high + 1)) / 2**n >= x
    beta = math.factorial(high) * math.factorial(low) / math.factorial(a + b + 1)
    return high > low and beta * 2 ** (a + b) >= 1 / x


RULES = [
    stops.ahead_by(4), stops.first_to(6), stops.majority(11), stops.beta_posterior(0.97), stops.window(4),
    stops.ppr(0.2, 2),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_expected_votes_match_an_independent_simulation(rule):
    """A rule's exact expected votes are within 1% of a simulation that shares no code, its error within noise."""
    cost = stops.exact(rule, 0.8)
    error, votes = simulated(rule, 0.8, seed=1)
    assert votes == pytest.approx(cost.votes, rel=0.01)
    assert abs(error - cost.error) < 4 * math.sqrt(max(cost.error, 1e-4) / RACES)


@pytest.mark.parametrize("p", [0.55, 0.75, 0.95])
def test_ahead_by_k_is_the_formula(p):
    """The exact walk of ahead-by-k gives the error and the expected votes of the theory."""
    for k in (1, 2, 5):
        cost = stops.exact(stops.ahead_by(k), p)
        assert cost.error == pytest.approx(1 - theory.step_success(p, k), rel=1e-4)
        assert cost.votes == pytest.approx(theory.expected_votes(p, k), rel=1e-4)


def test_first_to_k_and_majority_are_the_same_winner():
    """First-to-k errs as a majority of 2k - 1 does, by the binomial tail, with fewer votes."""
    for k in (2, 5):
        n, p = 2 * k - 1, 0.7
        tail = sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k))
        first, whole = stops.exact(stops.first_to(k), p), stops.exact(stops.majority(n), p)
        assert first.error == pytest.approx(tail) and whole.error == pytest.approx(tail)
        assert first.votes < whole.votes == n


@pytest.mark.parametrize("p", [0.65, 0.75, 0.9, 0.95])
def test_ahead_by_k_needs_the_fewest_votes_at_equal_error(p):
    """With two answers and p known no rule has fewer expected votes than ahead-by-k at the same error."""
    ahead = [stops.exact(stops.ahead_by(k), p) for k in range(1, 9)]
    others = [
        *(stops.exact(stops.first_to(k), p) for k in range(1, 12)),
        *(stops.exact(stops.majority(n), p) for n in range(1, 20, 2)),
        *(stops.exact(stops.beta_posterior(level), p) for level in (0.8, 0.9, 0.97, 0.99)),
        *(stops.exact(stops.window(w), p) for w in range(1, 6)),
        stops.exact(stops.ppr(0.5, 2), p),
    ]
    compared = [other for other in others if other.error > ahead[-1].error]
    assert len(compared) > 10
    for other in compared:
        best = stops.cheapest(ahead, other.error)
        assert best is not None and best <= other.votes * (1 + 1e-6)


def test_ppr_keeps_its_promise_at_any_p():
    """PPR-1v1 errs no more often than promised, also where p is near one half, and stops all the same."""
    for p in (0.7, 0.85, 0.99):
        for delta in (0.3, 0.05):
            assert stops.exact(stops.ppr(delta, 2), p).error <= delta


def test_an_exact_walk_that_does_not_end_is_refused():
    """Where races stay open for ever the walk says so instead of a number."""
    with pytest.raises(ValueError, match="open after"):
        stops.exact(stops.ppr(1e-6, 2), 0.5)


def test_weighted_with_one_confidence_is_ahead_by_k():
    """If all confidences are equal, the weighted rule is ahead-by-k at the k that the error asks for."""
    p, k = 0.8, 4
    delta = 1 - theory.step_success(p, k)
    cost = stops.weighted(delta, {p: 1.0})
    assert cost.error == pytest.approx(delta, rel=1e-4)
    assert cost.votes == pytest.approx(theory.expected_votes(p, k), rel=1e-4)


def test_weighted_matches_an_independent_simulation():
    """Its exact expected votes with two confidences are within 1% of a simulation, and its error keeps the bound."""
    delta, kinds = 0.02, {0.6: 0.5, 0.9: 0.5}
    cost = stops.weighted(delta, kinds)
    rng = np.random.default_rng(2)
    lead, votes, wrong = np.zeros(200_000), 0, 0
    goal, races_ = math.log((1 - delta) / delta), len(lead)
    while len(lead):
        sure = np.where(rng.random(len(lead)) < 0.5, 0.9, 0.6)
        weight = np.log(sure / (1 - sure))
        lead = lead + np.where(rng.random(len(lead)) < sure, weight, -weight)
        votes += len(lead)
        wrong += int((lead <= -goal).sum())
        lead = lead[np.abs(lead) < goal]
    assert cost.votes == pytest.approx(votes / races_, rel=0.01)
    assert cost.error == pytest.approx(wrong / races_, rel=0.1)
    assert cost.error <= delta


def test_three_answers_match_a_walk_over_all_counts():
    """Simulated races of three answers have the error and votes of a recursion over all counts."""
    shares, k = (0.5, 0.3, 0.2), 3
    rng = np.random.default_rng(3)
    for rule, stop in ((stops.ahead_by(k), lambda s: s[-1] - s[-2] >= k), (stops.first_to(4), lambda s: s[-1] >= 4)):
        error = votes = 0.0
        level = {(0, 0, 0): 1.0}
        while sum(level.values()) > 1e-6:
            votes += sum(level.values())
            after: dict[tuple[int, ...], float] = {}
            for counts, mass in level.items():
                for i, share in enumerate(shares):
                    moved = tuple(n + (j == i) for j, n in enumerate(counts))
                    if stop(sorted(moved)):
                        error += mass * share * (moved[0] < max(moved))
                    else:
                        after[moved] = after.get(moved, 0.0) + mass * share
            level = {counts: mass for counts, mass in after.items() if mass > 1e-9}
        cost = stops.played(rule, shares, 60_000, rng)
        assert cost.votes == pytest.approx(votes, rel=0.01)
        assert cost.error == pytest.approx(error, rel=0.03)
