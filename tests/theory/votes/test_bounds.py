"""Bounds of a rate, against the tails of the binomial; bounds by moments, against distributions that have them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shapes
from maker import theory
from maker.theory.votes.bounds import lost_share, step_error, widest

MILLION = 1_048_575  # 2^20 - 1 steps: 20 disks


def tail(seen: int, n: int, rate: Fraction) -> Fraction:
    """P(at most `seen` of n), exact."""
    return sum((math.comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(seen + 1)), Fraction(0))


# ---- p_lower, p_upper


@pytest.mark.parametrize(("wrong", "n", "k"), [(0, 1000, 3), (2, 1000, 4), (0, 200, 5)])
def test_planning_with_the_lower_bound_gives_the_known_k(wrong: int, n: int, k: int) -> None:
    """0 wrong of 1000 gives k = 3 for the million-step task, 2 of 1000 gives 4, 0 of 200 gives 5."""
    assert theory.k_min(theory.p_lower(wrong, n), MILLION, 0.95) == k


def test_planning_with_the_point_estimate_would_be_too_bold() -> None:
    """2 wrong of 1000 read as p = 0.998 would give k = 3, one less than the bound asks for."""
    assert theory.k_min(1 - 2 / 1000, MILLION, 0.95) == 3


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("wrong", "n"), [(0, 1), (0, 40), (1, 2), (1, 40), (13, 40), (39, 40), (60, 120)])
def test_bounds_leave_exactly_the_wanted_tail(wrong: int, n: int, confidence: float) -> None:
    """At p_lower, `wrong` or fewer wrong has probability 1 - confidence; at p_upper, `wrong` or more has."""
    lower, upper = (bound(wrong, n, confidence) for bound in (theory.p_lower, theory.p_upper))
    assert float(tail(wrong, n, 1 - Fraction(lower))) == pytest.approx(1 - confidence, rel=1e-11)
    if wrong:
        assert float(tail(n - wrong, n, Fraction(upper))) == pytest.approx(1 - confidence, rel=1e-11)
    assert lower < upper


# (wrong, lower, upper) at n = 10^6 and 95%: quantiles of Beta(n-wrong, wrong+1) and Beta(n-wrong+1, wrong),
# computed once with scipy.stats.beta.ppf
AT_A_MILLION = [
    (1, 0.9999952561443618, 0.9999999487067069),
    (2200, 0.9977213574273374, 0.9978764975016893),
    (250000, 0.7492867232921432, 0.7507122072450885),
    (999999, 5.1293293072049535e-08, 4.743855638214234e-06),
]


@pytest.mark.parametrize(("wrong", "lower", "upper"), AT_A_MILLION)
def test_bounds_of_a_million_samples_match_beta_quantiles(wrong: int, lower: float, upper: float) -> None:
    """At n = 10^6 the bounds agree with an independent implementation to eleven digits."""
    assert theory.p_lower(wrong, 10**6) == pytest.approx(lower, rel=0, abs=1e-11)
    assert theory.p_upper(wrong, 10**6) == pytest.approx(upper, rel=0, abs=1e-11)


def test_bounds_at_the_ends_are_certain_only_on_one_side() -> None:
    """All wrong allows p = 0 and none wrong allows p = 1; the other bound follows from the n-th root."""
    assert theory.p_lower(50, 50) == 0
    assert theory.p_upper(0, 50) == 1
    assert theory.p_lower(0, 50) == pytest.approx(0.05 ** (1 / 50), rel=1e-14)
    assert theory.p_upper(50, 50) == pytest.approx(1 - 0.05 ** (1 / 50), rel=1e-14)


def test_lower_bound_covers_the_true_p_as_often_as_it_says() -> None:
    """Weighted by the exact binomial law, p_lower is at most the true p in at least 95% of experiments."""
    n, q = 60, Fraction(1, 20)
    covered = sum(math.comb(n, x) * q**x * (1 - q) ** (n - x) for x in range(n + 1) if theory.p_lower(x, n) <= 1 - q)
    assert 0.95 <= covered < 0.99


@given(n=st.integers(1, 3000), data=st.data())
@settings(derandomize=True, database=None, deadline=None, max_examples=50)
def test_bounds_fall_with_every_wrong_sample_and_contain_the_estimate(n: int, data: st.DataObject) -> None:
    """One more wrong sample lowers both bounds, and they lie on both sides of the observed share."""
    wrong = data.draw(st.integers(0, n - 1))
    assert theory.p_lower(wrong + 1, n) < theory.p_lower(wrong, n) <= 1 - wrong / n
    assert 1 - wrong / n <= theory.p_upper(wrong, n)
    assert theory.p_upper(wrong + 1, n) < theory.p_upper(wrong, n)


# ---- steps of which two moments are known


def test_a_beta_loses_nobody_where_two_points_lose_93_steps() -> None:
    """At mean p = .9978 and rho = .01 up to 8.9e-5 of the steps are lost, 93 of a million, whatever k is."""
    m1 = 0.0022
    m2 = m1 * m1 + 0.01 * m1 * (1 - m1)
    low, high = lost_share(m1, m2)
    assert (low, round(high * MILLION)) == (0.0, 93)
    below = m1 - (m2 - m1 * m1) / (0.5 - m1)  # the other of Cantelli's atoms
    assert high * 0.5 + (1 - high) * below == pytest.approx(m1)
    assert high * 0.25 + (1 - high) * below**2 == pytest.approx(m2)
    assert step_error(m1, m2, 1500) == pytest.approx(high, rel=0.01)


@pytest.mark.parametrize(("m1", "m2"), shapes.MOMENTS[::4])
def test_no_distribution_with_these_moments_is_outside(m1: float, m2: float) -> None:
    """Of random distributions that have both moments, none loses more or less, or errs more at any margin."""
    atoms, shares = shapes.drawn(m1, m2, 200, np.random.default_rng(3))
    assert np.allclose((shares * atoms).sum(axis=1), m1)
    assert np.allclose((shares * atoms**2).sum(axis=1), m2)
    assert shapes.outside(atoms, shares, m1, m2) == 0


@pytest.mark.parametrize(("m1", "m2"), [(0.03, 0.0125), (0.2, 0.056), (0.2, 0.152), (0.55, 0.4)])
def test_some_distribution_reaches_the_bounds(m1: float, m2: float) -> None:
    """Over all distributions on a grid, the least and the largest share and error are the bounds, but for the grid."""
    atoms, shares = shapes.everywhere(m1, m2, 30)
    lost = (shares * (atoms >= 0.5)).sum(axis=1)
    assert (lost.min(), lost.max()) == pytest.approx(lost_share(m1, m2), rel=0.02, abs=1e-6)
    for k in (1, 2, 3):
        assert (shares * shapes.error(atoms, k)).sum(axis=1).max() == pytest.approx(step_error(m1, m2, k), rel=0.02)


@pytest.mark.parametrize("k", [None, 1, 2, 5])
@pytest.mark.parametrize(("m1", "m2"), [
    ((0.001, 0.01), (0.0, 0.004)), ((0.005, 0.01), (0.0, 0.001)), ((0.1, 0.2), (0.15, 0.18)), ((0.001, 0.01), (0, 1)),
])  # fmt: skip
def test_the_worst_moments_of_a_region_are_found(
    k: int | None, m1: tuple[float, float], m2: tuple[float, float]
) -> None:
    """No moments of a region, on a grid of 20 by 20, have a larger bound than those that are said to be the worst."""

    def bound(first: float, second: float) -> float:
        return lost_share(first, second)[1] if k is None else step_error(first, second, k)

    worst = bound(*widest(m1, m2, k))
    tried = [(first, second) for first in np.linspace(*m1, 20) for second in np.linspace(m2[0], min(m2[1], m1[1]), 20)
             if first * first <= second <= first]  # fmt: skip
    assert tried
    assert max(bound(*at) for at in tried) <= worst * (1 + 1e-6)


def test_alike_steps_and_hopeless_ones_have_no_room() -> None:
    """Where all steps are alike the bounds are those of one step; where none is right, all are lost."""
    assert lost_share(0.1, 0.01) == pytest.approx((0, 0))
    assert step_error(0.1, 0.01, 3) == pytest.approx(1 - theory.step_success(0.9, 3))
    assert (lost_share(1.0, 1.0), step_error(1.0, 1.0, 3)) == ((1.0, 1.0), 1.0)
    assert (lost_share(0.0, 0.0), step_error(0.0, 0.0, 3)) == ((0.0, 0.0), 0.0)
