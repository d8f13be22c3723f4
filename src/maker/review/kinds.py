"""The kind of each step of a journal, as its task names it (`kind(state, step)`), and what each kind took.

A journal keeps no kinds: they are asked of the task's own code, in the states of the run (`journal/views/states.py`).

Not covered: whether verdicts follow from votes, and whether segments join (`checking/checker.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from maker.errors import TaskError
from maker.journal.steps import StoredStep
from maker.journal.story import Story
from maker.journal.views.states import States
from maker.task.task import Task, guarded, task_name


@dataclass(slots=True)
class OfKind:
    """Steps of one kind that are decided; samples of all, flagged ones of these, and votes that were not the winner's.

    lost: such votes of decided steps; nobody knows yet which votes of an open step are lost.
    """

    steps: int = 0
    samples: int = 0
    flagged: int = 0
    lost: int = 0

    def add(self, stored: StoredStep) -> None:
        """Count a step."""
        tally = stored.tally()
        self.samples += len(stored.candidates)
        self.flagged += tally.flagged
        if stored.winner is not None:
            self.steps += 1
            self.lost += tally.total - tally.counts[b"%d" % stored.winner]


class Kinds:
    """Says of each step of a journal which kind it is, and counts. found: by kind, in the order of their names' coming.

    Raises TaskError for a task that names no kinds, or is not that of the journal.
    """

    def __init__(self, story: Story, task: Task) -> None:
        if not hasattr(task, "kind"):
            raise TaskError(f"{story.path}: the task {task_name(task)} names no kinds of its steps: kind(state, step)")
        self._states, self._kind = States(story, task), task.kind
        self.found: dict[str, OfKind] = {}

    def take(self, stored: StoredStep) -> str:
        """Return the kind of a step, and count it; it comes and raises as `States.before` says."""
        kind = str(guarded(self._kind, stored.step, "kind", self._states.before(stored), stored.step))
        self.found.setdefault(kind, OfKind()).add(stored)
        return kind
