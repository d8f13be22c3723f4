"""Models asked about steps of the Towers of Hanoi: what every experiment that samples shares.

A `Source` is a model at a temperature. A `Bench` draws from it on right states of the path, through
the engine's own dispatcher, red flags and polls, so that an experiment sees what a run sees. The
task's truth grades what was drawn afterwards; flags and votes never see it.

Not covered: journals and budgets. An experiment that is interrupted begins again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import anyio
import numpy as np
from anyio.from_thread import start_blocking_portal

from maker.decision.config import Config
from maker.decision.ending import Stop
from maker.decision.flags import Flag
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import Request, Sample
from maker.decision.step import Rules
from maker.errors import ModelError, ungrouped
from maker.models import load_model
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.sending.settle import Draw, decide, settle
from maker.task.canonical import canonical
from maker.task.load import load_task
from maker.task.prompt import render, views, words_in

if TYPE_CHECKING:
    from maker.experiments.kit.study import Cell, Options, Row


DISKS = 20  # of the tower that most experiments ask about
STEPS = 2**DISKS - 1
BATCH = 512  # requests of one call to a lock-step model
TOKEN_CAP = 1024


@dataclass(slots=True, frozen=True)
class Source:
    """A model by its specification, at a temperature; `name` is what figures call it."""

    spec: str
    temperature: float
    name: str

    @property
    def simulated(self) -> bool:
        """Whether its answers are made up with the truth at hand."""
        return self.spec.startswith("oracle")

    def row(self, **cells: Cell) -> Row:
        """Return a row of its own, with these cells."""
        return {"model": self.name, "simulated": self.simulated, **cells}


def neural(temperature: float, weights: str | None = None) -> Source:
    """Return the bundled model, finished or `early`, at a temperature."""
    spec = f"neural:weights={weights}" if weights else "neural"
    return Source(spec, temperature, f"bundled{', ' + weights if weights else ''}, T = {temperature:g}")


def oracle(settings: str) -> Source:
    """Return the simulated model with the settings given."""
    return Source(f"oracle:{settings}", 1.0, f"oracle, {settings.replace('=', ' = ').replace(',', ', ')} (simulated)")


def sources(options: Options, *own: Source) -> list[Source]:
    """Return the experiment's own sources, or the one that the user named instead."""
    if options.model is None:
        return list(own)
    model, heat = options.model, options.temperature
    if model.startswith("oracle"):
        return [oracle(model.partition(":")[2] or "p=0.99")]
    return [Source(model, heat, f"{model}, T = {heat:g}")]


def said_of(used: Sequence[Source]) -> str:
    """Say in words which of the sources are simulated."""
    made_up = [source.name for source in used if source.simulated]
    real = [source.name for source in used if not source.simulated]
    if not made_up:
        return "nothing: every answer is the model's own"
    return f"all draws of {'; '.join(made_up)}" + (f". Real: {'; '.join(real)}" if real else "")


@dataclass(slots=True, frozen=True)
class Way:
    """How steps are asked: at which temperature, in the task's views in turn or not, under which system message.

    turn: another one has draws of its own. shown: steps whose questions and right answers are said before, in order;
    ways that differ in these alone need another turn.
    """

    temperature: float
    views: bool = False
    system: str | None = None
    turn: int = 0
    shown: tuple[int, ...] = field(default=(), repr=False)


