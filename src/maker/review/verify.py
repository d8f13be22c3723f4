"""`verify`: a journal re-checked from the file alone, by code that the engine does not share.

Not covered: whether the samples really came from a model, and a journal rewritten from the start
(compare its `head` with one that you kept).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maker.journal.story import Story
from maker.review.checker import Audit, check
from maker.review.solve import is_solve, recheck
from maker.task.task import Task


def verify(
    journal: str | Path,
    task: Task | None = None,
    progress: Callable[[int, int], None] | None = None,
    expect: str | None = None,
) -> Audit:
    """Re-check a journal from the file alone.

    task: needed when the journal's task is not a built-in one, since no code named by a journal is
    ever loaded. progress: called now and then with the steps checked and those there are. expect: a `head`
    that this journal once had; it still has it, or more, unless it is an older copy or was rewritten.
    Returns an Audit. Raises JournalError for a file that cannot be read, TaskError for a missing task.
    """
    story = Story(journal)
    if task is None and is_solve(story):
        return recheck(story, expect).audit
    return check(story, task, progress, expect)
