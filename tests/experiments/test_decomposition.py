"""Decomposition: what a chain of m steps an answer costs, and how often it is right."""

from __future__ import annotations

import pytest

from maker import theory
from maker.experiments import decomposition
from maker.experiments.kit.bench import Bench, oracle


def test_a_chain_of_right_calls_costs_k_calls_a_step():
    """A model that never errs takes k calls for each step at any m, and loses nothing."""
    with Bench(oracle("p=1")) as bench:
        for m in (1, 4):
            seen = decomposition.counted(decomposition.play(bench, m, 10), m)
            assert seen.calls == decomposition.K and seen.right.rate == 1 and seen.wrong.seen == 0


def test_longer_chains_are_right_less_often_and_cost_more():
    """Replies of m steps are right with (v p)^m, single calls give back the planted p and v, and cost rises with m."""
    with Bench(oracle("p=0.9,v=0.95")) as bench:
        sizes = {m: decomposition.counted(decomposition.play(bench, m, 150), m) for m in (1, 6)}
    one = decomposition.single(sizes)
    assert abs(one.p - 0.9) < 0.03 and abs(one.v - 0.95) < 0.02
    assert sizes[6].right.low < (0.9 * 0.95) ** 6 < sizes[6].right.high
    assert sizes[6].calls - sizes[6].half > sizes[1].calls + sizes[1].half
    assert one.calls(1) == pytest.approx(theory.expected_votes(one.p, decomposition.K) / one.v)


def test_a_broken_chain_costs_only_the_calls_it_made():
    """Where nothing is wrong but replies are flagged, the formula's calls for a step are those that were made."""
    with Bench(oracle("p=1,v=0.8")) as bench:
        seen = decomposition.counted(decomposition.play(bench, 5, 150), 5)
    assert abs(seen.calls - decomposition.Single(1.0, 0.8).calls(5)) < 1.5 * seen.half
    assert seen.half < 0.5


def test_a_model_that_writes_nonsense_breaks_its_chain():
    """Stacks with unknown disks or too many are not put before the model again."""
    move = (1, 0, 2)
    assert decomposition._readable((move, ((3, 2), (), (1,))))
    assert not decomposition._readable((move, ((21,), (), ())))
    assert not decomposition._readable(((60, 0, 1), ((1,), (), ())))
    assert not decomposition._readable((move, (tuple(range(1, 21)), (1,), ())))
