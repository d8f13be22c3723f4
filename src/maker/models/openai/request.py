"""What is sent: a Request as the body of an HTTP request, in the words that one server takes.

A `Dialect` says which of the fields that not all servers take are sent, under which name the token limit goes, and
in which form a schema does: strictly, as it stands, as "some JSON object", or in words only. From "some
object" on the schema is told in the prompt, once, so that the model knows what is wanted.

Not covered: finding the dialect out (`negotiate.py`), where a request goes (`target.py`), and sending.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from maker.decision.sample import Request
from maker.errors import ModelError, TaskError
from maker.models.openai.schema import strict_schema, wrapped
from maker.models.openai.target import Target
from maker.task.canonical import digest
from maker.task.prompt import words_in
from maker.task.tools import Tools

SYSTEM = "system role"  # of a message; where it is refused, what it says goes before the user's words
SEED_RANGE = 2**31 - 1  # the least that servers take: some keep seeds in 32 bits, with a sign
OPTIONAL = {  # fields that not all servers take, and what a complaint of each looks like
    "max_tokens": re.compile(r"\bmax_tokens\b"),
    "logprobs": re.compile(r"logprobs", re.I),
    "tools": re.compile(r"\btools?\b|\btool_choice\b|function.?call", re.I),
    "schema": re.compile(r"response_format|json_schema|structured output|guided|grammar", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    SYSTEM: re.compile(
        r"\bsystem (role|message|prompt|instruction)|developer instruction|\brole\b.{0,60}\bsystem\b", re.I
    ),
    "stop": re.compile(r"\bstop\b(?! sequence reached)", re.I),
    # choices in one reply: llama.cpp takes no more than it has slots
    "n": re.compile(r"^n$|['\"`]n['\"`]|\bn (must|should|>|>=|=|is|greater)"),
}
_SYSTEM_ROLES = frozenset({"system", "developer"})
FORMS = ("strict", "loose", "object", "words")  # of a schema, from the most that a server can promise to nothing


@dataclass(slots=True, frozen=True)
class Dialect:
    """What a server takes. tokens_name: of the token limit, None without one; form: of a schema, one of `FORMS`.

    thinks: its model thinks before it answers.
    """

    tokens_name: str | None = "max_tokens"
    refused: frozenset[str] = frozenset()
    form: str = FORMS[0]
    thinks: bool = False

    def without(self, field: str) -> Dialect | None:
        """Return the dialect that does with less of a refused field, or None when there is nothing left to drop."""
        if field == "max_tokens":
            return replace(self, tokens_name="max_completion_tokens") if self.tokens_name == field else None
        if field == "schema":
            return None if self.form == FORMS[-1] else replace(self, form=FORMS[FORMS.index(self.form) + 1])
        return None if field in self.refused or field not in OPTIONAL else replace(self, refused=self.refused | {field})

    def bare(self, fields: Sequence[str]) -> Dialect:
        """Return the dialect that leaves out all these fields."""
        form = FORMS[-1] if "schema" in fields else self.form
        return replace(self, refused=self.refused | (frozenset(fields) - {"schema"}), form=form)

    def taking(self, fields: Sequence[str], form: str) -> Dialect:
        """Return the dialect that sends these fields again, a schema in the form given."""
        return replace(self, refused=self.refused - frozenset(fields), form=form if "schema" in fields else self.form)

    def wraps(self, request: Request) -> bool:
        """Say whether the answer is asked for as the one field of an object, because the root must be one."""
        schema = request.schema
        if schema is None or self.form in ("loose", "words"):
            return False
        return wrapped(schema) is not schema and (self.form == "object" or strict_schema(schema) is not None)


def fields_of(request: Request, dialect: Dialect) -> list[str]:
    """Return the optional fields that a request is sent with in a dialect, the token limit and `n` apart."""
    asked = {
        "temperature": request.temperature is not None, "seed": True, "logprobs": request.tools is None,
        "stop": bool(request.stop), "tools": request.tools is not None,
    }  # fmt: skip
    fields = [name for name, wanted in asked.items() if wanted and name not in dialect.refused]
    return fields + ["schema"] * (request.schema is not None and dialect.form != FORMS[-1])


def extra_mark(extra: Mapping[str, Any]) -> str:
    """Return what fields of one's own add to a model's name, and so to a run's fingerprint: a digest; "" for none.

    Raises ModelError for what JSON cannot hold.
    """
    if not extra:
        return ""
    try:
        told = json.dumps(extra, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError):
        raise ModelError("extra holds a value that JSON has not: give texts, numbers, lists and mappings") from None
    return f"+extra:{digest(told.encode()).hex()[:12]}"


def encode_request(
    request: Request, target: Target, dialect: Dialect, choices: int = 1, extra: Mapping[str, Any] | None = None
) -> bytes:
    """Return the body that asks for `choices` replies to a request; fields of `extra` replace ours.

    Raises TaskError for what JSON cannot hold.
    """
    body: dict[str, Any] = {"model": target.model}
    try:
        wish = "" if request.schema is None else _wish(request.schema, dialect.form)
        if target.api == "chat":
            messages = _with_wish(request.messages, wish) if wish else request.messages
            body["messages"] = _without_system(messages) if SYSTEM in dialect.refused else messages
        else:
            body["prompt"] = words_in(request.prompt) + wish
        refused = dialect.refused
        if request.temperature is not None and "temperature" not in refused:
            body["temperature"] = request.temperature
        if dialect.tokens_name is not None:
            body[dialect.tokens_name] = request.max_tokens
        if request.stop and "stop" not in refused:
            body["stop"] = list(request.stop)
        if "seed" not in refused:
            body["seed"] = request.seed % SEED_RANGE
        if "logprobs" not in refused and request.tools is None:  # they would not be those of the calls
            body["logprobs"] = True if target.api == "chat" else 1
        if request.schema is not None and dialect.form != "words":
            body["response_format"] = _format(request.schema, dialect.form)
        if request.tools is not None and "tools" not in refused:
            body |= _offer(request.tools)
        if choices > 1:
            body["n"] = choices
        if extra:
            body.update(extra)
        return orjson.dumps(body)
    except (TypeError, ValueError):  # a lone surrogate in the prompt, or a schema that is not JSON
        raise TaskError(
            f"step {request.address.step}: the prompt (or the schema) cannot be sent as JSON: it holds a lone "
            "surrogate or a value that JSON has not. Mend the task's prompt."
        ) from None


def _offer(tools: Tools) -> dict[str, Any]:
    """Return the fields that offer tools."""
    choice = {} if tools.choice is None else {"tool_choice": tools.choice}
    return {"tools": list(tools.schemas), **choice}


def _format(schema: dict[str, Any], form: str) -> dict[str, Any]:
    """Return the `response_format` of a schema. What strictness cannot express is asked for as it stands."""
    if form == "object":
        return {"type": "json_object"}
    strict = strict_schema(schema) if form == "strict" else None
    told = {"name": "answer", "strict": strict is not None, "schema": schema if strict is None else strict}
    return {"type": "json_schema", "json_schema": told}


def _wish(schema: dict[str, Any], form: str) -> str:
    """Return the words that tell the wanted form where no schema does, "" elsewhere."""
    if form not in ("object", "words"):
        return ""
    told = json.dumps(wrapped(schema) if form == "object" else schema, separators=(",", ":"), ensure_ascii=False)
    return f"\n\nReply with nothing but one JSON value that fits this JSON schema: {told}"


def has_system(request: Request) -> bool:
    """Say whether a request begins with a system message."""
    messages = request.messages
    return len(messages) > 1 and messages[0].get("role") in _SYSTEM_ROLES


def _without_system(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return messages with what the system's say at the beginning of the user's first one."""
    told = [message for message in messages if message.get("role") in _SYSTEM_ROLES]
    rest = [message for message in messages if message.get("role") not in _SYSTEM_ROLES]
    at = next((i for i, message in enumerate(rest) if message.get("role") == "user"), None)
    if not told or at is None or not all(isinstance(message.get("content"), str) for message in told):
        return messages
    words = "\n\n".join(message["content"] for message in told) + "\n\n"
    content = rest[at].get("content")
    whole = words + content if isinstance(content, str) else [{"type": "text", "text": words}, *(content or ())]
    return [*rest[:at], {**rest[at], "content": whole}, *rest[at + 1 :]]


def _with_wish(messages: Sequence[Mapping[str, Any]], wish: str) -> list[Mapping[str, Any]]:
    """Return messages whose last one of the user ends with the wish; one is added where there is none."""
    told = list(messages)
    at = next((i for i in reversed(range(len(told))) if told[i].get("role") == "user"), None)
    if at is None:
        return [*told, {"role": "user", "content": wish.strip()}]
    content = told[at].get("content")
    longer = content + wish if isinstance(content, str) else [*(content or ()), {"type": "text", "text": wish.strip()}]
    told[at] = {**told[at], "content": longer}
    return told
