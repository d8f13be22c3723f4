"""What holds whatever the shape: bounds that cover what no Beta describes, and margins that keep what they promise."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from gathered import AGAIN, CLEAR, evidence, probed
from maker import theory
from maker.theory.draws import CLEARED
from maker.theory.planner import AGREED, project, unseen
from maker.theory.worst import UNCLEARED, promised_k, worst_case


def test_suspects_that_were_not_cleared_may_be_lost() -> None:
    """Each step that erred and was not cleared raises what may be lost, up to what the moments allow."""
    worst = [project(evidence(2, 5000, ((0, 20),) * 2, suspects=n), 5, 0.9).worst_case for n in (0, 1, 60, 90)]
    assert worst[0].lost_high < worst[1].lost_high < worst[2].lost_high == worst[3].lost_high
    assert ["draws" in one.by for one in worst] == [True, True, False, False]
    assert all(one.lost_low == 0 for one in worst)


def test_pairs_bound_the_worst_case_by_a_second_moment() -> None:
    """Few pairs with both draws wrong leave less room than the mean alone, many show that steps are lost."""
    alone = project(evidence(300, 20_000, suspects=900), 100, 0.5)
    paired = project(evidence(300, 20_000, suspects=900, pairs=20_000, collisions=10), 100, 0.5)
    assert paired.worst_case.lost_high < alone.worst_case.lost_high / 4
    assert paired.worst_case.success_low > alone.worst_case.success_low
    assert (alone.worst_case.by, paired.worst_case.by) == ("the mean alone, one draw a step", "the first two moments")
    many = project(evidence(300, 20_000, suspects=900, pairs=20_000, collisions=290), 100, 0.5).worst_case
    assert 0 < many.lost_low < many.lost_high
    assert many.success_low < 0.2


@pytest.mark.parametrize(("share", "lost"), [(0.005, 0.5), (0.01, 0.6), (0.3, 0.51), (0.002, 1.0)])
def test_the_worst_case_holds_for_steps_that_no_beta_describes(share: float, lost: float) -> None:
    """Of 20 simulated estimates of two kinds of steps, at most 2 miss the lost ones or promise too much."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(20):
        q = np.where(rng.random(600) < share, lost, 0.002)
        plan = project(probed(q, rng), 1000, 0.95, own=False)
        worst = plan.worst_case
        won = 0.0 if plan.k is None else 1 - share * (1 - theory.step_success(1 - lost, plan.k))
        held += worst.lost_low <= 1000 * share <= worst.lost_high and worst.success_low <= won**1000 + 1e-9
    assert held >= 18


def test_a_coin_is_cleared_as_seldom_as_the_bound_allows_for() -> None:
    """A step that is right half the time is cleared at one of five looks in at most 1 - .97 (1 - .025) of the cases."""
    still, cleared = {0: Fraction(1)}, Fraction(0)
    for most in CLEAR:
        after: dict[int, Fraction] = {}
        for wrong, weight in still.items():
            for more in range(AGAIN + 1):
                after[wrong + more] = after.get(wrong + more, Fraction(0)) + weight * math.comb(AGAIN, more) / 2**AGAIN
        cleared += sum(weight for wrong, weight in after.items() if wrong <= most)
        still = {wrong: weight for wrong, weight in after.items() if wrong > most}
    assert 0.05 < cleared < 1 - UNCLEARED * (1 - CLEARED)


def test_draws_graded_by_agreement_bound_nothing() -> None:
    """Where a vote of the same model was the judge all steps may be lost, and nothing is proven."""
    plan = unseen(project(evidence(0, 5000), 5, 0.9))
    assert (plan.feasible, plan.proven, plan.success_low) == (True, False, 0)
    assert (plan.worst_case.lost_low, plan.worst_case.lost_high, plan.worst_case.success_low) == (0, 5, 0)


# ---- planned by it


def test_the_worst_case_promises_a_short_run_and_no_long_one() -> None:
    """A thousand clean steps promise a run of five, with the k a Beta asks for; of a thousand they promise nothing."""
    found = evidence(0, 1000, pairs=1000)
    short, long = (project(found, steps, 0.95, worst=True) for steps in (5, 1000))
    assert (short.k, short.proven) == (project(found, 5, 0.95).k, True)
    assert short.worst_case.success_low == short.success_low >= 0.95
    assert "not by a Beta" in short.reason
    assert (long.feasible, long.proven, long.k, long.samples) == (True, False, None, None)
    assert "No k promises 0.95" in long.reason
    assert "clean ones would prove it" in long.reason
    assert project(found, 1000, 0.95).k is not None


def test_a_k_is_promised_wherever_one_is() -> None:
    """The promised k keeps its promise, is the wanted one if that does, and is missing only where all 1,500 fail."""
    for wrong, n, steps in ((0, 1000, 8), (3, 2000, 4), (9, 900, 1)):
        found = evidence(wrong, n, pairs=n, collisions=wrong // 3)
        held = [k for k in (1, 2, 4, 20, 300) if worst_case(found, steps, k, own=True).success_low >= 0.95]
        for near in (1, 20):
            k = promised_k(found, steps, 0.95, near)
            assert (k is None) <= (not held)
            assert k is None or worst_case(found, steps, k, own=True).success_low >= 0.95
            assert k == near or near not in held


def test_the_worst_case_promises_nothing_of_what_votes_graded() -> None:
    """Graded by agreement there is no k to plan by the worst case, and the reason says what to give."""
    plan = unseen(project(evidence(0, 5000), 5, 0.9, worst=True), worst=True)
    assert (plan.k, plan.samples, plan.proven, plan.reason) == (None, None, False, AGREED)


def test_more_draws_a_step_promise_more_where_the_program_can_be_solved() -> None:
    """Five draws a step, seldom two of them wrong: the bound names five moments, and leaves less room than pairs do."""
    pytest.importorskip("scipy")
    pairs = evidence(40, 2000, pairs=2000, collisions=4, suspects=60)
    five = replace(pairs, tails=[2000, 190, 12, 0, 0, 0])
    both = [worst_case(found, 50, 4, own=True) for found in (pairs, five)]
    assert both[1].by == "the first 5 moments"
    assert both[1].lost_high < both[0].lost_high
    assert both[1].success_low > both[0].success_low
