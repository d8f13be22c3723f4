"""Planning from evidence: the mixture of steps, the intervals of p and rho, k and the verdict.

Oracles: exact binomial sums, a likelihood written with Beta functions, an integral on a plain grid, and seeded
simulations. Everything simulated here is steps that are wrong by their own Beta-distributed chance.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import theory
from maker.errors import Infeasible
from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence
from maker.theory.mixture import Steps
from maker.theory.planner import project

MILLION = 1_048_575


def exceeding(counts: Any) -> list[int]:
    """How many counts are above 0, above 1, ..."""
    return [int((np.asarray(counts) > i).sum()) for i in range(int(max(counts, default=0)))]


def evidence(
    wrong: int, n: int, again: tuple[tuple[int, int], ...] = (), *, flagged: int = 0, lost: tuple[Any, ...] = (),
    suspects: int | None = None, rival: int = 0,
) -> Evidence:  # fmt: skip
    """Evidence of one draw a step, of which `wrong` were wrong, and of (wrong, of) further draws on some of these."""
    totals = [(1 + more, 1 + of) for more, of in again] + [(1, 1)] * (wrong - len(again)) + [(0, 1)] * (n - wrong)
    bad, of = np.array([w for w, _ in totals]), np.array([m for _, m in totals])
    errors = sum(w for w, _ in again)
    return Evidence(
        n=n, wrong=wrong, asked=n + flagged, dropped=flagged, pairs=0, collisions=0, wrongs=exceeding(bad),
        rights=exceeding(of - bad), valids=exceeding(of), suspects=wrong - len(again) if suspects is None else suspects,
        power=0.5, lost=[list(item) for item in lost], rival=rival or errors, errors=errors,
    )  # fmt: skip


def simulated(p: float, rho: float, steps: int, repeats: int, most: int, rng: np.random.Generator) -> Evidence:
    """Evidence of steps whose own error rates are Beta-distributed; up to `most` erring ones drawn 20 times more."""
    c = (1 - rho) / rho if rho else 0.0
    q = 1 - rng.beta(p * c, (1 - p) * c, steps) if rho else np.full(steps, 1 - p)
    first = rng.random((steps, repeats)) < q[:, None]
    wrong, n = first.sum(1), np.full(steps, repeats)
    erred = np.flatnonzero(wrong)[:most]
    wrong[erred] += rng.binomial(20, q[erred])
    n[erred] += 20
    return Evidence(
        n=steps, wrong=int(first[:, 0].sum()), asked=steps, dropped=0, pairs=steps if repeats > 1 else 0,
        collisions=int(first[:, :2].all(1).sum()) if repeats > 1 else 0, wrongs=exceeding(wrong),
        rights=exceeding(n - wrong), valids=exceeding(n), suspects=0, power=0.5, lost=[], rival=1, errors=1,
    )  # fmt: skip


def covers(found: Evidence, rho: float) -> bool:
    """Say whether the interval of rho holds a value; quicker than its ends."""
    return not found.wrongs or found._profile(rho) >= found._profile(found.rho) - found._cutoff / 2


# ---- the mixture


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


# ---- what was seen


def seen(index: int, first: str, again: str = "", picked: int = 1) -> Seen:
    """Return a step as it was seen: R right, W wrong, X another wrong answer, F flagged."""

    def draws(text: str) -> list[Draw]:
        return [Draw(None if c == "F" else c.encode(), "malformed" if c == "F" else None, 10) for c in text]

    return Seen(index, None, right=b"R", picked=picked, draws=draws(first), again=draws(again))


def test_evidence_counts_one_draw_a_step_and_all_of_them() -> None:
    """Both p and v come from first draws, pairs from the first two valid ones, the likelihood from all valid draws."""
    found = Evidence.of(
        [seen(0, "RR"), seen(1, "RW", "R" * 20), seen(2, "WW", "W" * 20), seen(3, "FR"), seen(4, "FF")], looks=3
    )
    assert (found.n, found.wrong, found.asked, found.dropped) == (4, 1, 5, 2)
    assert (found.pairs, found.collisions) == (3, 1)
    assert found.wrongs == [2] + [1] * 21
    assert found.rights == [3, 2] + [1] * 19
    assert found.valids == [4, 3] + [2] * 20
    assert (found.suspects, found.lost) == (1, [[2, 20, 0]])
    assert (found.rival, found.errors) == (20, 20)


def test_a_step_picked_often_counts_as_often() -> None:
    """A short task's step, picked three times with two draws each, gives three first draws and three pairs."""
    found = Evidence.of([seen(0, "RRWRWW", "R" * 20, picked=3)], looks=5)
    assert (found.n, found.wrong, found.pairs, found.collisions) == (3, 1, 3, 1)
    assert found.wrongs == [1, 1, 1]


