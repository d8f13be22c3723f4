"""The task of a map, or of decisions, as its journal alone shows it: what `verify` checks such a journal by.

Item i is step i, and the state is the position. Answers that are text are read as the map read them. What a type, a
parser or a key of the user's makes of a reply is not in a journal: there votes are counted, and texts compared, but
not read. Prompts are not in a journal either, only their fingerprint: it is made again where the items are given.

The decisions of a journal of decisions are as the items of a map: one step each, and none needs another.

Not covered: the fingerprint of other wordings (`paraphrases=`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from maker.errors import JournalError, TaskError
from maker.journal.decisions import decisions_in
from maker.journal.story import Story
from maker.journal.views.items import is_map
from maker.task.plan import Plan
from maker.task.prompt import filled, fingerprint_of_all, prompt_of, render


class Recorded:
    """A map without its code. reads: its answers are text, so that replies can be read again."""

    name = "map"

    def __init__(self, story: Story) -> None:
        self.parameters = story.latest["parameters"]
        self.steps = story.latest["steps"]
        self.reads = self.parameters.get("answer") == "text" and not self.parameters.keys() & {"key", "parse"}
        self._path = story.path
        self._items: list[Any] = []
        self._template = "{item}"

    def check_prompts(self, items: Iterable[Any], prompt: str | list[Any]) -> None:
        """Make the prompts of all items again, and compare their fingerprint with the journal's.

        prompt: a template with {item} in it, text or messages. Raises JournalError where they differ, TaskError for
        a template that does not fit.
        """
        self._items, self._template = list(items), prompt_of(prompt, "verify: the prompt is")
        if len(self._items) != (self.steps or 0):
            raise JournalError(f"{self._path}: is a map of {self.steps or 0} items, {len(self._items)} are given")
        made = fingerprint_of_all(render(self, at, at) for at in range(len(self._items)))
        if made != self.parameters["prompts"]:
            raise JournalError(
                f"{self._path}: the prompts of these items have the fingerprint {made}, those of the journal "
                f"{self.parameters['prompts']}: other items, another order or another prompt."
            )

    def plan(self, segments: int = 1) -> Plan:
        """Return the plan of a map of so many segments."""
        return Plan.chain(self.steps, int, segments, independent=True)

    def initial_state(self) -> int:
        """Return the first position."""
        return 0

    def prompt(self, state: int, step: int) -> Any:
        """Return the question about an item that was given."""
        return filled(self._template, {"item": self._items[step]})

    def parse(self, text: str) -> str:
        """Read a text answer; any other stays as it was written."""
        return text.strip() if self.reads else text

    def legal(self, state: int, action: str) -> bool:
        """Say yes: an answer is right or wrong, never against a rule."""
        return True

    def apply(self, state: int, action: str) -> int:
        """Return the next position."""
        return state + 1

    def done(self, state: int) -> bool:
        """Say whether all items are decided."""
        return state == (self.steps or 0)

    def answer(self, state: int) -> int:
        """Return the number of items; the answers are in the verdicts."""
        return state


def decided(story: Story) -> Recorded:
    """Return the task of a journal of decisions; its header is taken to tell how many there are."""
    if count := sum(1 for _ in decisions_in(story)):
        story.latest = story.latest | {"steps": count, "segments": count}
    return Recorded(story)


def recorded(story: Story, items: Iterable[Any] | None, prompt: str | list[Any]) -> Recorded:
    """Return the task of a map's journal, its prompts checked where items are given; raises as `check_prompts`."""
    if items is not None and not is_map(story.latest):
        raise TaskError(
            f"{story.path}: the journal of task {story.latest.get('task')!r}, not of a map: it has no items"
        )
    found = Recorded(story)
    if items is not None:
        found.check_prompts(items, prompt)
    return found
