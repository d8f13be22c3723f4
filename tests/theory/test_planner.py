"""Planning from evidence: k comes from the lower end, and what voting cannot do is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gathered import evidence, simulated
from maker import theory
from maker.errors import Infeasible
from maker.theory.planner import project
from maker.theory.votes.mixture import Steps

MILLION = 1_048_575


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
    """A run of ten steps is proven by as many clean ones as a plan on fewer says it takes, and not by fewer."""
    few = project(evidence(0, 600), 10, 0.95)
    assert (few.feasible, few.proven) == (True, False)
    needed = int(few.reason.partition("About ")[2].partition(" clean")[0].replace(",", ""))
    assert not project(evidence(0, int(0.7 * needed)), 10, 0.95).proven
    plan = project(evidence(0, int(1.1 * needed)), 10, 0.95)
    assert (plan.feasible, plan.proven) == (True, True)
    assert plan.worst_case.success_low >= plan.success_low >= 0.95


# ---- pluralities, intervals, coverage


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
        assert plan.samples is not None
        assert plan.samples.low <= plan.samples.value <= plan.samples.high
        assert plan.success_low <= plan.success <= plan.success_high
    assert plans[1].samples.value == pytest.approx(1.25 * plans[0].samples.value)  # type: ignore[union-attr]


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
