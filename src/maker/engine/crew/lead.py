"""A crew: others that decide stretches of a run, while this process alone journals and says what is decided.

For models whose replies are functions of the request alone and that can be made again from their name (they say
so: `replicable`), and for plans that know the state before any step. Each worker has task and model of its own, checks
that its header is the run's, and sends back stretches; this process journals them and advances by them. Verdicts,
chain, samples and account are those of a run without a crew.

A crew only ever saves time. What a lost worker had is handed out again, and the one who started it starts another, if
the lost one had brought anything. An answer counts by its address: one that is late, repeated or torn is not taken. A
stretch that ends early or leaves the path that the plan knows ends the crew, and the run goes on alone, as it does
when nobody is left; but where no step needs another one, only its lane waits for that. So does the run where its limits
have no room left for a job: the last steps before a limit are decided alone. What stops the run lets the others end
their jobs first, which are paid for.

Not covered: how workers are started and asked (`launcher.py`), what they may spend (`blocks.py`), and how an answer is
checked (`taking.py`); changed steps, or red flags of the caller's own: they have no crew.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from maker.decision.ending import Stop, copied_too_often
from maker.engine.course import Course
from maker.engine.crew.blocks import Block, Blocks, Lease
from maker.engine.crew.launcher import Launcher, Lost, Worker
from maker.engine.crew.noted import Note
from maker.engine.crew.order import SIDE_BY_SIDE, NoOrderError, one_by_one, order_of
from maker.engine.crew.stretch import Stretch
from maker.engine.crew.taking import catch_up, is_known, recount
from maker.engine.front import Lane
from maker.errors import TaskError, ungrouped
from maker.journal.notes import Receipt
from maker.log import log

MOST_STEPS = 4_000  # of one job that is fitted to its time: so many are counted at once, with nothing else done

Notes = list[tuple[bytes, Note]]


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
    traits = course.dispatcher.traits
    alone = one_by_one(traits)
    width = 1 if alone else min(SIDE_BY_SIDE, -(-len(lanes) // count))
    jobs = 2 if (alone or not traits.lockstep) and not launcher.trusted and len(lanes) >= 2 * count else 1
    known = [lane for lane in lanes if is_known(course, lane)]
    crew = Crew(course, order, launcher, known, width, jobs, interrupted, report)
    with ungrouped():
        async with asyncio.TaskGroup() as beside:
            watch = beside.create_task(crew.watch())
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(crew.employ())
            watch.cancel()
    if crew.ended is not None:
        raise crew.ended


def _order(course: Course, launcher: Launcher) -> bytes | None:
    """Return what workers must know, None where they can decide nothing.

    Raises TaskError where somebody asked for workers and can have them by asking otherwise.
    """
    try:
        if launcher.model is None and _capped(course):
            raise NoOrderError("it has limits on the whole")
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
    it decides the next. starting: who waits for a worker to begin; called off when there is nothing left to do. ended:
    what stopped the run meanwhile.
    """

    def __init__(
        self, course: Course, order: bytes, launcher: Launcher, lanes: list[Lane], width: int, jobs: int,
        interrupted: Callable[[], bool] | None, report: Callable[[], None],
    ) -> None:  # fmt: skip
        self.course, self._order, self._launcher = course, order, launcher
        self._lanes = deque(lanes)
        self._interrupted, self._report = interrupted, report
        self._width, self._jobs = width, jobs
        self._blocks = Blocks(course)
        self._out = self._leased = 0  # leases, and steps of these
        self.ended: Stop | None = None
        self._apart: set[int] = set()  # segments whose next step is not a plain one
        self._over = False  # as long as that is not decided, nothing else is worth deciding
        self._news = asyncio.Event()
        self.starting: set[asyncio.Task[Any]] = set()
        self._workers: set[Worker] = set()

    async def watch(self) -> None:
        """Have workers end their jobs early where the run is to end, until this is cancelled."""
        try:
            await self.course.dispatcher.budget.pause(asyncio.Event().wait())
        except Stop as stop:
            self._end(stop)
            await asyncio.gather(*(worker.end() for worker in self._workers))

    async def employ(self) -> None:
        """Start one worker and give it jobs until there are none; start another when it is lost, if it was any use."""
        own = asyncio.current_task()
        assert own is not None, "a coroutine that runs is part of a task"
        pace = None
        while (pace is None or pace.brought) and not self._done:
            pace = Pace(self._width if self._blocks.paid else self._launcher.job)
            self.starting.add(own)
            try:
                async with self._launcher.worker(self._order) as worker:
                    self.starting.discard(own)
                    self._workers.add(worker)
                    try:
                        await self._keep_busy(worker, pace)
                    finally:
                        self._workers.discard(worker)
            except Lost as lost:
                log.warning("crew.lost", process=lost.name, detail=str(lost))
            finally:
                self.starting.discard(own)

    async def _keep_busy(self, worker: Worker, pace: Pace) -> None:
        """Have a worker do jobs until there are none, so many at once as it should have."""

        async def go_on() -> None:
            while (found := await self._next(pace.steps)) is not None:
                await self._work(worker, *found, pace)

        with ungrouped():
            async with asyncio.TaskGroup() as group:
                for _ in range(self._jobs):
                    group.create_task(go_on())

    @property
    def _done(self) -> bool:
        """Nothing is left to hand out, and nothing can come back."""
        if self._launcher.model is None and _capped(self.course):
            return True
        return self._over or not (self._lanes or self._out)

    @property
    def _allowed(self) -> int:
        """How many more steps may be handed out."""
        most = self.course.dispatcher.limits.max_steps
        left = MOST_STEPS if most is None else most - self.course.opened - self._leased
        return left if self.course.dispatcher.budget.seconds_left > 0 else 0

    def _fitted(self, steps: int, seconds: float) -> int:
        """Return how many steps the next job of a worker should have, whose last one took so long."""
        aim = self._launcher.aim
        if aim is None:
            return steps
        return max(self._width, min(MOST_STEPS, 4 * steps, int(steps * aim / max(seconds, 1e-6))))

    async def _next(self, steps: int) -> tuple[Lease, Block] | None:
        """Lease lanes with about so many steps together, and what they may take; None when the crew is done."""
        while True:
            while not self._lanes and not self._done:
                await self._news.wait()  # what another one has may be free again
            try:
                await self.course.dispatcher.budget.until_resumed()
            except Stop as stop:
                self._end(stop)
            if self._done:
                return None
            if lease := self._lease(min(steps, self._allowed)):
                block = None
                try:
                    block = await self._blocks.grant(lease)
                    if block is not None:
                        return lease, block
                finally:
                    if block is None:
                        self._free(lease, news=False)
            if not self._out:  # nothing can come back that would be room for more
                self._end(None)
                return None
            await self._news.wait()

    def _lease(self, free: int) -> Lease:
        """Take lanes with about so many steps together."""
        lease: Lease = []
        each = max(1, free // self._width)
        while self._lanes and free > 0:
            lane = self._lanes.popleft()
            lease.append((lane, min(_left(lane), each, free)))
            free -= lease[-1][1]
        self._out += bool(lease)
        self._leased += sum(steps for _, steps in lease)
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

    def _end(self, stop: Stop | None) -> None:
        """Hand out no more. stop: what ends the run, None where it goes on alone."""
        if not self._over:
            self.ended, self._over = stop, True
        self._tell()

    def _free(self, lease: Lease, *, news: bool = True) -> None:
        """End a lease: what is not decided of it can be handed out again. news: somebody may want it."""
        self._out -= 1
        self._leased -= sum(steps for _, steps in lease)
        left = (lane for lane, _ in reversed(lease) if lane.segment.index not in self._apart)
        self._lanes.extendleft(lane for lane in left if not self.course.front.finished(lane))
        if news:
            self._tell()

    def _tell(self) -> None:
        """Let those look again who wait for something to do."""
        self._news.set()
        self._news = asyncio.Event()
        if self._done:
            for task in self.starting:
                task.cancel()

    async def _work(self, worker: Worker, lease: Lease, block: Block, pace: Pace) -> None:
        """Have a worker decide what was leased, and take it. Raises Lost, and errors as a run does."""
        try:
            stretches, noted = await self._asked(worker, lease, block, pace)
            with self._blocks.spent(block, noted):
                for (lane, steps), stretch in zip(lease, stretches, strict=True):
                    decided = stretch.steps == steps or stretch.short
                    if not self._take(worker, lane, stretch) or not decided:
                        log.info("crew.apart", step=lane.index, why=stretch.why)
                        self._not_plain(lane)
            if any(stretch.short for stretch in stretches) and not _brought(stretches, noted):
                self._end(None)  # what a job may spend is not enough for anything, or its server answers nobody
        except Stop as stop:
            self._end(stop)
        finally:
            self._free(lease)
        pace.brought = True
        self._report()
        if self._over:
            return  # whatever else ends the run, the step that was left open comes first
        if (copied := copied_too_often(self.course.usage, self.course.sampled)) is not None:
            self._end(copied)
        elif self._interrupted is not None and self._interrupted():
            self._end(Stop("interrupted", "Run the same command to resume."))

    async def _asked(self, worker: Worker, lease: Lease, block: Block, pace: Pace) -> tuple[list[Stretch], Notes]:
        """Return what a worker has decided of a lease, and noted of its calls. Raises Lost; the block is then lost."""
        try:
            steps, begun = pace.steps, monotonic()
            answers = await worker.ask(self._blocks.told(lease, block), self._blocks.answers(lease, block))
            begun, pace.free_at = max(begun, pace.free_at), monotonic()
            pace.steps = self._fitted(steps, pace.free_at - begun)
            if len(answers) != self._blocks.answers(lease, block):
                raise Lost(worker.name, f"it sends {len(answers)} answers to {len(lease)} questions")
            of = zip(lease, answers, strict=False)  # the last answer may be notes
            stretches = [_stretch(worker, answer, lane.index, steps) for (lane, steps), answer in of]
            return stretches, _noted(worker, self._blocks, block, answers)
        except BaseException:
            self._blocks.lose(block)
            raise


def _capped(course: Course) -> bool:
    """Say whether there is a limit on the whole run, which processes of this machine do not keep."""
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


def _brought(stretches: list[Stretch], noted: Notes) -> bool:
    """Say whether a job has brought a step, or a sample for one."""
    samples = (isinstance(note, Receipt) and note.sample is not None for _, note in noted)
    return any(stretch.steps for stretch in stretches) or any(samples)


def _noted(worker: Worker, blocks: Blocks, block: Block, answers: list[bytes]) -> Notes:
    """Return what a worker has noted of its calls. Raises Lost for what makes no sense."""
    try:
        return blocks.noted(block, answers[-1]) if block.bounds else []
    except ValueError as error:
        raise Lost(worker.name, f"its notes make no sense: {error}") from error
