"""A simulated task whose steps err each at a known rate, and estimates of it: by the engine, or drawn all at once.

`Drawn` is the probe of an estimate that asks nobody. It takes the seeds that the engine would give the same draws, and
answers as the simulated model does to them, so that both plan the very same (`honesty.py --check`); all else, which
steps, how many, and when it is enough, is what `maker.estimate` does. What is asked for often is kept.

Not covered: replies that a flag drops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import maker
from maker.api.drawing.looks import SHARE, Goal, Looks, draw, probing
from maker.api.estimate import summed
from maker.decision.address import SEED_BLOCK, draw_seeds, seed_key
from maker.decision.flags import length_of
from maker.decision.sample import Failure, Request, Sample
from maker.engine.probe import Probe
from maker.task.canonical import canonical
from maker.theory.draws import Draw, Seen
from maker.theory.planner import Amount
from maker.theory.uneven.kinds import judged, kinds
from maker.theory.uneven.parts import planned
from maker.theory.worst import WorstCase

STEPS = 20_000
Rates = Any  # numpy's array of error rates
_HALF = 2**32  # a seed gives two numbers below it
_WRONG = Sample("-1")


class Line:
    """A task whose answers are its step numbers; every twentieth step is of another kind."""

    name, steps, goal = "line", STEPS, STEPS

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return str(state)

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return True

    def apply(self, state: int, action: int) -> int:
        return state + 1

    def truth(self, state: int, step: int) -> int:
        return step

    def kind(self, state: int, step: int) -> str:
        return "rare" if step % 20 == 7 else "common"

    def done(self, state: int) -> bool:
        return state >= STEPS

    def plan(self, segments: int | None = None) -> maker.Plan:
        return _plan(segments or 1)


@cache
def _plan(segments: int) -> maker.Plan:
    return maker.Plan.chain(STEPS, lambda step: step, segments)


@dataclass
class Shaped:
    """A model that errs at each step with its rate, always in the same way; a share of its replies are copies."""

    rates: Rates
    copies: float
    name: str = "shaped"
    simulated: bool = True
    lockstep: bool = True
    last: dict[int, bool] = field(default_factory=dict)

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Answer by the seeds of the requests."""
        return [
            _WRONG if self.errs(of.address.step, of.seed) else Sample(str(of.address.step)) for of in requests
        ]  # fmt: skip

    def errs(self, step: int, seed: int) -> bool:
        """Say whether the reply to a draw is wrong, by its seed, or by the reply before it that it copies."""
        if step not in self.last or seed % _HALF >= self.copies * _HALF:
            self.last[step] = bool(seed // _HALF < self.rates[step] * _HALF)
        return self.last[step]


class Drawn(Probe):
    """Draws as the engine would, without polls, flags and waves."""

    def __init__(self, model: Shaped, like: Probe) -> None:
        super().__init__(
            like.task, like.dispatcher, like.config, like.flags, like.rules, name=like.name, epoch=like.epoch
        )
        self._model = model
        self._kept: dict[str, tuple[int, Any]] = {}

    async def _ask(self, steps: Sequence[Seen], counts: Sequence[int], *, again: bool = False) -> None:
        key = seed_key(self.config.seed, self.epoch, self._round)
        wrong = Draw(canonical(-1), None, length_of(_WRONG), "-1")
        for step, count in zip(steps, counts, strict=True):
            text = str(step.index)
            right = Sample(text)
            draws, drawn = (step.again if again else step.draws), Draw(step.right, None, length_of(right), text)
            seeds = [seed for block in range(-(-count // SEED_BLOCK)) for seed in draw_seeds(key, step.index, block)]
            for seed in seeds[:count]:
                errs = self._model.errs(step.index, seed)
                draws.append(wrong if errs else drawn)
                self.replies.append(_WRONG if errs else right)

    @property
    def pace(self) -> float:
        """No time passes."""
        return 0.0

    @property
    def looks(self) -> int:
        """How often a step was judged to be lost, at most."""
        return int(self._once("looks", lambda: Probe.looks.fget(self)))  # type: ignore[attr-defined]

    @property
    def evidence(self) -> Any:
        """What was seen, summed up once for so many draws."""
        return self._once("evidence", lambda: Probe.evidence.fget(self))  # type: ignore[attr-defined]

    @property
    def parts(self) -> Any:
        """The worst parts, likewise."""
        return self._once("parts", lambda: Probe.parts.fget(self))  # type: ignore[attr-defined]

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if self._kept.get(name, (-1,))[0] != len(self.replies):
            self._kept[name] = len(self.replies), make()
        return self._kept[name][1]


class Sparing(Looks):
    """Does not plan a run where any would let it go on: a run takes a vote a step, at least."""

    def worth(self) -> float:
        """Return what a run is worth, or inf where that is more than the next look takes, twice over."""
        found, next_look = self.probe.evidence, 2 * sum(step.picked for step in self.probe.seen)
        if found.n and found.p_high > 0.5 and 2 * next_look * self.repeats <= self.goal.steps / SHARE:
            return math.inf
        return super().worth()


@dataclass
class Planned:
    """What an estimate says of a run, as far as it is promised anything. The names are those of `Estimate`."""

    steps: int
    p_low: float
    p_high: float
    rho_low: float
    rho_high: float
    k: int | None
    success: Amount
    samples: Amount | None
    worst_case: WorstCase


async def estimated(rates: Rates, copies: float, seed: int, goals: Sequence[Goal]) -> list[Planned]:
    """Draw once as an estimate at default settings does for the first goal, and plan for each."""
    model = Shaped(rates, copies)
    async with probing(maker.estimate, Line(), model, {"seed": seed}, goals[0]) as (asked, _):
        probe = Drawn(model, asked)
        await draw([Sparing(probe, goals[0], None, 2)])
    found, by_kind, planning = probe.evidence, kinds(probe.seen), []
    for goal in goals:
        plan = planned(found, probe.parts, goal.steps, goal.target, own=goal.own, worst=goal.worst_case)
        planning.append(judged(plan, by_kind))
    return [
        Planned(
            plan.steps, found.p_low, found.p_high, found.rho_low, found.rho_high, plan.k,
            Amount(plan.success, plan.success_low, plan.success_high), plan.samples, plan.worst_case,
        )
        for plan in planning
    ]  # fmt: skip


async def by_engine(rates: Rates, copies: float, seed: int, goals: Sequence[Goal]) -> list[Planned]:
    """Do the same by the engine's own polls, and by what makes an `Estimate`."""
    async with probing(maker.estimate, Line(), Shaped(rates, copies), {"seed": seed}, goals[0]) as (probe, _):
        await draw([Looks(probe, goals[0], None, 2)])
        made = [summed(probe, goal, None) for goal in goals]
    return [Planned(**{name: getattr(one, name) for name in Planned.__dataclass_fields__}) for one in made]
