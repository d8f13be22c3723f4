"""A checker knows, and says so in True and False; a model is asked what the run was asked, in a journal of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import maker
from adding import Adding
from maker.api.audit.decisions import Decision, Decisions
from maker.api.audit.judges import Checker, Questions
from maker.errors import TaskError
from maker.journal.story import Story
from maker.journal.views.items import is_map
from maker.task.plan import plan_of
from maker.testing import ScriptedModel


def decisions(count: int) -> list[Decision]:
    """Return some decisions of a task that adds, taken in states that are not the steps."""
    return [Decision(step, 2, "", step, step, 10 + step, 11 + step, str(11 + step), 3, 0) for step in range(count)]


@pytest.mark.asyncio
async def test_a_checker_sees_state_step_and_answer() -> None:
    """It is asked about as many decisions as are wanted, and no more."""
    seen: list[tuple[Any, int, Any]] = []

    def check(state: Any, step: int, answer: Any) -> bool:
        seen.append((state, step, answer))
        return step != 1

    found = await Checker(check, "mine").judge(decisions(5), 3)
    assert [opinion and opinion.right for opinion in found.opinions] == [True, False, True]
    assert seen == [(10, 0, 11), (11, 1, 12), (12, 2, 13)] and found.stopped is None


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [None, 1, "yes"])
async def test_a_checker_that_says_neither_is_named_with_the_step(answer: object) -> None:
    """Whatever is no truth value is a mistake of the checker, not a wrong decision."""
    with pytest.raises(TaskError, match="step 0: the checker returned"):
        await Checker(lambda *_: answer, "mine").judge(decisions(1), 1)  # type: ignore[arg-type,return-value]


@pytest.mark.asyncio
async def test_a_checker_that_raises_is_named_with_the_step() -> None:
    """A bug of a checker is told as one of the user's code."""
    with pytest.raises(TaskError, match="step 0: the checker raised ZeroDivisionError"):
        await Checker(lambda *_: bool(1 / 0), "mine").judge(decisions(1), 1)


def test_the_truth_of_a_task_without_one_is_refused() -> None:
    """Nobody is a judge who does not know."""
    with pytest.raises(TaskError, match="has no truth"):
        Checker.of_truth(Adding())


@pytest.fixture
def hanoi(tmp_path: Path) -> Questions:
    """Return the questions of a sample of a small tower."""
    task, path = maker.load_task("hanoi", disks=5), tmp_path / "run.db"
    maker.run_sync(task, model="oracle:p=1", k=1, journal=path)
    story = Story(path)
    return Questions(task, Decisions(story, task, 0).drawn(12), story.head.hex())


def test_the_questions_are_those_of_the_run(hanoi: Questions) -> None:
    """Each item has the prompt of its step in the state of the run, what the rules allow there, and the truth."""
    task: Any = maker.load_task("hanoi", disks=5)
    for item, of in enumerate(hanoi._items):
        assert hanoi.prompt(item, item) == task.prompt(of.state, of.step)
        truth = hanoi.truth(item, item)  # type: ignore[attr-defined]
        assert truth == of.answer and hanoi.legal(item, truth) and hanoi.agrees(truth, item + 1)
        for rival in task.rivals(of.state, of.step):
            assert hanoi.legal(item, rival) == task.legal(of.state, rival)
    assert hanoi.agrees(hanoi._items[0].answer, 6) is (hanoi._items[5].answer == hanoi._items[0].answer)


def test_the_questions_are_a_map(hanoi: Questions, tmp_path: Path) -> None:
    """They are items that do not depend on one another, and their journal verifies as that of a map."""
    assert len(plan_of(hanoi, 12).segments) == hanoi.steps == 12
    path = tmp_path / "answers.db"
    result = maker.run_sync(hanoi, model="oracle:p=0.9,v=0.9", k=2, journal=path, segments=12)
    assert result.steps == 12 and is_map(Story(path).latest)
    assert maker.verify(path).problem is None


def test_a_task_that_has_little_gives_questions_that_have_no_more() -> None:
    """What a task lacks is not made up: no truth, no kinds, no rule for what is claimed."""
    made = Questions(Adding(), decisions(3), "head")
    assert not any(hasattr(made, name) for name in ("truth", "rivals", "kind", "agrees", "render"))
    assert made.parameters["audit"] == "head"


def test_questions_of_another_run_are_refused(hanoi: Questions, tmp_path: Path) -> None:
    """The journal of the answers names the journal of the decisions."""
    path = tmp_path / "answers.db"
    model = ScriptedModel(lambda request: "1")
    maker.run_sync(Questions(Adding(), decisions(3), "head"), model=model, k=1, journal=path, segments=3)
    with pytest.raises(maker.JournalError, match="parameters"):
        maker.run_sync(Questions(Adding(), decisions(3), "other"), model=model, k=1, journal=path, segments=3)
