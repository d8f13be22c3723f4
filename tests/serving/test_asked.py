"""Bodies of three routes become one question, and nothing that would change an answer is dropped in silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from maker.serving.asked import LONGEST, chat, completion, response
from maker.serving.refused import Refused

HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}}
LOOK = {"name": "look", "description": "Look.", "parameters": {"type": "object"}}


def body(**fields: Any) -> bytes:
    """Return the body of a chat."""
    return json.dumps({"model": "any", "messages": HELLO, **fields}).encode()


def test_what_a_chat_asks_is_read():
    """Messages, settings and the schema reach the question as the client wrote them."""
    form = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
    asked = chat(body(temperature=1, seed=7, stop="END", max_completion_tokens=9, response_format=form, stream=True,
                      stream_options={"include_usage": True}, user="me"), {})  # fmt: skip
    assert (asked.prompt, asked.schema, asked.stream, asked.counted) == (HELLO, SCHEMA, True, True)
    assert asked.asking == {"max_tokens": 9, "long_answer": 9, "stop": ["END"], "seed": 7, "temperature": 1}
    assert chat(body(), {}).asking == {"max_tokens": LONGEST, "long_answer": LONGEST, "stop": []}
    assert chat(body(response_format={"type": "json_object"}), {}).schema == {"type": "object"}
    assert chat(body(response_format={"type": "text"}), {}).schema is None


def test_the_vote_is_set_in_the_body_and_in_headers():
    """Headers say the same as `maker` in the body, which stands before them."""
    headers = {"x-maker-k": "5", "x-maker-max-votes": "40", "x-maker-max-cost": "0.5"}
    assert chat(body(), headers).voting == {"k": 5, "max_votes": 40, "max_cost": 0.5}
    assert chat(body(maker={"k": 2}), headers).voting == {"k": 2, "max_votes": 40, "max_cost": 0.5}


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"n": 2}, "n"), ({"tools": [{"type": "function"}]}, "tools"),
     ({"tool_choice": "required"}, "tool_choice"), ({"top_p": 0.5}, "top_p"),
     ({"tools": [LOOK], "tool_choice": {"type": "function", "function": {"name": "go"}}}, "tools"),
     ({"tools": [LOOK | {"parameters": {"unheard": 1}}]}, "tools"), ({"tools": [LOOK, LOOK]}, "tools"),
     ({"tools": [LOOK], "response_format": {"type": "json_object"}}, "response_format"),
     ({"tools": [LOOK], "parallel_tool_calls": False}, "parallel_tool_calls"),
     ({"logit_bias": {"50256": -100}}, "logit_bias"), ({"reasoning_effort": "low"}, "reasoning_effort"),
     ({"logprobs": True}, "logprobs"), ({"maker": {"kk": 3}}, "maker"), ({"temperature": -1}, "temperature"),
     ({"messages": []}, "messages"), ({"seed": "7"}, "seed"), ({"max_tokens": 0}, "max_tokens"),
     ({"response_format": {"type": "json_schema"}}, "response_format"),
     ({"response_format": {"type": "xml"}}, "response_format.type")],
)  # fmt: skip
def test_what_is_not_carried_out_is_refused_by_its_name(fields: dict[str, Any], named: str):
    """The error names the field and says what to do."""
    with pytest.raises(Refused) as why:
        chat(body(**fields), {})
    assert why.value.status == 400 and why.value.param == named and named.partition(".")[0] in str(why.value)


def test_what_changes_nothing_is_taken():
    """Fields at the value that means nothing, and fields about bookkeeping, are no reason to refuse."""
    chat(body(n=1, top_p=1.0, tools=None, logit_bias={}, presence_penalty=0, logprobs=False, store=False), {})


def test_tools_are_read_with_their_choice():
    """As the client wrote them; where none may be called there are none."""
    assert chat(body(tools=[LOOK], tool_choice="required"), {}).tools == ([LOOK], "required")
    assert chat(body(tools=[LOOK]), {}).tools == ([LOOK], None)
    for none in ({"tools": [LOOK], "tool_choice": "none"}, {"tools": []}, {"tool_choice": "auto"}, {}):
        assert chat(body(**none), {}).tools is None
    with pytest.raises(Refused, match="/v1/chat/completions"):
        completion(json.dumps({"prompt": "x", "tools": [LOOK]}).encode(), {})


def test_a_completion_has_a_prompt():
    """Plain text is asked as it stands; a list of token numbers is refused."""
    assert completion(b'{"model": "m", "prompt": "hello", "max_tokens": 3}', {}).prompt == "hello"
    with pytest.raises(Refused, match="prompt"):
        completion(b'{"model": "m", "prompt": [1, 2]}', {})


def test_a_response_is_read_as_messages():
    """Instructions become the system message, parts of text one text, and the schema stands in `text.format`."""
    form = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}
    message = {"role": "user", "content": [{"type": "input_text", "text": "hello"}]}
    told = {"input": [message], "instructions": "Be short", "text": form, "max_output_tokens": 5}
    asked = response(json.dumps(told).encode(), {})
    assert asked.prompt == [{"role": "system", "content": "Be short"}, *HELLO]
    assert (asked.schema, asked.asking["max_tokens"]) == (SCHEMA, 5)
    assert response(b'{"input": "hello"}', {}).prompt == "hello"
    for bad in ({"input": [{"type": "function_call_output"}]}, {"input": "x", "text": {"format": 3}},
                {"input": "x", "previous_response_id": "r"}):  # fmt: skip
        with pytest.raises(Refused):
            response(json.dumps(bad).encode(), {})


def test_calls_of_a_response_are_read_as_a_chats():
    """Calls join what was said before them, results follow by their ids, and tools are nested as a chat has them."""
    function = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    calls = [{"type": "function_call", "call_id": name, "name": "look", "arguments": "{}"} for name in "ab"]
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "I look"}]}
    done = {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "nothing"}]}
    told = {"input": [*HELLO, said, *calls, done], "tools": [{"type": "function", **function, "strict": None}],
            "tool_choice": {"type": "function", "name": "look"}}  # fmt: skip
    asked = response(json.dumps(told).encode(), {})
    made = [{"id": name, "type": "function", "function": {"name": "look", "arguments": "{}"}} for name in "ab"]
    assert asked.prompt == [
        *HELLO, {"role": "assistant", "content": "I look", "tool_calls": made},
        {"role": "tool", "tool_call_id": "b", "content": "nothing"},
    ]  # fmt: skip
    choice = {"type": "function", "function": {"name": "look"}}
    assert asked.tools == ([{"type": "function", "function": function}], choice)


@pytest.mark.parametrize(
    "bad",
    [{"tools": [{"type": "web_search"}]}, {"tools": [{"type": "function"}]}, {"tool_choice": {"type": "allowed_tools"}},
     {"input": [{"type": "reasoning", "content": "hm"}]}, {"input": [{"type": "function_call", "arguments": "{}"}]},
     {"input": [{"content": "hello"}]}, {"conversation": "c"}, {"tool_choice": "required"}],
)  # fmt: skip
def test_what_a_response_cannot_ask_for_is_named(bad: dict[str, Any]):
    """Tools that run elsewhere, other items, and a conversation that is kept elsewhere are refused by their field."""
    with pytest.raises(Refused, match="|".join(bad)):
        response(json.dumps({"input": "hello", **bad}).encode(), {})


def test_a_header_that_is_no_number_is_refused():
    """It is not taken for the default."""
    with pytest.raises(Refused, match="no number"):
        chat(body(), {"x-maker-k": "many"})
