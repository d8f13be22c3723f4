"""What graded draws say of flags, lengths and caps."""

from __future__ import annotations

import math

from maker.theory.draws import Draw, Seen
from maker.theory.findings import flag_effects, lengths


def graded(*groups: tuple[str, int, str | None, int]) -> list[Seen]:
    """Return a step of many draws: (R or W or - for unreadable, how many, flag, tokens)."""
    draws = [
        Draw(None if kind == "-" else kind.encode(), flag, tokens) for kind, n, flag, tokens in groups for _ in range(n)
    ]
    return [Seen(0, None, right=b"R", picked=len(draws), draws=draws)]


def test_a_flag_that_drops_wrong_answers_pays_and_one_that_drops_right_ones_does_not() -> None:
    """Whether a flag pays follows from what it drops; what cannot be read is no loss and no gain."""
    effects = flag_effects(
        graded(("R", 900, None, 9), ("W", 40, None, 9), ("W", 30, "bad", 9), ("R", 30, "good", 9), ("-", 10, "cut", 9))
    )
    assert list(effects) == ["bad", "good", "cut"]
    assert [effects[name].pays for name in effects] == [True, False, None]
    assert (effects["bad"].dropped.n, effects["bad"].dropped.wrong) == (30, 30)
    assert effects["good"].dropped.wrong == 0
    assert effects["cut"].dropped.low is None
    assert effects["cut"].share == 10 / 1010


def test_paying_is_the_published_rule() -> None:
    """A flag pays exactly when (1/v) k(p') / (2p'-1) is below k(p) / (2p-1), with k unrounded."""

    def per_step(right: int, wrong: int, draws: int) -> float:
        p, v = (right + 0.5) / (right + wrong + 1), (right + wrong) / draws
        k = (math.log(1000) - math.log(-math.log(0.95))) / math.log(p / (1 - p))
        return k / (v * (2 * p - 1))

    answers = set()
    for dropped_wrong in range(0, 41, 4):
        groups = (
            ("R", 900, None, 9),
            ("W", 60, None, 9),
            ("W", dropped_wrong, "f", 9),
            ("R", 40 - dropped_wrong, "f", 9),
        )
        pays = flag_effects(graded(*groups))["f"].pays
        assert pays == (per_step(900, 60, 1000) < per_step(940 - dropped_wrong, 60 + dropped_wrong, 1000))
        answers.add(pays)
    assert answers == {True, False}


def test_a_cap_is_advised_only_where_longer_replies_are_shown_to_be_worse() -> None:
    """Errors that grow with length give a cap between; the same rate at all lengths gives none."""
    short = (("R", 500, None, 100), ("W", 5, None, 100), ("R", 200, None, 150), ("W", 2, None, 150))
    found = lengths(graded(*short, ("R", 10, None, 900), ("W", 40, None, 900)))
    assert found.cap == 150
    assert [(low, high) for low, high, _ in found.bins] == [(100, 100), (150, 150), (900, 900)]
    assert lengths(graded(*short, ("R", 50, None, 900))).cap is None
    assert lengths(graded(("-", 5, "cut", 9))).bins == []
