"""ready -> settle -> commit -> advance: carries a task out, one decided step after another.

A run is the replay of its journal and what follows: `run` opens the journal, replays every record
in it through the same code that a live wave goes through, and goes on. A new run is an empty
journal. Steps advance only on verdicts; the winning action is applied by the task's own code; a
join of two segments that does not hold ends the run as not solved and is never repaired.

A limit, an interrupt or a lost model ends the run with `RunResult.stopped`, to be resumed by the
same call. Raised are only TaskError, ModelError and JournalError; whatever is raised, and on
cancellation, everything acknowledged stays in the journal.

A step that does not decide is tried as the ladder says (`ladder.py`); where that ends, the run stops. When steps
are rolled back, all workers stop, and the run is replayed once more, without what the rollback abandoned.

Not covered: planning k beyond a small calibration (`calibrate.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from maker.advance import Lane
from maker.closing import close
from maker.config import Config, KeepSamples, Limits, make_limits, validated
from maker.course import Course
from maker.crew import lead
from maker.errors import TaskError
from maker.flags import Flag, chain, flag_name
from maker.journal import Journal
from maker.ladder import Rung, make_ladder, models_of
from maker.load import load_model, load_task
from maker.plan import plan_of
from maker.reporter import Reporter
from maker.result import Progress, RunResult
from maker.rounds import Abandoned, RolledBack
from maker.sample import Model
from maker.senders import Senders
from maker.settle import Dispatcher, first_error
from maker.stop import Stop, copied_too_often
from maker.task import Task
from maker.threads import in_new_loop
from maker.usage import Usage

LANES = 128  # segments that an in-process model advances at once; suits its caches
YIELD_SECONDS = 0.01  # an in-process model never waits: this is when cancellation gets its turn


async def run(
    task: Task | str,
    *,
    model: Model | str,
    k: int | str = "auto",
    target: float = 0.95,
    journal: str | Path | None = None,
    seed: int = 0,
    segments: int | None = None,
    flags: str | Sequence[Flag] | None = None,
    limits: Limits | Mapping[str, Any] | None = None,
    temperature: float = 0.1,
    first_temperature: float | None = None,
    token_cap: int = 1024,
    long_answer: int = 750,
    paraphrase: bool = False,
    keep_samples: KeepSamples | None = None,
    ladder: Sequence[Rung] | None = None,
    accept_change: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> RunResult:
    """Carry out a task step by step, each step decided by first-to-ahead-by-k.

    task, model: objects, or names as on the command line. k: the margin, or "auto": from a small
    calibration, so that the whole run is right with probability `target`. journal: the file; an
    existing one is resumed, None keeps it in a temporary file. segments: how many pieces with known
    entry states run side by side (default 1,024 where the task has a plan, else 1). flags, limits,
    temperature, first_temperature, token_cap, long_answer (tokens), paraphrase, keep_samples: see
    `Config` and `Limits`; the first draw of the "paper" flags is at temperature 0. ladder: what is tried, in order,
    at a step that does not decide: rungs of `maker.ladder` or your own; None for its default (only where one answer
    is clearly ahead and a limit that you did not set was in the way: more votes), [] for nothing. Like a limit it may
    be another at a resume, because each change is journaled. progress: called with what is
    acknowledged, at most ten times a second. interrupted: asked between waves; True ends the run.
    accept_change: settings that may differ from the journal's ("k", "temperature", "prompt", ...), or that a server
    may change in mid-run ("model", "fingerprint"); each is journaled, and begins a new epoch.

    Returns a RunResult; a stop is in its `stopped`, not raised. Raises TaskError (also Infeasible),
    ModelError, JournalError. On failure or cancellation the journal keeps all that was acknowledged;
    the same call resumes it.
    """
    if isinstance(task, str):
        task = load_task(task)
    rungs = make_ladder(ladder)
    red_flags = chain(flags)
    if flags == "paper" and first_temperature is None:
        first_temperature = 0.0
    async with AsyncExitStack() as stack:
        engine, *more = [_ready(asked, task, stack) for asked in (model, *models_of(rungs).values())]
        if paraphrase and hasattr(engine, "bind"):
            raise TaskError("paraphrase: a simulated model answers the task's own prompt only; use another model")
        if keep_samples is None:
            keep_samples = "none" if getattr(engine, "simulated", False) or engine.lockstep else "all"
        plan = plan_of(task, segments)
        config = validated(Config, {
            "k": k, "target": target, "seed": seed, "temperature": temperature, "token_cap": token_cap,
            "first_temperature": first_temperature, "long_answer": long_answer,
            "flags": tuple(map(flag_name, red_flags)), "segments": len(plan.segments), "keep_samples": keep_samples,
            "paraphrase": paraphrase,
        })  # fmt: skip
        own = Dispatcher(engine, make_limits(limits), Usage())
        senders = Senders(own, dict(zip(models_of(rungs), more, strict=True)), task)
        with Journal(journal) as book:

            def begin(abandoned: Abandoned) -> Course:
                """Begin at the start of the journal, without what was rolled back."""
                return Course(task, senders, config, book, plan, red_flags, tuple(accept_change), rungs, abandoned)

            return await _Run(begin, progress, interrupted).carry_out()


def _ready(model: Model | str, task: Task, stack: AsyncExitStack) -> Model:
    """Return a model that can be asked about a task; one made here is closed with the stack."""
    engine = load_model(model) if isinstance(model, str) else model
    if engine is not model and hasattr(engine, "aclose"):
        stack.push_async_callback(_closed, engine)
    if hasattr(engine, "bind"):
        engine.bind(task)
    return engine


async def _closed(engine: Any) -> None:
    with anyio.CancelScope(shield=True):
        await engine.aclose()


def run_sync(task: Task | str, **settings: Any) -> RunResult:
    """Carry out a task as `run` does, from synchronous code; takes the same keywords."""
    return in_new_loop(lambda: run(task, **settings))


class _Run:
    """What to do next in one run: who works on which segment, and what is shown meanwhile."""

    def __init__(
        self, begin: Callable[[Abandoned], Course], progress: Callable[[Progress], None] | None,
        interrupted: Callable[[], bool] | None,
    ) -> None:  # fmt: skip
        self.begin, self.interrupted = begin, interrupted
        self.course = course = begin(Abandoned())
        self.limits, self.journal, self.model = course.limits, course.journal, course.dispatcher.model
        self.reporter = Reporter(
            progress, course.journal, course.senders,
            lambda: (self.course.front.steps, self.course.replayed, self.course.plan.steps),
        )  # fmt: skip
        self._rolled_back = False
        self._yielded = 0.0

    async def carry_out(self) -> RunResult:
        """Replay, calibrate if need be, advance to the end or to a stop, and say how it went."""
        try:
            self.course.replay()
        except RolledBack:
            self._begin_again()
        await self._go_on()
        while self._rolled_back:
            replayed, stop = self.course.replayed, self.course.stop
            self._begin_again()
            self.course.replayed = min(replayed, self.course.front.steps)
            self.course.stop = self.course.stop or stop
            await self._go_on()
        course = self.course
        if course.stop is None and course.aside:
            course.stop = course.first_aside()
        return close(course, self.reporter.seconds)

    async def _go_on(self) -> None:
        """Advance to the end, to a stop, or to a rollback."""
        course = self.course
        try:
            if course.method is None:
                await course.choose_k()
            if course.stop is None:
                await lead(course, self.interrupted, self.reporter.report)
                await self._advance_all()
        except Stop as stop:
            course.stop = stop
        finally:
            course.note_usage()

    def _begin_again(self) -> None:
        """Replay the journal once more, without the steps that were rolled back."""
        self._rolled_back = False
        abandoned = Abandoned.of(self.journal.replay())
        self.course.usage.begin_anew()
        self.course = self.begin(abandoned)
        self.course.replay()

    async def _advance_all(self) -> None:
        self._news = anyio.Event()
        free = min(self.limits.concurrency, len(self.course.plan.segments))
        width, workers = (LANES, getattr(self.model, "callers", 1)) if self.model.lockstep else (1, free)
        try:
            async with anyio.create_task_group() as ticking:
                if not self.model.lockstep:
                    ticking.start_soon(self.reporter.tick)
                async with anyio.create_task_group() as group:
                    for _ in range(workers):
                        group.start_soon(self._work, width)
                ticking.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            error = first_error(errors)
            raise error from error.__cause__

    async def _work(self, width: int) -> None:
        """Advance up to `width` segments side by side until none is left, or the run is stopped.

        With no segment ready it waits until another worker finishes one. A stop lets the other workers
        finish the wave they are in.
        """
        lanes: list[Lane] = []
        course, front = self.course, self.course.front
        try:
            while course.stop is None and not self._rolled_back:
                if self.interrupted is not None and self.interrupted():
                    raise Stop("interrupted", "Run the same command to resume.")
                while len(lanes) < width and (lane := front.next_lane()) is not None:
                    lanes.append(lane)
                if not lanes:
                    if not front.waiting:
                        return
                    await self._news.wait()
                    continue
                await self._round(self._allowed(lanes))
                under_way = [lane for lane in lanes if not front.finished(lane) and lane.index not in course.aside]
                if len(under_way) < len(lanes):
                    self._wake()
                lanes = under_way
                if time.monotonic() - self._yielded >= YIELD_SECONDS:
                    self._yielded = time.monotonic()
                    await anyio.lowlevel.checkpoint()
        except Stop as stop:
            course.stop = course.stop or stop
            self._wake()
        except RolledBack:
            self._rolled_back = True
            self._wake()

    def _wake(self) -> None:
        """Let the workers that wait for a segment look again."""
        self._news.set()
        self._news = anyio.Event()

    async def _round(self, lanes: list[Lane]) -> None:
        """Take one wave of every lane, commit what it brought, and advance where it decided."""
        course = self.course
        if not lanes:
            raise Stop("max_steps", f"{course.front.steps} steps are decided, max_steps is {self.limits.max_steps}. "
                       "Raise max_steps and resume.")  # fmt: skip
        lanes = [lane for lane in lanes if course.ready(lane)]
        for sender, theirs in course.by_sender(lanes):
            await self._wave(theirs, sender)

    async def _wave(self, lanes: list[Lane], sender: Dispatcher) -> None:
        """Take one wave of lanes that ask the same model."""
        course = self.course
        polls = [lane.poll for lane in lanes if lane.poll is not None]
        try:
            waves = await course.senders.settle(polls, sender)
        except Stop as stop:
            lane = next((lane for lane in lanes if lane.index == stop.step), None)
            if lane is None:
                raise
            course.escalate(lane, stop, "poison")
            return
        ends: list[Stop | TaskError] = []
        for lane, wave in zip(lanes, waves, strict=True):
            try:
                course.commit(lane, wave)
            except (Stop, TaskError) as end:  # the other lanes' waves are paid for, and kept all the same
                ends.append(end)
        self.journal.commit_if_due()
        self.reporter.report()
        if (copied := copied_too_often(course.usage, course.sampled)) is not None:
            raise copied
        if ends:
            raise ends[0]
        for lane in lanes:
            course.in_trouble(lane)

    def _allowed(self, lanes: list[Lane]) -> list[Lane]:
        """Return the lanes that may go on: all, or as many new steps as max_steps leaves."""
        limit = self.limits.max_steps
        if limit is None:
            return lanes
        left = limit - self.course.opened
        allowed = []
        for lane in lanes:
            if lane.poll is None:
                left -= 1
            if lane.poll is not None or left >= 0:
                allowed.append(lane)
        return allowed
