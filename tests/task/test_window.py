"""A history in front of the prompts: as long as was asked for, the same answers, and nothing where none is wanted."""

from __future__ import annotations

import pytest

import maker
from maker.review.checking.verify import verify
from maker.testing import check_task


def walked(task, steps):
    """Return the state after so many right steps."""
    state = task.initial_state()
    for step in range(steps):
        state = task.apply(state, task.truth(state, step))
    return state


@pytest.mark.parametrize("design", ["lines", "questions"])
@pytest.mark.parametrize("window", [1, 3, "all"])
def test_a_prompt_shows_so_many_steps_before_its_own(design, window):
    """The last steps stand in their order in front of the task's own prompt; the first step has no past to show."""
    plain = maker.load_task("dict-sum", turns=3, design=design)
    task = maker.load_task("dict-sum", turns=3, design=design, window=window)
    check_task(task)
    assert task.prompt(task.initial_state(), 0) == plain.prompt(plain.initial_state(), 0)
    told = [plain.told(walked(plain, step), plain.truth(walked(plain, step), step)) for step in range(5)]
    shown = told if window == "all" else told[-window:]
    prompt = task.prompt(walked(task, 5), 5)
    assert prompt.endswith("newest last:\n" + "\n".join(shown) + "\n\n" + plain.prompt(walked(plain, 5), 5))


def test_a_line_says_what_was_asked_and_what_came():
    """A word with the value that was given for it, a sum with the total that was given."""
    task = maker.load_task("dict-sum")
    state = task.initial_state()
    assert task.told(state, 12) == f"{task.asked[0]}: 12"
    assert task.told(state._replace(total=7, value=-5), 3) == "7 - 5 = 3"


def test_no_window_is_the_task_itself():
    """Then neither the class nor the parameters, and so no header, know of windows."""
    task = maker.load_task("dict-sum", window="0")
    assert type(task) is type(maker.load_task("dict-sum"))
    assert "window" not in task.parameters


def test_a_run_with_a_window_verifies(tmp_path):
    """Its journal names the window, so the built-in task is made again from it."""
    task = maker.load_task("dict-sum", turns=2, window="2")
    result = maker.run_sync(task, model="oracle:p=0.95", k=3, journal=tmp_path / "run.journal")
    plain = maker.load_task("dict-sum", turns=2)
    assert result.solved and result.answer == sum(plain.dictionary[word] for word in plain.asked)
    assert verify(tmp_path / "run.journal").problem is None


def test_any_task_that_tells_its_steps_has_a_window():
    """What a task has beside its steps (kinds, a checker, a name) it keeps; without `told` it is refused."""
    inner = maker.load_task("dict-sum", turns=1, design="questions")
    task = maker.windowed(inner, 2)
    assert (task.name, task.kind(task.initial_state(), 0)) == ("dict-sum", "look-up")
    assert not hasattr(task, "plan") and not hasattr(task, "agrees")
    with pytest.raises(maker.TaskError, match="no told"):
        maker.windowed(maker.load_task("addition"), 2)


@pytest.mark.parametrize("window", [0, -1, True, 1.5, "some"])
def test_what_is_no_window_is_refused(window):
    """A number of steps, 1 or more, or "all"."""
    with pytest.raises(maker.TaskError, match="window = "):
        maker.windowed(maker.load_task("dict-sum"), window)
