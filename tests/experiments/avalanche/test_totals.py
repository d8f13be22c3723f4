"""Running totals with a history: what is shifted, what is shown, and how a turn is answered."""

from __future__ import annotations

import numpy as np
import pytest

from maker.experiments.avalanche.totals import ARMS, Turn, answered, at_turn, induced, rolled, shown


def right(questions, draws):
    """Answer everything right."""
    return [[question.right] * many for question, many in zip(questions, draws, strict=True)]


def test_shifts_stand_on_the_true_total():
    """All answers of a history of share 1 are off by 1 to 10, none of share 0, and no shift is carried on."""
    for share in (0.0, 1.0):
        true = 0
        history = induced(50, share, np.random.default_rng(1))
        for turn in history:
            true += turn.value
            assert 1 <= abs(turn.answer - true) <= 10 if share else turn.answer == true
        assert [turn.before for turn in history] == [0, *(turn.answer for turn in history[:-1])]


@pytest.mark.parametrize(
    ("arm", "many"), [("whole history", 30), ("window 25", 25), ("window 1", 1), ("state only", 0)]
)
def test_an_arm_shows_so_many_turns(arm, many):
    """Each arm shows its last turns, and every one the last answer."""
    history = induced(30, 0.5, np.random.default_rng(2))
    question = shown(history, 7, arm, 3)
    assert question.turns == tuple(history[len(history) - many :])
    assert (question.last, question.right, question.turn) == (history[-1].answer, history[-1].answer + 7, 30)


def test_a_turn_after_a_wrong_one_can_be_right():
    """A turn is judged by the answer given before it, not by the true total."""
    assert Turn(99, 1, 100).right and not Turn(99, 1, 99).right


def test_a_vote_is_ahead_by_k_and_a_single_reply_counts_as_it_is():
    """A reply of no number loses a single turn; in a vote it is drawn again, and one wrong reply is outvoted."""
    asked = [shown([], 5, arm, 0) for arm in ARMS]
    given = iter([None, 1, 5, 5, 5, 5] * 4)

    def one_by_one(questions, draws):
        return [[next(given) for _ in range(many)] for many in draws]

    assert answered(asked[:1], 1, one_by_one) == [None]
    assert answered(asked[:1], 3, one_by_one) == [5]
    assert answered(asked[:1], 3, lambda questions, draws: [[None] * many for many in draws]) == [None]


def test_runs_go_on_from_their_own_answers():
    """A reader that is always off by one is wrong at every turn, and one that says nothing carries the total on."""
    off = lambda questions, draws: [[question.right + 1] for question in questions]  # noqa: E731
    assert rolled(6, "whole history", 1, 2, off, 0) == [[False] * 6] * 2
    assert rolled(6, "window 1", 3, 2, right, 0) == [[True] * 6] * 2
    assert not any(rolled(6, "state only", 1, 1, lambda questions, draws: [[None]], 0)[0])


def test_every_arm_and_share_asks_for_the_same_values():
    """Histories of one number have the same values whatever is shifted, so that arms are compared on equal sums."""
    asked = []

    def noted(questions, draws):
        asked.append([question.value for question in questions])
        return right(questions, draws)

    for arm, share in (("state only", 0.0), ("whole history", 1.0)):
        assert all(at_turn(8, share, arm, 1, 5, noted, 0))
    assert asked[0] == asked[1]
