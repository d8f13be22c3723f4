"""Step -> Prompt: the text a model reads, its fingerprint, and equivalent ways to ask.

The engine takes the prompt as the task writes it. Its fingerprint (of the prompt of step 0) is part of the run's
own, so a changed template is noticed when a run is resumed.

Draws that ask in different views share less of a model's systematic error than draws of one text.

Not covered: chat roles and tokens, which belong to the model; whether views really are equivalent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from maker.errors import TaskError
from maker.task.canonical import digest
from maker.task.task import Task, guarded


@dataclass(slots=True, frozen=True)
class View:
    """One way to ask: `prompt`, and `back`, which turns a reply to it into a reply to the task's own prompt.

    A reply that `back` cannot read it returns as it is, or raises: the red flags then see it as it was written.
    """

    prompt: str
    back: Callable[[str], str]


def render(task: Task, state: Any, step: int) -> str:
    """Return the prompt of a step. Raises TaskError when the task raises or gives no text."""
    text = guarded(task.prompt, step, "prompt", state, step)
    if not isinstance(text, str) or not text:
        raise TaskError(f"step {step}: prompt returned {type(text).__name__}, not text. Mend the task.")
    return text


def views(task: Task, state: Any, step: int) -> Sequence[View]:
    """Return the ways to ask about a step, at least one. Raises TaskError when the task raises or has none."""
    make = getattr(task, "paraphrases", None)
    if make is None:
        raise TaskError("paraphrase: this task has no paraphrases(state, step). Run it without --paraphrase.")
    found = guarded(make, step, "paraphrases", state, step)
    if not found or not all(isinstance(view, View) for view in found):
        raise TaskError(f"step {step}: paraphrases must return a list of maker.View, at least one. Mend the task.")
    return list(found)


def fingerprint(text: str) -> str:
    """Return 32 hex digits that stand for a prompt."""
    return digest(text.encode("utf-8", "surrogatepass")).hex()
