"""The kind of each step of a journal, as its task names it (`kind(state, step)`), and what each kind took.

A journal keeps no kinds and no states: the states are followed along the verdicts by the task's own code, and each is
compared with the digest that the journal has of it.

Not covered: whether verdicts follow from votes, and whether segments join (`checker.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from maker.errors import JournalError, TaskError
from maker.journal.steps import StoredStep
from maker.journal.story import Story
from maker.task.canonical import canonical, digest, jsonable
from maker.task.plan import Segment, plan_of
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
        header, self._path = story.latest, story.path
        if not hasattr(task, "kind"):
            raise TaskError(f"{self._path}: the task {task_name(task)} names no kinds of its steps: kind(state, step)")
        ours = {"task": task_name(task), "parameters": jsonable(getattr(task, "parameters", {})), "steps": task.steps}
        theirs = {name: header.get(name) for name in ours}
        if ours != theirs:
            raise TaskError(f"{self._path}: is the journal of another task: {theirs}, not {ours}")
        self.task, self.plan = task, plan_of(task, header["segments"])
        self._starts = [segment.start for segment in self.plan.segments]
        self._at: dict[int, tuple[int, Any]] = {}  # by segment: its next step, and the state before that
        self.found: dict[str, OfKind] = {}

    def take(self, stored: StoredStep) -> str:
        """Return the kind of a step, and count it. Steps come as `Story.steps` yields them.

        Raises JournalError for one that is not due, or whose verdict leads elsewhere with this task's code.
        """
        number = bisect_right(self._starts, stored.step) - 1
        segment = self.plan.segments[number]
        due, state = self._at.get(number) or (segment.start, self._entry(segment))
        if stored.step != due:
            raise JournalError(f"{self._path}: step {stored.step} stands where step {due} was due. See maker verify.")
        kind = str(guarded(self.task.kind, due, "kind", state, due))
        self.found.setdefault(kind, OfKind()).add(stored)
        if stored.winner is not None:
            self._at[number] = (due + 1, self._after(state, stored, stored.answer(stored.winner)))
        return kind

    def _after(self, state: Any, stored: StoredStep, text: str) -> Any:
        """Return the state that a step led to."""
        action = guarded(self.task.parse, stored.step, "parse", text)
        after = guarded(self.task.apply, stored.step, "apply", state, action)
        if digest(canonical(after)) != stored.state_digest:
            raise JournalError(
                f"{self._path}: step {stored.step} leads to another state with this task than in the run. Was its "
                "code changed? See maker verify."
            )
        return after

    def _entry(self, segment: Segment) -> Any:
        """Return the state in which a segment begins."""
        if segment.enter is not None:
            return segment.entry
        missing = [before for before in segment.predecessors if before not in self._at]
        if missing:
            raise JournalError(f"{self._path}: segment {segment.index} began before segment {missing[0]} was finished.")
        return segment.joined([self._at[before][1] for before in segment.predecessors])
