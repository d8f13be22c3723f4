"""Tools as they are given: the schemas that go out, and the arguments that come back, typed or refused."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import AnyUrl, BaseModel, Field

import maker
from maker.api.tools.offered import tools_of
from maker.errors import TaskError
from maker.task.tools import BadCall


class Place(BaseModel):
    """An argument with fields."""

    x: int
    note: Annotated[str, maker.unvoted] = ""


@dataclass
class Size:
    """Another."""

    width: float


def put(
    item: Annotated[str, Field(description="Its name.")], place: Place, *, on: datetime.date, size: Size | None = None,
    tags: list[str] = ["a"], why: Annotated[str, maker.unvoted] = "",  # noqa: B006 -- is it a default that is shared?
) -> None:  # fmt: skip
    """Put an item somewhere.

    More of it.
    """
    raise AssertionError("a tool was run")


class Shop:
    """A tool may be a method."""

    async def buy(self, json: int, schema: Literal["a", "b"] = "a") -> None:
        """Buy it."""


SCHEMA = {
    "name": "go",
    "description": "Go.",
    "parameters": {"type": "object", "properties": {"far": {"type": "number"}}},
}


def only(tool: Any) -> Any:
    """Return the tool that is made of what is given."""
    (made,) = tools_of("vote", [tool]).values()
    return made


def test_a_function_tells_its_schema():
    """Name, the whole docstring, and each argument with type, description and default; no others are allowed."""
    told = only(put).schema["function"]
    assert (told["name"], told["description"]) == ("put", "Put an item somewhere.\n\nMore of it.")
    assert told["parameters"]["required"] == ["item", "place", "on"]
    assert told["parameters"]["additionalProperties"] is False
    assert told["parameters"]["properties"]["item"] == {"title": "Item", "type": "string", "description": "Its name."}
    assert told["parameters"]["properties"]["why"]["default"] == ""
    assert set(told["parameters"]["properties"]) == {"item", "place", "on", "size", "tags", "why"}


def test_arguments_of_a_function_are_typed():
    """They are of the types of the signature, defaults filled in; what is unvoted, however deep, does not count."""
    call = only(put).call('{"item": "nut", "place": {"x": 1, "note": "n"}, "on": "2026-01-02", "size": {"width": 2}}')
    assert call.arguments == {
        "item": "nut", "place": Place(x=1, note="n"), "on": datetime.date(2026, 1, 2), "size": Size(2.0), "tags": ["a"],
        "why": "",
    }  # fmt: skip
    other = only(put).call({
        "place": {"x": 1}, "on": "2026-01-02", "why": "so", "item": "nut", "tags": ["a"], "size": {"width": 2.0},
    })  # fmt: skip
    assert other.counted == call.counted and other.arguments != call.arguments
    assert only(put).unvoted == ("place.note", "why")
    call.arguments["tags"].append("b")
    assert only(put).call('{"item": "", "place": {"x": 1}, "on": "2026-01-02"}').arguments["tags"] == ["a"]


def test_methods_and_names_that_models_have():
    """A bound method is a tool without self; arguments may be named as methods of pydantic are."""
    assert only(Shop().buy).call('{"json": 3}').arguments == {"json": 3, "schema": "a"}


@pytest.mark.parametrize("given", [SCHEMA, {"type": "function", "function": SCHEMA}])
def test_a_schema_goes_out_as_it_came(given):
    """In the form of chat servers, whichever of the two it was given in; its numbers have one form."""
    tool = only(given)
    assert tool.schema == {"type": "function", "function": SCHEMA}
    assert tool.call('{"far": 1}').counted == tool.call({"far": 1.0}).arguments == {"far": 1.0}


@pytest.mark.parametrize("nothing", [None, "", "{}", {}])
def test_no_arguments(nothing):
    """What servers send for a call without arguments is an empty object."""
    assert only({"name": "stop"}).call(nothing).arguments == {}


@pytest.mark.parametrize("arguments", [
    '{"json": "3"}', '{"json": 3, "more": 1}', "{}", "{", '{"json": 3, "json": 4}', "[3]", "null", 3, ["json"], "NaN",
    '{"json": NaN}', {"json": float("nan")}, "[" * 100_000,
])  # fmt: skip
def test_arguments_that_do_not_fit_are_bad_calls(arguments):
    """Nothing is repaired: no text becomes a number, no field is left out, no JSON is mended; the tool is named."""
    with pytest.raises(BadCall, match="buy: "):
        only(Shop().buy).call(arguments)


@pytest.mark.parametrize("arguments", ['{"far": "1"}', "[]", '{"far": NaN}', '{"far": 1, "far": 1}', '{"far": 1e999}'])
def test_arguments_against_a_schema_are_bad_calls(arguments):
    """As for a function."""
    with pytest.raises(BadCall, match="go: "):
        only(SCHEMA).call(arguments)


def no_docstring(x: int) -> None: ...  # noqa: D103
def no_annotation(x) -> None:
    """Do it."""


def many(*x: int) -> None:
    """Do it."""


def first(x: int, /) -> None:
    """Do it."""


def url(x: AnyUrl) -> None:
    """Do it."""


def thing(x: Shop) -> None:
    """Do it."""


REFUSED = [
    (no_docstring, "docstring"), (no_annotation, "no annotation"), (many, "by name"), (first, "by name"),
    (url, "cannot be compared"), (thing, "no type"), (Shop, "neither"), (3, "neither"), (lambda x: x, "docstring"),
    ({"description": "x"}, "no name"), ({"name": "a b"}, "letters"),
    ({"name": "f", "parameters": {"if": {}}}, "'if'"),
    ({"name": "f", "parameters": {"pattern": "("}}, "cannot be checked"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "word"), REFUSED)
def test_what_is_no_tool_is_refused(given, word):
    """With the reason, before anything is asked."""
    with pytest.raises(TaskError, match=word):
        tools_of("vote", [given])


@pytest.mark.parametrize("given", [[], "look_up", put, 3, [SCHEMA, SCHEMA]])
def test_what_is_no_list_of_tools_is_refused(given):
    """At least one, each with a name of its own."""
    with pytest.raises(TaskError, match=r"^vote: (tools =|there are two)"):
        tools_of("vote", given)
