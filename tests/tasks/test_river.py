"""River Crossing: sizes that can be solved, the strategy against a search, the rule, the independent checkers."""

import sys
from itertools import combinations

import pytest

import maker
from breadth import shortest
from maker.testing import check_task

River = type(maker.load_task("river", pairs=1))
module = sys.modules[River.__module__]
SIZES = [(pairs, boat) for boat, known in module.CROSSINGS.items() for pairs in known]


def safe(people):
    """Say whether nobody there is with another's agent alone, by the words of the rule."""
    agents = {number for kind, number in people if kind == "A"}
    return not agents or all(number in agents for kind, number in people if kind == "a")


def crossings(pairs, boat):
    """Return how many crossings the shortest way has, by the words of the rule; None if there is no way."""
    everybody = frozenset((kind, number) for kind in "aA" for number in range(1, pairs + 1))

    def after(place):
        left, side = place
        here = everybody - left if side else left
        for many in range(1, boat + 1):
            for load in map(frozenset, combinations(here, many)):
                then = left | load if side else left - load
                if safe(load) and safe(then) and safe(everybody - then):
                    yield then, 1 - side

    return shortest((everybody, 0), lambda place: not place[0], after)


@pytest.mark.parametrize(("pairs", "boat"), [*SIZES, (4, 2), (6, 3)])
def test_known_sizes_are_those_with_a_way_across(pairs, boat):
    """The number of crossings is that of a breadth-first search; a size next to the last has none, and is refused."""
    assert module.CROSSINGS[boat].get(pairs) == crossings(pairs, boat)
    if pairs not in module.CROSSINGS[boat]:
        with pytest.raises(maker.TaskError, match="no way across"):
            River(pairs, boat)


@pytest.mark.parametrize("design", River.designs)
@pytest.mark.parametrize(("pairs", "boat"), SIZES)
def test_every_size_is_solved_in_both_designs(pairs, boat, design):
    """The strategy's way keeps the rule and is a shortest one; each state of it is known beforehand."""
    task = River(pairs, boat, design)
    check_task(task, steps=10_000)
    state, actions = task.initial_state(), []
    for step in range(task.steps):
        assert task.state_at(step) == state and not task.done(state)
        actions.append(task.truth(state, step))
        state = task.apply(state, actions[-1])
    assert task.done(state) and task.check(actions) is None


def test_the_boat_has_room_for_two_up_to_three_pairs():
    """Where no boat is given it is that of the puzzle."""
    assert [(River(pairs).boat, River(pairs).steps) for pairs in range(1, 6)] == [
        (2, 1),
        (2, 5),
        (2, 11),
        (3, 9),
        (3, 11),
    ]


@pytest.mark.parametrize(
    "move",
    [(), ("a1", "A2"), ("a1", "a2", "a3"), ("a1", "a1"), ("a9",), ("A1",), ("A1", "a2")],
    ids=lambda move: " ".join(move) or "nobody",
)
def test_a_crossing_against_the_rule_is_not_legal(move):
    """Nobody, too many, the same twice, a stranger, or an actor left with or taken by another's agent."""
    task = River(3)
    assert not task.legal(task.initial_state(), module.RiverAnswer(move, ()))
    assert module.check_moves(3, 2, [move])


def test_names_are_read_in_any_order_and_no_other_form():
    """A group is a set of names; what is no list of names has no answer."""
    task = River(2)
    answer = task.parse('move = ["A2", "a1"]\nleft = []')
    assert answer == module.RiverAnswer(("a1", "A2"), ())
    for bad in ("move = [a1]\nleft = []", 'move = ["a1" "A1"]\nleft = []', 'move = ["a1"]', 'move = ["b1"]\nleft = []'):
        with pytest.raises(ValueError, match=r"move|left"):
            task.parse(bad)


def test_where_all_groups_are_ruled_out_those_who_came_go_back():
    """Answers that rule out everything never end in a state without a question."""
    for pairs, boat in SIZES:
        task = River(pairs, boat, "questions")
        state = task.initial_state()
        for step in range(300):
            if task.done(state):
                break
            worst = max([task.truth(state, step), *task.rivals(state, step)])
            assert task.legal(state, worst) and task.kind(state, step) in ("boat", "bank")
            state = task.apply(state, worst)
        assert not task.done(state)
