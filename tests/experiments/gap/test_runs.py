"""Runs: why they fail is decided by the first thing that ends them, and rows are read as they were kept."""

from dataclasses import replace

import pytest

from maker.experiments.gap.puzzles import Puzzle
from maker.experiments.gap.runs import Run, Walk

RIGHT = [(1, 0, 2), (2, 0, 1), (1, 2, 1), (3, 0, 2), (1, 1, 0), (2, 1, 2), (1, 0, 2)]
RUN = Run("some", "hanoi", 3, 7, "one call", True, 1, 0, "illegal", True, 4, 4, 1, 90, 40)


def walked(moves):
    """Return a walk after these moves, as far as it went."""
    walk = Walk(Puzzle("hanoi", 3))
    all(walk.move(move) for move in moves)
    return walk


@pytest.mark.parametrize(
    ("moves", "failure", "planned", "made", "right"),
    [
        (RIGHT, "", True, 7, 7),
        (RIGHT[:3], "", True, 3, 3),
        ([*RIGHT[:3], None], "format", True, 3, 3),
        ([*RIGHT[:3], (2, 0, 2)], "illegal", True, 3, 3),
        ([(1, 0, 1), (2, 0, 2), (9, 0, 1)], "illegal", False, 2, 0),
        ([RIGHT[0], (1, 2, 0)], "revisited", False, 2, 1),
        ([*RIGHT, (1, 2, 0)], "too long", True, 7, 7),
    ],
)
def test_what_ends_a_run(moves, failure, planned, made, right):
    """The first move that may not be ends it; moves before it are the plan's or not."""
    walk = walked(moves)
    assert (walk.failure, walk.planned, walk.made, walk.right) == (failure, planned, made, right)
    assert walk.solved == (moves[:7] == RIGHT)


def test_a_longer_way_is_solved_and_not_planned():
    """Disk 1 may take two moves where one would do."""
    walk = walked([(1, 0, 1), (1, 1, 2), *RIGHT[1:]])
    assert (walk.solved, walk.failure, walk.planned, walk.made) == (True, "", False, 8)


def test_execution_is_a_failure_with_all_moves_as_planned():
    """A legal move off the plan makes it a failure of decision, and so does a claim that there is no way."""
    assert RUN.execution
    assert not replace(RUN, planned=False).execution
    assert not replace(RUN, failure="impossible").execution
    assert not replace(RUN, failure="").execution
