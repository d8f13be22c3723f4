"""Paired arms: McNemar, a test that may be looked at after every pair, and Holm over many comparisons."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from arms import Settled, settled
from maker.theory.compare import ERROR, Pairs, holm, shown_worse


def counted(worse: int, better: int, both: int = 0) -> Pairs:
    """Return pairs by their counts."""
    return Pairs(worse + better + both, worse, better)


def test_only_pairs_that_both_could_vote_in_count() -> None:
    """A reply without a vote leaves its pair out; a pair that is alike counts, but speaks for nobody."""
    pairs = Pairs()
    pairs.add([(True, False), (True, True), (False, False), (None, True), (True, None), (False, True), (True, False)])
    assert pairs == Pairs(5, 2, 1)
    assert pairs.turned == Pairs(5, 1, 2)


@pytest.mark.parametrize(
    ("worse", "better", "chance"), [(0, 0, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (3, 3, 1.0), (1, 9, 0.021484375)]
)
def test_chance_is_mcnemars(worse: int, better: int, chance: float) -> None:
    """The two-sided binomial test of the pairs that differ, from tables; pairs that are alike change nothing."""
    assert counted(worse, better).chance == counted(worse, better, 1000).chance == chance


def test_surprise_is_one_over_the_mixture() -> None:
    """Against the integral by Simpson's rule; and where no float could hold it, it is 0 or 1 and no error."""
    for worse, better in itertools.product((0, 1, 4, 9), (0, 2, 7)):
        rates = [0.5 + i / 2000 for i in range(1001)]
        ratios = [(2 * t) ** worse * (2 - 2 * t) ** better for t in rates]
        weights = [1 if i in (0, 1000) else 4 if i % 2 else 2 for i in range(1001)]
        mean = math.fsum(w * r for w, r in zip(weights, ratios, strict=True)) / 3000
        assert counted(worse, better).surprise == pytest.approx(min(1.0, 1 / mean))
    assert (counted(3000, 0).surprise, counted(0, 3000).surprise) == (0.0, 1.0)
    assert 0 < counted(1600, 1400).surprise < 0.05


def test_a_fair_coin_never_surprises_oftener_than_it_says() -> None:
    """Over all 2^14 orders of 14 pairs the chance that the surprise ever falls to .1 is at most .1, exactly."""
    ways = {(0, 0): 1.0}
    met = 0.0
    for _ in range(14):
        after: dict[tuple[int, int], float] = {}
        for (worse, better), share in ways.items():
            for at in ((worse + 1, better), (worse, better + 1)):
                if counted(*at).surprise <= 0.1:
                    met += share / 2
                else:
                    after[at] = after.get(at, 0.0) + share / 2
        ways = after
    assert 0 < met <= 0.1


def test_holm_is_what_it_is_in_the_books() -> None:
    """The least p-value times their number, the next times one less, and none below the one before it."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}


def test_an_arm_is_worse_only_than_those_it_was_shown_to_be() -> None:
    """Of three arms the worst is found against both others, whichever way round its pairs are kept."""
    pairs = {("a", "b"): counted(1, 1), ("a", "c"): counted(0, 30), ("c", "b"): counted(25, 1)}
    assert shown_worse(pairs) == {("c", "a"), ("c", "b")}
    assert shown_worse({}) == set()


def test_a_worse_arm_is_found_and_a_better_one_is_not() -> None:
    """At p .70 and .90 the worse is found in nearly all of 40 pairs, after some 100 states; never the better one."""
    found = [settled((0.9, 0.7), 400, random.Random(seed)) for seed in range(40)]
    assert sum(one.worse == {"1"} for one in found) >= 39
    assert not any("0" in one.worse for one in found)
    assert sorted(one.states for one in found)[20] < 150


def test_arms_that_are_alike_stay() -> None:
    """Three arms of the same p, looked at after every ten states up to 200: hardly ever is one called worse."""
    found: list[Settled] = [settled((0.8, 0.8, 0.8), 200, random.Random(seed)) for seed in range(60)]
    assert sum(bool(one.worse) for one in found) <= 60 * ERROR + 3
