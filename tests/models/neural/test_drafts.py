"""Guesses at what comes next: stacks after a move, and back to what was written before."""

import pytest

from maker.models.neural import vocabulary as v
from maker.models.neural.drafts import OPENING, Moves, believed, expected

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


def test_a_move_is_guessed_from_the_reply_to_a_prompt_that_looked_alike():
    """After one reply, right or not, the next opening is the same pegs, the disk that lies there, and the stacks."""
    moves = Moves()
    assert moves.opening(v.encode(PROMPT)) == OPENING
    moves.learn(v.encode(PROMPT), v.encode("move = [2, 0, 2]\nnext_state = [["))
    alike = "clockwise\nprevious = [1, 0, 1]\nstate = [[5, 4, 3], [2, 1], []]\n"
    assert v.decode(moves.opening(v.encode(alike))) == "move = [3, 0, 2]\nnext_state = [[5, 4], [2, 1], [3]]"
    for other in ("counter" + PROMPT, PROMPT.replace("0, 1]", "2, 1]"), PROMPT.replace("[1], []", "[], [1]")):
        assert moves.opening(v.encode(other)) == OPENING


@pytest.mark.parametrize("written", ["move = [", "move = [2", "2, 1, 0]\nnext_state = [[", "]]]]]]"])
def test_replies_without_a_move_teach_nothing(written):
    """What breaks off, or is no move, changes no guess."""
    moves = Moves()
    moves.learn(v.encode(PROMPT), v.encode(written))
    assert moves.opening(v.encode(PROMPT)) == OPENING


def test_no_disk_is_guessed_on_an_empty_peg():
    """A move written from a peg that is empty, against the rules, leaves the opening as it was."""
    moves = Moves()
    moves.learn(v.encode(PROMPT), v.encode("move = [2, 2, 0]\nnext_state = [["))
    assert moves.opening(v.encode(PROMPT)) == OPENING


@pytest.mark.parametrize("prompt", [[], [v.CLOSE], [v.BAR] * 5, [v.NEXT, v.FIRST, v.BAR, v.STATE_END]])
def test_any_tokens_have_a_guess(prompt):
    """Tokens that are no prompt of Hanoi, and a move without its disk, raise nothing."""
    moves = Moves()
    for written in ([v.MOVE_PEGS + 8], [v.CLOSE, v.MOVE_PEGS], [v.MOVE], [v.MOVE, v.FIRST, v.MOVE_PEGS]):
        assert isinstance(expected(prompt, written, []), list)
        moves.learn(prompt, written)
        assert isinstance(moves.opening(prompt), list)


def test_a_draw_that_left_its_guess_is_guessed_to_come_back():
    """After a token that was left out the guess goes on behind it, after a wrong one in the next place."""
    rest = v.encode("4, 3, 2], [1]]")
    assert expected([], v.encode("4, 3")[:1], rest) == rest[1:]
    assert expected([], v.encode(", 2"), rest) == rest[3:]
    assert expected([], v.encode(", 7"), rest) == rest[1:]
    assert expected([], v.encode(", 7"), []) == []


def test_a_draw_that_jumped_ahead_is_guessed_to_go_on_where_it_went_back_to():
    """After a disk of another stack in the place of a first one, the next disk says which stack is being copied."""
    prompt, written = v.encode(PROMPT), v.encode("move = [2, 0, 2]\nnext_state = [[1, 3")
    jumped = expected(prompt, written[:-1], v.encode("4, 3], [1], [2]]"))
    assert v.decode(jumped) == "], [2]]"
    assert v.decode(expected(prompt, written, jumped)) == "], [1], [2]]"


def test_who_leaves_guesses_again_and_again_is_guessed_no_more():
    """A guess is cut by half each time, so that all wrong guesses of a draw together are no more than two long ones."""
    lengths = [len(believed([0] * 100, left)) for left in range(10)]
    assert lengths[0] >= 25 and lengths[-1] == 0
    assert sum(lengths) <= 2 * lengths[0]
