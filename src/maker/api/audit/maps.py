"""The journal of a map, made a task again: its items and questions are given by whoever called `maker.map`.

A journal of a map holds no prompts, only their fingerprint, which is compared. A judge is asked in the first wording.

Not covered: whether a parser or a key does what it did; only which one it was is in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maker.api.answers import Keyed, Reader
from maker.api.audit.judges import Check
from maker.api.map import Asker, Items
from maker.errors import JournalError, TaskError
from maker.journal.story import Story
from maker.journal.views.items import is_map


def task_of_map(story: Story, items: Sequence[Any] | None, prompt: Asker[Any], reader: Reader[Any]) -> Items[Any]:
    """Return the task of a map's journal. Raises TaskError where no items are given, JournalError for other ones."""
    if not is_map(story.latest):
        raise TaskError(
            f"{story.path}: the journal of task {story.latest.get('task')!r}, not of a map: it has no items"
        )
    if items is None:
        raise TaskError(
            f"{story.path}: is the journal of a map: give items= and prompt=, and answer=, parse= or key= as in the "
            "call of map (--items and --prompt, where answers are text)"
        )
    made, theirs = Items.of(prompt, items, reader, None), story.latest["parameters"]
    if made.parameters["prompts"] != theirs["prompts"]:
        raise JournalError(
            f"{story.path}: the prompts of these items are not those of the journal: other items, another order or "
            "another prompt"
        )
    if "paraphrases" in theirs:
        made.parameters["paraphrases"] = theirs["paraphrases"]
    return made


def of_items(check: Check, items: Sequence[Any]) -> Check:
    """Return a checker of positions, made of one (item, position, answer) -> bool of the user's."""

    def checked(_: Any, step: int, answer: Any) -> bool:
        return check(items[step], step, answer.answer if isinstance(answer, Keyed) else answer)

    return checked
