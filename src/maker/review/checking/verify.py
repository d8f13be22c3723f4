"""`verify`: a journal re-checked from the file alone, by code that the engine does not share.

Not covered: whether the samples really came from a model, and a journal rewritten from the start
(compare its `head` with one that you kept).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from maker.journal.decisions import is_decisions
from maker.journal.story import Story
from maker.journal.views.items import is_map
from maker.review.checking.checker import Audit, check
from maker.review.checking.maps import decided, recorded
from maker.review.checking.solve import is_solve, recheck
from maker.task.task import Task


def verify(
    journal: str | Path,
    task: Task | None = None,
    progress: Callable[[int, int], None] | None = None,
    expect: str | None = None,
    *,
    items: Iterable[Any] | None = None,
    prompt: str | list[Any] = "{item}",
) -> Audit:
    """Re-check a journal from the file alone.

    task: needed when the journal's task is not a built-in one, since no code named by a journal is
    ever loaded. progress: called now and then with the steps checked and those there are. expect: a `head`
    that this journal once had; it still has it, or more, unless it is an older copy or was rewritten. items: those of
    a map, and prompt: its template (without one the items are the prompts): their fingerprint is made again.
    Returns an Audit. Raises JournalError for a file that cannot be read and for items of another map, TaskError for a
    missing task.
    """
    story = Story(journal)
    if task is None and is_solve(story):
        return recheck(story, expect).audit
    if task is None and is_decisions(story.latest):
        return check(story, decided(story), progress, expect, reads=False)
    if items is None and (task is not None or not is_map(story.latest)):
        return check(story, task, progress, expect)
    found = recorded(story, items, prompt)
    audit = check(story, task or found, progress, expect, reads=task is not None or found.reads)
    audit.checked += ["prompts"] if items is not None else []
    return audit
