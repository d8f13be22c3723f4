"""What replies that decide nothing have in common, in a few words for a person.

Not covered: what to do about it; and replies that are wrong each in its own way: of those nothing is said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel

from maker.task.canonical import canonical, visible

MOST_CHARS = 120  # of an example

_LOOKS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("contain <think>", lambda text: "<think>" in text or "</think>" in text),
    ("begin with a code fence", lambda text: text.lstrip().startswith("```")),
    ("are empty", lambda text: not text.strip()),
)


def shortened(text: str) -> str:
    """Return a reply on one line of bounded length, harmless to a terminal."""
    example = visible(" ".join(text.lstrip()[: 8 * MOST_CHARS].split()))  # a reply may be a million characters
    return example if len(example) <= MOST_CHARS else example[: MOST_CHARS - 3] + "..."


def looks(texts: Sequence[str | None], *, called: bool = False) -> str:
    """Return what all texts of flagged replies look like, with one as an example; "" of none.

    called: all of these replies are tool calls.
    """
    if not texts:
        return ""
    if called:
        return "tool calls came instead of text"
    if all(text is None for text in texts):
        return "none of the flagged replies has text"
    known = [text for text in texts if text is not None]
    shown = shortened(known[0])
    look = next((f"all {what}" for what, has in _LOOKS if all(map(has, known))), "one") if known == texts else "one"
    return f"of the flagged replies {look}{', such as' if look != 'one' else ' is'} '{shown}'"


def differing_field(answers: Sequence[Any]) -> str:
    """Return the one field in which records differ though all others agree; "" where there is no such field."""
    records = [_fields(answer) for answer in answers]
    if len(records) < 2 or not all(records) or any(set(record) != set(records[0]) for record in records):
        return ""
    differ = [name for name in records[0] if len({canonical(record[name]) for record in records}) > 1]
    return str(differ[0]) if len(differ) == 1 and len(records[0]) > 1 else ""


def _fields(answer: Any) -> dict[Any, Any]:
    """Return a record's fields by name; of what is no record, none."""
    if isinstance(answer, BaseModel):
        return {name: getattr(answer, name) for name in type(answer).model_fields}
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
    return dict(answer) if isinstance(answer, dict) else {}
