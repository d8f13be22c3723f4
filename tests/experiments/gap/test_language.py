"""The language of five instructions: what it reads, what it does, and that nothing in it goes on for ever."""

import pytest

from maker.experiments.gap.language import MOST_LINES, Endless, Machine, Unreadable, read


def moved(text, most=1000):
    """Return the moves that a program makes, in a puzzle that keeps one name and has room for so many."""
    made = []

    def move(words):
        """Note a move."""
        made.append(words)
        return len(made) < most

    Machine(lambda: {"here": len(made)}, move).run(read(text))
    return made


def test_all_five_instructions():
    """Counters are set and grow, blocks are repeated or left out, a name of the puzzle is read as it stands now."""
    text = "set a 2\nadd a -1\nrepeat 3\nif here < 2\nmove a here\nend\nif here = 2\nmove x\nend\nend\nif a > 1\nmove y"
    text += "\nend"
    assert moved(text) == [["1", "0"], ["1", "1"], ["x"]]


def test_a_program_in_a_fence_or_with_comments():
    """What stands around a code fence and behind # says nothing."""
    assert moved("Here it is:\n```text\nmove 1 2 # first\n\n```\nDone.") == [["1", "2"]]


def test_a_move_that_says_stop_ends_the_program():
    """Nothing after it is carried out, in no loop around it either."""
    assert len(moved("repeat 9\nrepeat 9\nmove a\nend\nend\nmove b", most=5)) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no instruction"), ("def f():", "no instruction"), ("repeat 3\nmove a", "no end"), ("end", "'end' is no"),
        ("set 3 4", "is no name"), ("set a", "set has"), ("set a b c", "set has"), ("if a ~ b\nend", "compares"),
        ("add a 1.5", "neither a number nor a name"), ("move", "says nothing"), ("repeat 2**9\nend", "neither"),
        ("repeat 1\n" * 9 + "end\n" * 9, "blocks in one another"), ("move a\n" * (MOST_LINES + 1), "lines"),
        ("add a 1", "a has no value"), ("set here 1", "only read"), ("set a __import__", "neither"),
    ],
)  # fmt: skip
def test_what_is_no_program_says_where(text, words):
    """A text that is none, or a name without a value, is refused in words."""
    with pytest.raises(Unreadable, match=words):
        moved(text)


@pytest.mark.parametrize(
    "text",
    ["repeat 999999999\nend", "repeat 9999\nrepeat 9999\nmove a\nend\nend", "set a 999999999\nadd a a"],
)
def test_nothing_goes_on_for_ever(text):
    """Empty loops, loops of moves and growing counters come to an end."""
    with pytest.raises(Endless):
        moved(text, most=10**9)
