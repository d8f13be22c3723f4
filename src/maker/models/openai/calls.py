"""The calls of tools in a message, in the forms that servers have for them. Pure.

Arguments are JSON in a text, or an object; for a call without any, some servers send nothing, or an empty text. The
older `function_call` is one call.

Not covered: calls that a server left in the text (its parser did not see them; `api/tools/` flags them).
"""

from __future__ import annotations

from typing import Any

ENDS = frozenset({"tool_calls", "function_call", "tool_use"})  # finish reasons of a reply that ends in calls


def calls_in(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the name and the arguments of each call of a message, as they came."""
    told = message.get("tool_calls")
    if not told and isinstance(message.get("function_call"), dict):
        told = [message["function_call"]]
    return [_call(one) for one in told] if isinstance(told, list) else []


def _call(told: Any) -> dict[str, Any]:
    """Return one call; of what is none, one without a name, so that it is seen."""
    if not isinstance(told, dict):
        return {"name": None, "arguments": None}
    function = told["function"] if isinstance(told.get("function"), dict) else told
    return {"name": function.get("name"), "arguments": function.get("arguments")}


def add_piece(calls: list[dict[str, Any]], piece: Any) -> None:
    """Add a piece of a streamed call to those that came before it: names come whole, arguments in parts."""
    if not isinstance(piece, dict):
        return
    number = piece["index"] if type(piece.get("index")) is int else len(calls)
    function = piece["function"] if isinstance(piece.get("function"), dict) else {}
    known = next((call for call in calls if call["index"] == number), None)
    if known is None:
        known = {"index": number, "function": {"name": None, "arguments": None}}
        calls.append(known)
    kept = known["function"]
    kept["name"] = kept["name"] or function.get("name")
    more = function.get("arguments")
    kept["arguments"] = kept["arguments"] + more if isinstance(kept["arguments"], str) and isinstance(more, str) else (
        kept["arguments"] if more is None else more
    )  # fmt: skip
