"""What is sent: all that was asked, to an address that can hold no key."""

from __future__ import annotations

import orjson
import pytest

from maker.decision.address import Address
from maker.decision.sample import Request
from maker.errors import ModelError, TaskError
from maker.models.openai.request import Dialect, encode_request
from maker.models.openai.target import OPENAI, Target

CANARY = "sk-canary-5f1e77"


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


@pytest.mark.parametrize(
    ("url", "api", "posts_to", "name"),
    [
        (
            "http://127.0.0.1:8080/v1",
            "chat",
            "http://127.0.0.1:8080/v1/chat/completions",
            "http://127.0.0.1:8080/v1#m-1",
        ),
        ("http://h/v1/", "chat", "http://h/v1/chat/completions", "http://h/v1#m-1"),
        ("https://h/v1/chat/completions", "chat", "https://h/v1/chat/completions", "https://h/v1#m-1"),
        ("http://h/v1/completions", "completions", "http://h/v1/completions", "http://h/v1/completions#m-1"),
        ("http://[::1]:9/v1", "chat", "http://[::1]:9/v1/chat/completions", "http://[::1]:9/v1#m-1"),
        (OPENAI, "chat", "https://api.openai.com/v1/chat/completions", "openai:m-1"),
    ],
)
def test_addresses_are_read(url, api, posts_to, name):
    """The base URL gives the route and the name of the fingerprint; one that ends in a route names the API."""
    target = Target.of(url, "m-1")
    assert (target.api, target.url, target.name) == (api, posts_to, name)


@pytest.mark.parametrize(
    "url",
    [f"http://{CANARY}@h/v1", f"http://u:{CANARY}@h/v1", f"https://h/v1?api_key={CANARY}", "http://h/v1?", "ftp://h/v1",
     "h:8080/v1", "http:///v1", "http://h:99999/v1", "http://[::1/v1", "", f"{CANARY}", "http://a b/v1"],
)  # fmt: skip
def test_addresses_that_could_hold_a_key_are_refused(url):
    """User names, queries and what is no URL are refused without being repeated."""
    with pytest.raises(ModelError) as caught:
        Target.of(url, "m-1")
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_model_name_is_asked_for():
    """An address without #NAME says how to give one."""
    with pytest.raises(ModelError, match="#NAME"):
        Target.of("http://h/v1", "")
