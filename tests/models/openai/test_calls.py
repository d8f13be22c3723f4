"""The calls in a message, in every form that servers have for them."""

from __future__ import annotations

import pytest

from maker.models.openai.calls import add_piece, calls_in

F = {"name": "f", "arguments": '{"x":1}'}
READ = [{"name": "f", "arguments": '{"x":1}'}]
FORMS = {
    "openai": ({"tool_calls": [{"id": "c", "type": "function", "function": F}]}, READ),
    "parallel": ({"tool_calls": [{"function": F}, {"function": {"name": "g", "arguments": "{}"}}]},
                 [*READ, {"name": "g", "arguments": "{}"}]),
    "object": ({"tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
               [{"name": "f", "arguments": {"x": 1}}]),
    "flat": ({"tool_calls": [{"name": "f", "arguments": {}}]}, [{"name": "f", "arguments": {}}]),
    "no arguments": ({"tool_calls": [{"function": {"name": "f"}}]}, [{"name": "f", "arguments": None}]),
    "older": ({"function_call": F, "tool_calls": []}, READ),
    "none": ({"content": "x", "tool_calls": None}, []),
    "no list": ({"tool_calls": {"function": F}}, []),
    "no call": ({"tool_calls": [3, {"function": 4}]}, [{"name": None, "arguments": None}] * 2),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    """Name and arguments come out as they came, whatever stands around them; what is no call stays to be seen."""
    message, calls = FORMS[form]
    assert calls_in(message) == calls


def test_pieces_of_a_stream_make_the_calls():
    """By their numbers: a name comes once, arguments in parts; an object comes whole; what is no piece is left out."""
    calls: list = []
    for piece in (
        {"index": 0, "function": {"name": "f", "arguments": ""}}, {"index": 1, "function": {"name": "g"}},
        {"index": 0, "function": {"arguments": '{"x"'}}, {"index": 0, "function": {"arguments": ":1}"}},
        {"index": 1, "function": {"arguments": {"y": 2}}}, 3, {"index": 1},
    ):  # fmt: skip
        add_piece(calls, piece)
    assert calls_in({"tool_calls": calls}) == [*READ, {"name": "g", "arguments": {"y": 2}}]
