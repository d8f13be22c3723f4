"""A bounded history in the prompts: any task whose prompts also show what was done just before.

`windowed(task, window)` is the same task with the last so many steps, a line each, in front of every prompt: to measure
what a history costs a model. A task that needs none does best without.

In a run these lines tell what was voted for, right or wrong. An estimate stands on right states, so what it measures is
the length of a history, and not errors in it (`maker experiment self-conditioning` has those).

Not covered: prompts that are messages; other views of a prompt (paraphrases).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from maker.errors import TaskError
from maker.task.prompt import render
from maker.task.task import Task

Window = int | Literal["all"]

_BEFORE = "These steps were done before, the newest last:\n{lines}\n\n{prompt}"


class WindowState(NamedTuple):
    """The state of the task itself, and the lines about the last steps."""

    now: Any
    past: tuple[str, ...] = ()


def windowed(task: Task, window: Window) -> Task:
    """Return a task whose prompts begin with what was done in the steps before.

    task: one with `told(state, action)`, which says in a line what an action did. window: how many steps are shown, 1
    or more, or "all". Raises TaskError for another window, or a task that tells nothing.
    """
    if window != "all" and (isinstance(window, bool) or not isinstance(window, int) or window < 1):
        raise TaskError(f'window = {window!r}: give how many steps a prompt shows, 1 or more, or "all"')
    if not hasattr(task, "told"):
        raise TaskError("window: this task has no told(state, action), the line about a step that a history shows")
    return _Windowed(task, window)


class _Windowed:
    """See `windowed`. What the task lacks, this lacks too: the engine asks by `hasattr`."""

    # In the header of every journal of such a task, as in `coarse`: to be changed with what is asked or applied.
    __code_digest__ = "3b1f0c7b5f5c4d0f8a52a6a1c9e2d7e4"

    def __init__(self, task: Any, window: Window) -> None:
        self.task, self._most = task, None if window == "all" else window
        self.parameters = {**getattr(task, "parameters", {}), "window": window}
        self.steps: int | None = task.steps
        for name in ("name", "designs", "check", "render"):  # what no state goes into
            if hasattr(task, name):
                setattr(self, name, getattr(task, name))
        for name in ("agrees", "kind", "truth", "rivals"):
            if hasattr(task, name):
                setattr(self, name, getattr(self, f"_{name}"))

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> WindowState:
        return WindowState(self.task.initial_state())

    def prompt(self, state: WindowState, step: int) -> str:
        prompt = render(self.task, state.now, step)
        return _BEFORE.format(lines="\n".join(state.past), prompt=prompt) if state.past else prompt

    def parse(self, text: str) -> Any:
        return self.task.parse(text)

    def legal(self, state: WindowState, action: Any) -> bool:
        return bool(self.task.legal(state.now, action))

    def apply(self, state: WindowState, action: Any) -> WindowState:
        past = (*state.past, self.task.told(state.now, action))
        return WindowState(self.task.apply(state.now, action), past if self._most is None else past[-self._most :])

    def done(self, state: WindowState) -> bool:
        return bool(self.task.done(state.now))

    def answer(self, state: WindowState) -> Any:
        return self.task.answer(state.now)

    # -- optional ------------------------------------------------------------------------------

    def _agrees(self, action: Any, next_state: WindowState) -> bool:
        return bool(self.task.agrees(action, next_state.now))

    def _kind(self, state: WindowState, step: int) -> str:
        return str(self.task.kind(state.now, step))

    def _truth(self, state: WindowState, step: int) -> Any:
        return self.task.truth(state.now, step)

    def _rivals(self, state: WindowState, step: int) -> Any:
        return self.task.rivals(state.now, step)
