"""Graded draws at one step: what makes it a suspect never judges it, and what comes after does."""

from __future__ import annotations

import math

import pytest

from maker.theory.draws import CLEARED, SHOWN, Draw, Seen


def step(again: str, first: str = "RW") -> Seen:
    """Return a step whose draws are given as letters: R right, ? flagged, others wrong answers."""
    first_draws, more = ([Draw(letter.encode(), "bad" if letter == "?" else None, 9) for letter in text]
                         for text in (first, again))  # fmt: skip
    return Seen(0, None, right=b"R", draws=first_draws, again=more)


def test_flagged_draws_neither_err_nor_count():
    """A step whose only wrong draw was flagged has not erred, and flagged draws are no rivals."""
    assert not step("", first="R?").erred
    assert step("", first="RW?").erred
    assert step("RRAAB??").rival == (2, 2, 2)


def test_the_first_round_never_judges_the_step():
    """Whatever the first draws were, a step without further draws is neither cleared nor lost."""
    for first in ("W" * 50, "R" * 50):
        assert not step("", first=first).cleared
        assert not step("", first=first).shown_lost(1)


@pytest.mark.parametrize("n", [4, 10, 20])
def test_a_step_is_judged_by_the_tail_of_a_fair_coin(n):
    """Cleared and lost are exactly where so many heads of a fair coin are rarer than what was fixed beforehand."""
    for wrong in range(n + 1):
        seen = step("R" * (n - wrong) + "W" * wrong)
        at_least_right, at_least_wrong = (
            sum(math.comb(n, i) for i in range(count, n + 1)) / 2**n for count in (n - wrong, wrong)
        )
        assert seen.cleared == (at_least_right <= CLEARED)
        assert seen.shown_lost(3) == (wrong > 0 and at_least_wrong <= SHOWN / 3)
        assert not (seen.cleared and seen.shown_lost(1))
