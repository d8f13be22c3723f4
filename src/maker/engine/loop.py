"""ready -> settle -> commit -> advance: the main loop, one decided step after another.

Workers take segments, ask one wave of every open step, and commit what it brought, until none is left or the run is
stopped. Steps advance only on verdicts; the winning action is applied by the task's own code; a join of two segments
that does not hold ends the run as not solved and is never repaired.

A step that does not decide is tried as the ladder says (`ladder/`); where that ends, the run stops. When steps
are rolled back, all workers stop, and the run is replayed once more, without what the rollback abandoned. Where a
journal is opened, its rollbacks are known beforehand, so that no step is replayed twice or in vain.

Not covered: where the run stands (`course.py`), and planning k beyond a small calibration (`calibrate.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import anyio
import anyio.lowlevel

from maker.decision.ending import Stop, copied_too_often
from maker.engine.book import result_of
from maker.engine.course import Course
from maker.engine.crew.launcher import Launcher
from maker.engine.crew.lead import lead
from maker.engine.crew.processes import Processes
from maker.engine.front import Lane
from maker.engine.result import Progress, Reporter, RunResult
from maker.engine.steering.orders import Steering
from maker.errors import TaskError
from maker.journal.escalated import Abandoned
from maker.journal.story import rolled_back
from maker.log import log
from maker.sending.dispatcher import Dispatcher
from maker.task.task import guarded

LANES = 128  # segments that an in-process model advances at once; suits its caches
YIELD_SECONDS = 0.01  # an in-process model never waits: this is when cancellation gets its turn


class Loop:
    """What to do next in one run: who works on which segment, and what is shown meanwhile."""

    def __init__(
        self, begin: Callable[[Abandoned], Course], progress: Callable[[Progress], None] | None,
        interrupted: Callable[[], bool] | None, launcher: Launcher | None = None,
    ) -> None:  # fmt: skip
        self.launcher = launcher or Processes()
        self.begin = begin
        self.course = course = begin(Abandoned())
        self.journal, self.traits = course.journal, course.dispatcher.traits
        self.reporter = Reporter(
            progress, course.journal, course.senders,
            lambda: (self.course.front.steps, self.course.book.replayed, self.course.plan.steps), interrupted,
        )  # fmt: skip
        self.steering = Steering(course.journal, course.senders, self._note, self.reporter, interrupted)
        self._yielded = 0.0

    def _note(self, note: dict[str, Any]) -> None:
        self.course.book.note(note)

    async def carry_out(self) -> RunResult:
        """Replay, calibrate if need be, advance to the end or to a stop, and say how it went."""
        try:
            return await self._carry_out()
        except BaseException as error:
            log.info("run.close", run=self.course.header["run"], solved=False, stopped=type(error).__name__)
            raise

    async def _carry_out(self) -> RunResult:
        self.course.abandoned = rolled_back(self.journal)
        self.course.replay()
        async with self.steering.taken():
            await self._go_on()
            while self.course.rolled_back:
                replayed, stop = self.course.book.replayed, self.course.stop
                self._begin_again()
                self.course.book.replayed = min(replayed, self.course.front.steps)
                self.course.stop = self.course.stop or stop
                await self._go_on()
        course = self.course
        failed = {} if course.stop else {step: str(why) for step, why in sorted(course.aside.items())}
        if failed:
            course.stop = _first_aside(course)
        result = _result(course, self.reporter.seconds)
        result.failed = failed
        return course.book.close(result)

    async def _go_on(self) -> None:
        """Advance to the end, to a stop, or to a rollback."""
        course = self.course
        try:
            if course.method is None:
                async with self.reporter.workers():
                    await course.choose_k()
            if course.stop is None:
                async with self.reporter.workers():
                    await lead(course, self.launcher, self.steering.interrupted, self.reporter.report)
                await self._advance_all()
        except Stop as stop:
            course.stop = stop
        finally:
            course.book.note_usage()

    def _begin_again(self) -> None:
        """Replay the journal once more, without the steps that were rolled back."""
        self.course.usage.begin_anew()
        self.course = self.begin(rolled_back(self.journal))
        self.course.replay()

    async def _advance_all(self) -> None:
        self._news = anyio.Event()
        own, segments = self.course.dispatcher, len(self.course.plan.segments)
        width = LANES if self.traits.lockstep else segments if self.traits.whole else 1
        slots, begun, at_work = own.slots, 0, 0
        wanted = asyncio.Event()

        def staff() -> None:
            """Have as many at work as are worth it now, and one more for each who waits for a late call."""
            nonlocal begun, at_work
            workers = self.traits.callers if self.traits.gathers else min(own.lanes, segments)
            while begun < workers + slots.late.lent:
                begun, at_work = begun + 1, at_work + 1
                group.start_soon(work)

        async def work() -> None:
            nonlocal at_work
            try:
                await self._work(width)
            finally:
                at_work -= 1

        async def more() -> None:
            """Take on more when they are wanted: a timer may say so, which is no task and cannot begin one itself."""
            while True:
                await wanted.wait()
                wanted.clear()
                if at_work:
                    staff()

        try:
            async with self.reporter.workers(more) as group:
                slots.when_lent = wanted.set
                staff()
        finally:
            slots.when_lent = None

    async def _work(self, width: int) -> None:
        """Advance up to `width` segments side by side until none is left, or the run is stopped.

        With no segment ready it waits until another worker finishes one. A stop lets the other workers
        finish the wave they are in.
        """
        lanes: list[Lane] = []
        course, front = self.course, self.course.front
        try:
            while course.stop is None and not course.rolled_back:
                if self.steering.interrupted():
                    raise Stop("interrupted", "Run the same command to resume.")
                while len(lanes) < width and (lane := front.next_lane()) is not None:
                    lanes.append(lane)
                if not lanes:
                    if not front.waiting:
                        return
                    await self._news.wait()
                    continue
                try:
                    await self._round(self._allowed(lanes))
                except Stop as stop:
                    if not await self.steering.goes_on(stop):
                        raise
                under_way = [lane for lane in lanes if not front.finished(lane) and lane.index not in course.aside]
                if len(under_way) < len(lanes) or course.rolled_back:
                    self._wake()
                lanes = under_way
                if time.monotonic() - self._yielded >= YIELD_SECONDS:
                    self._yielded = time.monotonic()
                    await anyio.lowlevel.checkpoint()
        except Stop as stop:
            course.stop = course.stop or stop
            self._wake()

    def _wake(self) -> None:
        """Let the workers that wait for a segment look again."""
        self._news.set()
        self._news = anyio.Event()

    async def _round(self, lanes: list[Lane]) -> None:
        """Take one wave of every lane, commit what it brought, and advance where it decided."""
        course = self.course
        if not lanes:
            most = course.dispatcher.limits.max_steps
            raise Stop("max_steps", f"{course.front.steps} steps are decided, max_steps is {most}. "
                       "Raise max_steps and resume.")  # fmt: skip
        ready = [lane for lane in lanes if not course.rolled_back and course.ready(lane)]
        for lane in lanes:
            if lane.look is not None and not course.rolled_back:
                await course.look_ahead(lane)
        for sender, theirs in course.senders.by_sender(ready, course.escalations):
            if not course.rolled_back:
                await self._wave(_within(theirs, sender), sender)

    async def _wave(self, lanes: Sequence[Lane], sender: Dispatcher) -> None:
        """Take one wave of lanes that ask the same model."""
        course = self.course
        polls = [lane.poll for lane in lanes if lane.poll is not None]
        try:
            waves = await course.senders.settle(polls, sender)
        except Stop as stop:
            lane = next((lane for lane in lanes if lane.index == stop.step), None)
            if lane is None:
                raise
            course.escalate(lane, stop)
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
            if not course.rolled_back:
                course.in_trouble(lane)
        if course.outset is not None:
            begun = (lane.poll for lane in course.front.begun() if lane.poll is not None)
            if (hopeless := course.outset.hopeless(course.front.steps, course.aside, begun)) is not None:
                raise hopeless

    def _allowed(self, lanes: list[Lane]) -> list[Lane]:
        """Return the lanes that may go on: all, or as many new steps as max_steps leaves."""
        limit = self.course.dispatcher.limits.max_steps
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


def _within(lanes: Sequence[Lane], sender: Dispatcher) -> Sequence[Lane]:
    """Return the lanes whose draws may be made in one call: all, or as many as there are calls left, and at least one.

    Where each lane has calls of its own, the limit stops the one that has none left.
    """
    if not sender.traits.whole:
        return lanes
    left, needs = sender.budget.calls_left, (lane.poll.need for lane in lanes if lane.poll is not None)
    return lanes[: max(1, sum(needed <= left for needed in accumulate(needs)))]


def _first_aside(course: Course) -> Stop:
    """Return the stop of a run whose other steps are all decided."""
    first = course.aside[min(course.aside)]
    return Stop(first.kind, f"{len(course.aside)} of {course.plan.steps} steps are without a verdict, the others are "
                f"decided. The first: {first}", first.exit_code)  # fmt: skip


def _result(course: Course, seconds: float) -> RunResult:
    """Return how a run went. Raises TaskError where the task's code does."""
    front, score, end = course.front, course.front.score, course.stop
    reached = end is None and front.done(front.last_state, front.steps)
    solved = reached and not score.wrong  # `done` may say no more than that the end was reached
    answer = guarded(course.task.answer, None, "answer", front.last_state) if solved else None
    log.info("run.close", run=course.header["run"], solved=solved, stopped=end.kind if end else None)
    graded = score.wrong is not None
    found = result_of(
        course.book, course.senders, end, solved=solved, answer=answer, steps=front.steps, state=front.state(),
        wrong=score.wrong, first_wrong=score.first_wrong if graded else None,
        collisions=score.collisions if graded else None, waves=score.waves,
        state_digest=front.fold.state_digest.hex(), chain=front.fold.chain, seconds=seconds,
        k=course.method.k if course.method else None, segments=len(course.plan.segments), epochs=course.epoch,
        escalations=dict(course.escalations.counts), task=course.task,
        calibration=course.calibration.as_note() if course.calibration else None,
    )  # fmt: skip
    if end is None and not solved:
        found.exit_code = 1
        why = f"{score.wrong:,} differ from the truth" if reached else "the goal is not reached: a wrong step won"
        found.detail = f"all {front.steps} steps are decided, but {why}."
    return found
