"""A crew: others that decide stretches of a run, while this process alone journals and says what is decided.

For models whose replies are functions of the request alone and that can be made again from their name (they say
so: `replicable`), and for plans that know the state before any step. Each worker has task and model of its own, checks
that its header is the run's, and sends back stretches; this process journals them and advances by them. Verdicts,
chain, samples and account are those of a run without a crew.

A crew only ever saves time. What a lost worker had is handed out again, and the one who started it starts another, if
the lost one had brought anything. An answer counts by its address: one that is late, repeated or torn is not taken. A
stretch that ends early or leaves the path that the plan knows ends the crew, and the run goes on alone, as it does
when nobody is left; but where no step needs another one, only its lane waits for that.

Not covered: how workers are started and asked (`launcher.py`), and how an answer is checked (`taking.py`); runs with
limits on the whole, changed steps, or red flags of the caller's own: they have no crew.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from maker.decision.ending import Stop, copied_too_often
from maker.engine.course import Course
from maker.engine.crew.launcher import Launcher, Lost, Worker
from maker.engine.crew.order import SIDE_BY_SIDE, NoOrderError, one_by_one, order_of
from maker.engine.crew.stretch import Stretch
from maker.engine.crew.taking import catch_up, is_known, recount
from maker.engine.front import Lane
from maker.errors import TaskError, ungrouped
from maker.log import log

MOST_STEPS = 4_000  # of one job that is fitted to its time: so many are counted at once, with nothing else done

Lease = list[tuple[Lane, int]]  # lanes, and how many steps of each


async def lead(
    course: Course, launcher: Launcher, interrupted: Callable[[], bool] | None, report: Callable[[], None]
) -> None:
    """Let a crew decide steps as far as it goes plainly; nothing where none can help.

    report: called after each job. Raises Stop as a run does; then and on cancellation all workers have ended.
    """
    lanes = course.front.open_lanes()
    if len(lanes) < 2:
        if launcher.model is not None and course.front.waiting:
            log.warning("crew.none", why="its steps follow one another, so that nothing can be decided side by side")
        return
    if (order := _order(course, launcher)) is None:
        return
    if not (count := await launcher.count(len(lanes), sum(map(_left, lanes)))):
        return
    alone = one_by_one(course.dispatcher.traits)
    width = 1 if alone else min(SIDE_BY_SIDE, -(-len(lanes) // count))
    jobs = 2 if alone and not launcher.trusted and len(lanes) >= 2 * count else 1
    known = [lane for lane in lanes if is_known(course, lane)]
    crew = Crew(course, order, launcher, known, width, jobs, interrupted, report)
    with ungrouped():
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(crew.employ())


def _order(course: Course, launcher: Launcher) -> bytes | None:
    """Return what workers must know, None where they can decide nothing.

    Raises TaskError where somebody asked for workers and can have them by asking otherwise.
    """
    try:
        if _capped(course):
            raise NoOrderError("limits on the whole run are not kept by workers: leave out the limits, or the workers")
        return order_of(course, launcher.model)
    except NoOrderError as reason:
        if launcher.model is None:
            return None
        if not course.escalations and not course.abandoned:
            raise TaskError(f"workers can decide nothing of this run: {reason}") from None
        log.warning("crew.none", why=str(reason))
        return None


@dataclass(slots=True)
class Pace:
    """How one worker gets on. steps: of its next job. brought: it has answered. free_at: when it last did."""

    steps: int
    brought: bool = False
    free_at: float = 0.0


class Crew:
    """Leases of one run: lanes that are free, and how many leases are out.

    width: lanes that a worker has side by side. jobs: that a worker has at once: while the answer to one is counted,
    it decides the next. starting: who waits for a worker to begin; called off when there is nothing left to do.
    """

    def __init__(
        self, course: Course, order: bytes, launcher: Launcher, lanes: list[Lane], width: int, jobs: int,
        interrupted: Callable[[], bool] | None, report: Callable[[], None],
    ) -> None:  # fmt: skip
        self.course, self._order, self._launcher = course, order, launcher
        self._lanes = deque(lanes)
        self._interrupted, self._report = interrupted, report
        self._width, self._jobs = width, jobs
        self._out = 0
        self._apart: set[int] = set()  # segments whose next step is not a plain one
        self._over = False  # as long as that is not decided, nothing else is worth deciding
        self._news = asyncio.Event()
        self.starting: set[asyncio.Task[Any]] = set()

    async def employ(self) -> None:
        """Start one worker and give it jobs until there are none; start another when it is lost, if it was any use."""
        own = asyncio.current_task()
        assert own is not None, "a coroutine that runs is part of a task"
        pace = None
        while (pace is None or pace.brought) and not self._done:
            pace = Pace(self._launcher.job)
            self.starting.add(own)
            try:
                async with self._launcher.worker(self._order) as worker:
                    self.starting.discard(own)
                    await self._keep_busy(worker, pace)
            except Lost as lost:
                log.warning("crew.lost", process=lost.name, detail=str(lost))
            finally:
                self.starting.discard(own)

    async def _keep_busy(self, worker: Worker, pace: Pace) -> None:
        """Have a worker do jobs until there are none, so many at once as it should have."""

        async def go_on() -> None:
            while lease := await self._lease(pace.steps):
                await self._work(worker, lease, pace)

        with ungrouped():
            async with asyncio.TaskGroup() as group:
                for _ in range(self._jobs):
                    group.create_task(go_on())

    @property
    def _done(self) -> bool:
        """Nothing is left to hand out, and nothing can come back."""
        return self._over or _capped(self.course) or not (self._lanes or self._out)

    def _fitted(self, steps: int, seconds: float) -> int:
        """Return how many steps the next job of a worker should have, whose last one took so long."""
        aim = self._launcher.aim
        if aim is None:
            return steps
        return max(self._width, min(MOST_STEPS, 4 * steps, int(steps * aim / max(seconds, 1e-6))))

    async def _lease(self, steps: int) -> Lease:
        """Take lanes with about so many steps together; none when the crew is done."""
        while not self._lanes and not self._done:
            await self._news.wait()  # what another one has may be free again
        lease: Lease = []
        free = 0 if self._done else steps
        each = max(1, steps // self._width)
        while self._lanes and free > 0:
            lane = self._lanes.popleft()
            lease.append((lane, min(_left(lane), each)))
            free -= lease[-1][1]
        self._out += bool(lease)
        return lease

    def _take(self, worker: Worker, lane: Lane, stretch: Stretch) -> bool:
        """Take what a worker has decided; False where it leaves the known path. Raises Lost for what it cannot know."""
        if self._launcher.trusted:
            return catch_up(self.course, lane, stretch)
        if not recount(self.course, lane, stretch):
            raise Lost(worker.name, f"the votes that it sends for step {lane.index} do not say what it says")
        return True

    def _not_plain(self, lane: Lane) -> None:
        """Leave a step to the ordinary driver: at once, unless no other one needs it."""
        self._apart.add(lane.segment.index)
        self._over = self._over or not self.course.plan.independent

    def _free(self, lease: Lease) -> None:
        """End a lease: what is not decided of it can be handed out again."""
        self._out -= 1
        left = (lane for lane, _ in reversed(lease) if lane.segment.index not in self._apart)
        self._lanes.extendleft(lane for lane in left if not self.course.front.finished(lane))
        self._news.set()
        self._news = asyncio.Event()
        if self._done:
            for task in self.starting:
                task.cancel()

    async def _work(self, worker: Worker, lease: Lease, pace: Pace) -> None:
        """Have a worker decide what was leased, and take it. Raises Lost, and Stop as a run does."""
        told = [(lane.index, steps) for lane, steps in lease]
        try:
            await self.course.dispatcher.budget.until_resumed()
            steps, begun = pace.steps, monotonic()
            answers = await worker.ask(json.dumps(told).encode(), len(told))
            begun, pace.free_at = max(begun, pace.free_at), monotonic()
            pace.steps = self._fitted(steps, pace.free_at - begun)
            if len(answers) != len(lease):
                raise Lost(worker.name, f"it sends {len(answers)} answers to {len(lease)} questions")
            for (lane, steps), answer in zip(lease, answers, strict=True):
                stretch = _stretch(worker, answer, lane.index, steps)
                if not self._take(worker, lane, stretch) or stretch.steps < steps:
                    self._not_plain(lane)
        finally:
            self._free(lease)
        pace.brought = True
        self._report()
        if self._over:
            return  # whatever else ends the run, the step that was left open comes first
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