def test_steps_are_cleared_and_lost_by_further_draws_alone() -> None:
    """What made a step a suspect never judges it; a sign test against the most common wrong answer does."""
    assert not seen(0, "WWWWWW").shown_lost(1)
    assert not seen(0, "RRRRRR").cleared
    assert seen(0, "W", "R" * 15 + "W" * 5).cleared
    assert not seen(0, "W", "R" * 14 + "W" * 6).cleared
    assert seen(0, "W", "R" * 8 + "WX" * 1 + "F" * 10).cleared
    assert seen(0, "W", "W" * 17 + "R" * 3).shown_lost(1)
    assert not seen(0, "W", "W" * 17 + "R" * 3).shown_lost(10)
    assert not seen(0, "W", "W" * 7 + "X" * 7 + "R" * 6).shown_lost(1)


def test_a_step_at_one_half_is_hardly_ever_called_lost() -> None:
    """Of 2,000 simulated suspects that are right half the time, looked at five times, under 1 in 100 is called lost."""
    rng, called = np.random.default_rng(8), 0
    for _ in range(2000):
        votes = "".join(rng.choice(["R", "W"], 100))
        called += any(seen(0, "W", votes[: 20 * i]).shown_lost(5) for i in range(1, 6))
    assert called / 2000 < 0.01


# ---- p and rho


def test_p_is_never_one() -> None:
    """Few clean steps give a p below 1, and an interval that reaches down to 1 - 3.7 / n."""
    found = evidence(0, 40)
    assert found.p < 0.99
    assert found.p_low == pytest.approx(0.025 ** (1 / 40))
    assert (found.p_high, found.rho, found.rho_low, found.rho_high) == (1, 0, 0, 1)


@pytest.mark.parametrize("rho", [0.001, 0.05, 0.5])
def test_the_likelihood_is_that_of_a_beta_binomial(rho: float) -> None:
    """Profile differences equal those of Beta functions, maximised over p on a fine grid."""
    found = evidence(5, 60, ((0, 20), (1, 20), (7, 20), (19, 20)))
    cells = [(1, 21), (2, 21), (8, 21), (20, 21), (1, 1), *[(0, 1)] * 55]

    def by_hand(rho: float) -> float:
        c = (1 - rho) / rho
        best = -math.inf
        for q in np.linspace(0.001, 0.999, 1500):
            a, b = (1 - q) * c, q * c
            base = math.lgamma(a) + math.lgamma(b) - math.lgamma(c)
            total = sum(
                math.lgamma(b + w) + math.lgamma(a + n - w) - math.lgamma(c + n) - base for w, n in set(cells)
                for _ in range(cells.count((w, n)))
            )  # fmt: skip
            best = max(best, total)
        return best

    assert found._profile(rho) - found._profile(0.2) == pytest.approx(by_hand(rho) - by_hand(0.2), abs=1e-3)


def test_the_interval_of_rho_has_the_level_at_its_ends() -> None:
    """The best rho lies inside the interval, whose ends are covered and whose outside is not."""
    found = evidence(8, 300, ((0, 20), (1, 20), (7, 20), (12, 20), (2, 20)))
    assert 0 < found.rho_low < found.rho < found.rho_high < 1
    assert covers(found, found.rho_low * 1.01)
    assert covers(found, found.rho_high * 0.99)
    assert not covers(found, found.rho_low * 0.98)
    assert not covers(found, found.rho_high * 1.02)
    nearby = [found._profile(found.rho * factor) for factor in (0.9, 1, 1.1)]
    assert nearby[1] == max(nearby)


def test_rho_grows_with_what_repeated_draws_show() -> None:
    """The more further draws on erring steps are wrong, the larger rho and both its ends."""
    fits = [evidence(6, 300, ((more, 20),) * 6) for more in (0, 1, 4, 12)]
    for name in ("rho", "rho_low", "rho_high"):
        values = [getattr(found, name) for found in fits]
        assert values == sorted(values), name
    assert fits[0].rho == 0


def coverage(p: float, rho: float, steps: int, repeats: int, most: int, trials: int) -> float:
    """How often the interval of rho held the truth in simulated estimates."""
    rng = np.random.default_rng([steps, repeats, round(1e4 * p), round(1e4 * rho)])
    return sum(covers(simulated(p, rho, steps, repeats, most, rng), rho) for _ in range(trials)) / trials


