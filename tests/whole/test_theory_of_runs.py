"""The real driver against the formulas: samples per step, and how often the wrong answer wins.

Everything runs through `maker.run` with the simulated model. Seeds were fixed before the first
look; p-values come from exact binomial sums and closed forms.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest

import maker
from maker import theory
from maker.decision.sample import Request, Sample
from maker.models.oracle import Oracle
from maker.task.plan import Plan

STEPS = 1500
PAIRS = [
    (0.55, 1), (0.55, 2), (0.55, 4), (0.6, 1), (0.6, 3), (0.6, 5), (0.65, 2), (0.65, 4), (0.7, 1), (0.7, 2),
    (0.7, 3), (0.7, 4), (0.75, 2), (0.75, 3), (0.8, 1), (0.8, 2), (0.8, 3), (0.85, 2), (0.9, 1), (0.9, 2),
]  # fmt: skip


class Independent:
    """Doubles the number of the step: a wrong answer counts as wrong and derails nothing."""

    name = "independent"
    steps = STEPS

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return f"2 * {state} ="

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return True

    def apply(self, state: int, action: int) -> int:
        return state + 1

    def done(self, state: int) -> bool:
        return state == STEPS

    def answer(self, state: int) -> int:
        return state

    def truth(self, state: int, step: int) -> int:
        return 2 * state

    def plan(self, segments: int = 64) -> Plan:
        return Plan.chain(STEPS, lambda step: step, segments)


def binomial_tails(seen: int, n: int, q: float) -> tuple[float, float]:
    """Return P(X <= seen) and P(X >= seen) of a binomial count, summed term by term."""

    def term(i: int) -> float:
        choose = math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1)
        return math.exp(choose + i * math.log(q) + (n - i) * math.log1p(-q))

    return math.fsum(term(i) for i in range(seen + 1)), math.fsum(term(i) for i in range(seen, n + 1))


def chi_square_tail(x: float, degrees: int) -> float:
    """Return P(chi-square >= x) for an even number of degrees of freedom."""
    return math.exp(-x / 2) * math.fsum((x / 2) ** i / math.factorial(i) for i in range(degrees // 2))


@cache
def wrong_steps(p: float, k: int) -> int:
    """Run the driver at one pair; return how many of its independent steps were decided wrongly."""
    seed = round(1000 * p) * 100 + k
    result = maker.run_sync(Independent(), model=Oracle(p=p, seed=seed), k=k, seed=seed, limits={"max_votes": 2000})
    assert (result.stopped, result.steps) == (None, STEPS)
    assert result.wrong is not None
    return result.wrong


def pooled(shift: int) -> float:
    """Return the pooled chi-square p-value of all pairs against the formula at margin k + shift."""
    total = 0.0
    for p, k in PAIRS:
        error = 1 - theory.step_success(p, k + shift)
        total += (wrong_steps(p, k) - STEPS * error) ** 2 / (STEPS * error * (1 - error))
    return chi_square_tail(total, len(PAIRS))


def test_realised_error_follows_the_formula() -> None:
    """Over 20 pairs (p, k) the errors of the driver fit 1 - step_success: one pooled test, p > .001."""
    assert len(PAIRS) == len(set(PAIRS)) == 20
    assert pooled(0) > 0.001


def test_realised_error_by_exact_binomials() -> None:
    """The same by Fisher's combination of exact two-sided binomial tests, which needs no approximation."""
    statistic = 0.0
    for p, k in PAIRS:
        low, high = binomial_tails(wrong_steps(p, k), STEPS, 1 - theory.step_success(p, k))
        statistic -= 2 * math.log(min(1.0, 2 * min(low, high)))
    assert chi_square_tail(statistic, 2 * len(PAIRS)) > 0.001


