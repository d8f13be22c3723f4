"""The forms of known servers, as their documentation has them: replies are read, refusals are got over, errors told.

docs/servers.md says of each what was tested how; that it says the truth is tested here, too.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import maker
from maker.decision.address import Address
from maker.decision.sample import Failure, Reply, Request
from maker.models.openai.negotiate import FOUND
from maker.models.providers import PROVIDERS
from maker.testing import FaultServer, error
from maker.testing import Reply as Told

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "servers.md").read_text()
USAGE = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
THINKING = {"completion_tokens_details": {"reasoning_tokens": 10}}


def reply(message: dict[str, Any], finish: str = "stop", *, choice: Any = (), usage: Any = (), **fields: Any) -> Any:
    """Return a chat completion with a server's own fields."""
    whole = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **dict(choice)}
    return {"object": "chat.completion", "created": 1, "model": "m", "choices": [whole],
            "usage": {**USAGE, **dict(usage)}, **fields}  # fmt: skip


OK = {"content": "OK"}
SAFE = {"hate": {"filtered": False, "severity": "safe"}}
# A reply as the server's documentation has it, and what is to be read of it beside the text OK.
REPLIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "openai": (
        reply({**OK, "refusal": None, "annotations": []}, id="chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
              system_fingerprint="fp_44709d6fcb", service_tier="default", choice={"logprobs": None},
              usage={"prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0}, **THINKING}),
        {"cached": 4, "tokens_reasoning": 10, "fingerprint": "fp_44709d6fcb",
         "response_id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"},
    ),
    "azure": (
        reply(OK, id="chatcmpl-6v7mkQj980V1yBec6ETrKPRqFjNw9", model="gpt-4o-2024-08-06",
              choice={"content_filter_results": SAFE},
              prompt_filter_results=[{"prompt_index": 0, "content_filter_results": SAFE}]),
        {"model": "gpt-4o-2024-08-06"},
    ),
    "openrouter": (
        reply({**OK, "reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
              id="gen-1764403200-Zx8Jm3qLk2WvTn5RbYdE", provider="Some", model="vendor/m",
              choice={"native_finish_reason": "STOP"}, usage={"cost": 0.00014, **THINKING}),
        {"reasoning": "hm", "tokens_reasoning": 10, "model": "vendor/m"},
    ),
    "groq": (
        reply({**OK, "reasoning": "hm"}, id="chatcmpl-f51b2cd2-bef7-417e-964e-a08f0b513c22", x_groq={"id": "req_1"},
              system_fingerprint="fp_179b0f92c9", usage={"queue_time": 0.03, "total_time": 0.1}),
        {"reasoning": "hm", "fingerprint": "fp_179b0f92c9"},
    ),
    "mistral": (
        reply({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
                           {"type": "text", "text": "OK"}], "tool_calls": None},
              id="cmpl-e5cc70bb28c444948073e77776eb30ef"),
        {"reasoning": "hm", "response_id": "cmpl-e5cc70bb28c444948073e77776eb30ef"},
    ),
    "deepseek": (
        reply({**OK, "reasoning_content": "hm"}, id="930c60df-bf64-41c9-a88e-3ec75f81e00e",
              usage={"prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 1, **THINKING}),
        {"reasoning": "hm", "cached": 8, "tokens_reasoning": 10},
    ),
    "gemini": (
        reply(OK, id="Yl5qaO7bE9TnvdIPqZ6YuQc", model="models/m"),
        {"model": "models/m"},
    ),
    "anthropic": (
        reply(OK, id="msg_01XFDUDYJgAACzvnptvVoYEL", model="claude-m-20250929"),
        {"model": "claude-m-20250929", "response_id": "msg_01XFDUDYJgAACzvnptvVoYEL"},
    ),
    "together": (
        reply({**OK, "tool_calls": []}, "eos", id="nZqVvKD-4yUbBN-94b1c2d3e4f5a6b7", prompt=[],
              choice={"seed": 5044356741276418000, "logprobs": None}),
        {"finish_reason": "eos"},
    ),
    "fireworks": (
        reply({"content": "<think>hm</think>OK"}, id="e5a6b7c8-1f2e-4d3c-9b8a-7f6e5d4c3b2a",
              model="accounts/fireworks/models/m", usage={"prompt_tokens_details": {"cached_tokens": 0}}),
        {"reasoning": "hm", "cached": 0, "model": "accounts/fireworks/models/m"},
    ),
    "ollama": (
        reply({**OK, "reasoning": "hm"}, id="chatcmpl-123", system_fingerprint="fp_ollama"),
        {"reasoning": "hm", "response_id": None, "fingerprint": "fp_ollama"},
    ),
    "lmstudio": (
        reply({**OK, "reasoning_content": "hm"}, id="chatcmpl-b6p9x6lxmsrkljcnalqs0h", stats={},
              system_fingerprint="m", usage=THINKING),
        {"reasoning": "hm", "tokens_reasoning": 10},
    ),
    "vllm": (
        reply({**OK, "reasoning": "hm", "reasoning_content": "hm", "tool_calls": []}, prompt_logprobs=None,
              id="chatcmpl-0b9d4a6f5c7e4f3a8d2e1c0b9a8f7e6d", kv_transfer_params=None,
              choice={"stop_reason": None, "token_ids": None,
                      "logprobs": {"content": [{"token": "OK", "logprob": -0.5, "bytes": [], "top_logprobs": []}]}}),
        {"reasoning": "hm", "logprob": -0.5},
    ),
}  # fmt: skip

# What a server refuses, and the words in which its documentation or public bug reports of other clients have it.
REFUSALS: dict[str, tuple[str, Any]] = {
    "openai": ("temperature", error(
        400, "Unsupported value: 'temperature' does not support 0.1. Only the default (1) value is supported.",
        param="temperature", code="unsupported_value")),
    "openai, another limit": ("max_tokens", error(
        400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
        param="max_tokens", code="unsupported_parameter")),
    "groq": ("logprobs", error(400, "property 'logprobs' is unsupported")),
    "mistral": ("seed", Told(status=422, body={"object": "error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}]},
        "type": "invalid_request_error", "code": None})),
    "gemini": ("logprobs", Told(status=400, body=[{"error": {
        "code": 400, "message": "Logprobs is not enabled for models/m", "status": "INVALID_ARGUMENT"}}])),
    "deepseek": ("response_format", error(400, "This response_format type is unavailable now")),
    "anthropic": ("response_format", Told(status=400, body={"error": {
        "code": "invalid_request_error", "message": "response_format: unsupported", "type": "invalid_request_error"}})),
}  # fmt: skip

# An error, the kind of failure that it is, and what is told of it.
ERRORS: dict[str, tuple[Any, str, str]] = {
    "azure, no deployment": (Told(status=404, body={"error": {
        "code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}),
        "fatal", "The API deployment for this resource does not exist"),
    "azure, 401": (Told(status=401, body={"error": {"code": "401", "message": "Access denied due to invalid key"}}),
                   "fatal", "Access denied"),
    "openrouter, no credit": (Told(status=402, body={"error": {"code": 402, "message": "Insufficient credits"}}),
                              "fatal", "Insufficient credits"),
    "openrouter, in a good reply": (
        Told(body={"error": {"code": 502, "message": "Provider returned error", "metadata": {"provider_name": "x"}}}),
        "transient", "Provider returned error"),
    "anthropic, overloaded": (Told(status=529, body={"type": "error", "error": {
        "type": "overloaded_error", "message": "Overloaded"}}), "transient", "Overloaded"),
    "groq, too fast": (error(429, "Rate limit reached", code="rate_limit_exceeded", headers={"retry-after": "2"}),
                       "transient", "Rate limit reached"),
    "ollama, no model": (error(404, "model 'm' not found", code=None, type="api_error"), "fatal", "not found"),
    "lmstudio, nothing loaded": (error(404, "No models loaded. Please load a model in the developer page."),
                                 "transient", "It is loading"),
    "vllm, too long": (error(400, "This model's maximum context length is 4096 tokens.", type="BadRequestError"),
                       "fatal", "maximum context length"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def forgetful() -> None:
    """Forget what servers were found to take."""
    FOUND.clear()


def drawn(told: Any) -> Reply:
    """Draw once from a server that always replies so."""

    async def main(url: str) -> Reply:
        model = maker.openai_model(url, "m")
        try:
            return (await model.draw([Request(Address("r", 0, 0), "what?", 7)]))[0]
        finally:
            await model.aclose()

    with FaultServer(lambda received: told) as server:
        return asyncio.run(main(server.url))


@pytest.mark.parametrize("kind", REPLIES)
def test_a_reply_in_the_servers_form_is_read(kind: str) -> None:
    """The text, apart from the thought; usage, ids, marks and the reason for the end."""
    body, told = REPLIES[kind]
    sample = drawn(Told(body=body))
    expected = {"text": "OK", "tokens_in": 9, "tokens_out": 12, "finish_reason": "stop", "model": "m", **told}
    assert {name: getattr(sample, name) for name in expected} == expected


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_the_server_refuses_is_left_out(kind: str) -> None:
    """The vote works at once, without the field or in a form that is taken."""
    field, refused = REFUSALS[kind]
    with FaultServer(lambda received: refused if field in received.body else Told("42")) as server:
        assert maker.vote_sync("6 x 7?", model=server.spec("m"), answer=int).answer == 42
        assert len(server.requests) <= 3 + 12


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_in_the_servers_form_is_told(kind: str) -> None:
    """In the server's own words, and as passing or final as it is."""
    told, what, words = ERRORS[kind]
    failure = drawn(told)
    assert isinstance(failure, Failure)
    assert failure.kind == what
    assert words in failure.detail


def test_the_table_of_servers_is_true() -> None:
    """docs/servers.md has each provider with its address and variable, and names tests that there are."""
    for prefix, (url, variable, _) in PROVIDERS.items():
        (row,) = re.findall(rf"^\| `{prefix}:.*$", TABLE, re.MULTILINE)
        assert f"`{url}`" in row
        assert variable in row
        assert prefix in REPLIES
    named = re.findall(r"`((?:\w+/)+test_\w+\.py)`, `(test_\w+)`", TABLE)
    assert len(named) >= 8
    assert [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()] == []
