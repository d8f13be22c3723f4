"""Stopping rules and exact walks: each against an independent calculation."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from maker import theory
from maker.experiments.kit import races, stops
from maker.theory import walks
from maker.theory.mixture import Steps

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


def test_the_engines_own_rule_takes_the_expected_votes():
    """Coins through the engine's rule take the expected votes within 1% and err as the formula says."""
    ballots = races.coins(np.random.default_rng(4), 0.75)
    ended = [races.race(ballots, 3) for _ in range(20_000)]
    assert np.mean([one.replies for one in ended]) == pytest.approx(theory.expected_votes(0.75, 3), rel=0.01)
    assert np.mean([not one.right for one in ended]) == pytest.approx(1 - theory.step_success(0.75, 3), rel=0.1)


def test_scattered_answers_cost_more_than_the_formula_knows():
    """With m > 1 the engine's rule needs more replies than the formula: a lone scattered vote is a runner-up."""
    ballots = races.coins(np.random.default_rng(5), 0.99, m=20)
    replies = np.mean([races.race(ballots, 3).replies for _ in range(4000)])
    formula = theory.expected_cost(0.99, 3, 20, m=20)
    assert 1.05 * formula < replies < 1.3 * formula


def test_open_races_sum_to_the_expected_votes():
    """P(undecided after n votes), summed over n, is the expected number of votes."""
    for p, k in ((0.9, 3), (0.6, 2), (0.5, 3)):
        assert walks.after_votes(p, k, 2000).sum() == pytest.approx(theory.expected_votes(p, k))


def test_waves_are_those_of_the_engines_rule():
    """The share of races open after each wave is what coins through the engine's rule show, flags included."""
    p, v, k, n = 0.8, 0.9, 3, 20_000
    ballots = races.coins(np.random.default_rng(6), p, v)
    waves = np.zeros(8)
    for _ in range(n):
        contest = races.first_to_ahead(k, 1000, 1000)
        need, took = next(contest), 0
        while True:
            took += 1
            try:
                need = contest.send([ballots() for _ in range(need)])
            except StopIteration:
                break
        waves[: min(took, 8)] += 1
    expected = walks.after_waves(p, v, k, 7)
    assert np.abs(waves / n - expected).max() < 4 * math.sqrt(0.25 / n)
    assert expected[1] == pytest.approx(1 - (p * v) ** 3 - ((1 - p) * v) ** 3)


def beta_errors(p, rho, nodes=50_000):
    """Return (q, weight): error rates of a step, and the probability of each, laid out over the Beta by midpoints.

    Each half of 0..1 is laid out in the variable that takes the pole at its end away: t = q^min(1, b) below
    one half, b = (1-p) c, and the mirror image above.
    """
    right, wrong = p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho
    log_beta = math.lgamma(right) + math.lgamma(wrong) - math.lgamma(right + wrong)
    t = (np.arange(nodes) + 0.5) / nodes
    rates, weights = [], []
    for near, far, low in ((wrong, right, True), (right, wrong, False)):
        power = min(1.0, near)
        x = np.maximum(0.5 * t ** (1 / power), 1e-300)  # its logarithm stays finite
        height = (near - power) * np.log(x) + (far - 1) * np.log1p(-x) - log_beta
        weights.append(np.exp(height) * 0.5**power / power / nodes)
        rates.append(x if low else 1 - x)
    return np.concatenate(rates), np.concatenate(weights)


@pytest.mark.parametrize(("p", "rho"), [(0.95, 0.3), (0.9978, 0.01), (0.6, 0.5), (0.9, 0.9), (0.99, 0.001)])
def test_beta_errors_have_the_planted_mean_and_correlation(p, rho):
    """The laid-out Beta sums to one, has the mean and the intra-class correlation asked for, and errs as said."""
    rates, weights = beta_errors(p, rho)
    mean = (weights * rates).sum()
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert mean == pytest.approx(1 - p, rel=1e-5)
    assert (weights * (rates - mean) ** 2).sum() / (mean * (1 - mean)) == pytest.approx(rho, rel=1e-4)
    for k in (1, 3, 8):
        with np.errstate(over="ignore"):
            errors = (weights / (1 + ((1 - rates) / rates) ** k)).sum() / weights.sum()
        assert Steps(p, rho).error(k) == pytest.approx(errors, rel=1e-6)


def test_correlated_errors_have_a_floor():
    """At rho = 0.3 the error falls to the share of steps with p_s < 1/2 and no further; at rho near 0 it vanishes."""
    steps = Steps(0.95, 0.3)
    draws = 1 - np.random.default_rng(7).beta(0.95 * 0.7 / 0.3, 0.05 * 0.7 / 0.3, 400_000)
    assert steps.lost() == pytest.approx((draws > 0.5).mean(), rel=0.05)
    assert steps.error(1) == pytest.approx(0.05, rel=1e-4)
    assert steps.lost() < steps.error(50) < 1.05 * steps.lost()
    assert Steps(0.95, 1e-4).error(3) == pytest.approx(1 - theory.step_success(0.95, 3), rel=0.05)
