"""Tools that a model may call: what is offered, what it called, and a reply with calls as one text.

A reply to a request with tools is one JSON text, `{"calls": [{"name", "arguments"}, ...], "text": ...}`, whatever the
form in which a server said so. So readers, flags, votes and journals need not know of calls; only who offers
tools, and who reads the reply, looks. Arguments stand in it as they came, as text or as an object: nothing is repaired.

Not covered: whether arguments fit a tool (`api/tools/`), how servers say all this (`models/openai/calls.py`), and
carrying a call out, which nobody here does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maker.task.canonical import digest

INSTEAD = "Tell the actions in the prompt, and give answer= a Union of pydantic models, one for each action"
_ID = 9  # letters and digits of a call's id: Mistral's servers take no others


class BadCall(ValueError):
    """A reply called what it was not offered, in arguments that do not fit, or in a form that is no call."""


@dataclass(slots=True, frozen=True)
class Tools:
    """What a model is offered. schemas: as chat servers take them; choice: their `tool_choice`, None to send none."""

    schemas: tuple[dict[str, Any], ...]
    choice: str | Mapping[str, Any] | None = None


@dataclass(slots=True, frozen=True)
class ToolCall:
    """One call that a model wants made. Nobody has made it.

    arguments: read and checked by the tool's schema, defaults of a function's signature filled in; of a
    function they are of the types in its signature. written: the same as the model wrote them, JSON. id: names the
    call to chat servers. counted: what of the arguments the vote counted.
    """

    name: str
    arguments: dict[str, Any]
    written: str = field(repr=False, default="{}")
    id: str = field(repr=False, default="")
    counted: Any = field(repr=False, compare=False, default=None)


@dataclass(slots=True, frozen=True)
class Turn:
    """What a model does when it is offered tools. calls: in its order, none if it only answers.

    text: what the first reply with these calls said beside them; nobody voted on it.
    """

    calls: tuple[ToolCall, ...]
    text: str | None = None

    @property
    def counted(self) -> list[list[Any]]:
        """What the vote counts: the name and the arguments of each call, in order."""
        return [[call.name, call.counted] for call in self.calls]

    @property
    def message(self) -> dict[str, Any]:
        """The turn as a message to go on with: an assistant's, before the results of its calls."""
        told: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.calls:
            told["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.written}}
                for call in self.calls
            ]
        return told

    def after(self, question: bytes) -> Turn:
        """Return the turn with ids for its calls that no turn after another question has."""
        ids = [digest(question + b"/%d" % number).hex()[:_ID] for number in range(len(self.calls))]
        return replace(self, calls=tuple(replace(c, id=name) for c, name in zip(self.calls, ids, strict=True)))


def reply_text(calls: Sequence[Mapping[str, Any]], text: str | None) -> str:
    """Return a reply as one text. calls: each with its `name` and `arguments`, as they came."""
    return json.dumps({"calls": list(calls), "text": text}, ensure_ascii=False, separators=(",", ":"))


def read_reply_text(whole: str) -> tuple[list[dict[str, Any]], str | None]:
    """Return the calls and the text of a reply that `reply_text` wrote. Raises BadCall for any other text."""
    try:
        told = json.loads(whole)
        return list(told["calls"]), told["text"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadCall("the reply did not come by way of a server that was offered tools") from None
