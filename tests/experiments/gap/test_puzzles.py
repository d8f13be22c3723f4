"""Puzzles: what is told comes from the tasks, moves are read and played by their rules."""

import pytest

from maker.experiments.gap.puzzles import FORMS, Puzzle, written

SMALL = {"hanoi": 3, "checkers": 2, "river": 2, "blocks": 4}


@pytest.mark.parametrize("name", FORMS)
def test_the_algorithm_is_a_shortest_way(name):
    """Its moves are allowed, no position comes twice, and the goal is reached with the last one."""
    puzzle = Puzzle(name, SMALL[name])
    state, seen = puzzle.start, set()
    for _ in range(puzzle.moves):
        assert not puzzle.solved(state)
        seen.add(puzzle.place(state))
        assert puzzle.read(written(puzzle.right(state))) == [puzzle.right(state)]
        state = puzzle.played(state, puzzle.right(state))
    assert puzzle.solved(state) and len(seen) == puzzle.moves


@pytest.mark.parametrize("name", FORMS)
def test_wrong_moves_are_others_and_the_last_breaks_the_rules(name):
    """All but the last one are allowed and not the algorithm's; what a model reads names rules, goal and state."""
    puzzle = Puzzle(name, SMALL[name])
    *allowed, forbidden = puzzle.wrong(puzzle.start)
    assert all(puzzle.played(puzzle.start, move) is not None for move in allowed)
    assert puzzle.right(puzzle.start) not in allowed
    assert puzzle.played(puzzle.start, forbidden) is None
    assert puzzle.rules.startswith("Rules:") and puzzle.algorithm.startswith("Strategy")
    assert "Strategy" not in puzzle.rules and "=" in puzzle.shown(puzzle.start)
