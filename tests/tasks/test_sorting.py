"""Merge sort by single comparisons: any list, a number of steps known beforehand, an exact list."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker import theory

Sorting = type(maker.load_task("sorting"))
module = sys.modules[Sorting.__module__]
Take, State = module.Take, module.SortingState


def solve(task):
    """Return the right comparisons and the state they lead to."""
    state, takes = task.initial_state(), []
    for step in range(task.steps):
        assert not task.done(state)
        takes.append(task.truth(state, step))
        state = task.apply(state, takes[-1])
    return takes, state


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.integers(-9, 9) | st.integers(), min_size=2, max_size=40))
def test_right_comparisons_sort_any_list(numbers):
    """Lists of all lengths, with repeated and negative numbers, are sorted in exactly `steps` comparisons."""
    task = Sorting([number % 10**99 for number in numbers])
    takes, state = solve(task)
    assert task.done(state) and task.answer(state) == sorted(task.numbers)
    assert task.check(takes) is None


@pytest.mark.parametrize(("size", "steps"), [(2, 1), (3, 3), (4, 5), (8, 17), (500, 3989), (10_000, 123_617)])
def test_the_number_of_steps_depends_on_the_size_alone(size, steps):
    """It is n ceil(log2 n) - 2^ceil(log2 n) + 1 comparisons, the most that merge sort needs, whatever the numbers."""
    assert Sorting(size=size).steps == steps
    if size < 9:
        assert Sorting(list(range(size))).steps == Sorting(list(range(size))[::-1]).steps == steps


def test_the_state_holds_the_numbers_and_nothing_else():
    """At every step queue, both lists and the merged part hold each number once: none is lost or made up."""
    task = Sorting(size=30, data_seed=3)
    state = task.initial_state()
    for step in range(task.steps):
        untouched = task.numbers[2 * state.merge + 2 * bool(state.left or state.right) :]
        held = [*untouched, *sum(state.runs, ()), *state.left, *state.right, *state.merged]
        assert sorted(held) == sorted(task.numbers)
        rival = task.rivals(state, step)[0]
        state = task.apply(state, rival if step % 3 == 0 and task.legal(state, rival) else task.truth(state, step))
    assert sorted(task.answer(state)) == sorted(task.numbers)
    assert not task.done(state)


@pytest.mark.parametrize(("size", "depth"), [(2, 1), (3, 2), (5, 3), (8, 3), (9, 4), (500, 9)])
def test_merges_are_branches(size, depth):
    """Merges of single numbers begin at once, others wait for the two merges they take from: ceil(log2 n) in a row."""
    task = Sorting(size=size, data_seed=5)
    plan = task.plan()
    levels = []
    for segment in plan.segments:
        assert (segment.enter is None) == bool(segment.after) and len(segment.after) <= 2
        levels.append(1 + max((levels[before] for before in segment.after), default=0))
    assert max(levels) == depth and len(levels) == size - 1


def test_branches_sort_as_the_chain_does():
    """In branches, by a noisy model, the list comes out as it does in one sequence of steps."""
    task = Sorting([9, -4, 9, 0, 3, 3, 1])
    branches = maker.run_sync(task, model="oracle:p=0.9,v=0.9", k=6)
    one = maker.run_sync(task, model="oracle:p=0.9,v=0.9", k=6, segments=1)
    assert branches.answer == one.answer == [-4, 0, 1, 3, 3, 9, 9]
    assert (branches.segments, one.segments, branches.wrong, one.wrong) == (6, 1, 0, 0)


def test_the_prompt_shows_two_numbers():
    """Only the first numbers of both lists are shown, none for a list that is used up."""
    task = Sorting([11, 22, 33])
    assert task.prompt(State(1, ((7,),), (11, 12), (22,), (1, 2)), 0).endswith("left: 11\nright: 22")
    assert task.prompt(State(1, (), (), (22, 33), (1,)), 0).endswith("left: none\nright: 22")


def test_a_take_must_be_the_first_number_of_its_list():
    """Another number, or one from a list that is used up, is against the rules; the larger first number is not."""
    task = Sorting([1, 2])
    state = State(0, (), (5, 7), (6,), ())
    assert task.legal(state, Take("left", 5)) and task.legal(state, Take("right", 6))
    for take in (Take("left", 6), Take("left", 7), Take("right", 5)):
        assert not task.legal(state, take)
    assert not task.legal(State(0, (), (), (6, 7)), Take("left", 6))


def test_equal_numbers_are_taken_from_the_left_in_every_view():
    """Of two equal numbers the left one goes first, and the exchanged question asks for the same one."""
    task = Sorting([4, 4])
    state = task.initial_state()
    assert task.truth(state, 0) == Take("left", 4)
    plain, turned = task.paraphrases(state, 0)
    assert "equal, take left" in plain.prompt and "equal, take right" in turned.prompt
    assert turned.back("take = right\nnumber = 4") == "take = left\nnumber = 4"


def test_data_come_from_the_seed():
    """The same seed gives the same numbers, another one others; numbers given stay as they are."""
    assert Sorting(size=20, data_seed=1).numbers == Sorting(size=20, data_seed=1).numbers
    assert Sorting(size=20, data_seed=1).numbers != Sorting(size=20, data_seed=2).numbers
    assert Sorting().parameters == {"size": 10, "data_seed": 0}
    assert Sorting([3, 1]).parameters == {"numbers": [3, 1]}
    assert all(0 <= number < 200 for number in Sorting(size=20, data_seed=1).numbers)


def test_a_long_list_at_p_97_is_sorted_at_the_planned_cost():
    """120 numbers at p = .97 and target .9999 (500 in the benchmark): sorted, with the samples that theory expects."""
    task = Sorting(size=120, data_seed=1)
    result = maker.run_sync(task, model="oracle:p=0.97", target=0.9999)
    assert result.solved and result.answer == sorted(task.numbers)
    votes = result.samples - result.calibration["draws"]
    assert votes == pytest.approx(result.steps * theory.expected_votes(0.97, result.k), rel=0.05)


def test_a_question_is_the_smallest_number_of_two():
    """What is asked are the heads of both lists; of equal ones the left list's goes first, whichever was meant."""
    task = Sorting([5, 3, 3], design="questions")
    state = task.initial_state()
    asked = []
    for answer in (3, 3, 3):
        asked.append((task.kind(state, 0), task.prompt(state, 0)[-1]["content"].split("? ")[1]))
        assert (task.legal(state, answer), task.legal(state, 4)) == (True, False)
        state = task.apply(state, answer)
    assert asked == [("compare", "[5, 3]"), ("compare", "[3, 3]"), ("only one left", "[3]")]
    assert task.done(state)


def test_two_examples_stand_before_a_question():
    """The model is shown how such questions are answered: bare, and rightly."""
    task = Sorting([5, 3], design="questions")
    *examples, last = task.prompt(task.initial_state(), 0)
    assert [message["role"] for message in examples] == ["user", "assistant"] * 2
    for asked, answered in zip(examples[::2], examples[1::2], strict=True):
        numbers = [int(number.strip("[],")) for number in asked["content"].split("? ")[1].split()]
        assert task.parse(answered["content"]) == min(numbers)
    assert last == {"role": "user", "content": "What is the smallest number in this list? [5, 3]"}
