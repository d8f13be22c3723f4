"""Several models, or designs or windows of a task, at the same states: which can do the run, and which most cheaply.

`compare` draws on all of them in turn, part by part (`drawing/looks.py`), within one account and one set of limits. An
arm is dropped as soon as another is shown to err less (`theory/compare.py`, at 5% over all looks and all arms) and
would make the run cheaper, too, by what was seen; so a model without an error is never dropped, and neither is one that
errs more but costs less. What is kept has the figures that an `estimate` of the same steps would give it.

Not covered: a journal; models that are dear to start and cheap to ask; waiting for several models at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Unpack

from maker.api.drawing.arms import Arm, Arms, Entry
from maker.api.drawing.looks import Goal, draw, probing
from maker.api.estimate import Estimate, check_counts, summed, too_few
from maker.api.opened import Asking, task_for
from maker.api.sync import twin
from maker.decision.ending import Stop
from maker.decision.sample import AnyModel, Traits
from maker.engine.probe import Pace
from maker.errors import Infeasible, ModelError, TaskError
from maker.task.task import Task
from maker.theory.compare import holm
from maker.theory.planner import ENOUGH


@dataclass(frozen=True)
class Compared:
    """What one arm is, and what was seen of it.

    name: unique among the arms. design: its design of the task's steps, and its window. estimate: None where too
    little was seen, or hardly a reply could vote; dropped: it was left before the others; reason: says why, "" where
    there is nothing to say beside the estimate.
    """

    name: str
    model: str
    design: str
    estimate: Estimate | None
    dropped: bool
    reason: str

    @property
    def feasible(self) -> bool:
        """Whether voting can do it, as far as is known."""
        return self.estimate is not None and self.estimate.feasible

    def as_json(self) -> dict[str, Any]:
        """Return the object of `--json`: that of the estimate, and what the arm is."""
        told = {"model": self.model, "design": self.design, "dropped": self.dropped, "why": self.reason}
        seen = self.estimate.as_json() if self.estimate else {"feasible": False, "reason": self.reason, "exit_code": 2}
        return {**seen, **told, "model": self.model}


@dataclass(frozen=True)
class Paired:
    """Two arms at the same states: pairs of replies that could both vote, and those in which one alone was wrong.

    chance: P(so one-sided, in either direction) where both err equally often, by McNemar's exact test and Holm over all
    pairs of arms; where one was dropped, by the test that may be looked at at any time.
    """

    one: str
    other: str
    n: int
    one_wrong: int
    other_wrong: int
    chance: float


@dataclass(frozen=True)
class Comparison:
    """Arms in order: those that can do the run first, the cheapest first. pairs: empty without a truth.

    stopped: the limit, or the interrupt, that ended the drawing early.
    """

    arms: list[Compared]
    pairs: list[Paired]
    stopped: str | None

    @property
    def exit_code(self) -> int:
        """That of the first arm's estimate; where it has none, 3 if something stopped it and 2 if not."""
        first = self.arms[0].estimate
        return first.exit_code if first else 3 if self.stopped else 2

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker compare --json` prints."""
        return {"arms": {arm.name: arm.as_json() for arm in self.arms}, "pairs": [asdict(pair) for pair in self.pairs],
                "stopped": self.stopped, "exit_code": self.exit_code}  # fmt: skip


async def compare(
    task: Task | str,
    *,
    models: Sequence[AnyModel] | Mapping[str, AnyModel],
    designs: str | Sequence[str] = (),
    windows: Sequence[int | str] = (),
    parameters: Mapping[str, Any] | None = None,
    steps: int | None = None,
    repeats: int = 2,
    target: float = 0.95,
    worst_case: bool = False,
    paraphrase: bool = False,
    total_steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    pace: Callable[[Pace], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
    **asking: Unpack[Asking],
) -> Comparison:
    """Ask several models about the same random states of a task, and say which does the run at what cost.

    task: an object or a name; parameters: of a task given by its name. models: as for `run`, by names of the caller's
    choice or in a list. designs: of the task's steps, each asked of each model: "all", or their names; only for a task
    given by its name. windows: likewise how many of the steps before a prompt shows, or "all"; each of each design.
    Limits are of all arms together. steps, repeats, target, worst_case, paraphrase, total_steps,
    progress, pace, interrupted, asking: as for `estimate`; where steps is not given, the cheapest arm says what it is
    worth.

    Returns a Comparison, also where a limit or an interrupt ends the drawing. Without a truth each arm is graded by
    agreement with its own votes, which tells none of them apart: no pairs, and none is dropped. A model that is lost is
    an arm without an estimate. Raises TaskError for bad input, ModelError where none of the models can be used.
    """
    check_counts("compare", steps, repeats, total_steps)
    made = _entries(task, models, designs, windows, parameters)
    arms: list[Arm] = []

    def shown(_count: int, _total: int) -> None:
        """Say how far all arms are together."""
        if progress is not None:
            progress(sum(len(arm.probe.seen) for arm in arms), sum(arm.probe.wanted for arm in arms))

    async with AsyncExitStack() as stack:
        first = None
        for entry in made:
            goal = Goal.of(entry.task, total_steps, target, worst_case=worst_case)
            probe, senders = await stack.enter_async_context(probing(
                compare, entry.task, entry.model, asking, goal, paraphrase=paraphrase, beside=first, progress=shown,
                pace=pace, interrupted=interrupted,
            ))  # fmt: skip
            first = first or senders
            arms.append(Arm(entry, probe, goal, steps, repeats))
        together = Arms(arms)
        return _said(together, await _drawn(together))


compare_sync = twin(compare)


def _entries(
    task: Task | str, models: Sequence[AnyModel] | Mapping[str, AnyModel], designs: str | Sequence[str],
    windows: Sequence[int | str], parameters: Mapping[str, Any] | None,
) -> list[Entry]:  # fmt: skip
    """Return what makes each arm. Raises TaskError for what is none."""
    named = _named(models)
    given = dict(parameters or {})
    if not isinstance(task, str):
        if designs or windows or given:
            raise TaskError(
                "compare: designs, windows and parameters are of a task given by its name; this one is made already"
            )
        return [Entry(name, "", task, model) for name, model in named.items()]
    entries = []
    for name, model in named.items():
        for design, window in product(_designs(task, model, given, designs), dict.fromkeys(windows) or [None]):
            chosen: dict[str, Any] = {"design": design} if design else {}
            chosen |= {} if window is None else {"window": window}
            way = ", ".join(filter(None, [design, "" if window is None else f"window {window}"]))
            arm = name if not way else way if len(named) == 1 else f"{name} {way}"
            entries.append(Entry(arm, way, task_for(task, model, **{**given, **chosen}), model))
    return entries


def _named(models: Sequence[AnyModel] | Mapping[str, AnyModel]) -> dict[str, AnyModel]:
    """Return models by their names, each of another."""
    if isinstance(models, Mapping):
        named = dict(models)
    elif isinstance(models, Sequence) and not isinstance(models, str):
        named = {model if isinstance(model, str) else Traits.name_of(model): model for model in models}
        if len(named) < len(models):
            raise TaskError("compare: models: two have the same name. Give a dict, {name: model}")
    else:
        raise TaskError(f"compare: models = {models!r:.80}: give a list of models, or a dict of them by name")
    if not named:
        raise TaskError("compare: models is empty: there is nothing to compare")
    return named


def _designs(task: str, model: AnyModel, given: Mapping[str, Any], designs: str | Sequence[str]) -> list[str]:
    """Return the designs to ask; "" for that of the parameters."""
    if not designs:
        return [""]
    known = list(getattr(task_for(task, model, **given), "designs", ()))
    if not known:
        raise TaskError(f"designs: {task} has one design of its steps only. Leave them out.")
    return known if designs == "all" else [designs] if isinstance(designs, str) else list(designs)


async def _drawn(arms: Arms) -> str | None:
    """Draw on all arms; return the name of what stopped it early. Raises where no arm's model can be used."""
    try:
        await draw(arms.arms, arms.drop)
    except Stop as stop:
        return stop.kind
    errors = [arm.error for arm in arms.arms if isinstance(arm.error, ModelError)]
    if len(errors) == len(arms.arms):
        raise errors[0]
    return None


def _said(arms: Arms, stopped: str | None) -> Comparison:
    """Sum up what was drawn, the cheapest feasible arm first."""
    found = [_compared(arm, stopped) for arm in arms.arms]
    partly = {one.name for one in found if one.dropped}
    chances = holm({names: pairs.surprise_of_either if partly & set(names) else pairs.chance
                    for names, pairs in arms.pairs.items()})  # fmt: skip
    paired = [Paired(*names, pairs.n, pairs.worse, pairs.better, chances[names])
              for names, pairs in arms.pairs.items() if pairs.n]  # fmt: skip
    return Comparison(sorted(found, key=_place(found)), paired, stopped)


def _compared(arm: Arm, stopped: str | None) -> Compared:
    """Say what was seen of an arm."""
    probe, entry = arm.probe, arm.entry
    why = str(arm.error) if arm.error else arm.left_for
    told = None
    try:
        if arm.error is None and stopped is not None and len(probe.seen) < ENOUGH:
            why = f"{too_few(probe)} Stopped by {stopped}."
        else:
            told = summed(probe, arm.goal, stopped)
    except Infeasible as error:
        why = why or str(error)
    return Compared(entry.name, probe.dispatcher.traits.name, entry.design, told, bool(arm.left_for), why)


def _place(arms: Sequence[Compared]) -> Callable[[Compared], tuple[int, float]]:
    """Return the key that puts arms in order: dollars where all feasible ones have them, else tokens, else samples."""
    told = [arm.estimate for arm in arms if arm.estimate and arm.feasible]
    unit = next((unit for unit in ("cost", "tokens") if all(getattr(one, unit) for one in told)), "samples")

    def place(arm: Compared) -> tuple[int, float]:
        amount = getattr(arm.estimate, unit, None)
        group = 3 if arm.estimate is None else 2 if not arm.feasible else int(arm.dropped)
        return group, amount.value if amount else math.inf

    return place
