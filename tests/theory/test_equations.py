"""The formulas of voting, each against something that does not share their algebra.

Oracles: the published table, exact rational arithmetic, a linear system for the race, the exact binomial
tail, and a seeded simulation that casts the votes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import theory

MILLION = 1_048_575  # 2^20 - 1 steps: 20 disks
NAN = float("nan")
JUST_ABOVE_HALF = 0.5 + 1e-9

# (1 - p, k_min) of the published run at s = MILLION, t = 0.95
PUBLISHED = [
    ("gpt-4.1-nano", 0.3571, 29),
    ("gpt-4.1-mini, T=1", 0.0040, 4),
    ("gpt-4.1-mini, T=.1", 0.0022, 3),
    ("o3-mini", 0.0018, 3),
    ("haiku-4.5", 0.1839, 12),
    ("gpt-oss-20B", 0.0358, 6),
    ("qwen-3", 0.2342, 15),
    ("deepseek-v3.1", 0.0569, 6),
    ("kimi-k2", 0.0393, 6),
]


def race(right: Fraction, rival: Fraction, k: int) -> tuple[Fraction, Fraction]:
    """(P(right wins), expected samples) from a lead of 0, by solving the race's own linear system.

    The lead moves +1 with `right`, -1 with `rival`, else stays. h(d) is the wanted value at lead d:
    (right + rival) h(d) = right h(d+1) + rival h(d-1) + gain, h(-k) = 0, h(k) = 1 and gain = 0 for the
    win, h(k) = 0 and gain = 1 for the samples. Elimination upwards: h(d) = slope h(d+1) + shift.
    """

    def value(at_win: int, gain: int) -> Fraction:
        slope, shift, slopes = Fraction(0), Fraction(0), []
        for _ in range(2 * k - 1):
            pivot = right + rival - rival * slope
            slope, shift = right / pivot, (rival * shift + gain) / pivot
            slopes.append((slope, shift))
        h = Fraction(at_win)
        for slope, shift in reversed(slopes[k - 1 :]):
            h = slope * h + shift
        return h

    return value(1, 0), value(0, 1)


def reaches(p: float, k: int, subtasks: int, target: float) -> bool:
    """Whether p_sub^subtasks >= target, in 120-digit decimals; the doubles are taken as exact."""
    with localcontext() as context:
        context.prec = 120
        right = Decimal(p)
        p_sub = 1 / (1 + ((1 - right) / right) ** k)
        return subtasks * p_sub.ln() >= Decimal(target).ln()


def tail(seen: int, n: int, rate: Fraction) -> Fraction:
    """P(at most `seen` of n), exact."""
    return sum((math.comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(seen + 1)), Fraction(0))


# ---- k_min


@pytest.mark.parametrize(("model", "wrong", "k"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_k_min_gives_the_published_k_of_every_model(model: str, wrong: float, k: int) -> None:
    """k_min reproduces the published table in all nine rows that have a k."""
    assert theory.k_min(1 - wrong, MILLION, 0.95) == k


def test_k_min_refuses_the_published_model_that_is_never_right() -> None:
    """The table's last row, error rate 1.0, has no k."""
    with pytest.raises(ValueError, match="p must be above 1/2"):
        theory.k_min(0.0, MILLION, 0.95)


@pytest.mark.parametrize("p", [0.500001, 0.51, 0.6, 0.75, 0.9, 0.9978, 0.999999, 1 - 2**-53])
@pytest.mark.parametrize("steps", [1, 2, 1023, MILLION, 10**17])
@pytest.mark.parametrize("target", [0.01, 0.5, 0.95, 0.9999, 1 - 1e-9])
def test_k_min_is_the_smallest_k_that_reaches_the_target(p: float, steps: int, target: float) -> None:
    """In exact arithmetic k reaches the target and k - 1 does not."""
    k = theory.k_min(p, steps, target)
    assert reaches(p, k, steps, target)
    assert k == 1 or not reaches(p, k - 1, steps, target)


