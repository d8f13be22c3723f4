"""The bounds of an audit hold for every way in which decisions may be wrong, and at every look."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from maker.theory.acceptance import FIRST_LOOK, Stratum, allotted, bounds, enough, looks, rounded
from maker.theory.votes.bounds import p_lower, p_upper


def hypergeometric(size: int, wrong: int, drawn: int) -> list[float]:
    """Return the chance of each count of wrong ones among so many drawn, by counting ways."""
    ways = math.comb(size, drawn)
    return [math.comb(wrong, x) * math.comb(size - wrong, drawn - x) / ways for x in range(drawn + 1)]


@pytest.mark.parametrize("asked", [3, 6, 11])
def test_a_stratum_holds_its_bound_however_the_wrong_ones_lie_in_its_kinds(asked: int) -> None:
    """By brute force: with any number of wrong decisions in each of three kinds, a bound fails at most so often."""
    sizes, alpha = (9, 5, 1), 0.1
    drawn = [rounded(size, asked, 15) for size in sizes]
    every = sum(up for _, up in drawn)
    for wrong in itertools.product(*(range(size + 1) for size in sizes)):
        chances = [hypergeometric(size, w, up) for size, w, (_, up) in zip(sizes, wrong, drawn, strict=True)]
        missed_high = missed_low = 0.0
        for seen in itertools.product(*(range(up + 1) for _, up in drawn)):
            chance = math.prod(each[x] for each, x in zip(chances, seen, strict=True))
            if not chance:
                continue
            stratum = Stratum(15, asked, every, sum(seen), 0)
            missed_high += chance * (stratum.high(alpha) < sum(wrong))
        plain = [hypergeometric(size, w, down) for size, w, (down, _) in zip(sizes, wrong, drawn, strict=True)]
        for seen in itertools.product(*(range(down + 1) for down, _ in drawn)):
            chance = math.prod(each[x] for each, x in zip(plain, seen, strict=True))
            stratum = Stratum(15, asked, every, sum(seen), sum(seen))
            missed_low += chance * (stratum.low(alpha) > sum(wrong))
        assert missed_high <= alpha and missed_low <= alpha, wrong


def test_of_many_decisions_the_bounds_are_those_of_clopper_and_pearson() -> None:
    """One stratum of a million: the upper bound is the exact one of a rate, the lower one likewise."""
    for wrong, n in ((0, 300), (3, 300), (17, 2000)):
        low, high = bounds([Stratum(1_000_000, n, n, wrong, wrong)], 0.05)
        assert high == pytest.approx(1e6 * (1 - p_lower(wrong, n)), rel=0.02)
        assert low == pytest.approx(1e6 * (1 - p_upper(wrong, n)), rel=0.02)


def test_a_stratum_that_was_judged_whole_has_no_error() -> None:
    """What is known of all decisions needs no bound; what is known of none is bounded by their number."""
    assert bounds([Stratum(40, 40, 40, 3, 3)], 0.05) == (3, 3)
    assert bounds([Stratum(40, 40, 40, 0, 0), Stratum(0, 0, 0)], 0.05) == (0, 0)
    assert bounds([Stratum(40, 40, 40, 3, 2)], 0.05) == (2, 3)
    assert bounds([Stratum(40, 0, 0), Stratum(5, 5, 5, 1, 1)], 0.05) == (0, 45)
    assert bounds([], 0.05) == (0, 0)


def test_contested_decisions_come_first_and_samples_grow() -> None:
    """A contested stratum gets an eighth of what is left, or its share; each sample holds the smaller ones."""
    assert allotted([1_000, 30_000, 969_000], 300) == [37, 32, 231]
    assert allotted([5, 0, 995], 300) == [5, 0, 295]
    assert allotted([600, 300, 100], 100) == [60, 30, 10]
    before = [0, 0, 0]
    for sample in range(1_001):
        given = allotted([60, 300, 640], sample)
        assert sum(given) == sample and all(a <= b for a, b in zip(before, given, strict=True))
        before = given
    assert before == [60, 300, 640]
    with pytest.raises(ValueError, match="from 0 to 10"):
        allotted([10], 11)


def test_looks_double_and_spend_what_may_be_wrong() -> None:
    """The sizes are fixed beforehand, the last is the sample itself, and all looks together spend alpha."""
    found = looks(300, 0.95, once=False)
    assert [look.sample for look in found] == [37, 75, 150, 300]
    assert sum(look.alpha for look in found) == pytest.approx(0.05)
    assert found[-1].alpha == pytest.approx(0.025)
    assert [look.alpha for look in looks(2 * FIRST_LOOK - 1, 0.95, once=False)] == [pytest.approx(0.05)]
    assert [look.sample for look in looks(300, 0.95, once=True)] == [300]


def test_enough_is_enough_at_half_its_size_and_no_less_would_be() -> None:
    """A run without a wrong decision is shown at the look before the last."""
    sizes = [100, 3_000, 96_900]
    sample = enough(sizes, 100, 0.95)
    for half, shown in ((sample // 2, True), (sample // 2 - 1, False)):
        strata = [Stratum(size, asked, asked) for size, asked in zip(sizes, allotted(sizes, half), strict=True)]
        assert (bounds(strata, looks(sample, 0.95, once=False)[-2].alpha)[1] <= 100) is shown
    assert enough([0, 0, 50], 0, 0.95) == 50


@functools.cache
def bounds_of(strata: tuple[Stratum, ...], alpha: float) -> tuple[int, int]:
    """Return the bounds, which are often asked for again."""
    return bounds(strata, alpha)


@pytest.mark.parametrize(
    "wrong",
    [((0, 0), (0, 0), (20, 0)), ((4, 0), (6, 0), (0, 2)), ((15, 5), (40, 0), (60, 3))],
    ids=["plain", "few", "many"],
)
def test_in_2000_simulated_audits_the_bounds_hold_at_all_looks(wrong: Sequence[Sequence[int]]) -> None:
    """Looked at while it grows and stopped where it likes, the sample's bounds hold in .95 of the audits or more."""
    sizes = ((50, 5), (600, 3), (9_000, 342))
    generator = np.random.default_rng(7)
    true, runs, missed_high, missed_low = sum(map(sum, wrong)), 2_000, 0, 0
    totals = [sum(kinds) for kinds in sizes]
    plan = looks(1_200, 0.95, once=False)
    given = [allotted(totals, look.sample) for look in plan]
    # by stratum and kind: in a random order, the places of the wrong ones
    drawn = [[[rounded(kind, asked[s], totals[s]) for kind in sizes[s]] for s in range(3)] for asked in given]
    for _ in range(runs):
        places = [[generator.choice(n, w, replace=False) if w else () for n, w in zip(*pair, strict=True)]
                  for pair in zip(sizes, wrong, strict=True)]  # fmt: skip
        found = []
        for look, asked, parts in zip(plan, given, drawn, strict=True):
            strata = tuple(
                Stratum(
                    totals[s], asked[s], sum(up for _, up in parts[s]),
                    sum(sum(at < up for at in places[s][kind]) for kind, (_, up) in enumerate(parts[s])),
                    sum(sum(at < down for at in places[s][kind]) for kind, (down, _) in enumerate(parts[s])),
                )
                for s in range(3)
            )  # fmt: skip
            found.append(bounds_of(strata, look.alpha))
        missed_low += any(low > true for low, _ in found)
        missed_high += any(high < true for _, high in found)
    assert missed_high <= 0.05 * runs and missed_low <= 0.05 * runs, (missed_high, missed_low)
