"""Column addition: exact at any size, one column a step."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker

Addition = type(maker.load_task("addition"))
module = sys.modules[Addition.__module__]
Column, State = module.Column, module.AdditionState


def solve(task):
    """Return the right columns and the state they lead to."""
    state, columns = task.initial_state(), []
    for step in range(task.steps):
        columns.append(task.truth(state, step))
        state = task.apply(state, columns[-1])
    return columns, state


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.integers(0, 10**40), st.integers(0, 10**25))
def test_right_columns_give_the_exact_sum(x, y):
    """For summands of any lengths the columns end in x + y, with as many steps as the longer one has digits."""
    task = Addition(x, y)
    columns, state = solve(task)
    assert task.steps == max(len(str(x)), len(str(y)))
    assert task.done(state) and task.answer(state) == x + y
    assert task.check(columns) is None


def test_the_longest_numbers_are_exact():
    """4,000 nines and one give 1 and 4,000 zeros: the carry runs through, and the answer can be written as JSON."""
    task = Addition(10**4000 - 1, 1)
    columns, state = solve(task)
    assert task.answer(state) == 10**4000
    assert task.check(columns) is None


def test_the_columns_of_a_small_sum():
    """57 + 68 by hand."""
    columns, state = solve(Addition(57, 68))
    assert columns == [Column(5, 1), Column(2, 1)]
    assert state == State("52", 1)


def test_an_off_by_one_sum_is_wrong():
    """A sum that differs in the last of 30 digits is not the goal."""
    task = Addition(10**29 + 1, 10**29)
    _, state = solve(task)
    assert not task.done(state._replace(digits="2" + state.digits[1:]))
    assert not task.done(state._replace(carry=1))
    assert not task.done(task.initial_state())


@pytest.mark.parametrize(
    "text",
    [
        "digit = 3",
        "carry = 1",
        "digit = 3\ncarry = 2",
        "digit = 13\ncarry = 1",
        "digit = -3\ncarry = 0",
        "digit = 3\ncarry =",
    ],
)
def test_a_column_is_a_digit_and_a_carry_of_0_or_1(text):
    """Anything else has no vote."""
    with pytest.raises(ValueError, match=r"digit|carry"):
        Addition().parse(text)


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.integers(0, 10**40), st.integers(0, 10**25))
def test_questions_give_the_exact_sum(x, y):
    """Two additions a column, cut into digit and carry by the code, end in x + y."""
    task = Addition(x, y, design="questions")
    sums, state = solve(task)
    assert len(sums) == task.steps == 2 * max(len(str(x)), len(str(y)))
    assert task.done(state) and task.answer(state) == x + y
    assert task.check(sums) is None


def test_the_questions_of_a_small_sum():
    """57 + 68 by hand: what is asked is one addition each, and what is answered is its sum."""
    task = Addition(57, 68, "questions")
    state, asked = task.initial_state(), []
    for answer in (15, 15, 11, 12):
        asked.append((task.kind(state, 0), task.prompt(state, 0).removesuffix(" Answer with the number alone.")))
        state = task.apply(state, answer)
    assert asked == [("digits", "What is 7 + 8?"), ("carry", "What is 15 + 0?"),
                     ("digits", "What is 5 + 6?"), ("carry", "What is 11 + 1?")]  # fmt: skip
    assert task.answer(state) == 125 and task.done(state)
