"""Guesses at what comes next: stacks after a move, and back to what was written before."""

import pytest

from maker.models.neural import vocabulary as v
from maker.models.neural.drafts import OPENING, believed, expected

PROMPT = "clockwise\nprevious = [1, 0, 1]\nstate = [[4, 3, 2], [1], []]\n"


def guessed(prompt: str, written: str) -> str:
    """Return the text guessed after a text written."""
    return v.decode(expected(v.encode(prompt), v.encode(written), []))


def test_the_opening_is_how_every_reply_begins():
    """Before a move is written there is one guess, and it is the first token of a right reply."""
    assert v.encode("move = [2, 0, 2]\nnext_state = [[4")[: len(OPENING)] == OPENING


@pytest.mark.parametrize("prompt", [PROMPT, PROMPT.replace("1, 0, 1]", "]")])
@pytest.mark.parametrize(
    ("move", "stacks"),
    [
        ("2, 0, 2", "4, 3], [1], [2]]"),
        ("1, 1, 0", "4, 3, 2, 1], [], []]"),
        ("4, 0, 1", "3, 2], [1, 4], []]"),  # illegal: carried out all the same
        ("9, 0, 1", "4, 3, 2], [1], []]"),  # no such disk
        ("1, 1, 1", "4, 3, 2], [1], []]"),
    ],
)
def test_a_written_move_is_carried_out_on_the_prompts_stacks(prompt, move, stacks):
    """The guess is the prompt's stacks after the move that was written, right or wrong."""
    assert guessed(prompt, f"move = [{move}]\nnext_state = [[") == stacks


@pytest.mark.parametrize("prompt", [[], [v.CLOSE], [v.BAR] * 5, [v.NEXT, v.FIRST, v.BAR, v.STATE_END]])
def test_any_tokens_have_a_guess(prompt):
    """Tokens that are no prompt of Hanoi, and a move without its disk, raise nothing."""
    for written in ([v.MOVE_PEGS + 8], [v.CLOSE, v.MOVE_PEGS], [v.MOVE]):
        assert isinstance(expected(prompt, written, []), list)


def test_a_draw_that_left_its_guess_is_guessed_to_come_back():
    """After a token that was left out the guess goes on behind it, after a wrong one in the next place."""
    rest = v.encode("4, 3, 2], [1]]")
    assert expected([], v.encode("4, 3")[:1], rest) == rest[1:]
    assert expected([], v.encode(", 2"), rest) == rest[3:]
    assert expected([], v.encode(", 7"), rest) == rest[1:]
    assert expected([], v.encode(", 7"), []) == []


def test_who_leaves_guesses_again_and_again_is_guessed_no_more():
    """A guess is cut by half each time, so that all wrong guesses of a draw together are no more than two long ones."""
    lengths = [len(believed([0] * 100, left)) for left in range(10)]
    assert lengths[0] >= 25 and lengths[-1] == 0
    assert sum(lengths) <= 2 * lengths[0]
