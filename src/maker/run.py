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
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from maker.calibrate import Calibration, calibrate
from maker.canonical import canonical, digest
from maker.config import Config, KeepSamples, Limits, make_limits, validated
from maker.errors import JournalError, TaskError
from maker.flags import Flag, chain, flag_name
from maker.fold import Fold, step_hash
from maker.header import check_header, make_header
from maker.journal import Journal
from maker.load import load_model, load_task
from maker.log import log
from maker.plan import DEFAULT_SEGMENTS, Plan, Segment
from maker.poll import Method, Poll
from maker.prompt import render
from maker.records import Wave, decode, encode_note, encode_wave
from maker.result import Progress, RunResult
from maker.sample import Model
from maker.settle import Dispatcher, Stop, Usage, first_error, poisoned, settle, undecided
from maker.task import Rules, Step, Task, guarded, seed_key
from maker.threads import in_new_loop

LANES = 128  # segments that an in-process model advances at once; suits its caches
REPORT_SECONDS = 0.1
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
    keep_samples: KeepSamples | None = None,
    progress: Callable[[Progress], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> RunResult:
    """Carry out a task step by step, each step decided by first-to-ahead-by-k.

    task, model: objects, or names as on the command line. k: the margin, or "auto": from a small
    calibration, so that the whole run is right with probability `target`. journal: the file; an
    existing one is resumed, None keeps it in a temporary file. segments: how many pieces with known
    entry states run side by side (default 1,024 where the task has a plan, else 1). flags, limits,
    temperature, first_temperature, token_cap, long_answer (tokens), keep_samples: see `Config` and
    `Limits`; the first draw of the "paper" flags is at temperature 0. progress: called with what is
    acknowledged, at most ten times a second. interrupted: asked between waves; True ends the run.

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
    plan, steps = _plan(task, segments)
    config = validated(Config, {
        "k": k, "target": target, "seed": seed, "temperature": temperature, "token_cap": token_cap,
        "first_temperature": first_temperature, "long_answer": long_answer,
        "flags": tuple(map(flag_name, red_flags)), "segments": len(plan.segments), "keep_samples": keep_samples,
    })  # fmt: skip
    try:
        with Journal(journal) as book:
            carrier = _Run(task, engine, config, make_limits(limits), book, plan, steps, red_flags)
            carrier.progress, carrier.interrupted = progress, interrupted
            return await carrier.carry_out()
    finally:
        if owned and hasattr(engine, "aclose"):
            with anyio.CancelScope(shield=True):
                await engine.aclose()


def run_sync(task: Task | str, **settings: Any) -> RunResult:
    """Carry out a task as `run` does, from synchronous code; takes the same keywords."""
    return in_new_loop(lambda: run(task, **settings))


@dataclass(slots=True)
class _Lane:
    """One segment on its way: the next step's index and state, and the poll that decides it."""

    segment: Segment
    index: int
    state: Any
    poll: Poll | None = None


@dataclass(slots=True)
class Tallies:
    """What a run counts for its summary: decided steps, those known to be wrong, and by how many waves."""

    steps: int = 0
    wrong: int | None = None
    waves: Counter[int] = field(default_factory=Counter)


class _Run:
    """The state of one run in this process."""

    def __init__(
        self, task: Task, model: Model, config: Config, limits: Limits, journal: Journal, plan: Plan,
        steps: int | None, flags: tuple[Flag, ...],
    ) -> None:  # fmt: skip
        self.task, self.model, self.config, self.limits = task, model, config, limits
        self.journal, self.plan, self.steps, self.flags = journal, plan, steps, flags
        self.progress: Callable[[Progress], None] | None = None
        self.interrupted: Callable[[], bool] | None = None
        self.usage = Usage()
        self.fold = Fold()
        self.counts = Tallies(wrong=0 if hasattr(task, "truth") else None)
        self.calibration: Calibration | None = None
        self.method: Method | None = None
        self.rules = Rules.of(task)
        self.header = make_header(task, model, config)
        self.dispatcher = Dispatcher(model, limits, self.usage)
        self._starts = [segment.start for segment in plan.segments]
        self._lanes: dict[int, _Lane] = {}  # segments begun and not finished, by index
        self._last_state: Any = None
        self._finished: set[int] = set()
        self._waiting: Iterator[Segment] = iter(())
        self._opened = 0  # polls, for max_steps
        self._stop: Stop | None = None
        self._booked = (0, 0)
        self._closed: dict[str, Any] = {}  # what the run said when it last ended
        self._replayed = 0
        self._begun = time.monotonic()
        self._reported = self._yielded = 0.0
        self._shown = Progress(total=steps)
        self._unacknowledged: deque[tuple[int, Progress]] = deque()

    # -- the story -----------------------------------------------------------------------------

    async def carry_out(self) -> RunResult:
        """Replay, calibrate if need be, advance to the end or to a stop, and say how it went."""
        known = self._replay()
        if not known:
            self._note({"header": self.header})
        if hasattr(self.model, "bind"):
            self.model.bind(self.task)
        self._replayed = self.counts.steps
        log.info("run.open", run=self.header["run"], replayed=self._replayed, records=self.journal.acknowledged)
        try:
            if self.method is None:
                await self._choose_k()
            await self._advance_all()
        except Stop as stop:
            self._stop = stop
        finally:
            self._note_usage()
        return self._result()

    async def _advance_all(self) -> None:
        self._waiting = iter(self.plan.segments)
        free = min(self.limits.concurrency, len(self.plan.segments))
        width, workers = (LANES, 1) if self.model.lockstep else (1, free)
        try:
            async with anyio.create_task_group() as group:
                for _ in range(workers):
                    group.start_soon(self._work, width)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    async def _work(self, width: int) -> None:
        """Advance up to `width` segments side by side until none is left, or the run is stopped.

        A stop lets the other workers finish the wave they are in.
        """
        lanes: list[_Lane] = []
        try:
            while self._stop is None:
                if self.interrupted is not None and self.interrupted():
                    raise Stop("interrupted", "Run the same command to resume.")
                while len(lanes) < width and (lane := self._next_lane()) is not None:
                    lanes.append(lane)
                if not lanes:
                    return
                await self._round([lane for lane in lanes if self._may_go_on(lane)])
                lanes = [lane for lane in lanes if lane.segment.index not in self._finished]
                if time.monotonic() - self._yielded >= YIELD_SECONDS:
                    self._yielded = time.monotonic()
                    await anyio.lowlevel.checkpoint()
        except Stop as stop:
            self._stop = self._stop or stop

    async def _round(self, lanes: list[_Lane]) -> None:
        """Take one wave of every lane, commit what it brought, and advance where it decided."""
        if not lanes:
            raise Stop("max_steps", f"{self.counts.steps} steps are decided, max_steps is {self.limits.max_steps}. "
                       "Raise max_steps and resume.")  # fmt: skip
        polls = [self._ready(lane) for lane in lanes]
        waves = await settle(polls, self.dispatcher)
        for lane, wave in zip(lanes, waves, strict=True):
            self._commit(lane, wave)
        if not self.model.lockstep:
            await self.journal.committed()
        self.journal.commit_if_due()
        self._report()
        for poll in polls:
            if poll.outcome is not None and poll.outcome.winner is None:
                raise undecided(poll)
            if poll.flags and (stop := poisoned(poll)):
                raise stop

    def _may_go_on(self, lane: _Lane) -> bool:
        limit = self.limits.max_steps
        return lane.poll is not None or limit is None or self._opened < limit

    def _ready(self, lane: _Lane) -> Poll:
        poll = lane.poll or self._open(lane)
        if poll.prompt is None:
            poll.prompt = render(self.task, lane.state, lane.index)
        return poll

    def _open(self, lane: _Lane) -> Poll:
        assert self.method is not None, "k is chosen before the first step"
        config = self.config
        step = Step(lane.index, lane.state, self.rules, config.token_cap, config.long_answer, {})
        poll = lane.poll = Poll(step, self.method)
        self._opened += 1
        return poll

    # -- one step decided ----------------------------------------------------------------------

    def _commit(self, lane: _Lane, wave: Wave) -> None:
        """Journal a live wave; if it decided the step, with its verdict, and advance the lane."""
        poll = lane.poll
        assert poll is not None, "a wave belongs to a poll"
        state = None
        decided = poll.outcome is not None and poll.outcome.winner is not None
        if decided:
            state, wave.verdict = self._decide(lane, poll)
        self.journal.append(encode_wave(wave))
        if decided:
            self._advance(lane, poll, state, wave)

    def _decide(self, lane: _Lane, poll: Poll) -> tuple[Any, tuple[int, bytes, bytes]]:
        """Return the next state and the verdict. Raises Stop for a winner that the rules do not allow."""
        assert poll.outcome is not None and poll.outcome.winner is not None, "only a decided poll decides"
        winner = poll.outcome.winner
        number = poll.winner
        reading = poll.readings[number]
        if not poll.step.allows(reading):
            raise Stop("illegal", f"step {lane.index}: the answer that won is against the rules and no flag caught it: "
                       f"{reading.answer!r}. Use the default flags.", 1)  # fmt: skip
        state = poll.step.after(reading)
        try:
            state_digest = digest(canonical(state))
        except (TypeError, ValueError) as error:
            raise TaskError(f"step {lane.index}: apply returned a state that cannot be digested: {error}") from None
        return state, (number, step_hash(lane.index, winner, state_digest), state_digest)

    def _advance(self, lane: _Lane, poll: Poll, state: Any, wave: Wave) -> None:
        """Move a lane to its next step, or finish its segment."""
        assert wave.verdict is not None, "a step advances on a verdict only"
        number, hashed, state_digest = wave.verdict
        counts = self.counts
        if counts.wrong is not None:
            truth = guarded(self.task.truth, lane.index, "truth", lane.state, lane.index)  # type: ignore[attr-defined]
            reading = poll.readings[number]
            counts.wrong += reading.answer != truth and reading.key != canonical(truth)
        self.fold.add(lane.index, hashed, state_digest)
        counts.steps += 1
        counts.waves[poll.waves] += 1
        lane.index += 1
        lane.state = state
        lane.poll = None
        stop = lane.segment.stop
        if lane.index == stop or (stop is None and self._done(state, lane.index)):
            self._finish(lane)

    def _finish(self, lane: _Lane) -> None:
        """Close a segment and check the joins on both of its sides."""
        index = lane.segment.index
        self._finished.add(index)
        self._lanes.pop(index, None)
        if index + 1 == len(self.plan.segments):
            self._last_state = lane.state
            return
        entry = self.plan.segments[index + 1].entry
        if canonical(entry) != canonical(lane.state):
            raise Stop("join_mismatch", f"segment {index} ended at step {lane.index} in another state than segment "
                       f"{index + 1} began with: a wrong step won. The run cannot be mended; run it again with a "
                       "larger k, another seed or another journal.", 1)  # fmt: skip

    def _next_lane(self) -> _Lane | None:
        """Return the next segment to advance: one begun before a restart, or a new one."""
        for segment in self._waiting:
            if segment.index not in self._finished:
                return self._lane(segment)
        return None

    def _lane(self, segment: Segment) -> _Lane:
        lane = self._lanes.get(segment.index)
        if lane is None:
            state = guarded(lambda: segment.entry, segment.start, "entry state")
            lane = self._lanes[segment.index] = _Lane(segment, segment.start, state)
            if segment.stop is None and self._done(state, 0):
                self._finish(lane)
        return lane

    def _done(self, state: Any, step: int) -> bool:
        return bool(guarded(self.task.done, step, "done", state))

    # -- replay and k --------------------------------------------------------------------------

    def _replay(self) -> bool:
        """Bring the run to where the journal ends; say whether it held this run at all."""
        known = False
        for record in self.journal.replay():
            item = decode(record)
            if isinstance(item, Wave):
                self._replay_wave(item)
            elif "header" in item:
                check_header(item["header"], self.header, self.journal.path)
                known = True
                if self.config.k != "auto":
                    self._set_k(self.config.k)
            elif "calibration" in item:
                self._calibrated(Calibration(**item["calibration"]))
            elif "close" in item:
                self._closed = item["close"]
            elif "usage" in item:
                self.usage.failed += item["usage"]["failed"]
                self.usage.cancelled += item["usage"]["cancelled"]
                self.usage.dispatched += item["usage"]["failed"] + item["usage"]["cancelled"]
        if not known and self.journal.appended:
            raise JournalError(f"{self.journal.path}: has no header. Give another --journal.")
        if not known and self.config.k != "auto":
            self._set_k(self.config.k)
        self._booked = (self.usage.failed, self.usage.cancelled)
        return known

    def _replay_wave(self, wave: Wave) -> None:
        """Take a journaled wave through the code that a live one goes through, and compare."""
        segment = self.plan.segments[bisect_right(self._starts, wave.step) - 1]
        lane = self._lane(segment)
        if lane.index != wave.step or segment.index in self._finished:
            raise JournalError(f"{self.journal.path}: step {wave.step} is not the next one of segment {segment.index}. "
                               "The journal does not fit this task's plan.")  # fmt: skip
        poll = lane.poll or self._open(lane)
        poll.replay(wave)
        self.usage.dispatched += len(wave)
        self.usage.book(wave)
        if wave.verdict is None:
            return
        if poll.outcome is None or poll.outcome.winner is None:
            raise JournalError(f"{self.journal.path}: step {wave.step}: the verdict does not follow from the votes.")
        state, verdict = self._decide(lane, poll)
        if verdict != wave.verdict:
            raise JournalError(
                f"{self.journal.path}: step {wave.step}: the task's code gives another result than when the journal "
                "was written. Is the code random, or was it changed? Resume with the same code."
            )
        self._advance(lane, poll, state, wave)

    def _set_k(self, k: int) -> None:
        config, limits = self.config, self.limits
        self.method = Method(
            self.header["run"], seed_key(config.seed), k, limits.votes_for(k), limits.flags_for(k), self.flags,
            config.temperature, config.first_temperature, config.token_cap, config.keep_samples,
        )  # fmt: skip

    async def _choose_k(self) -> None:
        """Calibrate and journal the result. Raises Infeasible when no k can reach the target."""
        found = await calibrate(self.task, self.dispatcher, self.config, self.flags, self.rules)
        self.calibration = replace(found, k=found.choose(self.steps, self.config.target))
        self._note({"calibration": self.calibration.as_note()})
        self._set_k(self.calibration.k)

    def _calibrated(self, found: Calibration) -> None:
        """Take over the calibration of an earlier process."""
        self.calibration = found
        found.book(self.usage)
        self._set_k(found.k)

    # -- what is said --------------------------------------------------------------------------

    def _note(self, note: dict[str, Any]) -> None:
        self.journal.append(encode_note(note))
        self.journal.flush()

    def _note_usage(self) -> None:
        """Book what was sent without a wave to show for it, so that a resume counts it too."""
        failed, cancelled = self.usage.failed - self._booked[0], self.usage.cancelled - self._booked[1]
        if failed or cancelled:
            self._note({"usage": {"failed": failed, "cancelled": cancelled}})

    def _report(self) -> None:
        """Show what is acknowledged, at most every tenth of a second."""
        now = time.monotonic()
        if self.progress is None or now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        usage = self.usage
        glimpse = Progress(self.counts.steps, self.steps, usage.voted + usage.flagged, usage.flagged,
                           self._replayed, now - self._begun)  # fmt: skip
        self._unacknowledged.append((self.journal.appended, glimpse))
        while self._unacknowledged and self._unacknowledged[0][0] <= self.journal.acknowledged:
            self._shown = self._unacknowledged.popleft()[1]
        self.progress(self._shown)

    def _result(self) -> RunResult:
        """Say how the run went; everything it counts is committed first."""
        stop, usage, counts = self._stop, self.usage, self.counts
        solved, answer, detail, exit_code = False, None, "", 0
        if stop is not None:
            detail, exit_code = str(stop), stop.exit_code
        else:
            solved = self._done(self._last_state, counts.steps)
            if solved:
                answer = guarded(self.task.answer, None, "answer", self._last_state)
            else:
                exit_code = 1
                detail = f"all {counts.steps} steps are decided, but the goal is not reached: a wrong step won."
        log.info("run.close", run=self.header["run"], solved=solved, stopped=stop.kind if stop else None)
        result = RunResult(
            solved=solved, answer=answer, steps=counts.steps, state=self._front_state(),
            samples=usage.voted + usage.flagged, flagged=usage.flagged, flags=dict(usage.flags), usage=usage,
            stopped=stop.kind if stop else None, detail=detail, exit_code=exit_code, journal=self.journal.path, wrong=counts.wrong,
            state_digest=self.fold.state_digest.hex(), chain=self.fold.chain, seconds=time.monotonic() - self._begun,
            replayed=self._replayed, k=self.method.k if self.method else None, segments=len(self.plan.segments),
            waves=counts.waves, simulated=bool(getattr(self.model, "simulated", False)), model=self.header["model"],
            calibration=self.calibration.as_note() if self.calibration else None, task=self.task,
            _book=self.journal if self.journal.path is None else None,
        )  # fmt: skip
        if counts.steps > self._replayed or not self._closed or self._closed["stopped"] != result.stopped:
            said = result.as_json()
            kept = ("solved", "stopped", "detail", "wrong", "answer", "seconds")
            self._note({"close": {key: said[key] for key in kept}})
        self.journal.flush()
        return result

    def _front_state(self) -> Any:
        """Return the state after the unbroken sequence of decided steps, if it is at hand."""
        if len(self._finished) == len(self.plan.segments):
            return self._last_state
        for lane in self._lanes.values():
            if lane.index == self.fold.steps:
                return lane.state
        return None


def _plan(task: Task, segments: int | None) -> tuple[Plan, int | None]:
    """Return the task's plan in the number of segments asked for, or the sequential one."""
    make = getattr(task, "plan", None)
    steps = guarded(lambda: task.steps, None, "steps")
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise TaskError(f"steps = {steps!r}: give a whole number of 1 or more, or None")
    if segments is not None and segments < 1:
        raise TaskError(f"segments = {segments}: give 1 or more")
    if segments == 1 or make is None:
        if segments not in (None, 1):
            raise TaskError(f"segments = {segments}: this task has no plan(), only 1 segment is possible")
        return Plan.sequential(steps, task.initial_state), steps
    plan = guarded(make, None, "plan", segments or DEFAULT_SEGMENTS)
    if not isinstance(plan, Plan):
        raise TaskError(f"plan returned {type(plan).__name__}, not a maker.Plan")
    return plan, plan.steps
