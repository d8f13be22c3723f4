"""Coarser steps: any task with m of its actions in one answer, to compare with m = 1.

`coarse(task, m)` is a task whose step i stands for steps i m to i m + m - 1 of the one given: its answer is
the list of their actions, all read, all legal in turn and all applied, or none. It is for comparison: by Meyerson et
al. 2025 the useful share of samples falls as p^(m-1) while a vote decides no better.

The prompt is that of the first of the m steps, with the request to go on from there by the same rules. That is
enough for tasks whose prompt shows all that the next steps need (hanoi); where each step shows another part of
the data (sorting, multiplication, checkers), a real model cannot know the later parts, a simulated one can.

Not covered: paraphrases, and an answer form whose lines begin with `#`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

from maker.errors import TaskError
from maker.task.plan import DEFAULT_SEGMENTS, Plan
from maker.task.prompt import followed, render
from maker.task.task import Task, task_name

MOST = 10_000  # actions of one answer
_HEAD = re.compile(r"^[ \t]*# action ([0-9]{1,5})[ \t]*$", re.MULTILINE)
_ADDED = """

That is the first of {m} actions to carry out in a row. Work out what it leads to, take the next action from there by
the same rules, and so on; stop early only when the goal is reached. Write all {m} answers in order, each in the form
asked for above, under a line of its own that numbers it:
# action 1
<answer>
# action 2
<answer>"""

State = tuple[Any, int]  # the task's own state, and its actions so far
Actions = tuple[Any, ...]


def coarse(task: Task, m: int) -> Task:
    """Return the task with m of its actions in one answer, the last answer with as many as are left.

    task: any task. m: 1 to 10,000. Its name is "NAME by M"; it has `truth`, `rivals`, `render`, `plan`, `agrees`
    and `check` where the task has them. `maker.run` takes it like any other; to verify its journal, give it to
    `maker.verify` as the task.
    Raises TaskError for another m.
    """
    if type(m) is not int or not 1 <= m <= MOST:
        raise TaskError(f"coarse: m = {m!r}: give a whole number from 1 to 10,000")
    return _Coarse(task, m)


class _Coarse:
    """See `coarse`. What the task lacks, this lacks too: the engine asks by `hasattr`."""

    # In the header of every journal of a coarse task, as in `map.Items`: to be changed with what is asked or applied.
    __code_digest__ = "07502a698b12f1684e8a3633dd536911"

    def __init__(self, task: Task, m: int) -> None:
        self.task, self.m = task, m
        self.name = f"{task_name(task)} by {m}"
        self.parameters = {**getattr(task, "parameters", {}), "m": m}
        self.steps = None if task.steps is None else -(-task.steps // m)
        for optional in ("plan", "agrees", "check", "truth", "rivals", "render"):
            if hasattr(task, optional):
                setattr(self, optional, getattr(self, f"_{optional}"))

    # -- the task ------------------------------------------------------------------------------

    def initial_state(self) -> State:
        return self.task.initial_state(), 0

    def prompt(self, state: State, step: int) -> Any:
        return followed(render(self.task, *state), _ADDED.format(m=self._due(state)))

    def parse(self, text: str) -> Actions:
        """Read the answers under their numbered lines, which must count from 1."""
        _, *parts = _HEAD.split(text)
        numbers = [int(number) for number in parts[0::2]]
        if not numbers or numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"the lines `# action N` must count from 1, not {numbers[:20]}")
        return tuple(map(self.task.parse, parts[1::2]))

    def legal(self, state: State, actions: Actions) -> bool:
        """Say whether there are as many actions as are due, each legal where the one before led.

        What an action but the last claims beside itself must fit there too; for the last one `agrees` is asked.
        """
        inner, due = state[0], self._due(state)
        if len(actions) > due:
            return False
        agrees = getattr(self.task, "agrees", None)
        for count, action in enumerate(actions, 1):
            if not self.task.legal(inner, action):
                return False
            inner = self.task.apply(inner, action)
            if count == len(actions):
                break
            if self._over(inner) or (agrees is not None and not agrees(action, inner)):
                return False
        return len(actions) == due or self._over(inner)

    def apply(self, state: State, actions: Actions) -> State:
        inner, taken = state
        for action in actions:
            inner = self.task.apply(inner, action)
        return inner, taken + len(actions)

    def done(self, state: State) -> bool:
        return self.task.done(state[0])

    def answer(self, state: State) -> Any:
        return self.task.answer(state[0])

    def _due(self, state: State) -> int:
        """Return how many actions this answer must have; where `steps` is not known, the most it may have."""
        return self.m if self.task.steps is None else min(self.m, self.task.steps - state[1])

    def _over(self, inner: Any) -> bool:
        """Say whether no action can follow; only a task of unknown length ends early."""
        return self.task.steps is None and self.task.done(inner)

    # -- optional ------------------------------------------------------------------------------

    def _plan(self, segments: int = DEFAULT_SEGMENTS) -> Plan:
        enter = self.task.plan(segments).enter  # type: ignore[attr-defined]
        if enter is None or self.steps is None:
            if segments in (1, DEFAULT_SEGMENTS):
                return Plan.sequential(self.steps, self.initial_state)
            raise TaskError(f"{self.name}: segments = {segments}: its task knows too few entry states; give 1 segment")
        return Plan.chain(self.steps, lambda step: (enter(step * self.m), step * self.m), segments)

    def _agrees(self, actions: Actions, next_state: State) -> bool:
        return bool(self.task.agrees(actions[-1], next_state[0]))  # type: ignore[attr-defined]

    def _check(self, answers: Iterable[Actions]) -> str | None:
        return self.task.check(chain.from_iterable(answers))  # type: ignore[attr-defined, no-any-return]

    def _truth(self, state: State, step: int) -> Actions:
        return tuple(self._walk(state[0], state[1], self._due(state)))

    def _walk(self, inner: Any, taken: int, count: int) -> Iterable[Any]:
        """Yield the right actions from a state on, at most `count`."""
        for at in range(taken, taken + count):
            action = self.task.truth(inner, at)  # type: ignore[attr-defined]
            yield action
            inner = self.task.apply(inner, action)
            if self._over(inner):
                return

    def _rivals(self, state: State, step: int) -> list[Actions]:
        """Return answers in which one action is a rival of the right one, and the rest goes on rightly from there."""
        found: list[Actions] = []
        inner, taken = state
        due = self._due(state)
        before: Actions = ()
        for action in self._truth(state, step):
            rivals = self.task.rivals(inner, taken + len(before))  # type: ignore[attr-defined]
            found += [self._derailed(inner, taken, before, rival, due) for rival in rivals]
            inner, before = self.task.apply(inner, action), (*before, action)
        return found

    def _derailed(self, inner: Any, taken: int, before: Actions, rival: Any, due: int) -> Actions:
        begun = (*before, rival)
        if not self.task.legal(inner, rival):
            return begun  # too short: a flag catches it, as it caught the rival
        inner = self.task.apply(inner, rival)
        return begun if self._over(inner) else (*begun, *self._walk(inner, taken + len(begun), due - len(begun)))

    def _render(self, actions: Actions) -> str:
        write = self.task.render  # type: ignore[attr-defined]
        return "\n".join(f"# action {count}\n{write(action)}" for count, action in enumerate(actions, 1))
