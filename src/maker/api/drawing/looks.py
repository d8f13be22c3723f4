"""Draws on one task for an estimate, part by part: as many steps as asked, or as many as the run to come is worth.

Where nobody says how many steps, it looks at what was seen after 30, 60, 120, ... of them, up to 1,000, and stops once
all draws are a tenth of those that the planned run would take: the first round has half of that, draws repeated on
steps that erred the rest. 30 steps are drawn on always, since fewer say nothing. The first round ends, too, once it is
shown that p is below 1/2, or that no reply can vote.

Steps are drawn on in random order, so that what a limit or an interrupt leaves is a sample of the whole run.

Not covered: what is said of it (`api/estimate.py`); intervals do not know that the end depends on what was seen.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maker.api.drawing.ahead import begun, settle, shares
from maker.api.opened import Asking, opened
from maker.decision.sample import AnyModel
from maker.decision.step import Rules
from maker.engine.probe import AGAIN, Probe
from maker.engine.senders import Senders
from maker.errors import Infeasible, TaskError
from maker.journal.notes import UNKNOWN_STEPS
from maker.task.plan import plan_of
from maker.task.task import Task, guarded
from maker.theory.draws import Seen
from maker.theory.planner import ENOUGH, project

MOST = 1000  # steps, where nobody says how many
MOST_AGAIN = 100  # erring steps that are drawn again
HOPELESS_AGAIN = 5  # of them, where p is below 1/2
SHARE = 10  # an estimate takes one part in so many of the run that it plans
ESTIMATE_EPOCH = 2**32 + 1  # its seeds meet neither those of a run nor of a calibration


@asynccontextmanager
async def probing(
    caller: Callable[..., Any], task: Task, model: AnyModel, asking: Asking, goal: Goal,
    *, paraphrase: bool = False, beside: Senders | None = None, journal: str | Path | None = None, **showing: Any,
) -> AsyncIterator[tuple[Probe, Senders]]:  # fmt: skip
    """Open what asks a model about a task, and close it in the end.

    goal: what is planned for. beside: who sends for other arms, with whom limits and account are shared. journal: of
    the run that is to follow, which goes on with what is drawn here (`ahead.py`). showing: progress, pace and
    interrupted of the `Probe`. Raises as `opened` does.
    """
    if journal is not None and goal.known and not goal.own:
        raise TaskError("estimate: a journal is of a run of the task's own steps: leave total_steps out, or journal")
    plan = plan_of(task, None)
    more: dict[str, Any] = {} if journal is None else {"k": "auto", "keep_samples": None}
    async with opened(
        caller, model, asking, task=task, beside=beside, target=goal.target, worst_case=goal.worst_case,
        paraphrase=paraphrase, segments=len(plan.segments), tools=getattr(task, "tools", None), **more,
    ) as (senders, config, red_flags):  # fmt: skip
        with nullcontext() if journal is None else begun(task, senders, config, journal, plan, red_flags) as course:
            run = course.header["run"] if course is not None and shares(course) else ""
            probe = Probe(task, senders.own, config, red_flags, Rules.of(task), name="estimate", epoch=ESTIMATE_EPOCH,
                          run=run, **showing)  # fmt: skip
            yield probe, senders
            if course is not None:
                settle(course, probe)


@dataclass(slots=True, frozen=True)
class Goal:
    """What is planned for: steps, whether they are the task's own, and the wanted P(whole run right).

    worst_case: whether that is to be reached whatever the shape of difficulty. batch: the run is asked in batches.
    """

    steps: int
    own: bool
    known: bool
    target: float
    worst_case: bool = False
    batch: bool = False

    @classmethod
    def of(
        cls, task: Task, total_steps: int | None, target: float, *, worst_case: bool = False, batch: bool = False
    ) -> Goal:
        """Return it; a million steps where neither the caller nor the task says how many."""
        own = guarded(lambda: task.steps, None, "steps")
        total = total_steps or own or UNKNOWN_STEPS
        return cls(total, total == own, bool(total_steps or own), target, worst_case, batch)


class Looks:
    """A first round that is drawn part by part.

    steps: to draw on, or None for as many as it is worth; without a truth a tenth of all, 30 at least and 1,000 at
    most. repeats: draws on each. Raises as `Probe` does.
    """

    def __init__(self, probe: Probe, goal: Goal, steps: int | None, repeats: int) -> None:
        self.probe, self.goal = probe, goal
        turns = len(probe.dispatcher.traits.turns)
        self.repeats = max(2, repeats) * turns or repeats  # of a pool each model is asked twice, to be seen by itself
        self.sparing = steps is None
        self.left: list[Seen] = []
        self._by_votes = probe.against == "agreement"
        self._count = steps or MOST
        if not self._by_votes:
            self.left = probe.chosen(self._count, once=self.sparing)
        elif self.sparing:
            self._count = min(max(ENOUGH, goal.steps // SHARE), MOST)

    @property
    def open(self) -> bool:
        """Whether there are steps left, and more of them are of use: some reply could vote, and p may be above 1/2."""
        found = self.probe.evidence
        if not self.probe.seen:
            return bool(self.left) or self._by_votes
        return bool(self.left and found.n and found.p_high > 0.5)

    async def on(self, picks: float) -> list[Seen]:
        """Draw until steps were picked so often in all, and return the new ones, in order of their place.

        Without a truth all are drawn at once: votes lead from one to the next.
        """
        self._bind()
        if self._by_votes:
            await self.probe.first(self._count, self.repeats)
            return self.probe.seen
        asked = sum(step.picked for step in self.probe.seen)
        fresh: list[Seen] = []
        while self.left and asked < picks:
            fresh.append(self.left.pop(0))
            asked += fresh[-1].picked
        await self.probe.on(fresh, self.repeats)
        return sorted(fresh, key=lambda step: step.index)

    async def again(self, draws: float) -> None:
        """Draw again on steps that erred, so often at most."""
        self._bind()
        await self.probe.again(MOST_AGAIN, draws)

    def _bind(self) -> None:
        """Tell a simulated model of the task: it may have learned of another arm's meanwhile."""
        if (bind := self.probe.dispatcher.traits.bind) is not None:
            bind(self.probe.task)

    def worth(self) -> float:
        """Return how many draws an estimate may take in all; inf where no run is planned so far."""
        found = self.probe.evidence
        if not self.sparing or not found.n:
            return math.inf
        if found.p_high <= 0.5:  # whether wrong answers are spread is told by draws on steps that erred
            return len(self.probe.replies) + HOPELESS_AGAIN * AGAIN
        try:
            plan = project(found, self.goal.steps, self.goal.target, own=self.goal.own)
        except Infeasible:  # too few could vote
            return math.inf
        return plan.samples.value / SHARE if plan.samples else math.inf


async def draw(
    arms: Sequence[Looks], drop: Callable[[list[Looks], list[list[Seen]]], list[Looks]] | None = None
) -> None:
    """Draw in turn: the first round, look by look, then again on steps that erred.

    drop: of several arms; gets those that drew, with their new steps, and returns those that go on. What the cheapest
    is worth bounds them all.
    """
    live, sparing = list(arms), arms[0].sparing
    picks, worth = (float(ENOUGH) if sparing or drop else math.inf), math.inf
    while drawing := [arm for arm in live if arm.open]:
        fresh = [await arm.on(picks) for arm in drawing]
        if drop is not None:
            gone = set(drawing).difference(drop(drawing, fresh))
            live = [arm for arm in live if arm not in gone]
        worth = min((arm.worth() for arm in live), default=math.inf)
        after = min(2 * picks, worth / 2 / arms[0].repeats)
        if after <= picks:
            break
        picks = after
    for arm in live:
        await arm.again(worth - len(arm.probe.replies))
