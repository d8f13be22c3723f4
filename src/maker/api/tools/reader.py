"""Replies of a model that is offered tools -> turns, and which turns are the same one.

The calls of a reply, in their order, are the candidate: the name of each, and its arguments as its schema reads
them, whatever the order of keys or the way to write a number. What is said beside the calls does not count. A
reply that calls nothing is a candidate, too ("no call"), unless `tool_choice` asks for one.

Flagged `bad-call`, never repaired: a tool that was not offered, arguments that do not fit, no call where one has to
be, and a call that the server left in the text.

Not covered: whether a call is wise; its text, on which nobody votes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from maker.api.answers import Reader, counted_by, reader_of
from maker.api.tools.offered import Tool, tools_of
from maker.errors import TaskError
from maker.task.canonical import digest
from maker.task.functions import told
from maker.task.lines import strict_json
from maker.task.tools import BadCall, ToolCall, Tools, Turn, read_reply_text

_CHOICES = ("auto", "none", "required")
# How models write calls; a server whose parser knows a model leaves none of these in the text.
_MARKS = re.compile(r"<tool_call>|<\|tool_call|\[TOOL_CALLS\]|<function=|<\|python_tag\|>|<｜tool▁call", re.I)


def reader_for(
    caller: str, parse: Callable[[str], Any] | None, answer: Any, key: Callable[[Any], Any] | None,
    tools: Any = None, tool_choice: Any = None,
) -> Reader[Any]:  # fmt: skip
    """Return how to read a reply, with tools or without. Raises TaskError for arguments that do not fit together."""
    if tools is None:
        if tool_choice is not None:
            raise TaskError(f"{caller}: tool_choice = {tool_choice!r:.60} without tools to choose from")
        return reader_of(caller, parse, answer, key)
    if parse is not None or answer is not None:
        raise TaskError(f"{caller}: with tools= the calls are the answer: leave parse= and answer= out")
    if key is not None and not callable(key):
        raise TaskError(f"{caller}: key = {key!r} is not callable")
    offered = tools_of(caller, tools)
    wanted = _wanted(caller, tool_choice, offered)
    schemas = tuple(tool.schema for tool in offered.values())
    named = digest(json.dumps([schemas, tool_choice], sort_keys=True, default=str).encode()).hex()[:16]
    described = {"tools": f"{', '.join(offered)} {named}"}
    if aside := [f"{tool.name}.{name}" for tool in offered.values() for name in tool.unvoted]:
        described["unvoted"] = ", ".join(aside)
    reader: Reader[Any] = Reader(
        lambda text: _turn(text, offered, wanted), None, described, _no_given, Tools(schemas, tool_choice)
    )
    return counted_by(reader, key or _counted, {"key": told(key)} if key is not None else {})


def _counted(turn: Turn) -> list[list[Any]]:
    return turn.counted


def _no_given(answer: Any) -> Any:
    raise ValueError("a right answer cannot be given for a question with tools")


def _wanted(caller: str, choice: Any, offered: Mapping[str, Tool]) -> str | None:
    """Return the tool that has to be called, "" for any, None where none has to. Raises TaskError for no choice."""
    if choice is None or choice in _CHOICES:
        return "" if choice == "required" else None
    name = choice.get("function", choice).get("name") if isinstance(choice, Mapping) else None
    if name not in offered:
        raise TaskError(f'{caller}: tool_choice = {choice!r:.80}: give one of {", ".join(_CHOICES)}, or '
                        '{"type": "function", "function": {"name": ...}} with the name of a tool')  # fmt: skip
    return str(name)


def _turn(whole: str, offered: Mapping[str, Tool], wanted: str | None) -> Turn:
    """Read a reply. Raises BadCall for one that is to be flagged."""
    calls, text = read_reply_text(whole)
    made = tuple(_call(one, offered) for one in calls)
    if not made and text and _written_out(text, offered):
        raise BadCall("a call stands in the text: the server's parser does not know how this model writes calls")
    if wanted is not None and not made:
        raise BadCall("no tool is called, and one has to be")
    if wanted and (other := next((call.name for call in made if call.name != wanted), None)):
        raise BadCall(f"{other} is called where {wanted} has to be")
    return Turn(made, text)


def _call(told: Any, offered: Mapping[str, Tool]) -> ToolCall:
    name = told.get("name") if isinstance(told, dict) else None
    tool = offered.get(name) if isinstance(name, str) else None
    if tool is None:
        raise BadCall(f"there is no tool {name!r:.60}, only {', '.join(offered)}")
    return tool.call(told.get("arguments"))


def _written_out(text: str, offered: Mapping[str, Tool]) -> bool:
    """Say whether a text is a call that the server took for words."""
    if _MARKS.search(text):
        return True
    bare = re.sub(r"\A```\w*\n|\n```\Z", "", text.strip())
    try:
        value: Any = strict_json(bare) if bare[:1] == "{" else None
    except (ValueError, RecursionError):
        return False
    called = isinstance(value, dict) and isinstance(value.get("name"), str) and value["name"] in offered
    return called and ("arguments" in value or "parameters" in value)
