"""A crew: others that decide stretches of a run, while this process alone journals and says what is decided.

For models whose replies are functions of the request alone and that can be made again from their name (they say
so: `replicable`), and for plans that know the state before any step. Each worker has task and model of its own, checks
that its header is the run's, and sends back stretches; this process journals them and advances by them. Verdicts,
chain, samples and account are those of a run without a crew.

A crew only ever saves time. What a lost worker had is handed out again, and the one who started it starts another, if
the lost one had brought anything. An answer counts by its address: one that is late, repeated or torn is not taken. A
stretch that ends early or leaves the path that the plan knows ends the crew, and the run goes on alone, as it does
when nobody is left.

Not covered: how workers are started and asked (`launcher.py`); runs with limits on the whole, changed steps, or red
flags of the caller's own: they have no crew.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from maker.decision.ending import Stop, copied_too_often
from maker.engine.course import Course
from maker.engine.crew.launcher import Launcher, Lost, Worker
from maker.engine.crew.order import order_of
from maker.engine.crew.stretch import Stretch
from maker.engine.front import Lane
from maker.errors import ungrouped
from maker.log import log
from maker.task.canonical import canonical, digest

JOB_STEPS = 1_000  # of one job at most, some 40 ms: so far is an interrupt or a crash behind

Lease = list[tuple[Lane, int]]  # lanes, and how many steps of each


async def lead(
    course: Course, launcher: Launcher, interrupted: Callable[[], bool] | None, report: Callable[[], None]
) -> None:
    """Let a crew decide steps as far as it goes plainly; nothing where none can help.

    report: called after each job. Raises Stop as a run does; then and on cancellation all workers have ended.
    """
    order = None if _capped(course) else order_of(course)
    if order is None:
        return
    lanes = course.front.open_lanes()
    count = launcher.count(len(lanes), sum(map(_left, lanes)))
    if not count:
        return
    crew = Crew(course, order, launcher, [lane for lane in lanes if is_known(course, lane)], interrupted, report)
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(crew.employ())


class Crew:
    """Leases of one run: lanes that are free, and how many leases are out.

    starting: who waits for a worker to begin; called off when there is nothing left to do.
    """

    def __init__(
        self, course: Course, order: bytes, launcher: Launcher, lanes: list[Lane],
        interrupted: Callable[[], bool] | None, report: Callable[[], None],
    ) -> None:  # fmt: skip
        self.course, self._order, self._launcher = course, order, launcher
        self._lanes = deque(lanes)
        self._interrupted, self._report = interrupted, report
        self._out = 0
        self._over = False  # the next step is not a plain one
        self._news = asyncio.Event()
        self.starting: set[asyncio.Task[Any]] = set()

    async def employ(self) -> None:
        """Start one worker and give it jobs until there are none; start another when it is lost, if it was any use."""
        own = asyncio.current_task()
        assert own is not None, "a coroutine that runs is part of a task"
        brought = True
        while brought and not self._done:
            brought = False
            self.starting.add(own)
            try:
                async with self._launcher.worker(self._order) as worker:
                    self.starting.discard(own)
                    while lease := await self._lease():
                        await self._work(worker, lease)
                        brought = True
            except Lost as lost:
                log.warning("crew.lost", process=lost.name, detail=str(lost))
            finally:
                self.starting.discard(own)

    @property
    def _done(self) -> bool:
        """Nothing is left to hand out, and nothing can come back."""
        return self._over or _capped(self.course) or not (self._lanes or self._out)

    async def _lease(self) -> Lease:
        """Take lanes, and so many steps of each, as one message is worth; none when the crew is done."""
        while not self._lanes and not self._done:
            await self._news.wait()  # what another one has may be free again
        lease: Lease = []
        free = 0 if self._done else JOB_STEPS
        while self._lanes and free > 0:
            lane = self._lanes.popleft()
            steps = min(_left(lane), JOB_STEPS)
            lease.append((lane, steps))
            free -= steps
        self._out += bool(lease)
        return lease

    def _free(self, lease: Lease) -> None:
        """End a lease: what is not decided of it can be handed out again."""
        self._out -= 1
        self._lanes.extendleft(lane for lane, _ in reversed(lease) if not self.course.front.finished(lane))
        self._news.set()
        self._news = asyncio.Event()
        if self._done:
            for task in self.starting:
                task.cancel()

    async def _work(self, worker: Worker, lease: Lease) -> None:
        """Have a worker decide what was leased, and take it. Raises Lost, and Stop as a run does."""
        told = [(lane.index, steps) for lane, steps in lease]
        try:
            await self.course.dispatcher.budget.until_resumed()
            answers = await worker.ask(json.dumps(told).encode(), len(told))
            for (lane, steps), answer in zip(lease, answers, strict=True):
                stretch = _stretch(worker, answer, lane.index, steps)
                if not catch_up(self.course, lane, stretch) or stretch.steps < steps:
                    self._over = True
                    return
        finally:
            self._free(lease)
        self._report()
        if (copied := copied_too_often(self.course.usage, self.course.sampled)) is not None:
            raise copied
        if self._interrupted is not None and self._interrupted():
            raise Stop("interrupted", "Run the same command to resume.")


def _capped(course: Course) -> bool:
    """Say whether there is a limit on the whole run, which workers do not keep."""
    limits, shared = course.dispatcher.limits, course.dispatcher.budget.shared
    caps = (limits.max_steps, limits.max_calls, limits.max_tokens, limits.max_cost, limits.max_seconds)
    return any(caps) or shared is not None


def _left(lane: Lane) -> int:
    """Return how many steps a lane has still to go."""
    assert lane.segment.stop is not None, "segments without an end are not handed out"
    return lane.segment.stop - lane.index


def _stretch(worker: Worker, answer: bytes, first: int, steps: int) -> Stretch:
    """Return the stretch that a worker has sent. Raises Lost for anything else, and for one that was not asked for."""
    try:
        stretch = Stretch.decode(answer)
    except (ValueError, LookupError, TypeError, struct.error) as error:
        raise Lost(worker.name, f"its answer makes no sense: {error!r}") from error
    if stretch.first != first or stretch.steps > steps:
        raise Lost(worker.name, f"it answers for step {stretch.first}, and was asked for {steps} from step {first}")
    return stretch


def is_known(course: Course, lane: Lane) -> bool:
    """Say whether a lane stands where the plan says that it does, so that another process can go on from there."""
    return lane.poll is None and canonical(course.plan.state_at(lane.index)) == canonical(lane.state)


def catch_up(course: Course, lane: Lane, stretch: Stretch) -> bool:
    """Journal what another process has decided, and advance the lane by it. Raises Stop as `Front.advance` does.

    False, and nothing has changed, if that leads to another state than the plan knows at that step.
    """
    if not stretch.steps:
        return True
    state = course.plan.state_at(lane.index + stretch.steps)
    if digest(canonical(state)) != stretch.state_digest:
        return False
    for record in stretch.records:
        course.journal.append(record)
    course.usage.add(stretch.usage)
    course.opened += stretch.steps
    course.sampled += stretch.steps
    course.front.catch_up(lane, stretch.score, stretch.hashes, state, stretch.state_digest)
    course.journal.commit_if_due()
    return True
