"""Which function a run was given: known by its name, or by its own code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from maker.task.functions import same_function, told


def compiled(source: str, **known: Any) -> Callable[..., Any]:
    """Return what an expression is, in a file of its own."""
    return eval(compile(source, f"<{source}>", "eval"), known)  # type: ignore[no-any-return]


def adds(amount: Any) -> Callable[..., Any]:
    """Return a function that holds a value."""
    return lambda answer: answer + amount


class Reads:
    """An object that is called."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, text: str) -> str:
        return text

    def method(self, text: str) -> str:
        return text


@pytest.mark.parametrize(
    ("function", "begins"),
    [(str.casefold, "str.casefold"), (len, "len"), (compiled, "compiled "), (Reads(), "Reads"),
     (Reads().method, "Reads.method "), (compiled("lambda a: a"), "<lambda> ="),
     (adds(1), "adds.<locals>.<lambda> "), (functools.partial(adds, 1), "partial =")],
)  # fmt: skip
def test_a_function_is_told_by_its_name_first(function: Callable[..., Any], begins: str) -> None:
    """Every callable has a text that begins with its name, the same at each look."""
    assert told(function).startswith(begins)
    assert same_function(told(function), told(function))


@pytest.mark.parametrize(
    ("one", "other"),
    [("lambda a: a.strip()", "(lambda b:\n  b.strip(\n))"), ("lambda a: a in {'x', 'y'}", "lambda a: a in {'y', 'x'}"),
     ("lambda a: [x for x in a]", "lambda a: [y for y in a]")],
)  # fmt: skip
def test_a_lambda_is_its_code_and_not_its_text(one: str, other: str) -> None:
    """Line breaks, files, and the names of its own variables make no other function of a lambda."""
    assert same_function(told(compiled(one)), told(compiled(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [("lambda a: a.strip()", "lambda a: a.lstrip()"), ("lambda a: a + 1", "lambda a: a + 2"),
     ("lambda a: a + 1", "lambda a: a - 1"), ("lambda a: a", "lambda a, b=1: a"),
     ("lambda a, b=1: b", "lambda a, b=2: b"),
     ("lambda a: a + 1", "lambda a: a + 1.0"), ("lambda a: (lambda: a + 1)", "lambda a: (lambda: a + 2)"),
     ("lambda a: a in ('x',)", "lambda a: a in {'x'}")],
)  # fmt: skip
def test_another_code_is_another_function(one: str, other: str) -> None:
    """Whatever a lambda does otherwise makes it another one."""
    assert not same_function(told(compiled(one)), told(compiled(other)))


def test_what_a_function_holds_counts() -> None:
    """Two functions of one text that hold other values differ; also in a partial, and in a function that is held."""
    alike = [(adds(1), adds(1)), (functools.partial(max, 1), functools.partial(max, 1)), (adds(adds(1)), adds(adds(1)))]
    assert all(same_function(told(one), told(other)) for one, other in alike)
    one, two = functools.partial(max, 1), functools.partial(max, 2)
    others = [(adds(1), adds(2)), (one, two), (adds(adds(1)), adds(adds(2))), (adds(len), adds(abs)),
              (functools.partial(max, key=len), functools.partial(max, key=abs))]  # fmt: skip
    assert not any(same_function(told(one), told(other)) for one, other in others)


def test_a_function_that_holds_itself_has_an_end() -> None:
    """A recursive function, and one whose value is not set yet, are told all the same."""

    def down(number: int) -> Any:
        return number and down(number - 1), later

    before = told(down)
    later = 1
    assert before.startswith("test_a_function_that_holds_itself_has_an_end.<locals>.down ")
    assert not same_function(before, told(down)) and later


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("folded 670d7ea062fc974d", "folded 0123456789abcdef", True),  # a name is enough
     ("folded 670d7ea062fc974d", "wide 670d7ea062fc974d", False),
     ("<lambda> 670d7ea062fc974d", "<lambda> 670d7ea062fc974d =312:0123456789abcdef", True),  # of before: by its source
     ("<lambda> 670d7ea062fc974d", "<lambda> 670d7ea062fc974e =312:0123456789abcdef", False),
     ("<lambda> 670d7ea062fc974d =311:1123456789abcdef", "<lambda> 670d7ea062fc974d =312:0123456789abcdef", True),
     ("<lambda> 670d7ea062fc974d =312:1123456789abcdef", "<lambda> 670d7ea062fc974d =312:0123456789abcdef", False),
     ("partial", "partial =312:0123456789abcdef", True), (None, "len", False), (None, None, True), (7, "7", False),
     ("of no form", "of another", False)],
)  # fmt: skip
def test_what_a_journal_says_is_compared_as_far_as_it_goes(one: object, other: object, same: bool) -> None:
    """Names decide where they are one function's own; else code of the same Python; else the source."""
    assert same_function(one, other) == same_function(other, one) == same
