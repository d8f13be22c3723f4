"""Step -> Prompt: the text a model reads, and its fingerprint.

The engine takes the prompt as the task writes it. Its fingerprint (of the prompt of step 0) is part of the run's
own, so a changed template is noticed when a run is resumed.

Not covered: chat roles and tokens, which belong to the model.
"""

from __future__ import annotations

from typing import Any

from maker.canonical import digest
from maker.errors import TaskError
from maker.task import Task, guarded


def render(task: Task, state: Any, step: int) -> str:
    """Return the prompt of a step. Raises TaskError when the task raises or gives no text."""
    text = guarded(task.prompt, step, "prompt", state, step)
    if not isinstance(text, str) or not text:
        raise TaskError(f"step {step}: prompt returned {type(text).__name__}, not text. Mend the task.")
    return text


def fingerprint(text: str) -> str:
    """Return 32 hex digits that stand for a prompt."""
    return digest(text.encode("utf-8", "surrogatepass")).hex()
