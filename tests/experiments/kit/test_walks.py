"""Exact walks: their sums, and the errors of steps that are not alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maker import theory
from maker.experiments.kit import races, walks


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


@pytest.mark.parametrize(("p", "rho"), [(0.95, 0.3), (0.9978, 0.01), (0.6, 0.5), (0.9, 0.9), (0.99, 0.001)])
def test_beta_errors_have_the_planted_mean_and_correlation(p, rho):
    """The laid-out Beta sums to one and has the mean and the intra-class correlation it was asked for."""
    rates, weights = walks.beta_errors(p, rho)
    mean = (weights * rates).sum()
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert mean == pytest.approx(1 - p, rel=1e-5)
    assert (weights * (rates - mean) ** 2).sum() / (mean * (1 - mean)) == pytest.approx(rho, rel=1e-4)


def test_correlated_errors_have_a_floor():
    """At rho = 0.3 the error falls to the share of steps with p_s < 1/2 and no further; at rho near 0 it vanishes."""
    rates, weights = walks.beta_errors(0.95, 0.3)
    floor = walks.lost_share(rates, weights)
    draws = 1 - np.random.default_rng(7).beta(0.95 * 0.7 / 0.3, 0.05 * 0.7 / 0.3, 400_000)
    assert floor == pytest.approx((draws > 0.5).mean(), rel=0.05)
    assert walks.mixed_error(rates, weights, 1) == pytest.approx(0.05, rel=1e-4)
    assert floor < walks.mixed_error(rates, weights, 50) < 1.05 * floor
    small = walks.beta_errors(0.95, 1e-4)
    assert walks.mixed_error(*small, 3) == pytest.approx(1 - theory.step_success(0.95, 3), rel=0.05)
