"""What a request asks: the bodies of three routes read into one `Question`. Pure.

Promises: nothing that could change an answer is dropped in silence. A field that is not carried out here is refused by
its name, unless it has the value that changes nothing; fields that are about bookkeeping alone are taken and ignored.

A request of /v1/responses is read as the chat that it stands for, with its items as messages and a chat's tools.

Not covered: tools in text completions, and those that OpenAI's own servers run; images and other parts that are no
text, which go to the upstream as they are, and only from chats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maker.api.tools.reader import reader_for
from maker.errors import TaskError
from maker.serving.refused import Refused

LONGEST = 4096  # tokens of a reply for which the client names no limit

_DEEP = 100  # brackets in a body that make it worth a look

Text = str | list[dict[str, Any]]
_BOOKKEEPING = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
                          "parallel_tool_calls", "include", "stream_options"})  # fmt: skip
_CHANGES_NOTHING: Mapping[str, Sequence[Any]] = {
    "n": (1,), "top_p": (1,), "presence_penalty": (0,), "frequency_penalty": (0,), "logprobs": (False, 0),
    "tool_choice": ("none", "auto"), "best_of": (1,), "echo": (False,), "background": (False,),
    "truncation": ("disabled",), "modalities": (["text"],),
}  # fmt: skip
_TOOLS = "tools are voted on at /v1/chat/completions and /v1/responses: ask there"
_WHOLE = "no conversation is kept here: send all of it as input"
_REMEDIES = {"n": "one voted answer is given to a request: leave n out", "tools": _TOOLS, "tool_choice": _TOOLS,
             "previous_response_id": _WHOLE, "conversation": _WHOLE}  # fmt: skip
_EITHER = "calls are the answer where tools are offered: ask for response_format in a request of its own"
_ONE_CALL = "calls are voted on as they come, one or several: leave parallel_tool_calls out, or offer no tools"
_FUNCTION = ("name", "description", "parameters", "strict")  # what a chat's tool says of its function
_NAMED = {"content": ("role",), "arguments": ("call_id", "name"), "output": ("call_id",)}  # of items, by their text
_VOTING = ("k", "max_votes", "max_flags", "max_calls", "max_tokens", "max_cost", "max_seconds")  # of one request


@dataclass(slots=True, frozen=True)
class Question:
    """What is asked, whichever route it came by.

    prompt: text or messages. schema: JSON schema of the answer, None where it is prose or calls. asking: settings of
    `vote`. voting: k and limits that the client set. counted: the stream ends with the usage. tools: what may be
    called, as the client told it, with its choice; None for no tools.
    """

    prompt: Text
    schema: dict[str, Any] | None
    asking: dict[str, Any]
    voting: dict[str, Any]
    stream: bool = False
    counted: bool = False
    tools: tuple[list[dict[str, Any]], Any] | None = None


class _Body(BaseModel):
    """What all routes take."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str = ""
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    temperature: float | None = Field(default=None, ge=0, le=10)
    seed: int | None = None
    stop: str | list[str] | None = None
    maker: dict[str, Any] | None = None


B = TypeVar("B", bound=_Body)


class _Format(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class _WithTools(_Body):
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class _Chat(_WithTools):
    messages: list[dict[str, Any]] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    response_format: _Format | None = None


class _Completion(_Body):
    prompt: str = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)


class _Response(_WithTools):
    input: str | list[dict[str, Any]] = Field(min_length=1)
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    text: dict[str, Any] | None = None


def chat(body: bytes, headers: Mapping[str, str]) -> Question:
    """Read a request of /v1/chat/completions. Raises Refused."""
    told = _read(_Chat, body)
    form = told.response_format
    schema = _schema(form.type, form.json_schema) if form is not None else None
    asked = _question(told, told.messages, schema, told.max_completion_tokens or told.max_tokens, headers)
    return replace(asked, tools=_tools(told, schema))


def _tools(told: _WithTools, schema: dict[str, Any] | None) -> tuple[list[dict[str, Any]], Any] | None:
    """Return the tools that may be called, with the choice. Raises Refused for what is none, and beside a schema."""
    if told.tool_choice == "none" or (not told.tools and told.tool_choice in (None, "auto")):
        return None
    for name, why, wrong in (
        ("tool_choice", "there are no tools to choose from", not told.tools),
        ("response_format", _EITHER, schema is not None),
        ("parallel_tool_calls", _ONE_CALL, told.parallel_tool_calls is False),
    ):
        if wrong:
            raise Refused(400, f"{name}: {why}", code="unsupported", param=name)
    try:
        reader_for("tools", None, None, None, told.tools, told.tool_choice)
    except TaskError as error:
        raise Refused(400, str(error), param="tools") from None
    return told.tools or [], told.tool_choice


def completion(body: bytes, headers: Mapping[str, str]) -> Question:
    """Read a request of /v1/completions. Raises Refused."""
    told = _read(_Completion, body)
    return _question(told, told.prompt, None, told.max_tokens, headers)