@pytest.mark.parametrize("shift", [-1, 1])
def test_the_pooled_test_has_power(shift: int) -> None:
    """The same data are rejected for a margin that is off by one, so that the test above can fail."""
    if shift == -1:
        errors = [(p, k) for p, k in PAIRS if k > 1]
        total = math.fsum(
            (wrong_steps(p, k) - STEPS * (1 - theory.step_success(p, k - 1))) ** 2
            / (STEPS * theory.step_success(p, k - 1) * (1 - theory.step_success(p, k - 1)))
            for p, k in errors
        )
        assert chi_square_tail(total, 2 * (len(errors) // 2)) < 1e-9
    else:
        assert pooled(1) < 1e-9


@pytest.mark.parametrize(
    ("p", "k", "segments"), [(0.95, 3, 1), (0.9, 6, 1), (0.99, 4, 1), (0.9, 6, 1024), (0.99, 4, 1024)]
)
def test_samples_per_step(p: float, k: int, segments: int) -> None:
    """The samples that a step costs are within 1% of theory, drawn in waves and journaled."""
    task = maker.load_task("hanoi", disks=14)
    result = maker.run_sync(task, model=Oracle(p=p), k=k, segments=segments)
    assert result.steps == 2**14 - 1
    assert result.samples / result.steps == pytest.approx(theory.expected_votes(p, k), rel=0.01)


@pytest.mark.parametrize("v", [0.7, 0.9])
def test_flagged_samples_cost_their_share(v: float) -> None:
    """Invalid replies change neither votes nor errors; they cost 1 / v samples a vote."""
    seed = 77
    model = Oracle(p=0.8, v=v, seed=seed)
    result = maker.run_sync(Independent(), model=model, k=3, seed=seed)
    votes = result.samples - result.flagged
    assert votes / STEPS == pytest.approx(theory.expected_votes(0.8, 3), rel=0.04)
    low, high = binomial_tails(result.flagged, result.samples, 1 - v)
    assert min(low, high) > 0.0005
    assert result.wrong is not None
    low, high = binomial_tails(result.wrong, STEPS, 1 - theory.step_success(0.8, 3))
    assert min(low, high) > 0.0005


def test_several_rivals_are_easier_than_one() -> None:
    """Errors that split over several wrong answers lose to the right one more often than the two-answer formula."""
    one = maker.run_sync(Independent(), model=Oracle(p=0.55, rivals=1), k=3)
    four = maker.run_sync(Independent(), model=Oracle(p=0.55, rivals=4), k=3)
    assert one.wrong is not None
    assert four.wrong is not None
    assert four.wrong < 0.5 * one.wrong


def test_correlated_errors_break_the_formula() -> None:
    """With rho > 0 some steps are lost at any k: the realised error is far above the formula's."""
    result = maker.run_sync(Independent(), model=Oracle(p=0.9, rho=0.3), k=5, limits={"max_votes": 5000})
    assert result.wrong is not None
    assert result.wrong / STEPS > 50 * (1 - theory.step_success(0.9, 5))


class Lumpy:
    """The simulated model called concurrently, noting how many draws came in each call."""

    lockstep = False
    simulated = True

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.name = oracle.name
        self.batches: list[int] = []

    def bind(self, task: Any) -> None:
        """Give the oracle its task."""
        self.oracle.bind(task)

    async def draw(self, requests: list[Request]) -> list[Sample]:
        """Answer, noting how many were asked for at once."""
        self.batches.append(len(requests))
        return await self.oracle.draw(requests)


def test_waves_waste_no_sample() -> None:
    """Drawing in waves of `need` takes exactly the samples that voting one at a time takes."""
    task = maker.load_task("hanoi", disks=7)
    oracle = Oracle(p=0.75, v=0.9)
    waves = maker.run_sync(task, model=oracle, k=4, segments=1)
    lumpy = Lumpy(Oracle(p=0.75, v=0.9))
    single = maker.run_sync(task, model=lumpy, k=4, segments=1, limits={"concurrency": 1})
    assert set(lumpy.batches) == {1}
    assert (single.chain, single.samples) == (waves.chain, waves.samples)
    assert all(verdict.margin == 4 for verdict in waves.verdicts())
