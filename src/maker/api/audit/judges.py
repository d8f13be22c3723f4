"""Who judges decisions: a checker that knows, or a model that is asked the same questions; a person in `sheet.py`.

A checker and a person say right or wrong. A model gives its own answer, decided by votes and journaled beside the run:
what differs from the run's is a *disagreement*. A model errs, too, and most where the first one did: an error that both
make is not seen, and a right decision may be disagreed with.

Not covered: how often a judge errs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from maker.api.answers import Reader
from maker.api.audit.decisions import Decision
from maker.api.map import MOST_SEGMENTS, Items
from maker.engine.result import RunResult
from maker.errors import JournalError, JournalFull, TaskError
from maker.journal.story import Story
from maker.journal.views.items import ByItem
from maker.task.canonical import canonical
from maker.task.task import Task, guarded, task_name

Check = Callable[[Any, int, Any], bool]  # (state, step, answer) -> is it right?


@dataclass(slots=True, frozen=True)
class Opinion:
    """What a judge says of a decision. right: None where the judge came to no verdict. said: its own answer, if any."""

    right: bool | None
    said: str = ""


@dataclass(slots=True)
class Judgement:
    """Opinions by decision, None where there is none yet. stopped, detail: why some are missing, and what to do."""

    opinions: list[Opinion | None]
    stopped: str | None = None
    detail: str = ""
    result: RunResult | None = None


class Judge(Protocol):
    """One who judges decisions. words: what a wrong one is called by this judge."""

    words: str

    async def judge(self, decisions: Sequence[Decision], count: int) -> Judgement:
        """Judge the first decisions, so many, of all that may come to be judged."""
        ...


class Checker:
    """A function of the user's own, or the task's truth: it knows, and is asked anew each time."""

    words = "wrong"

    def __init__(self, check: Check, name: str) -> None:
        self._check, self._name = check, name

    @classmethod
    def of_truth(cls, task: Task) -> Checker:
        """Return the checker that a task is by its truth. Raises TaskError for a task without one."""
        truth = getattr(task, "truth", None)
        if truth is None:
            raise TaskError(f"audit: the task {task_name(task)} has no truth(state, step): give a checker or a model")
        return cls(lambda state, step, answer: canonical(truth(state, step)) == canonical(answer), "the task's truth")

    def __str__(self) -> str:
        return self._name

    async def judge(self, decisions: Sequence[Decision], count: int) -> Judgement:
        """Check them. Raises TaskError where the function raises, or says neither True nor False."""
        return Judgement([Opinion(self._right(decision)) for decision in decisions[:count]])

    def _right(self, decision: Decision) -> bool:
        said = guarded(self._check, decision.step, "the checker", decision.state, decision.step, decision.answer)
        if not isinstance(said, bool):
            raise TaskError(f"step {decision.step}: the checker returned {said!r:.80}: it must return True or False")
        return said


class Voters:
    """A model that is asked the same questions, each answer decided by votes, in a journal of its own.

    ask: carries out a task, journaled in `journal`, as far as limits allow.
    """

    words = "disagreement"

    def __init__(self, task: Task, of: str, journal: Path, ask: Callable[[Items[Decision]], Awaitable[RunResult]],
                 name: str) -> None:  # fmt: skip
        self._task, self._of, self._journal, self._ask, self._name = task, of, journal, ask, name

    def __str__(self) -> str:
        return self._name

    async def judge(self, decisions: Sequence[Decision], count: int) -> Judgement:
        """Ask about those that have no answer yet, and go on with what an earlier call asked; raises as `maker.run`."""
        held = self._held()
        if count > MOST_SEGMENTS:
            raise TaskError(
                f"audit: a model judges {MOST_SEGMENTS:,} decisions at most, and this sample has {count:,}: give a "
                "smaller --sample, a larger --bound, or a checker"
            )
        if held > len(decisions):
            raise TaskError(
                f"audit: {self._journal} holds answers on {held:,} decisions, those of a larger sample: give --sample "
                f"{held} or more, or another --to"
            )
        decisions = decisions[: max(held, count)]
        try:
            result = await self._ask(Questions(self._task, decisions, self._of))
        except JournalFull:
            raise
        except JournalError as error:
            raise JournalError(f"{error} A judge with other settings needs another --to.") from None
        opinions: list[Opinion | None] = [None] * len(decisions)
        for item in result.failed:
            opinions[item] = Opinion(None)
        for stored in ByItem(self._journal).steps("decided"):
            text = stored.answer(stored.winner or 0)
            answer = guarded(self._task.parse, decisions[stored.step].step, "parse", text)
            agrees = canonical(answer) == canonical(decisions[stored.step].answer)
            opinions[stored.step] = Opinion(agrees, "" if agrees else text)
        if result.stopped and not result.failed:
            return Judgement(opinions[:count], result.stopped, result.detail, result)
        return Judgement(opinions[:count], result=result)

    def _held(self) -> int:
        """Return how many decisions an earlier call asked about."""
        there = self._journal.exists() and self._journal.stat().st_size
        return int(Story(self._journal).latest.get("steps") or 0) if there else 0


class Questions(Items[Decision]):
    """The task whose item i is decision i of a sample: the question of its step, asked again.

    of: the head of the journal whose decisions they are, so that those of another are refused. A simulated judge is
    told the truth of the task, where it has one, as it is told that of any task.
    """

    __code_digest__ = "6d1f7c1d7fa04c70a3c6f6a5fae7d1b2"  # kept, as that of Items

    def __init__(self, task: Task, decisions: Sequence[Decision], of: str) -> None:
        reader: Reader[Any] = Reader(task.parse, getattr(task, "schema", None), {"audit": of}, lambda answer: answer)
        super().__init__(lambda decision: task.prompt(decision.state, decision.step), decisions, reader)
        self._task = task
        if hasattr(task, "agrees"):
            self.agrees = self._agrees
        if hasattr(task, "render"):
            self.render = task.render
        for name in ("truth", "rivals", "kind"):
            if hasattr(task, name):
                setattr(self, name, self._asked_there(getattr(task, name)))

    def legal(self, state: int, action: Any) -> bool:
        """Say whether an action is allowed in the state of the run."""
        return self._task.legal(self._items[state].state, action)

    def _agrees(self, action: Any, after: int) -> bool:
        """Say whether what the judge claims beside its action fits the state that the action leads to."""
        state = self._items[after - 1].state
        return bool(self._task.agrees(action, self._task.apply(state, action)))  # type: ignore[attr-defined]

    def _asked_there(self, method: Callable[[Any, int], Any]) -> Callable[[int, int], Any]:
        """Return a method of the task as one that is asked of an item."""
        return lambda _, item: method(self._items[item].state, self._items[item].step)
