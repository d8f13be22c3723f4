"""The states of a run are followed by the task's code alone, and each is compared with the journal's digest of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.errors import JournalError, TaskError
from maker.journal.story import Story
from maker.journal.views.states import States
from maker.task.plan import Plan
from maker.testing import ScriptedModel


class Parted(Adding):
    """Counts to its goal, in segments."""

    def plan(self, segments: int = 4) -> Plan:
        return Plan.chain(self.goal, lambda step: step, segments)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Write a run of 12 steps in four segments."""
    path = tmp_path / "run.db"
    model = ScriptedModel(lambda request: str(request.state + 1))
    assert maker.run_sync(Parted(12), model=model, k=1, journal=path, segments=4).solved
    return path


def followed(path: Path, task: Any) -> dict[int, Any]:
    """Return the state before each step."""
    story = Story(path)
    states = States(story, task)
    return {stored.step: states.before(stored) for stored in story.steps()}


def test_each_step_has_the_state_in_which_it_was_taken(journal: Path) -> None:
    """In the segments of the run, in whatever order they were carried out."""
    assert followed(journal, Parted(12)) == {step: step for step in range(12)}


def test_another_task_and_code_that_leads_elsewhere_are_refused(journal: Path) -> None:
    """Other parameters are another task; a step whose state differs from the run's names itself."""

    class Leaping(Parted):
        def apply(self, state: int, action: int) -> int:
            return action + 1

    with pytest.raises(TaskError, match="is the journal of another task"):
        followed(journal, Parted(13))
    with pytest.raises(JournalError, match="step 0 leads to another state with this task than in the run"):
        followed(journal, Leaping(12))


def test_a_step_that_is_not_due_is_refused(journal: Path) -> None:
    """A journal whose steps jump is damaged: no state is guessed for them."""
    story = Story(journal)
    states = States(story, Parted(12))
    with pytest.raises(JournalError, match="was due"):
        states.before(list(story.steps())[-1])