@pytest.mark.parametrize(("steps", "target"), [(1e17, 0.9999), (10**17, 0.9999), (1, 0.75), (1e17, 1 - 1e-9)])
def test_k_min_is_smallest_a_hair_above_one_half(steps: float, target: float) -> None:
    """At p = 0.5 + 1e-9, where k is about 1e10, k is still right to the last unit."""
    k = theory.k_min(JUST_ABOVE_HALF, steps, target)
    assert reaches(JUST_ABOVE_HALF, k, int(steps), target)
    assert not reaches(JUST_ABOVE_HALF, k - 1, int(steps), target)


def test_k_min_keeps_its_digits_at_the_last_double_above_one_half() -> None:
    """At p = 1/2 + 2^-53 one vote weighs 4 * 2^-53, and k is the needed log-odds over that, to 12 digits."""
    k = theory.k_min(0.5 + 2**-53, 1e17, 0.9999)
    assert k * 4 * 2**-53 == pytest.approx(-math.log(math.expm1(-math.log(0.9999) / 1e17)), rel=1e-12)


@pytest.mark.parametrize("m", [2, 3, 16, 1000])
def test_k_min_depends_on_steps_and_m_through_the_number_of_subtasks(m: int) -> None:
    """A run of s steps in subtasks of m needs the k of s/m steps, for the odds of a vote do not change."""
    for p in (0.6, 0.9, 0.9978):
        assert theory.k_min(p, 10**6 * m, 0.95, m) == theory.k_min(p, 10**6, 0.95)


def test_k_min_is_one_for_a_model_that_is_never_wrong() -> None:
    """At p = 1 no margin above one vote is needed, however long the run."""
    assert theory.k_min(1.0, 1e17, 0.9999) == theory.k_min(1, 1e17, 0.9999) == 1


@pytest.mark.parametrize("target", [5e-324, 1e-300, 0.1, 0.59])
def test_k_min_is_never_below_one(target: float) -> None:
    """A target that one sample already exceeds gives 1, not 0 and not a negative number."""
    assert theory.k_min(0.6, 1, target) == 1


@given(p=st.floats(0.501, 0.999), k=st.integers(1, 6), steps=st.floats(1, 1e6))
@settings(derandomize=True, database=None, deadline=None, max_examples=100)
def test_k_min_gives_back_the_k_of_a_success(p: float, k: int, steps: float) -> None:
    """A target that k reaches exactly gives k, and one a rounding above it is reached all the same."""
    target = theory.run_success(p, k, steps)
    if 0 < target < 1:
        assert theory.k_min(p, steps, target) == k
        above = math.nextafter(target, 1)
        assert above == 1 or theory.run_success(p, theory.k_min(p, steps, above), steps) >= above


@pytest.mark.parametrize("p", [0.51, 0.6, 2 / 3, 0.7, 0.75, 0.9, 0.95, 0.99])
def test_k_min_is_one_where_a_single_sample_exactly_meets_the_target(p: float) -> None:
    """One step at target p needs one vote, although the quotient of logarithms rounds either way."""
    assert theory.k_min(p, 1, p) == 1


# ---- step_success, run_success, expected_votes


