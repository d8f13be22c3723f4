"""Failure classes by code, after the fact and with the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.engine.solve.roles import DECOMPOSER, SOLVER
from maker.engine.solve.tree import Tree, address
from solve_failures import Arithmetic, classify, failures

TRUTH = Arithmetic()
ASKED: dict[str, Any] = {"role": "decomposer", "problem": "12 * 34", "refused": []}
ATOMIC: dict[str, Any] = {"role": "solver", "problem": "12 * 34", "refused": []}
COMPOSED = {
    **ATOMIC,
    "p1": "12 * 30",
    "answer1": "360",
    "p2": "12 * 4",
    "answer2": "48",
    "compose": "answer1 + answer2",
}


def split(p1: str = "12 * 30", p2: str = "12 * 4", compose: str = "answer1 + answer2") -> str:
    """Return a decomposer's reply."""
    return json.dumps({"split": {"p1": p1, "p2": p2, "compose": compose}})


@pytest.mark.parametrize(
    ("state", "text", "failure"),
    [
        (ASKED, split(), None),
        (ASKED, '{"split": null}', None),
        (ASKED, split("What is 3 * (100 + 36)?", "0 * 7", "Add answer1 + answer2."), None),
        (ASKED, "split it in two", "malformed"),
        (ASKED, split(p1="12 * 34"), "malformed"),
        (ASKED, split(p2="the rest"), "malformed"),
        (ASKED, split(compose="glue them together"), "malformed"),
        (ASKED, split(p2="multiply the result of p1 by 4"), "not independent"),
        (ASKED, split(p2="answer1 * 4"), "not independent"),
        (ASKED, split(p1="add 3 to the other answer"), "not independent"),
        (ASKED, split(p2="12 * 4 plus the previous result"), "not independent"),
        (ASKED, split(p2="12 * 5"), "wrong composition"),
        (ASKED, split(compose="answer1 - answer2"), "wrong composition"),
        (ATOMIC, '{"answer": "408"}', None),
        (ATOMIC, '{"answer": "407"}', "atomic miscalculation"),
        (ATOMIC, '{"answer": 408}', "malformed"),
        ({**ATOMIC, "problem": "the rest"}, '{"answer": "5"}', None),
        (COMPOSED, '{"answer": "408"}', None),
        (COMPOSED, '{"answer": "418"}', "composed miscalculation"),
        ({**COMPOSED, "answer2": "49"}, '{"answer": "409"}', None),
        ({**COMPOSED, "answer2": "49"}, '{"answer": "408"}', "composed miscalculation"),
        ({**COMPOSED, "answer2": "many"}, '{"answer": "5"}', None),
        ({"role": "solution judge", "problem": "p", "candidates": [1]}, '{"choice": 1}', None),
        ({"role": "solution judge", "problem": "p", "candidates": [1]}, '{"choice": 2}', "malformed"),
    ],
)
def test_each_reply_has_its_class(state, text, failure):
    """Replies are told apart by what is wrong with them; what is inherited is no failure of its own."""
    assert classify(state, text, TRUTH) == failure


def test_a_tree_names_the_problems_that_failed():
    """Only the problem with the fault is named, not the ones above it that inherit the wrong answer."""
    tree = Tree("12 * 34", 1)
    tree.decide(address(1, 0, DECOMPOSER), json.loads(split()))
    tree.decide(address(2, 0, SOLVER), {"answer": "361"})
    assert failures(tree, TRUTH) == {2: ["atomic miscalculation"]}
    tree.decide(address(3, 0, SOLVER), {"answer": "48"})
    tree.decide(address(1, 0, SOLVER), {"answer": "409"})
    assert failures(tree, TRUTH) == {2: ["atomic miscalculation"]}


def test_one_problem_can_fail_twice():
    """A wrong composition that is then followed wrongly counts as both."""
    tree = Tree("12 * 34", 1)
    tree.decide(address(1, 0, DECOMPOSER), json.loads(split(compose="answer1 - answer2")))
    for number, answer in ((2, "360"), (3, "48"), (1, "408")):
        tree.decide(address(number, 0, SOLVER), {"answer": answer})
    assert failures(tree, TRUTH) == {1: ["wrong composition", "composed miscalculation"]}


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.integers(-(10**40), 10**40), st.integers(-(10**40), 10**40), st.integers(0, 10**40))
def test_arithmetic_is_exact_at_any_size(x, y, z):
    """Sums, differences and products of long numbers are exact, in prose and in compositions."""
    assert TRUTH.truth(f"What is ({x}) * ({y}) - {z}?") == str(x * y - z)
    assert TRUTH.compose(f"({z} × answer1) + answer2", str(x), str(y)) == str(z * x + y)


@pytest.mark.parametrize("text", ["", "no number", "()", "2 ** 3", "1 2", "3 *", "-", "(1", "9" * 5000])
def test_what_is_no_expression_has_no_truth(text):
    """Powers, halves of expressions and endless numbers are None, never an exception."""
    assert TRUTH.truth(text) is None


def test_only_whole_numbers_are_composed():
    """An answer in words is not put into a composition."""
    assert TRUTH.compose("answer1 + answer2", "five", "6") is None
    assert TRUTH.compose("answer1 - answer2", "5", "-6") == "11"
