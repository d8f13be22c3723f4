"""The first vote on a server as others run it: it works, or one line says what to do.

Each row is a kind of server, in forms that several are known to have; the question is always the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import pytest

import maker
from maker.testing import FaultServer, Reply
from maker.testing.replies import Received, error

ANSWER = "42"
Behaviour = Callable[[Received], Any]


def refusing(field: str, reply: Reply) -> Behaviour:
    """Refuse every request that has a field."""
    return lambda received: reply if field in received.body else Reply(ANSWER)


def always(**settings: Any) -> Behaviour:
    """Answer so each time."""
    return lambda _: Reply(**{"text": ANSWER, **settings})


def listed(message: str) -> Reply:
    """Return an error as a list of one, as some gateways send it."""
    return Reply(status=400, body=b'[{"error": {"code": 400, "message": "%s"}}]' % message.encode())


def complaint(field: str) -> dict[str, Any]:
    """Return a complaint that names the field in a path alone."""
    return {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}


STREAM = (
    b'data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"4"},"finish_reason":null}]}\n\n'
    b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"2"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
USAGE = {"prompt_tokens": 9, "completion_tokens": 2000, "completion_tokens_details": {"reasoning_tokens": 1990}}


def thinking(**cut: Any) -> Behaviour:
    """Think for 5,000 tokens, and be cut off where that is not allowed."""

    def reply(received: Any) -> Reply:
        limit = received.body["max_tokens"]
        usage = {"prompt_tokens": 9, "completion_tokens": min(limit, 5_000)}
        whole = {"message": {"content": ANSWER}, "finish_reason": "stop"}
        return Reply(
            fields={
                "choices": [whole if limit > 5_000 else {"message": cut, "finish_reason": "length"}],
                "usage": usage,
            }
        )

    return reply


WORKS: dict[str, Behaviour] = {
    "no temperature but its own": lambda r: (
        error(400, "Only the default (1) value is supported.", param="temperature", code="unsupported_value")
        if r.body.get("temperature") not in (None, 1) else Reply(ANSWER)
    ),
    "no logprobs, 403": refusing("logprobs", error(403, "You are not allowed to request logprobs from this model")),
    "no logprobs, 500": refusing("logprobs", Reply(status=500, body=b"Internal Server Error")),
    "no logprobs, in a list": refusing("logprobs", listed("Logprobs is not enabled for this model")),
    "no seed, in a list": refusing("seed", listed("Invalid JSON payload received. Unknown name: Cannot find field.")),
    "no schema": refusing("response_format", error(400, "This response_format type is unavailable now")),
    "no schema, in words of its own": refusing("response_format", error(400, "failed to parse grammar")),
    "a field named by its path": refusing("seed", Reply(status=422, body={"message": {"detail": [complaint("seed")]}})),
    "a field named in a detail": refusing("logprobs", Reply(status=422, body={"detail": [complaint("logprobs")]})),
    "a refusal without a word": refusing("logprobs", Reply(status=400, body=b"")),
    "a refusal in another language": refusing("seed", error(400, "参数不支持")),
    "another name": always(fields={"model": "bedrock/another-1"}),
    "no name": always(fields={"model": None}),
    "ids of three digits": lambda r: Reply(ANSWER, fields={"id": f"chatcmpl-{r.number % 2}"}),
    "one id for all": always(fields={"id": "chatcmpl-1"}),
    "a thought in the text": always(text=f"<think>\n6*7=42\n</think>\n\n{ANSWER}"),
    "a thought that was opened before": always(text=f"6*7... </think>\n{ANSWER}"),
    "a thought in a field": always(message={"reasoning_content": "6*7 is 42"}),
    "a long thought, counted": always(fields={"usage": USAGE}),
    "no usage": always(fields={"usage": None}),
    "a code fence": always(text=f"```json\n{ANSWER}\n```"),
    "a stream": always(body=STREAM, headers={"Content-Type": "text/event-stream"}),
    "a thought longer than the token limit": thinking(content="", reasoning_content="6*7... " * 99),
    "a thought in the text that is cut off": thinking(content="<think>6*7... " * 99),
    "a thought that is not shown": thinking(content=None),
    "another word for the end": always(finish="end_turn"),
    "no seed, in a good reply, without a status": refusing("seed", Reply(body={"error": "seed is not supported"})),
    "a stream that begins with a comment, called JSON": always(body=b": PROCESSING\n\n" + STREAM),
    "the end of a turn in the text": always(text=f"{ANSWER}<|im_end|>"),
    "a thought between other marks, and marks round the answer": always(
        text=f"<|START_THINKING|>6*7<|END_THINKING|><|START_RESPONSE|>{ANSWER}<|END_RESPONSE|>"
    ),
    "an id of zeros": always(fields={"id": "chatcmpl-00000000-0000-0000-0000-000000000000"}),
    "no capacity for a moment": lambda r: error(498, "capacity exceeded") if not r.number else Reply(ANSWER),
    "loading, as a 404": lambda r: error(404, "No models loaded. Load one") if not r.number else Reply(ANSWER),
}  # fmt: skip


def asked(server: FaultServer, **settings: Any) -> Any:
    """Ask the question."""
    return maker.vote_sync("What is 6 x 7?", model=server.spec("m"), **{"answer": int, **settings})


def of_twelve(server: FaultServer) -> Any:
    """Ask about twelve items, two calls at once."""
    return maker.map_sync("{item}: what is 6 x 7?", range(12), model=server.spec("m"), answer=int, concurrency=2)


@pytest.mark.parametrize("kind", WORKS)
def test_the_first_vote_works(kind: str) -> None:
    """Right, with no sample flagged, and with few calls beside the three that the vote takes."""
    with FaultServer(WORKS[kind]) as server:
        verdict = asked(server)
        assert (verdict.answer, verdict.flagged) == (42, 0)
        assert len(server.requests) <= 3 + 12


def test_an_option_is_read_as_people_write_it() -> None:
    """In bold, in capitals, with a full stop."""
    with FaultServer(always(text="**Yes**.")) as server:
        assert asked(server, answer=Literal["yes", "no"]).answer == "yes"


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS", "model_length", "abort", "pause_turn"])
def test_what_did_not_come_to_its_end_never_votes(finish: str) -> None:
    """A reply that was cut off, or ended in a way that nobody knows, is a red flag."""
    with FaultServer(always(finish=finish)) as server, pytest.raises(maker.Undecided) as caught:
        asked(server, limits={"max_flags": 5})
    assert caught.value.tally.total == 0


def test_tool_calls_instead_of_text_are_said() -> None:
    """The vote ends undecided, and says what came."""
    called = {"content": None, "tool_calls": [{"id": "t", "function": {"name": "answer", "arguments": "{}"}}]}
    says = pytest.raises(maker.Undecided, match="tool calls came instead of text")
    with FaultServer(always(message=called, finish="tool_calls")) as server, says:
        asked(server, limits={"max_flags": 5})


def test_a_quota_that_is_back_tomorrow_ends_at_once() -> None:
    """The reset is only in the body, in milliseconds: a named stop that says when."""
    reset = {"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int((time.time() + 36_000) * 1000))}}
    with FaultServer(lambda _: error(429, "free-models-per-day", metadata=reset)) as server:
        with pytest.raises(maker.Undecided, match=r"asks to wait \d+ s, until \d{4}-"):
            asked(server)
        assert len(server.requests) <= 3


@pytest.mark.parametrize(
    "page", [Reply(body=b"<html>portal</html>", headers={"Content-Type": "text/html"}),
             Reply(status=403, body=b"<html>Just a moment...</html>", headers={"Content-Type": "text/html"})]
)  # fmt: skip
def test_a_gateways_page_in_mid_run_passes(page: Reply) -> None:
    """One failure of one call, and no item is lost."""
    with FaultServer(lambda r: page if r.number == 20 else Reply(ANSWER)) as server:
        verdicts = of_twelve(server)
        assert (len(verdicts), verdicts.stopped, verdicts.failed) == (12, None, [])


def test_an_item_that_is_always_refused_is_named() -> None:
    """The others are decided, the map is through, and the failure says why."""
    refused = error(400, "The prompt triggered the content management policy", param="prompt", code="content_filter")
    with FaultServer(lambda r: refused if r.prompt.startswith("7:") else Reply(ANSWER)) as server:
        verdicts = of_twelve(server)
        assert (len(verdicts), verdicts.stopped) == (11, None)
        (failed,) = verdicts.failed
        assert failed.item == 7
        assert "content management policy" in failed.reason


@pytest.mark.parametrize(
    "complaint", ["System role not supported", "Developer instruction is not enabled for models/m",
                  "Unsupported value: 'messages[0].role' does not support 'system' with this model."]
)  # fmt: skip
def test_a_model_without_a_system_role_is_told_by_the_user(complaint: str) -> None:
    """What the system message says goes before the question, and the answer is as good."""

    def script(received: Received) -> Reply:
        first = received.body["messages"][0]
        return error(400, complaint) if first["role"] == "system" else Reply(ANSWER)

    with FaultServer(script) as server:
        assert asked(server, system="Be short.").answer == 42
        messages = server.requests[-1].body["messages"]
        assert messages == [{"role": "user", "content": "Be short.\n\nWhat is 6 x 7?"}]
        assert len(server.requests) <= 6
