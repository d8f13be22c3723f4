"""maker.reliable: a function whose docstring is the question and whose return annotation is the answer."""

# ruff: noqa: D103, D400, D401, D419 -- docstrings here are prompts

from __future__ import annotations

import functools
import inspect
from typing import Any, Literal

import pytest
from pydantic import BaseModel

import maker
from maker.errors import TaskError, Undecided
from maker.testing import FaultServer, ScriptedModel


class Person(BaseModel):
    """An answer."""

    name: str
    age: int


script = ScriptedModel(["good", "good", "bad", "good", "good"])


@maker.reliable(model=script, k=3)
def mood(review: str, *, scale: str = "good or bad") -> Literal["good", "bad"]:
    """Is this review {scale}?

    {review}
    """
    raise AssertionError("the body is never run")


@maker.reliable(model=ScriptedModel(['{"name": "Ada", "age": 36}']))
async def person(text: str, *names: str, **facts: int) -> Person:
    """Who is it? {text} {names} {facts[age]} Answer {{"name": ..., "age": ...}}."""


class Desk:
    """Something with methods that ask."""

    name = "front"

    @maker.reliable(model=ScriptedModel(lambda request: request.prompt))
    def who(self, guest: str) -> str:
        """Greet {guest} at the {self.name} desk."""

    @staticmethod
    @maker.reliable(model=ScriptedModel(["7"]))
    def count(guests: list[str]) -> int:
        """How many are {guests}?"""


def test_a_call_asks_and_returns_the_answer():
    """The answer is of the annotated type; the prompt is the docstring with the arguments, defaults included."""
    del script.requests[:]
    assert mood("It works.") == "good"
    assert {request.prompt for request in script.requests} == {"Is this review good or bad?\n\nIt works."}
    assert len(script.requests) == 5


@pytest.mark.asyncio
async def test_an_async_function_is_awaited():
    """The decorated `async def` stays one, and takes every kind of argument."""
    assert inspect.iscoroutinefunction(person)
    assert await person("Ada", "Lovelace", age=36) == Person(name="Ada", age=36)
    expected = 'Who is it? Ada (\'Lovelace\',) 36 Answer {"name": ..., "age": ...}.'
    assert person.prompt("Ada", "Lovelace", age=36) == expected


@pytest.mark.asyncio
async def test_the_verdict_is_there_for_who_wants_it():
    """`verdict` takes the same arguments and returns all that a vote returns."""
    verdict = mood.verdict("It works.")
    assert (verdict.answer, verdict.samples, verdict.votes) == ("good", 5, {"good": 4, "bad": 1})
    assert (await person.verdict("Ada", age=36)).samples == 3


@pytest.mark.asyncio
async def test_sync_functions_work_inside_a_running_loop():
    """A plain `def` may be called in a notebook or a server."""
    assert mood("It works.") == "good"


def test_what_the_function_was_is_kept():
    """Name, docstring and signature are those of the function."""
    assert (mood.__name__, mood.__module__, mood.__doc__[:4]) == ("mood", __name__, "Is t")
    assert (
        str(inspect.signature(mood)) == "(review: 'str', *, scale: 'str' = 'good or bad') -> \"Literal['good', 'bad']\""
    )


def test_methods():
    """A decorated method is bound as any other; `self` need not be in the docstring, and may be."""
    assert Desk().who("Ada") == "Greet Ada at the front desk."
    assert Desk.count(["Ada"]) == 7


def test_braces_in_arguments_are_text():
    """What an argument holds is never read as a template."""
    assert mood.prompt("{scale} {0} }{") == "Is this review good or bad?\n\n{scale} {0} }{"


@pytest.mark.asyncio
async def test_settings_are_those_of_a_vote():
    """k, limits, flags, temperature, seed and key reach the vote."""
    model = ScriptedModel(["Paris", "PARIS", "Rome", "paris", "Rome"])

    @maker.reliable(model=model, k=2, key=str.casefold, temperature=0.7, seed=4, flags=[], limits={"max_votes": 4})
    def capital(country: str) -> str:
        """What is the capital of {country}?"""

    @maker.reliable(model=model, k=2, key=str.casefold, limits={"max_votes": 4})
    async def city(country: str) -> str:
        """What is the capital of {country}?"""

    assert capital("France") == await city("France") == "Paris"
    assert [request.temperature for request in model.requests] == [0.7, 0.7, 0.1, 0.1]
    other = ScriptedModel(["a"])
    maker.vote_sync("What is the capital of France?", model=other, seed=4)
    assert model.requests[0].seed == other.requests[0].seed


