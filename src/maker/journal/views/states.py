"""The states of a run, followed along its verdicts by the task's own code.

A journal keeps no states, only the digest of each: every state that is reached here is compared with that.

Not covered: whether verdicts follow from votes, and whether segments join (`review/checking/checker.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from maker.errors import JournalError, TaskError
from maker.journal.steps import StoredStep
from maker.journal.story import Story
from maker.task.canonical import canonical, digest, jsonable
from maker.task.plan import Segment, plan_of
from maker.task.task import Task, guarded, task_name


class States:
    """Says of each step of a journal in which state it was taken.

    Raises TaskError for a task that is not that of the journal.
    """

    def __init__(self, story: Story, task: Task) -> None:
        header, self._path = story.latest, story.path
        ours = {"task": task_name(task), "parameters": jsonable(getattr(task, "parameters", {})), "steps": task.steps}
        theirs = {name: header.get(name) for name in ours}
        if ours != theirs:
            raise TaskError(f"{self._path}: is the journal of another task: {theirs}, not {ours}")
        self.task, self.plan = task, plan_of(task, header["segments"])
        self._starts = [segment.start for segment in self.plan.segments]
        self._at: dict[int, tuple[int, Any]] = {}  # by segment: its next step, and the state before that

    def before(self, stored: StoredStep) -> Any:
        """Return the state before a step. Steps come as `Story.steps` yields them.

        Raises JournalError for one that is not due, or whose verdict leads elsewhere with this task's code.
        """
        number = bisect_right(self._starts, stored.step) - 1
        segment = self.plan.segments[number]
        due, state = self._at.get(number) or (segment.start, self._entry(segment))
        if stored.step != due:
            raise JournalError(f"{self._path}: step {stored.step} stands where step {due} was due. See maker verify.")
        if stored.winner is not None:
            self._at[number] = (due + 1, self._after(state, stored, stored.answer(stored.winner)))
        return state

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
