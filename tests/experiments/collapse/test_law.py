"""The law of entropy, effective rank, and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from maker.experiments.collapse.law import correlation, effective_rank, law, mean, velocity


def test_the_law_is_found_where_it_holds():
    """Points made by R = 1 - .2 e^H give a, b and an R^2 of 1; noise lowers the last alone."""
    entropy = np.linspace(0, 1.5, 9)
    fit = law(entropy, 1 - 0.2 * np.exp(entropy))
    assert fit == pytest.approx((0.2, 1.0, 1.0))
    assert law(entropy, 1 - 0.2 * np.exp(entropy) + 0.05 * np.cos(9 * entropy)).explained < 0.98


def test_effective_rank_counts_directions():
    """Features along d axes alike have rank d; along one alone, 1."""
    axes = np.concatenate([np.eye(5), -np.eye(5)])
    assert effective_rank(axes) == pytest.approx(5)
    assert effective_rank(axes[:, :1]) == pytest.approx(1)


def test_velocity_is_what_is_beyond_the_mean_so_far():
    """Of 1, 2, 6: 2 - 1, and 6 - 1.5."""
    assert velocity([1, 2, 6]) == [1, 4.5]


def test_an_interval_holds_the_mean_and_narrows_to_it():
    """Runs that are alike have an interval of no width; others one that holds their mean."""
    assert mean([2, 2, 2], 0) == (2, 2, 2)
    found = mean([1, 2, 3, 4], 0)
    assert 1 <= found.low < found.value == 2.5 < found.high <= 4


def test_what_never_changes_is_not_correlated():
    """No division by zero."""
    assert correlation([1, 1, 1], [1, 2, 3]) == 0
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
