"""Blocks World: the strategy against a search, the closed form, the rule, the independent checkers."""

import sys
from itertools import permutations

import pytest

import maker
from breadth import shortest
from maker.testing import check_task

Blocks = type(maker.load_task("blocks", n=2))
module = sys.modules[Blocks.__module__]


def moved(stacks):
    """Yield the stacks after each move that the rules allow."""
    for source, target in permutations(range(3), 2):
        if stacks[source]:
            after = [*stacks]
            after[target] += stacks[source][-1:]
            after[source] = stacks[source][:-1]
            yield tuple(after)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_no_way_is_shorter(n):
    """The steps of the task are those of a breadth-first search."""
    task = Blocks(n)
    assert task.steps == shortest(task.initial_state(), lambda stacks: stacks == (task.goal, (), ()), moved)


@pytest.mark.parametrize("design", Blocks.designs)
@pytest.mark.parametrize("n", [2, 4, 6, 40])
def test_every_size_is_solved_in_both_designs(n, design):
    """The strategy reaches the goal, every state on the way is that of the closed form, and the checker agrees."""
    task = Blocks(n, design)
    check_task(task, steps=10_000)
    state, actions = task.initial_state(), []
    for step in range(task.steps):
        assert task.state_at(step) == state and not task.done(state)
        actions.append(task.truth(state, step))
        state = task.apply(state, actions[-1])
    assert task.done(state) and task.check(actions) is None


def test_the_goal_has_the_halves_in_turn():
    """From the bottom: the top of the upper half, the top of the lower one, and so on."""
    assert Blocks(8).goal == (8, 4, 7, 3, 6, 2, 5, 1)


@pytest.mark.parametrize("move", [(2, 0, 0), (1, 0, 2), (4, 0, 2), (2, 2, 1), (2, 0, 3), (0, 2, 0)])
def test_a_move_against_the_rule_is_not_legal(move):
    """Onto its own stack, from below another, from where it is not, of no block, or to a stack that is not there."""
    task = Blocks(4)
    assert not task.legal(task.initial_state(), module.BlocksAnswer(move, (0, 0, 0)))
    assert module.check_moves(4, [move])


def test_tops_are_claimed():
    """A right move with wrong tops does not agree."""
    task = Blocks(4)
    state = task.initial_state()
    right = task.truth(state, 0)
    after = task.apply(state, right)
    assert right == module.BlocksAnswer((2, 0, 1), (1, 2, 0)) and task.agrees(right, after)
    assert not task.agrees(right._replace(tops=(1, 4, 0)), after)


def test_a_block_that_is_not_on_top_stays():
    """The code moves what was named, if it can; the wrong half sends the block to the wrong stack."""
    task = Blocks(6, "questions")
    state = task.state_at(0)
    assert task.apply(state, 1) == state
    compared = task.state_at(5)  # an upper block is on top
    assert task.kind(compared, 5) == "compare"
    assert task.apply(compared, 3) == task.state_at(6)
    assert task.apply(compared, 6)[2][-1] == 6
