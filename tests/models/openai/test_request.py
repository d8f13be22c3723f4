"""What is sent: all that was asked."""

from __future__ import annotations

import orjson
import pytest

from maker.decision.address import Address
from maker.decision.sample import Request
from maker.errors import ModelError, TaskError
from maker.models.openai.request import Dialect, _with_wish, encode_request, extra_mark
from maker.models.openai.target import Target


def request(**changes):
    """Return a request."""
    fields = {"address": Address("run", 3, 0), "prompt": "p", "seed": 2**63 + 5, "temperature": 0.5, "max_tokens": 9}
    return Request(**{**fields, **changes})


CHAT = Target.of("http://h:1/v1", "m-1")


def test_a_request_says_all_that_was_asked():
    """Chat and plain completions carry prompt, temperature, limit, stop, a seed of 31 bits, logprobs and schema."""
    body = orjson.loads(encode_request(request(stop=("\n",), schema={"type": "integer"}), CHAT, Dialect(), 2))
    seed = body.pop("seed")
    assert 0 <= seed < 2**31
    assert body == {
        "model": "m-1", "messages": [{"role": "user", "content": "p"}], "temperature": 0.5, "max_tokens": 9,
        "stop": ["\n"], "logprobs": True, "n": 2,
        "response_format": {"type": "json_schema",
                            "json_schema": {"name": "answer", "strict": True, "schema": {
                                "type": "object", "properties": {"value": {"type": "integer"}},
                                "required": ["value"], "additionalProperties": False}}},
    }  # fmt: skip
    plain = orjson.loads(encode_request(request(), Target.of("http://h:1/v1/completions", "m-1"), Dialect()))
    assert plain == {"model": "m-1", "prompt": "p", "temperature": 0.5, "max_tokens": 9, "seed": seed, "logprobs": 1}


def test_refused_fields_are_left_out_once():
    """Each optional field can be dropped once; nothing else can."""
    dialect = Dialect()
    for name in ("max_tokens", "seed", "logprobs", "temperature", "stop"):
        dialect = dialect.without(name)
        assert dialect.without(name) is None
    body = orjson.loads(encode_request(request(stop=("x",)), CHAT, dialect))
    assert sorted(body) == ["max_completion_tokens", "messages", "model"]
    assert Dialect("max_completion_tokens").without("max_tokens") is None
    assert Dialect().without("messages") is None


def test_prompts_that_json_cannot_hold_are_the_tasks_fault():
    """A lone surrogate is refused before anything is sent, naming the step."""
    with pytest.raises(TaskError, match="step 3"):
        encode_request(request(prompt="\ud800"), CHAT, Dialect())


def test_a_schema_is_lowered_form_by_form():
    """Strict, as it stands, some object, words only: from the object on the prompt tells the form, once."""
    dialect, seen = Dialect(), []
    asked = request(schema={"type": "integer"})
    while dialect is not None:
        body = orjson.loads(encode_request(asked, CHAT, dialect))
        form = body.get("response_format", {})
        told = body["messages"][-1]["content"]
        seen.append((form.get("type"), form.get("json_schema", {}).get("strict"), told.count("JSON schema"),
                     dialect.wraps(asked)))  # fmt: skip
        dialect = dialect.without("schema")
    assert seen == [
        ("json_schema", True, 0, True), ("json_schema", False, 0, False), ("json_object", None, 1, True),
        (None, None, 1, False),
    ]  # fmt: skip
    assert told.startswith("p\n\n")
    assert told.endswith('{"type":"integer"}')


def test_the_wish_goes_to_the_last_words_of_the_user():
    """Parts get one more part; what comes after the user's last message stays behind it."""
    messages = [{"role": "user", "content": [{"type": "text", "text": "p"}]}, {"role": "assistant", "content": "q"}]
    whole = request(prompt=orjson.dumps(messages).decode(), schema={})
    told = _with_wish(messages, "\n\nwish")
    assert [part["text"] for part in told[0]["content"]] == ["p", "wish"]
    assert told[1] == messages[1]
    assert _with_wish([messages[1]], "\n\nwish")[-1] == {"role": "user", "content": "wish"}
    plain = orjson.loads(encode_request(whole, Target.of("http://h:1/v1/completions", "m"), Dialect(form="words")))
    assert plain["prompt"].endswith("JSON schema: {}")


def test_fields_of_ones_own_mark_the_name():
    """The same fields in any order give the same mark, others another one; none give none."""
    assert extra_mark({}) == ""
    assert extra_mark({"a": 1, "b": [2]}) == extra_mark({"b": [2], "a": 1}) != extra_mark({"a": 1, "b": [3]})
    with pytest.raises(ModelError, match="JSON has not"):
        extra_mark({"a": float("nan")})
