"""ready -> settle -> commit -> advance: carries a task out, one decided step after another.

A run is the replay of its journal and what follows: `run` opens the journal, replays every record
in it through the same code that a live wave goes through, and goes on. A new run is an empty
journal. Steps advance only on verdicts; the winning action is applied by the task's own code; a
join of two segments that does not hold ends the run as not solved and is never repaired.

A limit, an interrupt or a lost model ends the run with `RunResult.stopped`, to be resumed by the
same call. Raised are only TaskError, ModelError and JournalError; whatever is raised, and on
cancellation, everything acknowledged stays in the journal.

Not covered: what to do with a step that does not decide (it stops the run), and planning k beyond
a small calibration (`calibrate.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from maker.advance import Lane
from maker.closing import close
from maker.config import Config, KeepSamples, Limits, make_limits, validated
from maker.course import Course
from maker.errors import TaskError
from maker.flags import Flag, chain, flag_name
from maker.journal import Journal
from maker.load import load_model, load_task
from maker.plan import plan_of
from maker.receipts import Receipts
from maker.reporter import Reporter
from maker.result import Progress, RunResult
from maker.sample import Model
from maker.settle import Dispatcher, copied_too_often, first_error, poisoned, settle, undecided
from maker.stop import Stop
from maker.task import Task
from maker.threads import in_new_loop
from maker.usage import Usage

LANES = 128  # segments that an in-process model advances at once; suits its caches
_UNSHOWN = ("failed", "cancelled", "lost_in", "lost_out", "assumed")  # usage that no wave or calibration accounts for
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
    `Config` and `Limits`; the first draw of the "paper" flags is at temperature 0. progress: called with what is
    acknowledged, at most ten times a second. interrupted: asked between waves; True ends the run.
    accept_change: settings that may differ from the journal's ("k", "temperature", "prompt", ...), or that a server
    may change in mid-run ("model", "fingerprint"); each is journaled, and begins a new epoch.

    Returns a RunResult; a stop is in its `stopped`, not raised. Raises TaskError (also Infeasible),
    ModelError, JournalError. On failure or cancellation the journal keeps all that was acknowledged;
    the same call resumes it.
    """
    if isinstance(task, str):
        task = load_task(task)
    owned = isinstance(model, str)
    engine = load_model(model) if isinstance(model, str) else model
    red_flags = chain(flags)
    if flags == "paper" and first_temperature is None:
        first_temperature = 0.0
    if keep_samples is None:
        keep_samples = "none" if getattr(engine, "simulated", False) or engine.lockstep else "all"
    plan = plan_of(task, segments)
    config = validated(Config, {
        "k": k, "target": target, "seed": seed, "temperature": temperature, "token_cap": token_cap,
        "first_temperature": first_temperature, "long_answer": long_answer,
        "flags": tuple(map(flag_name, red_flags)), "segments": len(plan.segments), "keep_samples": keep_samples,
        "paraphrase": paraphrase,
    })  # fmt: skip
    dispatcher = Dispatcher(engine, make_limits(limits), Usage())
    if hasattr(engine, "bind"):
        if paraphrase:
            raise TaskError("paraphrase: a simulated model answers the task's own prompt only; use another model")
        engine.bind(task)
    try:
        with Journal(journal) as book:
            if not engine.lockstep:
                dispatcher.receipts = Receipts(book, dispatcher.usage, accept_change)
            course = Course(task, dispatcher, config, book, plan, red_flags, tuple(accept_change))
            return await _Run(course, progress, interrupted).carry_out()
    finally:
        if owned and hasattr(engine, "aclose"):
            with anyio.CancelScope(shield=True):
                await engine.aclose()


def run_sync(task: Task | str, **settings: Any) -> RunResult:
    """Carry out a task as `run` does, from synchronous code; takes the same keywords."""
    return in_new_loop(lambda: run(task, **settings))


class _Run:
    """What to do next in one run: who works on which segment, and what is shown meanwhile."""

    def __init__(
        self, course: Course, progress: Callable[[Progress], None] | None, interrupted: Callable[[], bool] | None
    ) -> None:
        self.course, self.dispatcher, self.limits = course, course.dispatcher, course.limits
        self.front, self.journal, self.model = course.front, course.journal, course.dispatcher.model
        self.interrupted = interrupted
        self.reporter = Reporter(
            progress, course.journal, self.dispatcher, lambda: (self.front.steps, course.replayed, course.plan.steps)
        )
        self._yielded = 0.0

    async def carry_out(self) -> RunResult:
        """Replay, calibrate if need be, advance to the end or to a stop, and say how it went."""
        course = self.course
        course.replay()
        try:
            if course.method is None:
                await course.choose_k()
            if course.stop is None:
                await self._advance_all()
        except Stop as stop:
            course.stop = stop
        finally:
            course.note_usage()
        if course.stop is None and course.aside:
            course.stop = course.first_aside()
        return close(course, self.reporter.seconds)

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
        try:
            while self.course.stop is None:
                if self.interrupted is not None and self.interrupted():
                    raise Stop("interrupted", "Run the same command to resume.")
                while len(lanes) < width and (lane := self.front.next_lane()) is not None:
                    lanes.append(lane)
                if not lanes:
                    if not self.front.waiting:
                        return
                    await self._news.wait()
                    continue
                await self._round(self._allowed(lanes))
                aside = self.course.aside
                under_way = [lane for lane in lanes if not self.front.finished(lane) and lane.index not in aside]
                if len(under_way) < len(lanes):
                    self._wake()
                lanes = under_way
                if time.monotonic() - self._yielded >= YIELD_SECONDS:
                    self._yielded = time.monotonic()
                    await anyio.lowlevel.checkpoint()
        except Stop as stop:
            self.course.stop = self.course.stop or stop
            self._wake()

    def _wake(self) -> None:
        """Let the workers that wait for a segment look again."""
        self._news.set()
        self._news = anyio.Event()

    async def _round(self, lanes: list[Lane]) -> None:
        """Take one wave of every lane, commit what it brought, and advance where it decided."""
        if not lanes:
            raise Stop("max_steps", f"{self.front.steps} steps are decided, max_steps is {self.limits.max_steps}. "
                       "Raise max_steps and resume.")  # fmt: skip
        lanes = [lane for lane in lanes if not self.course.settled_before(lane)]
        polls = [self.course.ready(lane) for lane in lanes]
        waves = await settle(polls, self.dispatcher)
        ends: list[Stop | TaskError] = []
        for lane, wave in zip(lanes, waves, strict=True):
            try:
                self.course.commit(lane, wave)
            except (Stop, TaskError) as end:  # the other lanes' waves are paid for, and kept all the same
                ends.append(end)
        self.journal.commit_if_due()
        self.reporter.report()
        for poll in polls:
            if poll.flags and (poison := poisoned(poll)):
                ends += self.course.give_up(poll, poison)
            elif poll.outcome is not None and poll.outcome.winner is None:
                ends += self.course.give_up(poll, undecided(poll))
        if (copied := copied_too_often(self.course.usage, self.course.sampled)) is not None:
            ends.insert(0, copied)
        if ends:
            raise ends[0]

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