@pytest.mark.parametrize("rho", [0.0, 0.01, 0.05, 0.3])
@pytest.mark.parametrize(("p", "width"), [(0.8, 0.051), (0.95, 0.028), (0.99, 0.014), (0.998, 0.007)])
def test_the_interval_of_p_covers_whatever_the_correlation(p: float, width: float, rho: float) -> None:
    """In 1,000 simulated estimates of 1,000 steps it holds p in at least 94%, and is about as wide as said here."""
    rng = np.random.default_rng([round(1e4 * p), round(1e4 * rho)])
    held, total = 0, 0.0
    ends = {}
    for _ in range(1000):
        c = (1 - rho) / rho if rho else 0.0
        q = 1 - rng.beta(p * c, (1 - p) * c, 1000) if rho else np.full(1000, 1 - p)
        wrong = int((rng.random(1000) < q).sum())
        if wrong not in ends:
            found = evidence(wrong, 1000)
            ends[wrong] = (found.p_low, found.p_high)
        low, high = ends[wrong]
        held += low <= p <= high
        total += high - low
    assert held >= 940
    assert total / 1000 == pytest.approx(width, abs=0.001)


@pytest.mark.parametrize(("p", "rho"), [(0.98, 0.0), (0.98, 0.05), (0.9, 0.01)])
def test_the_interval_of_rho_covers(p: float, rho: float) -> None:
    """In 60 simulated estimates the interval of rho holds the truth in at least 54 (in 1,000, at least 940: slow)."""
    assert coverage(p, rho, 300, 1, 10, 60) >= 0.9


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rho", [0.0, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("p", [0.8, 0.95, 0.99, 0.998])
@pytest.mark.parametrize(("steps", "repeats", "most"), [(1000, 2, 100), (300, 1, 20)])
def test_the_interval_of_rho_covers_in_a_thousand(p: float, rho: float, steps: int, repeats: int, most: int) -> None:
    """In 1,000 simulated estimates the interval of rho holds the truth in at least 94%."""
    held = coverage(p, rho, steps, repeats, most, 1000)
    print(f"p={p} rho={rho} steps={steps} repeats={repeats}: rho covered {held:.3f}")
    assert held >= 0.94


# ---- the plan


@pytest.mark.parametrize(("wrong", "n", "k"), [(0, 1000, 3), (2, 1000, 4), (0, 200, 5)])
def test_k_comes_from_the_lower_end(wrong: int, n: int, k: int) -> None:
    """For a million steps, 0 wrong of 1000 gives k = 3, 2 of 1000 gives 4 and 0 of 200 gives 5."""
    assert project(evidence(wrong, n), MILLION, 0.95).k == k


@pytest.mark.parametrize("wrong", [0, 3, 30, 60])
@pytest.mark.parametrize("again", [0, 2, 6])
def test_k_is_enough_twice_over(wrong: int, again: int) -> None:
    """The planned k is at least that of steps all alike at the bound of p, and that of the mixture at likely rho."""
    found = evidence(wrong, 300, ((again, 20),) * min(wrong, 20))
    plan = project(found, 1000, 0.95)
    if plan.k is None:
        return
    assert plan.k >= theory.k_min(found.p_plan, 1000, 0.95)
    mixed = Steps(found.p_plan, found.rho).k_for(1000, 0.95)
    assert mixed is None or plan.k >= mixed


def test_more_correlation_needs_a_larger_k_until_none_will_do() -> None:
    """As further draws show more errors, k grows, success falls, and in the end voting is refused."""
    plans = [project(evidence(30, 300, ((more, 20),) * 20), 1000, 0.95) for more in (2, 5, 6, 10)]
    ks = [plan.k for plan in plans if plan.k is not None]
    assert ks == sorted(ks)
    assert len(set(ks)) > 1
    assert [plan.feasible for plan in plans] == [True, True, True, False]
    assert "errors cluster" in plans[-1].reason


def test_p_below_one_half_is_refused_and_said() -> None:
    """A p of .45 has no k; the reason says what was seen and what to do."""
    plan = project(evidence(550, 1000), 1000, 0.95)
    assert (plan.feasible, plan.proven, plan.k, plan.samples) == (False, False, None, None)
    assert plan.success == 0
    assert "550 of 1000 valid samples were wrong" in plan.reason
    assert "finer" in plan.reason


def test_a_p_that_may_be_above_one_half_is_told_from_one_that_is_not() -> None:
    """Where the interval holds 1/2, the reason asks for more evidence rather than calling the model hopeless."""
    assert "not shown" in project(evidence(20, 43), 1000, 0.95).reason


