"""Programs: those that are right solve every size, and moves of words mean those of the puzzle."""

import pytest

from maker.experiments.gap import programs
from maker.experiments.gap.puzzles import Puzzle

SIZES = [("hanoi", 2), ("hanoi", 5), ("checkers", 3), ("river", 3), ("blocks", 2), ("blocks", 12)]


def made(puzzle, text):
    """Return the moves of a program, and how it ended."""
    found = []

    def move(one):
        """Note a move."""
        found.append(one)
        return True

    return found, programs.run(puzzle, text, move)


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_right_program_makes_the_moves_of_the_algorithm(name, size):
    """Loops or a list, carried out they are the shortest way."""
    puzzle = Puzzle(name, size)
    moves, why = made(puzzle, programs.right(puzzle))
    state = puzzle.start
    for move in moves:
        assert move == puzzle.right(state)
        state = puzzle.played(state, move)
    assert (why, len(moves), puzzle.solved(state)) == ("", puzzle.moves, True)


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_right_python_program_prints_the_moves_of_the_algorithm(name, size):
    """Its lines, as they would be printed, are the shortest way."""
    puzzle = Puzzle(name, size)
    printed = programs.right_python(puzzle).replace("print(", "").replace(")", "")
    assert len(puzzle.read(printed)) == puzzle.moves and puzzle.read(printed)[0] == puzzle.right(puzzle.start)


def test_a_python_program_is_run_once(monkeypatch):
    """The same text prints the same; what is asked of it is said with the form of a move."""
    asked = []
    monkeypatch.setattr(programs.sandbox, "run", lambda source: asked.append(source) or programs.sandbox.Ran("", ""))
    puzzle = Puzzle("hanoi", 2)
    for _ in "ab":
        assert programs.run_python(puzzle, "text\n```python\nonce_only\n```", lambda _move: True) == "format"
    assert asked == ["once_only\n"]
    assert puzzle.form.shape in programs.told_python(puzzle)


@pytest.mark.parametrize(
    ("name", "text"),
    [("hanoi", "move 0 x"), ("hanoi", "move 9 1"), ("hanoi", "move 0"), ("checkers", "move 2 3"), ("river", "move b1")],
)
def test_words_that_are_no_move(name, text):
    """A place that is not there, an empty one, a stranger or too few words mean no move."""
    assert made(Puzzle(name, 2), text) == ([None], "")


def test_what_is_no_program_and_what_does_not_end():
    """Said as what they are, with the moves made until then."""
    puzzle = Puzzle("hanoi", 2)
    assert made(puzzle, "I would move disk 1 first.") == ([], "format")
    assert made(puzzle, "move 0 1\nmove here") == ([(1, 0, 1), None], "")
    assert made(puzzle, "repeat 999999999\nend")[1] == "overrun"


@pytest.mark.parametrize("name", ["hanoi", "checkers", "river", "blocks"])
def test_the_language_is_told_with_the_names_of_the_puzzle(name):
    """All five instructions, and no place left open."""
    told = programs.told(Puzzle(name, 2))
    assert all(f"\n{word} " in told for word in ("set", "add", "repeat", "if", "move")) and "{" not in told
