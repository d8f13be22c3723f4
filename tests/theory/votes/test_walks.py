"""Exact walks: their sums, and the errors of steps that are not alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maker import theory
from maker.experiments.kit import races
from maker.theory.votes import walks
from maker.theory.votes.mixture import Steps


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
