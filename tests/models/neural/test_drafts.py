"""Guesses at what comes next: stacks after a move, and back to what was written before, in both editions."""

import pytest

from maker.models.neural.drafts import Drafts, believed
from small_model import FIRST as V
from small_model import SECOND

PROMPT = "clockwise\nprevious = [1, 0, 1]\nstate = [[4, 3, 2], [1], []]\n"
EDITIONS = pytest.mark.parametrize("v", [V, SECOND])


def guessed(v, prompt: str, written: str) -> str:
    """Return the text guessed after a text written."""
    return v.decode(Drafts(v).expected(v.encode(prompt), v.encode(written), []))


@EDITIONS
def test_the_opening_is_how_every_reply_begins(v):
    """Before a move is written there is one guess at most, and it is the first token of a right reply."""
    opening = Drafts(v).opening(v.encode(PROMPT))
    assert len(opening) <= 1
    assert v.encode("move = [2, 0, 2]\nnext_state = [[4")[: len(opening)] == opening


@EDITIONS
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
def test_a_written_move_is_carried_out_on_the_prompts_stacks(v, prompt, move, stacks):
    """The guess is the prompt's stacks after the move that was written, right or wrong."""
    assert guessed(v, prompt, f"move = [{move}]\nnext_state = [[") == stacks


@EDITIONS
def test_a_move_is_guessed_from_the_reply_to_a_prompt_that_looked_alike(v):
    """After one reply, right or not, the next opening is the same pegs, the disk that lies there, and the stacks."""
    moves = Drafts(v)
    assert moves.opening(v.encode(PROMPT)) == v.opening
    moves.learn(v.encode(PROMPT), v.encode("move = [2, 0, 2]\nnext_state = [["))
    alike = "clockwise\nprevious = [1, 0, 1]\nstate = [[5, 4, 3], [2, 1], []]\n"
    opening = moves.opening(v.encode(alike))
    assert v.decode(opening) == "move = [3, 0, 2]\nnext_state = [[5, 4], [2, 1], [3]]"
    assert not moves.left(opening, opening)
    assert moves.left(v.encode("move = [3, 0, 1]\nnext_state = [["), opening)
    for other in ("counter" + PROMPT, PROMPT.replace("0, 1]", "2, 1]"), PROMPT.replace("[1], []", "[], [1]")):
        assert moves.opening(v.encode(other)) == v.opening


@pytest.mark.parametrize("written", ["move = [", "move = [2", "2, 1, 0]\nnext_state = [[", "]]]]]]"])
def test_replies_without_a_move_teach_nothing(written):
    """What breaks off, or is no move, changes no guess."""
    moves = Drafts(V)
    moves.learn(V.encode(PROMPT), V.encode(written))
    assert moves.opening(V.encode(PROMPT)) == V.opening


@EDITIONS
def test_no_disk_is_guessed_on_an_empty_peg(v):
    """A move written from a peg that is empty, against the rules, leaves the opening as it was."""
    moves = Drafts(v)
    moves.learn(v.encode(PROMPT), v.encode("move = [2, 2, 0]\nnext_state = [["))
    assert moves.opening(v.encode(PROMPT)) == v.opening


@EDITIONS
def test_any_tokens_have_a_guess(v):
    """Tokens that are no prompt of Hanoi, and a move without its disk, raise nothing."""
    moves, pegs = Drafts(v), list(v.pegs)
    odd = [[], v.encode("]]"), [v.bar] * 5, v.encode(", 11, 1], []]\n"), [v.end] * 4, list(range(v.size))]
    for prompt in odd:
        for written in ([pegs[8]], [*v.encode("]]"), pegs[0]], v.encode("5"), [0, 1, 2, pegs[4]], [pegs[4]] * 4):
            assert isinstance(moves.expected(prompt, written, []), list)
            moves.learn(prompt, written)
            assert isinstance(moves.opening(prompt), list)


def test_a_draw_that_left_its_guess_is_guessed_to_come_back():
    """After a token that was left out the guess goes on behind it, after a wrong one in the next place."""
    expected, rest = Drafts(V).expected, V.encode("4, 3, 2], [1]]")
    assert expected([], V.encode("4, 3")[:1], rest) == rest[1:]
    assert expected([], V.encode(", 2"), rest) == rest[3:]
    assert expected([], V.encode(", 7"), rest) == rest[1:]
    assert expected([], V.encode(", 7"), []) == []


def test_a_draw_that_jumped_ahead_is_guessed_to_go_on_where_it_went_back_to():
    """After a disk of another stack in the place of a first one, the next disk says which stack is being copied."""
    prompt, written = V.encode(PROMPT), V.encode("move = [2, 0, 2]\nnext_state = [[1, 3")
    drafts = Drafts(V)
    jumped = drafts.expected(prompt, written[:-1], V.encode("4, 3], [1], [2]]"))
    assert V.decode(jumped) == "], [2]]"
    assert V.decode(drafts.expected(prompt, written, jumped)) == "], [1], [2]]"


def test_who_leaves_guesses_again_and_again_is_guessed_no_more():
    """A guess is cut by half each time, so that all wrong guesses of a draw together are no more than two long ones."""
    lengths = [len(believed([0] * 100, left)) for left in range(10)]
    assert lengths[0] >= 25 and lengths[-1] == 0
    assert sum(lengths) <= 2 * lengths[0]
