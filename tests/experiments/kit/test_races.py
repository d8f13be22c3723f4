"""Races of the engine's own rule: the votes that theory expects."""

from __future__ import annotations

import numpy as np
import pytest

from maker import theory
from maker.experiments.kit import races


def test_the_engines_own_rule_takes_the_expected_votes():
    """Coins through the engine's rule take the expected votes within 1% and err as the formula says."""
    ballots = races.coins(np.random.default_rng(4), 0.75)
    ended = [races.race(ballots, 3) for _ in range(20_000)]
    assert np.mean([one.replies for one in ended]) == pytest.approx(theory.expected_votes(0.75, 3), rel=0.01)
    assert np.mean([not one.right for one in ended]) == pytest.approx(1 - theory.step_success(0.75, 3), rel=0.1)


def test_scattered_answers_cost_more_than_the_formula_knows():
    """With m > 1 the engine's rule needs more replies than the formula: a lone scattered vote is a runner-up."""
    ballots = races.coins(np.random.default_rng(5), 0.99, m=20)
    replies = np.mean([races.race(ballots, 3).replies for _ in range(4000)])
    formula = theory.expected_cost(0.99, 3, 20, m=20)
    assert 1.05 * formula < replies < 1.3 * formula