class Bench:
    """One source at work; a context manager that ends the model's workers or connections.

    Safe to interrupt. Raises ModelError when the model cannot be used or is lost, TaskError for
    settings that do not fit.
    """

    def __init__(self, source: Source, seed: int = 0) -> None:
        self.source = source
        self.seed = seed
        self._dispatcher = Dispatcher(load_model(source.spec), Limits(), Usage())
        self._traits = self._dispatcher.traits
        self._task: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal())
        if self._traits.close is not None:
            self._stack.callback(self._portal.call, self._traits.close)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def task(self, disks: int) -> Any:
        """Return the tower of so many disks, in the style that the model reads."""
        if self._task is None or self._task.disks != disks:
            # The bundled model reads the compact style alone; the simulated one reads none.
            plain = self.source.simulated or self.source.spec.startswith("neural")
            self._task = load_task("hanoi", disks=disks, style="compact" if plain else "full")
            if self._traits.bind is not None:
                self._traits.bind(self._task)
        return self._task

    def method(self, k: int, flags: tuple[Flag, ...]) -> Method:
        """Return how to vote."""
        config = Config(seed=self.seed, temperature=self.source.temperature, keep_samples="none")
        most = max(100, 20 * k)
        return Method.of(config, k, flags, (most, most), run="experiment")

    def draws(self, disks: int, steps: Sequence[int], each: int) -> list[Poll]:
        """Draw `each` replies to every step, unjudged but for what cannot be parsed; they are in `poll.samples`."""
        polls = self._polls(disks, steps, self.method(each, ()))
        self._portal.call(settle, polls, self.samples)
        return polls

    def votes(self, disks: int, steps: Sequence[int], k: int, flags: tuple[Flag, ...]) -> list[Poll]:
        """Vote on every step until it is decided, or undecided at the engine's default limits."""
        polls = self._polls(disks, steps, self.method(k, flags))
        self.decide(polls, self.samples)
        return polls

    def ask(self, disks: int, steps: Sequence[int], each: int, way: Way) -> list[Poll]:
        """Draw `each` replies to every step as `draws` does, asked in another way, with seeds of that way's own."""
        config = Config(seed=self.seed, temperature=way.temperature, system=way.system, keep_samples="none",
                        examples=tuple(self._example(disks, step) for step in way.shown))  # fmt: skip
        most = max(100, 20 * each)
        method = Method.of(config, each, (), (most, most), run="experiment", question=repr(way).encode())
        polls = self._polls(disks, steps, method)
        for poll in polls if way.views else ():
            poll.views = views(self._task, poll.step.state, poll.step.index)
        self._portal.call(settle, polls, self.samples)
        return polls

    def decide(self, polls: Sequence[Poll], draw: Draw) -> None:
        """Take waves of all polls until each is decided or at its limits. draw: brings the samples."""
        self._portal.call(decide, polls, draw)

    def right(self, poll: Poll) -> bytes:
        """Return the vote key of a step's right answer, to grade with."""
        return canonical(self._task.truth(poll.step.state, poll.step.index))

    def _example(self, disks: int, step: int) -> tuple[str, str]:
        """Return the question of a step, and its right answer as a model would write it."""
        task = self.task(disks)
        state = task.state_at(step)
        return words_in(render(task, state, step)), task.render(task.truth(state, step))

    def _polls(self, disks: int, steps: Sequence[int], method: Method) -> list[Poll]:
        task = self.task(disks)
        rules = Rules.of(task)
        states = [(index, task.state_at(index)) for index in steps]
        return [Poll.of(method, rules, index, state, render(task, state, index)) for index, state in states]

    async def samples(self, requests: Sequence[Request]) -> list[Sample]:
        """Draw a sample for each request, in order; called where a wave is taken."""
        found: dict[int, list[Sample]] = {}
        slots = anyio.CapacityLimiter(self._traits.callers if self._traits.lockstep else 8)

        async def one(first: int) -> None:
            """Draw one batch."""
            async with slots:
                found[first] = await self._dispatcher.draw(requests[first : first + BATCH])

        try:
            with ungrouped():
                async with anyio.create_task_group() as group:
                    for first in range(0, len(requests), BATCH):
                        group.start_soon(one, first)
        except Stop as stop:
            raise ModelError(f"{stop} An experiment keeps no journal: it begins again.") from None
        return [sample for first in sorted(found) for sample in found[first]]


def spread(steps: int, n: int, seed: int) -> tuple[list[int], int]:
    """Return which of a task's steps to ask about, and how often each, so that about n replies are drawn.

    Different steps, drawn without repetition, one reply each; all steps, equally often, where there are fewer
    than n. Then the exact interval of a share over all steps is too wide rather than too narrow.
    """
    if steps <= n:
        return list(range(steps)), -(-n // steps)
    return sorted(np.random.default_rng(seed).choice(steps, n, replace=False).tolist()), 1
