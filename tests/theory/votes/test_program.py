"""The linear program over atoms: no distribution lies outside it, and it is hardly wider than it must be."""

from __future__ import annotations

import numpy as np
import pytest

from shapes import MARGINS, beyond, error, everywhere, tails

pytest.importorskip("scipy")

from maker.theory.votes.bounds import lost_share, step_error
from maker.theory.votes.program import Program, sampled


@pytest.mark.parametrize(("m1", "m2"), [(0.0022, 0.00003), (0.2, 0.08), (0.4, 0.3)])
def test_with_two_moments_it_is_the_closed_form(m1: float, m2: float) -> None:
    """Two draws tell two moments: the program is as wide as the sharp bounds, or at most a twentieth wider."""
    program = Program([(2 * m1 - m2, 2 * m1 - m2), (m2, m2)])
    for closed, open_ in ((lost_share(m1, m2)[1], program.lost()[1]), *((step_error(m1, m2, k), program.step_error(k))
                                                                        for k in (1, 3, 30))):  # fmt: skip
        assert closed - 1e-8 <= open_ <= closed * 1.05 + 1e-6
    assert program.lost()[0] <= lost_share(m1, m2)[0] + 1e-8


def test_no_distribution_of_a_small_support_is_outside() -> None:
    """All distributions of three atoms of a grid with given moments: lost share and error within, each by itself."""
    atoms, shares = everywhere(0.2, 0.08, 9)
    at = np.random.default_rng(1).permutation(len(atoms))[:6]
    for atom, share in zip(atoms[at], shares[at], strict=True):
        program = Program([(end, end) for end in tails(atom[None], share[None], 3)[0]])
        low, high = program.lost()
        assert low - 1e-8 <= share[atom >= 0.5].sum() <= high + 1e-8
        for k in MARGINS:
            assert (share * error(atom, k)).sum() <= program.step_error(k) + 1e-8


def test_no_random_distribution_is_outside() -> None:
    """Of 400 random ones with five draws a step, none (the kit's main draws a hundred thousand)."""
    assert beyond(400, 5, np.random.default_rng(2)) == 0


def test_more_draws_a_step_leave_less_room() -> None:
    """Of the same steps, all errors seen at 1 in 100 of them once: five draws bound the lost ones closer than three."""
    rooms = [Program(sampled([2000, 20, *[0] * (r - 1)])).lost()[1] for r in (3, 5, 8)]
    assert rooms[0] > rooms[1] > rooms[2] > 0


def test_ends_hold_together_at_97_percent() -> None:
    """Of 100 samples of 400 steps at most 7 have a tail outside of its range, three in a hundred and some."""
    rng = np.random.default_rng(4)
    rates = np.where(rng.random(400) < 0.1, 0.6, 0.05)
    true = tails(np.array([[0.6, 0.05]]), np.array([[0.1, 0.9]]), 4)[0]
    missed = 0
    for _ in range(100):
        rates = np.where(rng.random(400) < 0.1, 0.6, 0.05)
        wrong = rng.binomial(4, rates)
        ends = sampled([400, *(int((wrong >= j).sum()) for j in range(1, 5))])
        missed += not all(low <= share <= high for (low, high), share in zip(ends, true, strict=True))
    assert missed <= 7


def test_ranges_that_no_distribution_has_are_said() -> None:
    """Where all five of five draws are wrong oftener than one of them, there is nothing to bound."""
    with pytest.raises(ValueError, match="no distribution has these moments"):
        Program([(0.1, 0.1), (0.1, 0.1), (0.9, 0.9)]).lost()
