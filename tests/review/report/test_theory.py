"""The arithmetic of a report, each against an independent calculation."""

from __future__ import annotations

import random
from collections import Counter

import pytest

import maker
from maker.review.report.data import BINS, Along
from maker.review.report.theory import share
from maker.theory.votes import walks


@pytest.mark.parametrize(("p", "v", "k"), [(0.8, 0.7, 3), (0.6, 1.0, 2), (0.95, 0.9, 5), (0.5, 0.5, 1)])
def test_distributions_are_those_of_a_simulated_race(p, v, k):
    """Votes of a step and steps undecided after each round match 20,000 simulated races within 4 standard errors."""
    chance, races, longest = random.Random(7), 20_000, 200
    votes: Counter[int] = Counter()
    left: Counter[int] = Counter()
    for _ in range(races):
        lead = cast = rounds = 0
        while abs(lead) < k:
            rounds += 1
            for _ in range(k - abs(lead)):
                if chance.random() < v:
                    lead += 1 if chance.random() < p else -1
                    cast += 1
        votes[cast] += 1
        for r in range(rounds):
            left[r] += 1
    exact = walks.ending_at(p, k, longest)
    assert sum(exact) == pytest.approx(1, abs=1e-6)
    for n in range(longest + 1):
        assert abs(votes[n] - races * exact[n]) <= 4 * (races * exact[n] * (1 - exact[n])) ** 0.5 + 4, n
    for r, share_left in enumerate(walks.after_waves(p, v, k, 10)):
        assert abs(left[r] - races * share_left) <= 4 * (races * share_left * (1 - share_left)) ** 0.5 + 4, r
    assert sum(n * chance for n, chance in enumerate(exact)) == pytest.approx(
        maker.theory.expected_votes(p, k), rel=1e-3
    )


def test_shares_have_exact_intervals():
    """No hit among 100 gives the upper end of the exact two-sided interval, 1 - .025^(1/100)."""
    estimate = share(0, 100)
    assert estimate.interval[0] == 0
    assert estimate.interval[1] == pytest.approx(1 - 0.025 ** (1 / 100))
    assert share(0, 0) is None
    many = share(30_000_000, 40_000_000)
    assert many.interval[0] < many.value == 0.75 < many.interval[1] < 0.7505


@pytest.mark.parametrize("shuffled", [True, False])
def test_stretches_keep_their_sums_whatever_the_order(shuffled):
    """However many steps there are, in any order, stretches stay few and their sums and maxima right."""
    steps = list(range(3000))
    if shuffled:
        random.Random(1).shuffle(steps)
    along = Along()
    for step in steps:
        along.add(step, 3 + step % 7, step % 2)
    points = along.points()
    assert along.width == 16 and len(points) <= BINS
    inside = range(16 * 5, 16 * 6)
    assert points[5].step == 87.5
    assert points[5].mean == sum(3 + step % 7 for step in inside) / 16
    assert points[5].most == max(3 + step % 7 for step in inside)
    assert points[5].flagged == 8 / sum(3 + step % 7 for step in inside)
