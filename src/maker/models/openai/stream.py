"""A stream of events where one reply was asked for -> the reply that its pieces make. Pure.

Some servers and routers stream whatever they are asked for. A stream that has neither a finish reason nor an end mark
was cut off: its finish reason is then "length", so that it never votes.

Not covered: pieces that came in another order than they were sent in.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

from maker.models.openai.calls import add_piece
from maker.models.openai.parse import crowded, parse
from maker.models.openai.thought import text_of

_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry|)\s*:")  # a field, or a comment, which has no name
_TEXTS = ("content", "reasoning_content", "reasoning")
_AROUND = b" \t\r\n\xef\xbb\xbf"


def is_stream(body: bytes, content_type: str) -> bool:
    """Say whether a body is a stream of events."""
    return "text/event-stream" in content_type or (not body.startswith(b"{") and _BEGINS.match(body) is not None)


def joined(body: bytes, tokens: int) -> dict[str, Any] | None:
    """Return the reply of so many tokens that a stream makes, an error object in it, or None where it has neither."""
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    ended = False
    for line in BytesIO(body):  # one at a time: others get their turn between them
        name, colon, data = line.partition(b":")
        if name.strip(_AROUND) != b"data" or not colon:
            continue
        if data.strip() == b"[DONE]":
            ended = True
            continue
        event = None if crowded(data, tokens) else parse(data)
        if not isinstance(event, dict):
            continue
        if event.get("error"):
            return event
        whole.update({key: value for key, value in event.items() if key != "choices" and value is not None})
        for piece in event["choices"] if isinstance(event.get("choices"), list) else ():
            if isinstance(piece, dict):
                _add(choices, piece)
    if not whole and not choices:
        return None
    for choice in choices.values():
        if choice["finish_reason"] is None and not ended:
            choice["finish_reason"] = "length"
    return {**whole, "object": "chat.completion", "choices": [choices[number] for number in sorted(choices)]}


def _add(choices: dict[int, dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece of a choice to what came of it before."""
    number = piece["index"] if type(piece.get("index")) is int else 0
    choice = choices.setdefault(number, {"index": number, "message": {"role": "assistant"}, "finish_reason": None})
    delta: dict[str, Any] = next(
        (piece[name] for name in ("delta", "message") if isinstance(piece.get(name), dict)), {}
    )
    if isinstance(piece.get("text"), str):  # a plain completion
        delta = {"content": piece["text"]}
    for name in _TEXTS:
        if (words := text_of(delta.get(name))) is not None:
            choice["message"][name] = choice["message"].get(name, "") + words
    for call in delta["tool_calls"] if isinstance(delta.get("tool_calls"), list) else ():
        add_piece(choice["message"].setdefault("tool_calls", []), call)
    if piece.get("finish_reason"):
        choice["finish_reason"] = piece["finish_reason"]
