"""Amounts in coins: what is right, and who is asked what."""

from __future__ import annotations

import numpy as np

from maker.experiments.collapse.coins import ANSWERS, every, split


def test_every_question_has_several_right_answers_that_come_to_the_amount():
    """Right answers, added up by hand, come to the amount; there are at least two, and no other answer does."""
    asked = every()
    for which in (0, 500, len(asked) - 1):
        sums = [sum(int(n) * int(value) for n, value in zip(one, asked.coins[which], strict=True)) for one in ANSWERS]
        assert [total == asked.amounts[which] for total in sums] == asked.right[which].tolist()
    assert asked.right.sum(1).min() == 2


def test_questions_held_back_are_not_learned_from():
    """The two parts share no question, and hold all of them."""
    learned, held = split(np.random.default_rng(0))
    parts = [{(*coins, amount) for coins, amount in zip(one.coins.tolist(), one.amounts.tolist(), strict=True)}
             for one in (learned, held)]  # fmt: skip
    assert not parts[0] & parts[1]
    assert len(parts[0]) + len(parts[1]) == len(every())
