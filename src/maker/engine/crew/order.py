"""An order: what a worker must know to make a run's task, model and method again; and the worker that it makes.

An order and the jobs that follow are JSON, so neither side runs what the other sends. A worker checks that the header
which it makes again is the run's before it decides anything.

Not covered: how the messages travel (`processes.py`, `cluster.py`), and what becomes of the answers (`lead.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from maker.decision.address import Address
from maker.decision.config import Config, validated
from maker.decision.ending import Stop
from maker.decision.flags import BUILT_IN, DEFAULT
from maker.decision.method import Method
from maker.decision.sample import Model, Reply, Request, Traits
from maker.decision.wave import received
from maker.engine.course import Course
from maker.engine.crew.noted import Noted
from maker.engine.crew.stretch import Draws, run_stretch
from maker.errors import MakerError
from maker.journal.header import changed_fields, make_header
from maker.models import load_model, spelled
from maker.models.providers import from_spec
from maker.sending.budget.limits import Limits
from maker.sending.budget.usage import Usage
from maker.sending.dispatcher import Dispatcher
from maker.sending.receipts import WATCHED, Receipts
from maker.task.load import load_task, origin
from maker.task.plan import plan_of
from maker.theory.votes.tables import Table

SIDE_BY_SIDE = 64  # stretches of one worker, of a model that waits or that wants large batches


class NoOrderError(Exception):
    """A run of which no other can decide anything; says why."""


def one_by_one(traits: Traits) -> bool:
    """Say whether a worker decides its stretches one after another: its model answers at once, alone as in a batch."""
    return traits.lockstep and traits.replicable


def order_of(course: Course, spec: str | None = None) -> bytes:
    """Return what a worker must know. Raises NoOrderError where it could not make the run again, or must not.

    spec: the specification of the model, None where its name makes it again.
    """
    task, method, traits = course.task, course.method, course.dispatcher.traits
    source, parameters = origin(task), getattr(task, "parameters", {})
    if course.plan.enter is None:
        raise NoOrderError("the task's plan does not know the state before any step")
    if course.config.paraphrase or course.escalations.look or method is None or not set(method.flags) <= set(DEFAULT):
        raise NoOrderError("paraphrases, red flags of your own and looks ahead before wins are for one process")
    if course.escalations or course.abandoned:
        raise NoOrderError("some of its steps did not decide and are asked in another way")
    if spec is None and not one_by_one(traits):
        raise NoOrderError("its model cannot be made again from its name")
    if course.receipts.ahead:
        raise NoOrderError("some of its draws were made by an estimate and are to be used first")
    if source is None:
        raise NoOrderError("its task is none that load_task makes: give a built-in name or path/to/file.py:Class")
    name, limits = spec or traits.name, course.dispatcher.limits
    try:
        again = load_task(source, **parameters)
        if (spec is None and type(load_model(name)) is not type(course.dispatcher.model)) or vars(again) != vars(task):
            raise NoOrderError("made again, its task or model is another one")
        order = {
            "task": source, "parameters": parameters, "model": list(spelled(name, limits.concurrency)),
            "header": course.header, "limits": {"patience": limits.patience, "hedge": limits.hedge},
            "k": method.k, "most": [method.max_votes, method.max_flags], "epoch": course.epoch,
            "table": method.table and method.table.as_note(), "weights": list(method.weights),
        }  # fmt: skip
        told = json.dumps(order)
        if json.loads(told) != order:
            raise NoOrderError("its task has parameters that JSON cannot hold")
    except (MakerError, TypeError, ValueError) as error:  # no attributes, or such as cannot be compared or told
        raise NoOrderError(f"its task cannot be made again: {error}") from error
    return told.encode()


class Worker:
    """What an order makes: a task, its plan and a model, which decide stretches with nobody else to ask.

    Raises MakerError for an order that does not make the run it is of.
    """

    def __init__(self, told: bytes) -> None:
        order = json.loads(told)
        model, settings = order["model"]
        self.task = load_task(order["task"], **order["parameters"])
        self.model: Model = from_spec(model, **settings) if settings else load_model(model)
        self.traits = Traits.of(self.model)
        if self.traits.bind is not None:
            self.traits.bind(self.task)
        header = {name: order["header"][name] for name in Config.model_fields if name in order["header"]}
        config = validated(Config, {**header, "flags": tuple(header["flags"])})
        if changed := changed_fields(order["header"], make_header(self.task, self.model, config)):
            raise MakerError(f"made again, {', '.join(changed)} are not those of the run")
        votes, flagged = order["most"]
        self.method = Method.of(
            config, order["k"], tuple(BUILT_IN[name] for name in config.flags), (votes, flagged),
            run=order["header"]["run"], epoch=order["epoch"], schema=getattr(self.task, "schema", None),
            table=order["table"] and Table.of(order["table"], order["k"]), weights=tuple(order["weights"]),
            tools=getattr(self.task, "tools", None),
        )  # fmt: skip
        self.plan = plan_of(self.task, config.segments)
        self._limits = order["limits"]
        self._sending: set[Dispatcher] = set()

    def end(self) -> None:
        """End all jobs early, where that can save waiting: what is out still comes."""
        for dispatcher in self._sending:
            dispatcher.budget.stop(Stop("max_seconds", "the run has ended"))

    async def decide(
        self, job: Sequence[tuple[int, int]], block: Mapping[str, Any] | None = None, name: str = "",
        known: Sequence[Mapping[str, Any]] = (), takes: Mapping[str, Any] | None = None,
    ) -> list[bytes]:  # fmt: skip
        """Return the stretches of a job, in its order, each as far as it is plain; with a block, notes of its calls.

        job: first step and number of steps of each. block: limits of what it may spend; name: that of it. known:
        samples that came before; takes: what models were found to take. Raises what the model's `draw` does beside Stop
        and MakerError.
        """
        hands = 1 if one_by_one(self.traits) else min(SIDE_BY_SIDE, len(job))
        noted = Noted(name)
        sending = None if block is None else self._dispatcher(block, noted, known, takes or {})
        asked: Draws = sending or self.model
        model = Together(asked, hands) if self.traits.lockstep and hands > 1 else asked
        alike = model is self.model and self.method.first_temperature is None
        at_once = self.traits.at_once if alike else None
        parts, found = enumerate(job), [b""] * len(job)

        async def work() -> None:
            """Decide one stretch after another."""
            try:
                for place, (first, steps) in parts:
                    state: Any = self.plan.state_at(first)
                    stretch = await run_stretch(self.task, model, self.method, first, state, steps, at_once)
                    found[place] = stretch.encode()
            finally:
                if isinstance(model, Together):
                    model.leave()

        try:
            await asyncio.gather(*(work() for _ in range(hands)))
        finally:
            if sending is not None:
                self._sending.discard(sending)
        return found if block is None else [*found, noted.encode()]

    def _dispatcher(
        self, block: Mapping[str, Any], noted: Noted, known: Sequence[Mapping[str, Any]], takes: Mapping[str, Any]
    ) -> Dispatcher:
        """Return who sends within a block, and notes what he does."""
        dispatcher = Dispatcher(self.model, Limits(**block, **self._limits), Usage())
        self._sending.add(dispatcher)
        if not self.traits.lockstep:
            receipts = dispatcher.receipts = Receipts(noted, dispatcher.usage, WATCHED)
            receipts.takes.update(takes)
            at = ((Address(self.method.run, told["step"], told["draw"]), told) for told in known)
            receipts.known.update({address: received(told) for address, told in at})
        return dispatcher


class Together:
    """A model that is asked in one call what so many hands ask side by side: a batch begins when all of them wait."""

    lockstep = True

    def __init__(self, model: Draws, hands: int) -> None:
        self._model, self._hands = model, hands
        self._waiting: list[tuple[Sequence[Request], asyncio.Future[Sequence[Reply]]]] = []

    async def draw(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answer every request, in order, with those of the others. Raises as the model's own `draw`."""
        came: asyncio.Future[Sequence[Reply]] = asyncio.get_running_loop().create_future()
        self._waiting.append((requests, came))
        if len(self._waiting) >= self._hands:
            await self._ask()
        return await came

    def leave(self) -> None:
        """One hand has no more to ask; who waits for it is answered."""
        self._hands -= 1
        if self._waiting and len(self._waiting) >= self._hands:
            self._last = asyncio.ensure_future(self._ask())

    async def _ask(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            replies = await self._model.draw([request for requests, _ in batch for request in requests])
        except BaseException as error:
            for _, came in batch:
                came.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        at = 0
        for requests, came in batch:
            came.set_result(replies[at : at + len(requests)])
            at += len(requests)