def test_too_few_votes_are_not_planned_with() -> None:
    """With fewer than 30 valid first draws there is no plan, however good they look."""
    with pytest.raises(Infeasible, match=r"only 29 of 300 samples could vote"):
        project(evidence(0, 29, flagged=271), 1000, 0.95)
    assert project(evidence(0, 30), 1000, 0.95).feasible


def test_a_lost_step_of_the_run_is_named_and_refused() -> None:
    """A step shown to be lost forbids its own run, and only by its share a run of other steps."""
    found = evidence(3, 1000, ((0, 20), (0, 20), (20, 20)), lost=((417, 20, 0),))
    own = project(found, 1000, 0.95)
    assert (own.feasible, own.k) == (False, None)
    assert "Step 417 (20 to 0)" in own.reason
    assert project(found, 10, 0.95, own=False).feasible


def test_clean_steps_prove_nothing_about_a_longer_run() -> None:
    """A thousand clean steps leave a thousand others open, and the plan says how many may be lost."""
    plan = project(evidence(0, 1000), 1000, 0.95)
    assert (plan.feasible, plan.proven) == (True, False)
    assert plan.success > 0.99
    assert plan.success_low < 0.05
    assert "1,000 clean steps cannot exclude" in plan.reason
    assert "rho is not known" in plan.reason


def test_many_steps_prove_a_short_run() -> None:
    """A run of ten steps is proven by a thousand clean ones."""
    plan = project(evidence(0, 1000), 10, 0.95)
    assert (plan.feasible, plan.proven) == (True, True)
    assert plan.success_low >= 0.95


def test_suspects_that_were_not_cleared_prevent_a_proof() -> None:
    """A step that erred and was not cleared may be lost, whatever the likelihood of a Beta says."""
    again = ((0, 20),) * 2
    assert project(evidence(2, 5000, again, suspects=0), 5, 0.9).proven
    assert not project(evidence(2, 5000, again, suspects=60), 40, 0.9).proven


def test_a_plurality_can_win_below_one_half() -> None:
    """With p = .4 and errors spread over many answers a k is found, from the odds against the most common one."""
    spread = evidence(600, 1000, ((12, 20),) * 100, rival=300)
    plan = project(spread, 1000, 0.95)
    assert (plan.feasible, plan.proven, plan.by) == (True, False, "plurality")
    assert plan.k is not None
    budget = theory.error_budget(0.95, 1000)
    rival = spread.spread_high * (1 - spread.p_plan)
    assert plan.k >= theory.k_from_odds(spread.p_plan, rival, budget, 2)
    assert not project(evidence(600, 1000, ((12, 20),) * 100), 1000, 0.95).feasible


def test_intervals_of_samples_and_success_hold_the_estimate() -> None:
    """Low, likely and high stand in order, and flagged samples cost their share."""
    plans = [project(evidence(10, 400, ((1, 20),) * 10, flagged=flagged), 1000, 0.95) for flagged in (0, 100)]
    for plan in plans:
        assert plan.samples_low is not None
        assert plan.samples is not None
        assert plan.samples_high is not None
        assert plan.samples_low <= plan.samples <= plan.samples_high
        assert plan.success_low <= plan.success <= plan.success_high
    assert plans[1].samples == pytest.approx(1.25 * plans[0].samples)  # type: ignore[operator]


def test_the_planned_k_reaches_the_target_where_the_truth_is_known() -> None:
    """Over 50 simulated calibrations the mean true success of the planned k is at least the target, rho 0 or .01."""
    for p in (0.9,):
        for rho in (0.0, 0.01):
            rng = np.random.default_rng([round(100 * p), round(100 * rho)])
            plans = [project(simulated(p, rho, 300, 1, 20, rng), 1000, 0.95) for _ in range(25)]
            assert all(plan.feasible for plan in plans)
            assert np.mean([Steps(p, rho).success(plan.k or 1, 1000) for plan in plans]) >= 0.97


# -- properties --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(50, 2000), st.floats(0, 0.3), st.integers(1, 10**7), st.floats(0.5, 0.999))
def test_a_plan_asks_more_of_longer_and_surer_runs(n: int, share: float, steps: int, target: float) -> None:
    """Whatever the evidence: k grows with the steps and the target, and a forbidden run stays forbidden when longer."""
    found = evidence(int(share * n), n)
    plan = project(found, steps, target)
    longer, surer = project(found, 10 * steps, target), project(found, steps, (1 + target) / 2)
    assert plan.feasible == (plan.k is not None)
    for harder in (longer, surer):
        if plan.k is None:
            assert harder.k is None
        elif harder.k is not None:
            assert harder.k >= plan.k >= 1
    assert not plan.proven or plan.feasible
