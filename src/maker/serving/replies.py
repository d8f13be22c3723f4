"""A decided answer in the forms of three routes: whole, and as the events of a stream. Pure.

The stream of an answer is made when it is decided: it has one piece of text. Every form has `maker` beside what
OpenAI's clients read: what the vote was.

Not covered: when what is sent (`app.py`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from maker.serving.asked import Question, chat, completion, response
from maker.serving.voting import Answered

Made = dict[str, Any]


def chat_reply(given: Answered, model: str, _: Question) -> Made:
    """Return a chat completion."""
    message: Made = {"role": "assistant", "content": given.text, "refusal": None}
    if given.calls:
        message["tool_calls"] = given.calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": given.finish}
    return {**_head("chatcmpl", "chat.completion", model), "choices": [choice], "usage": _usage(given),
            "maker": given.told}  # fmt: skip


def chat_events(given: Answered, model: str, question: Question) -> Iterator[bytes]:
    """Yield a chat completion as a stream's events."""
    head = _head("chatcmpl", "chat.completion.chunk", model)
    said: Made = {"role": "assistant", "content": given.text}
    if given.calls:
        said["tool_calls"] = [{"index": number, **call} for number, call in enumerate(given.calls)]
    yield _event({**head, "choices": [{"index": 0, "delta": said, "finish_reason": None}]})
    end = {"index": 0, "delta": {}, "finish_reason": given.finish}
    yield _event({**head, "choices": [end], "maker": given.told})
    if question.counted:
        yield _event({**head, "choices": [], "usage": _usage(given)})
    yield b"data: [DONE]\n\n"


def completion_reply(given: Answered, model: str, _: Question) -> Made:
    """Return a text completion."""
    choice = {"index": 0, "text": given.text, "logprobs": None, "finish_reason": given.finish}
    return {**_head("cmpl", "text_completion", model), "choices": [choice], "usage": _usage(given),
            "maker": given.told}  # fmt: skip


def completion_events(given: Answered, model: str, question: Question) -> Iterator[bytes]:
    """Yield a text completion as a stream's events."""
    whole = completion_reply(given, model, question)
    usage = whole.pop("usage")
    yield _event(whole)
    if question.counted:
        yield _event({**whole, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def response_reply(given: Answered, model: str, question: Question) -> Made:
    """Return a response: what is said as a message, where anything is, and an item for each call."""
    cut = given.finish == "length"
    status = "incomplete" if cut else "completed"
    tools, choice = question.tools or ([], "none")
    if isinstance(choice, dict):
        choice = {"type": "function", **choice["function"]}
    output: list[Made] = []
    if given.text is not None or not given.calls:
        part = {"type": "output_text", "text": given.text or "", "annotations": []}
        output.append({"type": "message", "id": _name("msg"), "role": "assistant", "status": status, "content": [part]})
    output += [
        {"type": "function_call", "id": _name("fc"), "call_id": call["id"], **call["function"], "status": "completed"}
        for call in given.calls
    ]
    return {
        "id": _name("resp"), "object": "response", "created_at": int(time.time()), "model": model, "status": status,
        "error": None, "incomplete_details": {"reason": "max_output_tokens"} if cut else None, "output": output,
        "parallel_tool_calls": bool(tools), "tool_choice": choice or "auto",
        "tools": [{"type": "function", **tool["function"]} for tool in tools], "maker": given.told,
        "usage": {
            "input_tokens": given.tokens_in, "output_tokens": given.tokens_out,
            "total_tokens": given.tokens_in + given.tokens_out, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip


def response_events(given: Answered, model: str, question: Question) -> Iterator[bytes]:
    """Yield a response as a stream's events, in the order that clients build it up by."""
    whole = response_reply(given, model, question)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events: list[tuple[str, Made]] = [(f"response.{kind}", {"response": begun}) for kind in ("created", "in_progress")]
    for index, item in enumerate(whole["output"]):
        at = {"output_index": index}
        inside = _call_events(item) if item["type"] == "function_call" else _message_events(item)
        blank: Made = {"arguments": ""} if "arguments" in item else {"content": []}
        empty = {**item, "status": "in_progress", **blank}
        events.append(("response.output_item.added", {**at, "item": empty}))
        events += [(kind, {"item_id": item["id"], **at, **told}) for kind, told in inside]
        events.append(("response.output_item.done", {**at, "item": item}))
    events.append((f"response.{whole['status']}", {"response": whole}))
    for number, (kind, told) in enumerate(events):
        yield b"event: %s\n" % kind.encode() + _event({"type": kind, "sequence_number": number, **told})


def _message_events(item: Made) -> Iterator[tuple[str, Made]]:
    (part,) = item["content"]
    at = {"content_index": 0}
    yield "response.content_part.added", {**at, "part": {**part, "text": ""}}
    yield "response.output_text.delta", {**at, "delta": part["text"], "logprobs": []}
    yield "response.output_text.done", {**at, "text": part["text"], "logprobs": []}
    yield "response.content_part.done", {**at, "part": part}


def _call_events(item: Made) -> Iterator[tuple[str, Made]]:
    yield "response.function_call_arguments.delta", {"delta": item["arguments"]}
    yield "response.function_call_arguments.done", {"name": item["name"], "arguments": item["arguments"]}


def failed_event(body: Made) -> bytes:
    """Return an error that came after a stream had begun."""
    return _event(body)


class Form(NamedTuple):
    """What one route reads and writes."""

    read: Callable[[bytes, Any], Question]
    whole: Callable[[Answered, str, Question], Made]
    events: Callable[[Answered, str, Question], Iterator[bytes]]


FORMS = {
    "/v1/chat/completions": Form(chat, chat_reply, chat_events),
    "/v1/completions": Form(completion, completion_reply, completion_events),
    "/v1/responses": Form(response, response_reply, response_events),
}


def _head(kind: str, what: str, model: str) -> Made:
    return {"id": _name(kind), "object": what, "created": int(time.time()), "model": model}


def _usage(given: Answered) -> Made:
    """Return what all samples took."""
    return {
        "prompt_tokens": given.tokens_in, "completion_tokens": given.tokens_out,
        "total_tokens": given.tokens_in + given.tokens_out,
    }  # fmt: skip


def _name(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def _event(told: Made) -> bytes:
    return b"data: " + orjson.dumps(told) + b"\n\n"
