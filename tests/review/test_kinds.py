"""The kinds of a journal's steps are those of the run, its states followed by the task's code alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.errors import JournalError, TaskError
from maker.journal.story import Story
from maker.review.export import rows
from maker.review.kinds import Kinds, OfKind
from maker.task.plan import Plan
from maker.testing import ScriptedModel


class Sorted(Adding):
    """Counts to its goal, in segments; its steps are of two kinds."""

    def plan(self, segments: int = 4) -> Plan:
        return Plan.chain(self.goal, lambda step: step, segments)

    def kind(self, state: int, step: int) -> str:
        return "big" if state >= 12 else "small"


def counted(path: Path, task: Any) -> dict[str, OfKind]:
    """Return what each kind took."""
    story = Story(path)
    kinds = Kinds(story, task)
    for stored in story.steps():
        kinds.take(stored)
    return kinds.found


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Write a run of 20 steps in four segments, the first draw of each step from 12 on wrong and the next flagged."""
    path = tmp_path / "run.db"

    def reply(request: Any) -> str:
        early = request.state >= 12 and request.address.draw < 2
        return str(request.state + 1) if not early else "" if request.address.draw else "0"

    assert maker.run_sync(Sorted(20), model=ScriptedModel(reply), k=2, journal=path, segments=4).solved
    return path


def test_each_kind_has_what_its_steps_took(journal: Path) -> None:
    """Decided steps, samples, flagged ones and lost votes by kind add up to those of the run."""
    found = counted(journal, Sorted(20))
    assert found["small"] == OfKind(12, 24, 0, 0)
    assert (found["big"].steps, found["big"].flagged, found["big"].lost) == (8, 8, 8)
    assert sum(kind.samples for kind in found.values()) == Story(journal).summary().samples


def test_the_column_names_the_kind_of_each_row(journal: Path) -> None:
    """Steps and samples carry it where the task is given, and rows have no such column where it is not."""
    for what in ("steps", "samples"):
        assert all(row["kind"] == ("big" if row["step"] >= 12 else "small")
                   for row in rows(journal, what, task=Sorted(20)))  # fmt: skip
        assert not any("kind" in row for row in rows(journal, what))


def test_kinds_of_a_bundled_task_are_those_that_were_asked(tmp_path: Path) -> None:
    """Two questions a column: as many steps of each kind as the task asks, in a run that was stopped as well."""
    path = tmp_path / "run.db"
    task = maker.load_task("addition", x=987654, y=345678, design="questions")
    maker.run_sync(task, model="oracle:p=0.8,v=0.9", k=3, journal=path, limits={"max_steps": 7})
    found = counted(path, maker.load_task("addition", x=987654, y=345678, design="questions"))
    assert Counter({name: kind.steps for name, kind in found.items()}) == {"digits": 4, "carry": 3}


def test_a_task_that_is_not_the_journals_is_refused(journal: Path) -> None:
    """One without kinds, one with other parameters, and one whose code leads elsewhere: each with what is wrong."""

    class Leaping(Sorted):
        def apply(self, state: int, action: int) -> int:
            return action + 1

    with pytest.raises(TaskError, match="names no kinds of its steps"):
        counted(journal, Adding(20))
    with pytest.raises(TaskError, match="is the journal of another task"):
        counted(journal, Sorted(21))
    with pytest.raises(JournalError, match="step 0 leads to another state with this task than in the run"):
        counted(journal, Leaping(20))


def test_a_step_that_is_not_due_is_refused(journal: Path) -> None:
    """A journal whose steps jump is damaged: no kind is guessed for them."""
    story = Story(journal)
    kinds = Kinds(story, Sorted(20))
    late = list(story.steps())[-1]
    with pytest.raises(JournalError, match="was due"):
        kinds.take(late)