def response(body: bytes, headers: Mapping[str, str]) -> Question:
    """Read a request of /v1/responses: texts, calls and their results; a schema, or tools. Raises Refused."""
    told = _read(_Response, body)
    messages = _messages(told.input) if isinstance(told.input, list) else told.input
    if told.instructions:
        spoken = messages if isinstance(messages, list) else [{"role": "user", "content": messages}]
        messages = [{"role": "system", "content": told.instructions}, *spoken]
    form = (told.text or {}).get("format") or {"type": "text"}
    kind = form.get("type") if isinstance(form, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise Refused(400, "text.format: its type is text, json_object or json_schema", param="text.format")
    schema = _schema(kind, form)
    told.tools = [_nested(tool, "tools") for tool in told.tools or ()]
    if isinstance(told.tool_choice, dict):
        told.tool_choice = _nested(told.tool_choice, "tool_choice")
    asked = _question(told, messages, schema, told.max_output_tokens, headers)
    return replace(asked, tools=_tools(told, schema))


def _nested(tool: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a tool of a response, or a choice of one, as a chat has it. Raises Refused for another than a function."""
    if (kind := tool.get("type")) != "function":
        raise Refused(400, f"{where}: type {str(kind)[:40]!r} is not carried out here, your own functions alone are",
                      code="unsupported", param=where)  # fmt: skip
    told = {name: tool[name] for name in _FUNCTION if tool.get(name) is not None}
    return {"type": kind, "function": told}


def _messages(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items of a response's input as messages of a chat: calls belong to what was said before them."""
    messages: list[dict[str, Any]] = []
    for item in items:
        message = _message(item)
        if "tool_calls" in message and messages and messages[-1]["role"] == "assistant":
            messages[-1].setdefault("tool_calls", []).extend(message["tool_calls"])
        else:
            messages.append(message)
    return messages


def _message(item: dict[str, Any]) -> dict[str, Any]:
    """Return one item as a message; texts, calls of functions and their results are read. Raises Refused."""
    kind = item.get("type", "message")
    where = {"message": "content", "function_call": "arguments", "function_call_output": "output"}.get(str(kind), "")
    text = _text(item.get(where))
    names = _NAMED.get(where, ())
    if text is None or not all(isinstance(item.get(name), str) for name in names):
        raise Refused(400, f"input: an item of type {str(kind)[:40]!r} is not read here, or not in this form: give "
                      "messages of text, function_call and function_call_output", param="input")  # fmt: skip
    if where == "content":
        return {"role": item["role"], "content": text}
    if where == "output":
        return {"role": "tool", "tool_call_id": item["call_id"], "content": text}
    call = {"id": item["call_id"], "type": "function", "function": {"name": item["name"], "arguments": text}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _text(content: Any) -> str | None:
    """Return a text, or parts that are texts as one; None for what is neither."""
    if isinstance(content, list) and all(isinstance(part, dict) and isinstance(part.get("text"), str)
                                         for part in content):  # fmt: skip
        return "".join(part["text"] for part in content)
    return content if isinstance(content, str) else None


def _read(model: type[B], body: bytes) -> B:
    """Check a body. Raises Refused for what is no JSON, does not fit, or would not be carried out."""
    try:
        read = orjson.loads(body)
        if body.count(b"[") + body.count(b"{") > _DEEP:
            orjson.dumps(read)  # more levels can be read than written
        told = model.model_validate(read)
    except TypeError:
        raise Refused(400, "the body is nested too deep") from None
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is no JSON: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        at = ".".join(map(str, first["loc"]))
        raise Refused(400, f"{at or 'the body'}: {first['msg']}", param=at or None) from None
    for name, value in (told.model_extra or {}).items():
        if name in _BOOKKEEPING or value in (None, [], {}) or value in _CHANGES_NOTHING.get(name, ()):
            continue
        remedy = _REMEDIES.get(name, f"this field is not carried out here. Leave it out, or give it to the upstream "
                               f"with every request: maker serve --extra {name[:40]}=VALUE")  # fmt: skip
        raise Refused(400, f"{name[:40]}: {remedy}", code="unsupported", param=name[:40])
    return told


def _schema(kind: str, form: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the schema that a format asks for, None for prose. Raises Refused where there is none in it."""
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    schema = form.get("schema") if form is not None else None
    if not isinstance(schema, dict):
        raise Refused(400, "response_format: a json_schema has its schema in `schema`", param="response_format")
    return schema


def _question(
    told: _Body, prompt: Text, schema: dict[str, Any] | None, longest: int | None, headers: Mapping[str, str]
) -> Question:
    """Put together what routes have in common."""
    longest = longest or LONGEST
    asking: dict[str, Any] = {"max_tokens": longest, "long_answer": longest}
    asking["stop"] = [told.stop] if isinstance(told.stop, str) else list(told.stop or ())
    if told.seed is not None:
        asking["seed"] = told.seed % 2**64
    if told.temperature is not None:
        asking["temperature"] = told.temperature
    counted = bool((told.stream_options or {}).get("include_usage"))
    voting = _in_headers(headers) | (told.maker or {})
    if unknown := sorted(set(voting) - set(_VOTING)):
        raise Refused(400, f"maker: there is no {unknown[0][:40]!r}. There are: {', '.join(_VOTING)}", param="maker")
    return Question(prompt, schema, asking, voting, bool(told.stream), counted)


def _in_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what headers such as `X-Maker-Max-Votes: 40` say of the vote. Raises Refused for what is no number."""
    found: dict[str, Any] = {}
    for name in _VOTING:
        written = headers.get(f"x-maker-{name.replace('_', '-')}")
        if written is None:
            continue
        try:
            found[name] = float(written) if name in ("max_cost", "max_seconds") else int(written)
        except ValueError:
            raise Refused(400, f"X-Maker-{name}: {written[:40]!r} is no number", param=name) from None
    return found
