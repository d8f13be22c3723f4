"""Correlation: which steps are lost."""

from __future__ import annotations

from maker.decision.flags import PAPER
from maker.experiments import correlation
from maker.experiments.kit.bench import oracle
from maker.experiments.kit.study import Options, Share


def test_lost_steps_are_those_that_the_right_answer_did_not_win():
    """A model that is always right loses no step at any k; one that is always wrong loses them all, decided."""
    none = correlation.votes(oracle("p=1"), PAPER, 10, Options(quick=True))
    every = correlation.votes(oracle("p=0"), PAPER, 10, Options(quick=True))
    assert set(none.values()) == {(Share(0, 10), 0)} and set(every.values()) == {(Share(10, 10), 0)}
