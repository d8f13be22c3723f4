"""Steps of unequal difficulty: each figure against a plain integral, a tail or a simulated race."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from maker import theory
from maker.theory.votes.mixture import Steps

MILLION = 1_048_575


@pytest.mark.parametrize(("a", "b"), [(3, 2), (9, 1), (20, 4), (97, 3), (60, 50)])
def test_the_share_of_lost_steps_is_the_exact_beta_tail(a: int, b: int) -> None:
    """For whole a and b, P(p_s < 1/2) is a binomial sum, and the integral has nine of its digits."""
    n = a + b - 1
    exact = sum(Fraction(math.comb(n, i), 2**n) for i in range(a, n + 1))
    assert Steps(a / (a + b), 1 / (a + b + 1)).lost() == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("rho", [1e-3, 0.01, 0.3])
@pytest.mark.parametrize("p", [0.55, 0.9, 0.99])
def test_error_and_votes_are_those_of_a_plain_integral(p: float, rho: float) -> None:
    """Error and votes agree with a fine even grid over the log-odds, which shares no code with the panels."""
    c = (1 - rho) / rho
    a, b = p * c, (1 - p) * c
    y = np.linspace(-60 / b - 40, 60 / a + 40, 400_000)
    density = np.exp(b * y - (a + b) * np.logaddexp(0, y))
    density /= density.sum()
    for k in (1, 3, 12):
        error = float((density / (1 + np.exp(np.minimum(-k * y, 700)))).sum())
        assert Steps(p, rho).error(k) == pytest.approx(error, rel=1e-6)
        with np.errstate(invalid="ignore"):
            votes = np.where(np.abs(y) < 1e-9, k * k, k * np.tanh(k * y / 2) / np.tanh(y / 2))
        assert Steps(p, rho).votes(k) == pytest.approx(float((density * votes).sum()), rel=1e-6)


@pytest.mark.parametrize("p", [0.500001, 0.6, 0.99, 1 - 1e-9])
@pytest.mark.parametrize("rho", [1e-8, 1e-4, 0.1, 0.99])
def test_one_vote_errs_as_often_as_the_mean_says(p: float, rho: float) -> None:
    """At k = 1 the error is 1 - p however the steps vary, at the extremes of p and rho too."""
    assert Steps(p, rho).error(1) == pytest.approx(1 - p, rel=1e-6)
    assert Steps(p, rho).votes(1) == pytest.approx(1, rel=1e-6)


def test_steps_alike_are_the_limit() -> None:
    """As rho goes to 0 error, votes and k go to those of one p for all steps."""
    assert Steps(0.9, 1e-8).error(5) == pytest.approx(1 - theory.step_success(0.9, 5), rel=1e-4)
    assert Steps(0.9, 1e-8).votes(5) == pytest.approx(theory.expected_votes(0.9, 5), rel=1e-6)
    for p in (0.51, 0.9, 0.9978):
        assert Steps(p).k_for(MILLION, 0.95) == theory.k_min(p, MILLION, 0.95)


def test_correlation_decides() -> None:
    """At p = .9978, k = 3, rho = .01 multiplies the error by about 60; .1 and .3 lose 8 and 696 of a million steps."""
    assert 55 < Steps(0.9978, 0.01).error(3) / Steps(0.9978).error(3) < 65
    assert Steps(0.9978, 0.1).lost() * 1e6 == pytest.approx(8.3, abs=0.1)
    assert Steps(0.9978, 0.3).lost() * 1e6 == pytest.approx(696, abs=1)


@pytest.mark.parametrize("rho", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_k_for_is_the_smallest_that_reaches_the_target(rho: float, spread: float) -> None:
    """The k found reaches the target, k - 1 does not, and a larger k never errs more."""
    steps = Steps(0.9, rho, spread)
    k = steps.k_for(1000, 0.95)
    assert k is not None
    assert steps.success(k, 1000) >= 0.95 > steps.success(k - 1, 1000)
    errors = [steps.error(k) for k in range(1, 30)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("p", [0.3, 0.4, 0.7])
def test_spread_rivals_give_the_k_of_the_odds(p: float) -> None:
    """With M - 1 equal rivals k is that of k_from_odds, also where p is below 1/2."""
    for rivals in (3, 5, 10):
        k = theory.k_from_odds(p, (1 - p) / rivals, theory.error_budget(0.95, 1000), rivals + 1)
        assert Steps(p, 0.0, 1 / rivals).k_for(1000, 0.95) == k


def test_spread_rivals_cost_what_a_simulated_race_costs() -> None:
    """The votes of a race against spread rivals are no less than projected, and at most half more."""
    rng, p, k, rivals = np.random.default_rng(3), 0.4, 6, 5
    counts = []
    for _ in range(500):
        votes = np.zeros(rivals + 1, int)
        while np.sort(votes)[-1] - np.sort(votes)[-2] < k:
            votes[rng.choice(rivals + 1, p=[p] + [(1 - p) / rivals] * rivals)] += 1
        counts.append(votes.sum())
    assert 1 <= np.mean(counts) / Steps(p, 0.0, 1 / rivals).votes(k) < 1.5


def test_what_is_lost_stays_lost() -> None:
    """Where lost steps alone miss the target there is no k, and no k passes the ceiling."""
    steps = Steps(0.9, 0.3)
    assert steps.k_for(1000, 0.95) is None
    assert steps.success(1500, 1000) <= steps.ceiling(1000) < 0.01
    assert Steps(0.45).lost() == 1
    assert Steps(0.45).ceiling(1) == 0


@pytest.mark.parametrize("bad", [{"p": 0.0}, {"p": 1.0}, {"rho": -0.1}, {"rho": 1.0}, {"spread": 0.0}, {"spread": 1.1}])
def test_a_population_that_cannot_be_is_refused(bad: dict[str, float]) -> None:
    """Shares outside their ranges raise ValueError."""
    with pytest.raises(ValueError, match="must be"):
        Steps(**{"p": 0.9, **bad})
