"""A running total of looked-up values: exact, drawn from a seed, two micro-steps a word."""

import sys

import pytest

import maker

DictSum = type(maker.load_task("dict-sum", turns=1))
module = sys.modules[DictSum.__module__]
State, check_results = module.DictSumState, module.check_results


def results(task):
    """Return the right results and the state they lead to."""
    state, right = task.initial_state(), []
    for step in range(task.steps):
        right.append(task.truth(state, step))
        state = task.apply(state, right[-1])
    return right, state


@pytest.mark.parametrize(("turns", "keys"), [(1, 1), (100, 2), (30, 5)])
def test_right_steps_give_the_exact_total(turns, keys):
    """Each word is looked up and added, 2 turns keys steps in all, and the last total is the sum of the values."""
    task = DictSum(turns, keys)
    right, state = results(task)
    assert task.steps == 2 * turns * keys == len(right)
    assert task.done(state) and task.answer(state) == sum(task.dictionary[word] for word in task.asked)
    assert right[0::2] == [task.dictionary[word] for word in task.asked]
    assert task.check(right) is None


def test_dictionary_and_turns_come_from_the_seed():
    """Forty words of their own with values from -99 to 99, of both signs; the seed decides them and the turns."""
    task = DictSum(turns=500)
    assert len(task.dictionary) == 40 and len(task.asked) == 1000
    assert all(type(value) is int and -99 <= value <= 99 for value in task.dictionary.values())
    assert min(task.dictionary.values()) < 0 < max(task.dictionary.values())
    assert set(task.asked) == set(task.dictionary)
    assert (DictSum(turns=500).dictionary, DictSum(turns=500).asked) == (task.dictionary, task.asked)
    assert DictSum(turns=500, data_seed=1).dictionary != task.dictionary


def test_a_look_up_shows_the_dictionary_an_addition_two_numbers():
    """The state is all of the past that a prompt shows: no history, no other turn."""
    task = DictSum()
    looking = task.prompt(State(7, 3), 6)
    assert looking.endswith(f"word: {task.asked[3]}")
    assert all(f"\n{word}: {value}\n" in looking for word, value in task.dictionary.items())
    assert task.prompt(State(7, 3, -5), 7).endswith("\n7 + (-5)")
    assert task.prompt(State(-7, 3, 5), 7).endswith("\n-7 + 5")


def test_only_impossible_sizes_are_illegal():
    """A value beyond 99, or a total beyond 99 a word, cannot be; every other wrong number is legal."""
    task = DictSum()
    assert all(task.legal(State(7, 3), value) for value in (-99, 0, 99))
    assert not task.legal(State(7, 3), 100) and not task.legal(State(7, 3), -100)
    assert task.legal(State(7, 3, 5), 396) and not task.legal(State(7, 3, 5), 397)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([3, 3, -5, -2], None), ([3, 3, -5], "3 results"), ([], "0 results"), ([3, 3, -5, -2, 0], "more than 4"),
        ([3, 3, -5, -1], "result 3 is -1"), ([4, 3, -5, -2], "result 0 is 4"), ([3, 4, -5, -2], "result 1 is 4"),
    ],
)  # fmt: skip
def test_the_checker_says_what_is_wrong(given, complaint):
    """Too few, too many, a wrong value, a wrong total: the complaint names the result."""
    said = check_results([3, -5], given)
    assert (said is None) if complaint is None else said.startswith(complaint)


@pytest.mark.parametrize(("turns", "keys"), [(1, 1), (100, 2), (30, 5)])
def test_questions_give_the_exact_total(turns, keys):
    """Five questions a word end in the same total, whatever signs and carries come in between."""
    task = DictSum(turns, keys, 3, "questions")
    right, state = results(task)
    assert task.steps == 5 * turns * keys == len(right)
    assert task.done(state) and task.answer(state) == sum(task.dictionary[word] for word in task.asked)
    assert task.check(right) is None


def test_a_total_below_nothing_is_asked_for_in_small_numbers():
    """At -37 a value of -85 is 63 - 85: 13 - 5, 16 - 8, no ten to borrow, and a hundred less, -122."""
    task = DictSum(design="questions")
    state = module.AskedState(-1, 63, 0, -85)
    asked = []
    for answer in (8, 8, 7, -2):
        asked.append((task.kind(state, 0), task.prompt(state, 0).removesuffix(" Answer with the number alone.")))
        assert task.truth(state, 0) == answer
        state = task.apply(state, answer)
    assert asked == [("subtract", "What is 13 - 5?"), ("subtract", "What is 16 - 8?"), ("carry", "What is 8 - 1?"),
                     ("carry", "What is -1 - 1?")]  # fmt: skip
    assert task.answer(state) == -122
