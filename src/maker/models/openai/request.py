"""What is sent: a Request as the body of an HTTP request.

`Dialect` is what one server takes of the fields that not all take (`OPTIONAL`). It starts with all of them;
`Dialect.without` drops the one that a refusal complains of, once.

Not covered: where it goes (`target.py`), and sending.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from maker.decision.sample import Request
from maker.errors import TaskError
from maker.models.openai.target import Target
from maker.task.prompt import words_in

SEED_RANGE = 2**31 - 1  # the least that servers take: some keep seeds in 32 bits, with a sign
OPTIONAL = {  # fields that not all servers take, and what a complaint of each looks like
    "max_tokens": re.compile(r"\bmax_tokens\b"),
    "logprobs": re.compile(r"logprobs", re.I),
    "schema": re.compile(r"response_format|json_schema|structured output|guided", re.I),
    "seed": re.compile(r"\bseed\b", re.I),
    # choices in one reply: llama.cpp takes no more than it has slots
    "n": re.compile(r"^n$|['\"`]n['\"`]|\bn (must|should|>|>=|=|is|greater)"),
}


@dataclass(slots=True, frozen=True)
class Dialect:
    """What a server takes. tokens_name: of the token limit, which may be switched once."""

    tokens_name: str = "max_tokens"
    refused: frozenset[str] = frozenset()

    def without(self, field: str) -> Dialect | None:
        """Return the dialect that does without a refused field, or None when there is nothing left to drop."""
        if field == "max_tokens":
            return replace(self, tokens_name="max_completion_tokens") if self.tokens_name == field else None
        return None if field in self.refused or field not in OPTIONAL else replace(self, refused=self.refused | {field})


def encode_request(
    request: Request, target: Target, dialect: Dialect, choices: int = 1, extra: Mapping[str, Any] | None = None
) -> bytes:
    """Return the body that asks for `choices` replies to a request; fields of `extra` replace ours.

    Raises TaskError for what JSON cannot hold.
    """
    body: dict[str, Any] = {"model": target.model}
    if target.api == "chat":
        body["messages"] = request.messages
    else:
        body["prompt"] = words_in(request.prompt)
    if request.temperature is not None:
        body["temperature"] = request.temperature
    body[dialect.tokens_name] = request.max_tokens
    refused = dialect.refused
    if request.stop:
        body["stop"] = list(request.stop)
    if "seed" not in refused:
        body["seed"] = request.seed % SEED_RANGE
    if "logprobs" not in refused:
        body["logprobs"] = True if target.api == "chat" else 1
    if request.schema is not None and "schema" not in refused:
        schema = {"name": "answer", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if choices > 1:
        body["n"] = choices
    if extra:
        body.update(extra)
    try:
        return orjson.dumps(body)
    except TypeError:  # a lone surrogate in the prompt, or a schema that is not JSON
        raise TaskError(
            f"step {request.address.step}: the prompt (or the schema) cannot be sent as JSON: it holds a lone "
            "surrogate or a value that JSON has not. Mend the task's prompt."
        ) from None
