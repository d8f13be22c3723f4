"""Exact bounds of a rate, against the tails of the binomial and the quantiles of the beta."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import theory

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
