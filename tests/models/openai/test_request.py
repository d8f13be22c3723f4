"""What is sent: all that was asked."""

from __future__ import annotations

import orjson
import pytest

from maker.decision.address import Address
from maker.decision.sample import Request
from maker.errors import TaskError
from maker.models.openai.request import Dialect, encode_request
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
                            "json_schema": {"name": "answer", "strict": True, "schema": {"type": "integer"}}},
    }  # fmt: skip
    plain = orjson.loads(encode_request(request(), Target.of("http://h:1/v1/completions", "m-1"), Dialect()))
    assert plain == {"model": "m-1", "prompt": "p", "temperature": 0.5, "max_tokens": 9, "seed": seed, "logprobs": 1}


def test_refused_fields_are_left_out_once():
    """Each optional field can be dropped once; nothing else can."""
    dialect = Dialect()
    for name in ("max_tokens", "seed", "logprobs", "schema"):
        dialect = dialect.without(name)
        assert dialect.without(name) is None
    body = orjson.loads(encode_request(request(schema={}), CHAT, dialect))
    assert sorted(body) == ["max_completion_tokens", "messages", "model", "temperature"]
    assert Dialect("max_completion_tokens").without("max_tokens") is None
    assert Dialect().without("temperature") is None


def test_prompts_that_json_cannot_hold_are_the_tasks_fault():
    """A lone surrogate is refused before anything is sent, naming the step."""
    with pytest.raises(TaskError, match="step 3"):
        encode_request(request(prompt="\ud800"), CHAT, Dialect())
