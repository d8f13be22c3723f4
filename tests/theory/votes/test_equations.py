"""The formulas of voting, each against something that does not share their algebra.

Oracles: the published table, exact rational arithmetic, a linear system for the race, and a seeded simulation that
casts the votes.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import theory

MILLION = 1_048_575  # 2^20 - 1 steps: 20 disks
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


# ---- effective_votes


def test_effective_votes_at_the_ends_and_between() -> None:
    """Independent votes are worth themselves, copies are worth one, and none is worth more than 1 / rho."""
    assert theory.effective_votes(7, 0) == 7
    assert theory.effective_votes(7, 1) == 1
    assert theory.effective_votes(0.5, 0.3) == 0.5
    assert theory.effective_votes(5, 0.25) == 2.5
    assert theory.effective_votes(1e9, 0.1) == pytest.approx(10)


def test_the_mean_of_correlated_votes_varies_as_that_of_so_many_independent_ones() -> None:
    """The variance of the mean of six votes of Beta steps is p q over their effective number, by simulation."""
    p, rho, n = 0.7, 0.2, 6
    c, rng = (1 - rho) / rho, np.random.default_rng(3)
    votes = rng.binomial(n, rng.beta(p * c, (1 - p) * c, 200_000)) / n
    assert votes.var() == pytest.approx(p * (1 - p) / theory.effective_votes(n, rho), rel=0.02)


@pytest.mark.parametrize(("votes", "rho"), [(-1, 0.1), (3, -0.1), (3, 1.1), (math.nan, 0.1)])
def test_effective_votes_refuse_what_is_none(votes: float, rho: float) -> None:
    """A negative count and a correlation outside [0, 1] are refused."""
    with pytest.raises(ValueError, match="must be"):
        theory.effective_votes(votes, rho)


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