@pytest.mark.parametrize("k", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("p", [1e-9, 0.1, 0.25, 0.3, 0.4999, 0.5, 0.5 + 1e-9, 0.6, 0.9, 0.9978, 1 - 1e-9])
def test_one_step_agrees_with_the_exact_race(p: float, k: int) -> None:
    """step_success and expected_votes are the race's exact solution, on both sides of 1/2 and at it."""
    wins, votes = race(Fraction(p), 1 - Fraction(p), k)
    assert theory.step_success(p, k) == pytest.approx(float(wins), rel=1e-13, abs=0)
    assert theory.expected_votes(p, k) == pytest.approx(float(votes), rel=1e-13, abs=0)


@pytest.mark.parametrize("k", [1, 3, 1000, 10**9])
def test_the_ends_of_p_are_certain(k: int) -> None:
    """A model always right or always wrong decides in exactly k votes, and a coin in k^2."""
    assert [theory.step_success(p, k) for p in (0, 0.5, 1)] == [0, 0.5, 1]
    assert [theory.expected_votes(p, k) for p in (0, 0.5, 1)] == [k, k**2, k]


@pytest.mark.parametrize("gap", [2**-53, 1e-15, 1e-12, 1e-9])
def test_expected_votes_approach_the_coin_without_noise(gap: float) -> None:
    """Just beside 1/2 the quotient of two vanishing numbers is k^2, to the last digits."""
    assert theory.expected_votes(0.5 + gap, 3) == pytest.approx(9, rel=1e-14)
    assert theory.expected_votes(0.5 - gap, 3) == pytest.approx(9, rel=1e-14)


@pytest.mark.parametrize(("p", "k"), [(0.6, 2), (0.75, 3), (0.9, 2), (0.45, 4)])
def test_a_simulated_race_has_the_predicted_winner_and_length(p: float, k: int) -> None:
    """20,000 races cast vote by vote agree with both formulas within four standard errors."""
    races = 20_000
    rng = np.random.default_rng([k, round(100 * p)])
    lead, votes = np.zeros(races, dtype=int), np.zeros(races, dtype=int)
    while (open_races := np.flatnonzero(np.abs(lead) < k)).size:
        lead[open_races] += np.where(rng.random(open_races.size) < p, 1, -1)
        votes[open_races] += 1
    won = float(np.mean(lead == k))
    assert abs(won - theory.step_success(p, k)) < 4 * math.sqrt(won * (1 - won) / races)
    assert abs(votes.mean() - theory.expected_votes(p, k)) < 4 * votes.std() / math.sqrt(races)


@pytest.mark.parametrize(("p", "k", "steps", "m"), [(0.9, 2, 7, 1), (0.6, 5, 12, 3), (0.3, 3, 4, 2), (0.99, 1, 1, 1)])
def test_run_success_is_the_product_of_its_subtasks(p: float, k: int, steps: int, m: int) -> None:
    """A run is right when each of its s/m subtasks is, computed with exact rationals."""
    right = Fraction(p) ** m
    rival = (1 - Fraction(p)) * Fraction(p) ** (m - 1)
    wins, _ = race(right, rival, k)
    assert theory.run_success(p, k, steps, m) == pytest.approx(float(wins ** (steps // m)), rel=1e-13)


@pytest.mark.parametrize("p", [0.51, 0.6, 0.7, 0.9, 0.99])
def test_run_success_counts_subtasks_as_a_real_number(p: float) -> None:
    """One subtask succeeds like one step, to the last bit, and seven halves like the root of seven."""
    assert [theory.run_success(p, k, 1) for k in (1, 2, 3)] == [theory.step_success(p, k) for k in (1, 2, 3)]
    assert theory.run_success(p, 2, 7, 2) == pytest.approx(math.sqrt(theory.run_success(p, 2, 7)), rel=1e-14)


def test_run_success_survives_the_longest_run() -> None:
    """At s = 1e17 a step fails with 1e-22, which p_sub cannot show, and the run's digits are still right."""
    with localcontext() as context:
        context.prec = 60
        p = Decimal.from_float(0.99)
        odds = (1 - p) / p
        exact = float((-(10**17) * (1 + odds**11).ln()).exp())
    assert theory.run_success(0.99, 11, 1e17) == pytest.approx(exact, rel=1e-12)
    assert theory.run_success(0.99, 11, 10**17) < theory.run_success(0.99, 12, 10**17) < 1


def test_success_goes_to_zero_and_one_without_overflow() -> None:
    """Hopeless and certain steps and runs give 0 and 1, whatever k and s."""
    assert [theory.step_success(p, 10**6) for p in (0.4, 0.6)] == [0, 1]
    assert theory.run_success(0.4, 10**6, 1e17) == theory.run_success(0, 3, 2) == 0
    assert theory.run_success(0.6, 10**6, 1e17) == theory.run_success(1, 1, 1e17) == 1


# ---- expected_cost


@pytest.mark.parametrize("m", [1, 2, 5])
@pytest.mark.parametrize("p", [0.5, 0.6, 0.9, 0.99])
def test_expected_cost_counts_the_samples_of_the_exact_race(p: float, m: int) -> None:
    """With invalid and scattered replies as votes for nobody, samples are the race's exact expectation."""
    exact, v, k, steps = Fraction(p), Fraction(3, 4), 3, 60
    _, samples = race(v * exact**m, v * (1 - exact) * exact ** (m - 1), k)
    cost = theory.expected_cost(p, k, steps, cost_per_sample=0.5, v=0.75, m=m)
    assert cost == pytest.approx(float(samples * steps / m / 2), rel=1e-13)


@pytest.mark.parametrize(("model", "wrong", "k"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_expected_cost_at_k_min_is_the_published_formula(model: str, wrong: float, k: int) -> None:
    """At k_min almost every step is won, so the cost is c s k_min / (v (2p - 1)) within one in a million."""
    formula = 2.0 * MILLION * k / (0.5 * (1 - 2 * wrong))
    assert theory.expected_cost(1 - wrong, k, MILLION, 2.0, 0.5) == pytest.approx(formula, rel=1e-6)


def test_expected_cost_grows_like_s_ln_s_with_single_steps_and_exponentially_with_m() -> None:
    """A thousand times the steps cost little over that; each further step in a subtask costs 1/p."""

    def cost(steps: float, m: int = 1) -> float:
        return theory.expected_cost(0.6, theory.k_min(0.6, steps, 0.95, m), steps, m, 1, m)

    assert 1000 < cost(1e9) / cost(1e6) < 2000
    assert cost(1e9, 61) / cost(1e9, 1) == pytest.approx(0.6**-60, rel=0.3)


def test_expected_cost_beyond_a_double_is_infinite() -> None:
    """Where p^(m-1) vanishes the cost is infinite, not an arithmetic error."""
    assert theory.expected_cost(0.9, 3, MILLION, m=MILLION) == math.inf


# (dollars a million tokens in, out; tokens out; 1 - p; k_min; published dollars and their rounding, in thousands)
PUBLISHED_COST = [
    (0.10, 0.40, 842, 0.3571, 29, 41.9),
    (0.40, 1.60, 580, 0.0040, 4, 4.9),
    (0.40, 1.60, 538, 0.0022, 3, 3.5),
    (1.10, 4.40, 535, 0.0018, 3, 9.4),
    (1.00, 5.00, 588, 0.1839, 12, 71.2),
    (0.05, 0.20, 1104, 0.0358, 6, 1.7),
    (0.20, 0.60, 449, 0.2342, 15, 11.5),
    (0.60, 1.70, 1004, 0.0569, 6, 14.6),
    (1.00, 3.00, 925, 0.0393, 6, 22.9),
]


@pytest.mark.parametrize(("price_in", "price_out", "out", "wrong", "k", "dollars"), PUBLISHED_COST)
def test_expected_cost_reproduces_the_published_dollars(
    price_in: float, price_out: float, out: int, wrong: float, k: int, dollars: float
) -> None:
    """With 550 to 650 input tokens a sample (list prices of input assumed) every row is met to its published digit."""

    def thousands(told: int) -> float:
        return theory.expected_cost(1 - wrong, k, MILLION, (price_in * told + price_out * out) / 1e6) / 1e3

    assert dollars in {round(thousands(told), 1) for told in range(550, 651)}
    assert dollars == pytest.approx(thousands(600), rel=0.025)
    assert 0.69 < thousands(0) / dollars < 0.89  # the share that the price of output alone explains


# ---- expected_waves


def test_expected_waves_and_votes_of_the_published_setting() -> None:
    """At k = 3 and p = .95 a step takes about 1.17 waves and 3.33 votes."""
    assert theory.expected_waves(0.95, 3) == pytest.approx(1.166, abs=0.001)
    assert theory.expected_votes(0.95, 3) == pytest.approx(3.332, abs=0.001)


@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_expected_waves_at_the_ends(k: int) -> None:
    """A model always right or always wrong takes one wave, as does any at k = 1; right and wrong are alike."""
    assert theory.expected_waves(1, k) == theory.expected_waves(0, k) == 1
    assert theory.expected_waves(0.7, 1) == pytest.approx(1)
    assert theory.expected_waves(0.7, k) == pytest.approx(theory.expected_waves(0.3, k))


@pytest.mark.parametrize(("p", "k"), [(0.6, 2), (0.8, 4), (0.5, 5)])
def test_expected_waves_match_simulated_races(p: float, k: int) -> None:
    """20,000 races drawn in waves of what is needed take as many waves, within four standard errors."""
    rng = np.random.default_rng([k, round(100 * p)])
    lead, waves = np.zeros(20_000, dtype=int), np.zeros(20_000)
    while (open_races := np.flatnonzero(np.abs(lead) < k)).size:
        need = k - np.abs(lead[open_races])
        lead[open_races] += 2 * rng.binomial(need, p) - need
        waves[open_races] += 1
    assert abs(waves.mean() - theory.expected_waves(p, k)) < 4 * waves.std() / math.sqrt(waves.size)


# ---- k_from_odds, error_budget


@pytest.mark.parametrize(("p", "error"), [(0.6, 1e-3), (0.9, 1e-6), (0.9978, 4.9e-8), (0.75, 0.01)])
def test_k_from_odds_is_the_smallest_k_within_the_bound(p: float, error: float) -> None:
    """(M-1) (p_rival/p)^k is within the error at k and beyond it at k - 1, in exact rationals."""
    for candidates, share in [(2, 1), (5, 2), (100, 20)]:
        rival = (1 - p) / share
        k = theory.k_from_odds(p, rival, error, candidates)
        odds, budget = Fraction(rival) / Fraction(p), Fraction(error) / (candidates - 1)
        assert odds**k <= budget < odds ** (k - 1)


def test_k_from_odds_does_not_round_a_tie_up() -> None:
    """Where k meets the error exactly, rounding of the quotient never makes it k + 1."""
    assert [theory.k_from_odds(0.75, 0.25, 3.0**-k, 2) for k in range(1, 30)] == list(range(1, 30))


def test_k_from_odds_lets_a_plurality_below_one_half_win() -> None:
    """With p = 0.4 against ten rivals of 0.06, a simulated race at that k errs less than the budget."""
    k = theory.k_from_odds(0.4, 0.06, 0.02, 11)
    assert k == 4
    rng = np.random.default_rng(4)
    votes, open_races = np.zeros((5_000, 11), dtype=int), np.arange(5_000)
    while open_races.size:
        votes[open_races, rng.choice(11, size=open_races.size, p=[0.4] + [0.06] * 10)] += 1
        ranked = np.sort(votes, axis=1)
        open_races = np.flatnonzero(ranked[:, -1] - ranked[:, -2] < k)
    assert 0 < np.mean(votes.argmax(axis=1) != 0) < 0.02


def test_k_from_odds_without_a_rival_is_one() -> None:
    """If the most common wrong answer never or hardly ever comes, a margin of one vote suffices."""
    assert theory.k_from_odds(0.3, 0.0, 1e-9, 1000) == theory.k_from_odds(0.3, 5e-324, 1e-9, 1000) == 1


@pytest.mark.parametrize("steps", [1, 1000, MILLION, 1e17])
def test_error_budget_spent_on_every_step_leaves_the_target(steps: float) -> None:
    """(1 - delta)^s = t, also where delta is below the spacing of doubles at 1."""
    delta = theory.error_budget(0.95, steps)
    assert 0 < delta < 1
    assert math.exp(steps * math.log1p(-delta)) == pytest.approx(0.95, rel=1e-13)


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


# ---- refusals

VALID: dict[str, dict[str, Any]] = {
    "k_min": {"p": 0.9, "steps": 100, "target": 0.95, "m": 1},
    "step_success": {"p": 0.9, "k": 3},
    "run_success": {"p": 0.9, "k": 3, "steps": 100, "m": 1},
    "expected_votes": {"p": 0.9, "k": 3},
    "expected_waves": {"p": 0.9, "k": 3},
    "expected_cost": {"p": 0.9, "k": 3, "steps": 100, "cost_per_sample": 1.0, "v": 0.9, "m": 1},
    "k_from_odds": {"p": 0.4, "p_rival": 0.1, "error": 0.01, "candidates": 5},
    "p_lower": {"wrong": 1, "n": 10, "confidence": 0.95},
    "p_upper": {"wrong": 1, "n": 10, "confidence": 0.95},
    "error_budget": {"target": 0.95, "steps": 100},
}
NEVER: list[Any] = [
    NAN,
    math.inf,
    -math.inf,
    True,
    "0.9",
    None,
    1j,
    -1,
    10**400,
]  # no argument anywhere takes these
ALSO_NEVER: dict[str, list[Any]] = {
    "p": [1.5, 90],
    "k": [0, 3.0, 2.5],
    "steps": [0, 0.5],
    "target": [0, 1, 95],
    "m": [0, 2.0, 101],
    "cost_per_sample": [-0.01],
    "v": [0, 1.1],
    "p_rival": [0.4, 0.5, 0.61],
    "error": [0, 1, 2],
    "candidates": [0, 1, 2.0],
    "wrong": [11, 1.0],
    "n": [0, 10.0, 10**8],
    "confidence": [0, 0.4, 1, 95],
}
REFUSED = [
    (function, argument, value)
    for function, arguments in VALID.items()
    for argument in arguments
    for value in NEVER + ALSO_NEVER[argument]
]


def call(function: str, **changes: Any) -> Any:
    """Call the named function with valid arguments but for the changes."""
    compute: Callable[..., Any] = getattr(theory, function)
    return compute(**{**VALID[function], **changes})


@pytest.mark.parametrize("function", VALID)
def test_the_arguments_of_the_refusal_tests_are_otherwise_accepted(function: str) -> None:
    """Each refusal below is due to its one bad argument, for without it there is a finite answer."""
    assert math.isfinite(call(function))


@pytest.mark.parametrize(("function", "argument", "value"), REFUSED)
def test_what_has_no_answer_is_refused_by_name(function: str, argument: str, value: object) -> None:
    """A value outside its range raises a ValueError whose message names the argument."""
    oversized = argument == "m" and value == 101  # a subtask longer than the run: either could be wrong
    name = "steps" if oversized else argument
    with pytest.raises(ValueError, match=rf"^{name}\b.* must be "):
        call(function, **{argument: value})


def test_expected_waves_refuses_a_k_whose_system_is_too_large() -> None:
    """Beyond k = 500 nothing is computed, rather than a system of a million unknowns."""
    with pytest.raises(ValueError, match="k must be at most 500"):
        theory.expected_waves(0.9, 501)


@pytest.mark.parametrize("p", [0, 1e-9, 0.4, 0.5 - 2**-54, 0.5])
def test_k_min_refuses_a_model_that_is_not_mostly_right(p: float) -> None:
    """At p <= 1/2 no k exists, and no number is returned."""
    with pytest.raises(ValueError, match="p must be above 1/2"):
        theory.k_min(p, 1, 0.1)


@pytest.mark.parametrize("rival", [0.4, 0.5, 0.7])
def test_k_from_odds_refuses_a_rival_as_frequent_as_the_answer(rival: float) -> None:
    """Where a wrong answer is as common as the right one, more votes do not help."""
    with pytest.raises(ValueError, match="p_rival must be below p"):
        theory.k_from_odds(0.4, rival, 0.01, 5)


def test_k_from_odds_refuses_shares_that_exceed_the_whole() -> None:
    """As p and p_rival exclude each other, p_rival is at most 1 - p, written out or computed."""
    assert theory.k_from_odds(0.9, 0.1, 0.01, 2) == theory.k_from_odds(0.9, 1 - 0.9, 0.01, 2)
    with pytest.raises(ValueError, match="p_rival must be at most 1 - p"):
        theory.k_from_odds(0.9, 0.2, 0.01, 2)


def test_expected_cost_refuses_a_race_in_which_nobody_votes() -> None:
    """With p = 0 and m > 1 neither the right answer nor the rival is ever drawn."""
    with pytest.raises(ValueError, match="nothing would vote"):
        theory.expected_cost(0, 3, 100, m=2)


def test_numpy_scalars_are_numbers_but_numpy_booleans_are_not() -> None:
    """Sweeps over numpy arrays work as they are, and a mask passed by mistake is refused."""
    assert theory.k_min(np.float64(0.9978), np.int64(MILLION), np.float32(0.95)) == 3  # type: ignore[arg-type]
    assert theory.step_success(0.9, np.int64(3)) == theory.step_success(0.9, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k must be a number"):
        theory.step_success(0.9, np.True_)  # type: ignore[arg-type]
