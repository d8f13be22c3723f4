"""A reply with calls as one text, and a turn as a message to go on with."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.task.tools import BadCall, ToolCall, Turn, read_reply_text, reply_text

JSON = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


@settings(max_examples=50)
@given(st.lists(st.fixed_dictionaries({"name": JSON, "arguments": JSON}), max_size=3), st.none() | st.text())
def test_a_reply_is_read_as_it_was_written(calls, text):
    """Whatever a server sent as a name or as arguments comes out as it came, nothing repaired."""
    assert read_reply_text(reply_text(calls, text)) == (calls, text)


@pytest.mark.parametrize("text", ["", "look_up", "[]", "3", '{"calls": 3, "text": ""}', '{"calls": []}', "[" * 100_000])
def test_other_texts_are_bad_calls(text):
    """A text that no server with tools gave is no turn."""
    with pytest.raises(BadCall, match="offered tools"):
        read_reply_text(text)


def test_a_turn_is_a_message():
    """Calls stand in it as chat servers take them, under ids of nine characters; a turn without calls has text only."""
    turn = Turn((ToolCall("f", {"x": 1.0}, '{"x": 1}', counted={"x": 1.0}), ToolCall("g", {})), "so").after(b"question")
    told = turn.message
    assert (told["role"], told["content"]) == ("assistant", "so")
    assert [call["function"] for call in told["tool_calls"]] == [
        {"name": "f", "arguments": '{"x": 1}'}, {"name": "g", "arguments": "{}"},
    ]  # fmt: skip
    names = [call["id"] for call in told["tool_calls"]]
    assert len(set(names)) == 2 and all(len(name) == 9 and name.isalnum() for name in names)
    assert Turn((), "done").message == {"role": "assistant", "content": "done"}
    json.dumps(told)


def test_turns_after_other_questions_have_other_ids():
    """The same call twice in one conversation is told apart, and after the same question it is not."""
    turn = Turn((ToolCall("f", {}),))
    assert turn.after(b"1").calls[0].id == turn.after(b"1").calls[0].id != turn.after(b"2").calls[0].id