def test_schema_of_the_answer_is_sent():
    """A model that can enforce a schema gets that of the return annotation."""
    model = ScriptedModel(["7"])
    maker.reliable(model=model)(double)(3)
    assert model.requests[0].schema == {"type": "integer"}


@pytest.mark.asyncio
async def test_models_by_name():
    """A model given by name is made for each call, also from a running loop, and sees the prompt."""
    with FaultServer(lambda request: f"{request.prompt.count('x')}") as server:
        count = maker.reliable(model=server.spec("m"))(double)
        later = maker.reliable(model=server.spec("m"))(double_later)
        assert [count("xx"), count("x"), await later("xxx")] == [2, 1, 3]


def test_errors_of_the_vote():
    """Undecided and unusable models are raised as by a vote."""
    with pytest.raises(Undecided):
        maker.reliable(model=ScriptedModel(["1", "2"]), limits={"max_votes": 4})(double)(3)
    with pytest.raises(TaskError, match="gpt-17"):
        maker.reliable(model="gpt-17")(double)(3)


def test_arguments_that_do_not_fit_the_signature():
    """A wrong call is Python's own TypeError, before anything is asked."""
    del script.requests[:]
    for wrong in (mood, lambda: mood("a", "b"), lambda: mood("a", colour="red")):
        with pytest.raises(TypeError):
            wrong()
    assert script.requests == []


def test_arguments_that_do_not_fit_their_place():
    """An argument without what the docstring wants of it is a TaskError that names the function."""
    with pytest.raises(TaskError, match=r"reliable: person: the docstring cannot be filled in: KeyError: 'age'"):
        person.prompt("Ada")


# -- the wrong kind of function ------------------------------------------------------------------------------------


def double(number: int) -> int:
    """Double {number}."""


async def double_later(number: int) -> int:
    """Double {number}."""


def silent(number: int) -> int: ...


def blank(number: int) -> int:
    """ """


def untyped(number: int):
    """Double {number}."""


def nothing(number: int) -> None:
    """Double {number}."""


def unknown(number: int) -> Nowhere:  # noqa: F821 -- that is the point
    """Double {number}."""


def misspelt(number: int) -> int:
    """Double {nunber}."""


def positional(number: int) -> int:
    """Double {}."""


def open_brace(number: int) -> int:
    """Double {number."""


def unseen(number: int, factor: int) -> int:
    """Double {number}."""


def uncountable(number: int) -> complex:
    """Double {number}."""


def generated(number: int) -> int:
    """Double {number}."""
    yield 1


async def generated_later(number: int) -> int:
    """Double {number}."""
    yield 1


class Double:
    """Double {number}."""

    def __init__(self, number: int) -> None: ...

    def __call__(self, number: int) -> int:
        """Double {number}."""


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (silent, "silent has no docstring"),
        (blank, "blank has no docstring"),
        (untyped, "untyped has no return annotation"),
        (nothing, "nothing is annotated to return None"),
        (unknown, "unknown: its return annotation cannot be resolved: name 'Nowhere' is not defined"),
        (misspelt, r"misspelt: {nunber} in the docstring is no argument, there are: number"),
        (positional, r"positional: {} in the docstring is no argument"),
        (open_brace, r"open_brace: the text is no template"),
        (unseen, "unseen: the model would never see the argument factor: put {factor} in the docstring"),
        (uncountable, "uncountable: answer = <class 'complex'> holds a value"),
        (Double, "Double is a class"),
        (Double(1), "is a Double; decorate a function"),
        (lambda number: number, "<lambda> is a lambda"),
        (generated, "generated is a generator"),
        (generated_later, "generated_later is a generator"),
        (functools.partial(double, 1), "is a partial"),
        (staticmethod(double), "is a staticmethod"),
        (len, "len is a builtin_function_or_method"),
        (None, "None is a NoneType"),
    ],
)
def test_the_wrong_kind_of_function(function: Any, match: str):
    """What cannot be a question is refused where it is decorated, with its name and what to do."""
    with pytest.raises(TaskError, match=rf"^reliable: .*{match}"):
        maker.reliable(model=ScriptedModel(["1"]))(function)


def test_k_is_checked_at_definition():
    """Only runs plan their own k."""
    with pytest.raises(TaskError, match="reliable: k = 'auto'"):
        maker.reliable(model=ScriptedModel(["1"]), k="auto")
