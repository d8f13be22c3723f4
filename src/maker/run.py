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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from maker.advance import Front, Lane
from maker.calibrate import Calibration, calibrate
from maker.config import Config, KeepSamples, Limits, make_limits, validated
from maker.errors import JournalError, TaskError
from maker.flags import Flag, chain, flag_name
from maker.header import changed_fields, check_header, latest_header, make_header
from maker.journal import Journal
from maker.load import load_model, load_task
from maker.log import log
from maker.plan import Plan, plan_of
from maker.poll import Method, Poll
from maker.prompt import render, views
from maker.receipts import KINDS, Receipts
from maker.records import Wave, check_note, decode, encode_note, encode_wave
from maker.result import Glimpses, Progress, RunResult
from maker.sample import Model
from maker.settle import Dispatcher, copied_too_often, first_error, poisoned, settle, undecided
from maker.stop import Stop
from maker.task import Rules, Step, Task, guarded, seed_key
from maker.threads import in_new_loop
from maker.usage import Usage

LANES = 128  # segments that an in-process model advances at once; suits its caches
_UNSHOWN = ("failed", "cancelled", "lost_in", "lost_out", "assumed")  # usage that no wave or calibration accounts for
REPORT_SECONDS = 0.1
TICK_SECONDS = 0.5
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
            carrier = _Run(task, dispatcher, config, book, plan, red_flags)
            carrier.accepted = tuple(accept_change)
            carrier.progress, carrier.interrupted = progress, interrupted
            return await carrier.carry_out()
    finally:
        if owned and hasattr(engine, "aclose"):
            with anyio.CancelScope(shield=True):
                await engine.aclose()


def run_sync(task: Task | str, **settings: Any) -> RunResult:
    """Carry out a task as `run` does, from synchronous code; takes the same keywords."""
    return in_new_loop(lambda: run(task, **settings))


class _Run:
    """The state of one run in this process."""

    def __init__(
        self, task: Task, dispatcher: Dispatcher, config: Config, journal: Journal, plan: Plan, flags: tuple[Flag, ...]
    ) -> None:
        self.task, self.dispatcher, self.config = task, dispatcher, config
        self.model, self.limits, self.usage = dispatcher.model, dispatcher.limits, dispatcher.usage
        self.journal, self.plan, self.flags = journal, plan, flags
        self.progress: Callable[[Progress], None] | None = None
        self.interrupted: Callable[[], bool] | None = None
        self.front = Front(task, plan)
        self.calibration: Calibration | None = None
        self.method: Method | None = None
        self.rules = Rules.of(task)
        self.header = make_header(task, self.model, config)
        self.receipts = dispatcher.receipts
        self.accepted: tuple[str, ...] = ()
        self.epoch = 0  # how often settings were changed on purpose
        self._opened = 0  # polls, for max_steps
        self._sampled = 0  # steps that samples were drawn on
        self._stop: Stop | None = None
        self._booked = Usage()  # as of the last note
        self._latest: dict[str, Any] = {}  # the header of the journal's last epoch
        self._closed: dict[str, Any] = {}  # what the run said when it last ended
        self._replayed = 0
        self._begun = time.monotonic()
        self._reported = self._yielded = 0.0

    # -- the story -----------------------------------------------------------------------------

    async def carry_out(self) -> RunResult:
        """Replay, calibrate if need be, advance to the end or to a stop, and say how it went."""
        known = self._replay()
        if not known:
            self._note({"header": self.header})
        self._replayed = self.front.steps
        self._glimpses = Glimpses(self._glimpse(0.0))
        log.info("run.open", run=self.header["run"], replayed=self._replayed, records=self.journal.acknowledged)
        try:
            if self.method is None:
                await self._choose_k()
            if self._stop is None:
                await self._advance_all()
        except Stop as stop:
            self._stop = stop
        finally:
            if self.receipts is None:
                self._note_usage()
        return self._result()

    async def _advance_all(self) -> None:
        self._news = anyio.Event()
        free = min(self.limits.concurrency, len(self.plan.segments))
        width, workers = (LANES, getattr(self.model, "callers", 1)) if self.model.lockstep else (1, free)
        try:
            async with anyio.create_task_group() as ticking:
                if not self.model.lockstep and self.progress is not None:
                    ticking.start_soon(self._tick)
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
            while self._stop is None:
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
                under_way = [lane for lane in lanes if not self.front.finished(lane)]
                if len(under_way) < len(lanes):
                    self._wake()
                lanes = under_way
                if time.monotonic() - self._yielded >= YIELD_SECONDS:
                    self._yielded = time.monotonic()
                    await anyio.lowlevel.checkpoint()
        except Stop as stop:
            self._stop = self._stop or stop
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
        lanes = [lane for lane in lanes if not self._settled_before(lane)]
        polls = [self._ready(lane) for lane in lanes]
        waves = await settle(polls, self.dispatcher)
        ends: list[Stop | TaskError] = []
        for lane, wave in zip(lanes, waves, strict=True):
            try:
                self._commit(lane, wave)
            except (Stop, TaskError) as end:  # the other lanes' waves are paid for, and kept all the same
                ends.append(end)
        self.journal.commit_if_due()
        self._report()
        for poll in polls:
            if poll.flags and (poison := poisoned(poll)):
                ends.append(poison)
            elif poll.outcome is not None and poll.outcome.winner is None:
                ends.append(undecided(poll))
        if (copied := copied_too_often(self.usage, self._sampled)) is not None:
            ends.insert(0, copied)
        if ends:
            raise ends[0]

    def _allowed(self, lanes: list[Lane]) -> list[Lane]:
        """Return the lanes that may go on: all, or as many new steps as max_steps leaves."""
        limit = self.limits.max_steps
        if limit is None:
            return lanes
        left = limit - self._opened
        allowed = []
        for lane in lanes:
            if lane.poll is None:
                left -= 1
            if lane.poll is not None or left >= 0:
                allowed.append(lane)
        return allowed

    def _settled_before(self, lane: Lane) -> bool:
        """Close a race that the journal holds to its end: commit a verdict that could not be drawn then.

        Raises Stop for one that met a limit which was not raised since.
        """
        poll = lane.poll
        if poll is None or poll.outcome is None:
            return False
        if poll.outcome.winner is None:
            raise undecided(poll)
        self._commit(lane, Wave(lane.index, poll.drawn))
        return True

    def _ready(self, lane: Lane) -> Poll:
        poll = lane.poll or self._open(lane)
        if poll.outcome is not None:  # max_votes is less than k
            raise undecided(poll)
        if poll.prompt is None:
            poll.prompt = render(self.task, lane.state, lane.index)
            if self.config.paraphrase:
                poll.views = views(self.task, lane.state, lane.index)
        return poll

    def _open(self, lane: Lane) -> Poll:
        assert self.method is not None, "k is chosen before the first step"
        config = self.config
        step = Step(lane.index, lane.state, self.rules, config.token_cap, config.long_answer, {})
        poll = lane.poll = Poll(step, self.method)
        self._opened += 1
        self._sampled += 1
        return poll

    def _commit(self, lane: Lane, wave: Wave) -> None:
        """Journal a live wave; if it decided the step, with its verdict, and advance the lane."""
        poll = lane.poll
        assert poll is not None, "a wave belongs to a poll"
        if poll.outcome is None or poll.outcome.winner is None:
            self.journal.append(encode_wave(wave))
            return
        try:
            state, wave.verdict = self.front.decide(lane, poll)
        finally:
            self.journal.append(encode_wave(wave))  # its samples are kept even if the task's code fails here
        self.front.advance(lane, poll, state, wave.verdict)

    # -- replay and k --------------------------------------------------------------------------

    def _replay(self) -> bool:
        """Bring the run to where the journal ends; say whether it held this run at all."""
        known = False
        for record in self.journal.replay():
            item = decode(record)
            if isinstance(item, Wave):
                self._replay_wave(item)
                continue
            check_note(item, self.journal.path)
            if "header" in item:
                self._same_run(item["header"])
                known = True
            else:
                self._replay_note(item)
        if not known and self.journal.appended:
            raise JournalError(f"{self.journal.path}: has no header. Give another --journal.")
        if not known and self.config.k != "auto":
            self._set_k(self.config.k)
        if known:
            check_header(self._latest, self.header, self.journal.path, self.accepted)
            if changed := changed_fields(self._latest, self.header):
                self._change_settings(changed)
        if self.receipts is not None:
            try:
                self.receipts.close_replay()
            except Stop as stop:
                self._stop = self._stop or stop
        self._booked = replace(self.usage)
        return known

    def _replay_note(self, note: dict[str, Any]) -> None:
        if "calibration" in note:
            self._calibrated(Calibration(**note["calibration"]))
        elif "close" in note:
            self._closed = note["close"]
        elif "usage" in note:
            self._rebook(note["usage"])
        elif "epoch" in note:
            self._latest = note["epoch"]["header"]
            self._enter_epoch(self._latest)
        elif self.receipts is not None:
            for kind in KINDS:
                if kind in note:
                    self.receipts.replay(kind, note[kind])

    def _same_run(self, stored: dict[str, Any]) -> None:
        """Take the journal's header. Raises JournalError unless what differs from it now is accepted."""
        path = self.journal.path
        self._latest = stored
        if changed_fields(stored, self.header):  # a later epoch may agree; if not, say so before the replay
            check_header(latest_header(stored, self.journal.reader()), self.header, path, self.accepted)
        self.header["run"] = stored["run"]
        if stored["k"] != "auto":
            self._set_k(stored["k"])

    def _enter_epoch(self, header: dict[str, Any]) -> None:
        """Go on under other settings: steps that are not decided begin anew, with seeds of their own."""
        self.epoch += 1
        self.method = None
        self.front.begin_anew()
        if self.receipts is not None:
            self.receipts.forget()
        if header["k"] != "auto":
            self._set_k(header["k"])

    def _change_settings(self, changed: list[str]) -> None:
        """Journal accepted changes as a new epoch, and enter it."""
        self._note({"epoch": {"number": self.epoch + 1, "changed": changed, "header": self.header}})
        log.warning("run.epoch", run=self.header["run"], number=self.epoch + 1, changed=changed)
        self._enter_epoch(self.header)

    def _rebook(self, unshown: dict[str, int]) -> None:
        """Count what an earlier process sent without a wave to show for it."""
        usage = self.usage
        for field in _UNSHOWN:
            setattr(usage, field, getattr(usage, field) + unshown[field])
        usage.dispatched += unshown["failed"] + unshown["cancelled"]
        usage.tokens_in += unshown["lost_in"]
        usage.tokens_out += unshown["lost_out"]

    def _replay_wave(self, wave: Wave) -> None:
        """Take a journaled wave through the code that a live one goes through, and compare."""
        where = f"{self.journal.path}: step {wave.step}"
        lane = self.front.lane_of(wave.step)
        if lane is None:
            raise JournalError(
                f"{where} is not the next one of its segment. The journal does not fit this task's plan."
            )
        poll = lane.poll or self._open(lane)
        if len(wave):
            poll.replay(wave)
            if self.receipts is None:
                self.usage.replay(wave)
            else:
                self.usage.book(wave)
                self.receipts.judged(self.header["run"], wave.step, wave.first, len(wave))
        if wave.verdict is None:
            return
        if poll.outcome is None or poll.outcome.winner is None:
            raise JournalError(f"{where}: the verdict does not follow from the votes.")
        try:
            state, winner = self.front.decide(lane, poll)
            if winner != wave.verdict:
                raise JournalError(
                    f"{where}: the task's code gives another result than when the journal was written. "
                    "Is the code random, or was it changed? Resume with the same code."
                )
            self.front.advance(lane, poll, state, winner)
        except Stop as stop:  # it ended the run when it was live, and does so again
            self._stop = self._stop or stop

    def _set_k(self, k: int) -> None:
        config, limits = self.config, self.limits
        self.method = Method(
            self.header["run"], seed_key(config.seed, self.epoch), k, limits.votes_for(k), limits.flags_for(k),
            self.flags, config.temperature, config.first_temperature, config.token_cap, config.keep_samples,
        )  # fmt: skip

    async def _choose_k(self) -> None:
        """Calibrate and journal the result. Raises Infeasible when no k can reach the target."""
        before = replace(self.usage, flags=Counter(self.usage.flags))
        try:
            found = await calibrate(self.task, self.dispatcher, self.config, self.flags, self.rules)
        except BaseException:
            self._forfeit(before)
            raise
        self.calibration = replace(found, k=found.choose(self.plan.steps, self.config.target))
        self._note({"calibration": self.calibration.as_note()})
        self._sampled += found.draws
        self._set_k(self.calibration.k)

    def _forfeit(self, before: Usage) -> None:
        """Book the samples of a calibration that did not come to its end as lost; receipts keep theirs for a resume."""
        usage = self.usage
        if self.receipts is None:
            usage.cancelled += usage.voted + usage.flagged - before.voted - before.flagged
            usage.lost_in = before.lost_in + usage.tokens_in - before.tokens_in
            usage.lost_out = before.lost_out + usage.tokens_out - before.tokens_out
        usage.voted, usage.flagged, usage.flags = before.voted, before.flagged, before.flags

    def _calibrated(self, found: Calibration) -> None:
        """Take over the calibration of an earlier process."""
        self.calibration = found
        usage = self.usage
        sent = (usage.dispatched, usage.tokens_in, usage.tokens_out)
        found.book(usage)
        self._sampled += found.draws
        if self.receipts is not None:  # they have counted what was sent
            usage.dispatched, usage.tokens_in, usage.tokens_out = sent
            for run in {address.run for address in self.receipts.known} - {self.header["run"]}:
                self.receipts.judge_all(run)
        self._set_k(found.k)

    # -- what is said --------------------------------------------------------------------------

    def _note(self, note: dict[str, Any]) -> None:
        self.journal.append(encode_note(note))
        self.journal.flush()

    def _note_usage(self) -> None:
        """Book what was sent without a wave to show for it, so that a resume counts it too."""
        unshown = {field: getattr(self.usage, field) - getattr(self._booked, field) for field in _UNSHOWN}
        if any(unshown.values()):
            self._note({"usage": unshown})

    def _report(self) -> None:
        """Show what is acknowledged, at most every tenth of a second."""
        now = time.monotonic()
        if self.progress is None or now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        newest, book = self._glimpse(now - self._begun), self.journal
        self.progress(self._glimpses.acknowledged(newest, book.appended, book.acknowledged))

    async def _tick(self) -> None:
        """Report also while nothing is decided: replies may take long, or a server may be down."""
        while True:
            await anyio.sleep(TICK_SECONDS)
            self._report()

    def _glimpse(self, seconds: float) -> Progress:
        usage = self.usage
        samples = usage.voted + usage.flagged
        dispatcher = self.dispatcher
        return Progress(
            self.front.steps, self.plan.steps, samples, usage.flagged, self._replayed, seconds, dispatcher.out,
            usage.tokens, usage.cost if dispatcher.prices else None, dispatcher.retrying,
        )  # fmt: skip

    def _independence(self) -> str:
        simulated = getattr(self.model, "simulated", False)
        return "" if self.receipts is None or simulated else self.receipts.independence

    def _result(self) -> RunResult:
        """Say how the run went; everything it counts is committed first."""
        stop, usage, front = self._stop, self.usage, self.front
        solved, answer, detail, exit_code = False, None, "", 0
        if stop is not None:
            detail, exit_code = str(stop), stop.exit_code
        elif front.done(front.last_state, front.steps):
            solved, answer = True, guarded(self.task.answer, None, "answer", front.last_state)
        else:
            exit_code = 1
            detail = f"all {front.steps} steps are decided, but the goal is not reached: a wrong step won."
        log.info("run.close", run=self.header["run"], solved=solved, stopped=stop.kind if stop else None)
        result = RunResult(
            solved=solved, answer=answer, steps=front.steps, state=front.state(), usage=usage, wrong=front.wrong,
            first_wrong=front.first_wrong if front.wrong is not None else None,
            collisions=front.collisions if front.wrong is not None else None,
            samples=usage.voted + usage.flagged, flagged=usage.flagged, flags=dict(usage.flags), waves=front.waves,
            stopped=stop.kind if stop else None, detail=detail, exit_code=exit_code, journal=self.journal.path,
            state_digest=front.fold.state_digest.hex(), chain=front.fold.chain, replayed=self._replayed,
            seconds=time.monotonic() - self._begun, k=self.method.k if self.method else None,
            segments=len(self.plan.segments), simulated=bool(getattr(self.model, "simulated", False)),
            model=self.header["model"], cost=usage.cost if self.dispatcher.prices else None, epochs=self.epoch,
            independence=self._independence(),
            calibration=self.calibration.as_note() if self.calibration else None,
            task=self.task, _book=self.journal if self.journal.path is None else None,
        )  # fmt: skip
        if front.steps > self._replayed or not self._closed or self._closed["stopped"] != result.stopped:
            said = result.as_json()
            kept = ("solved", "stopped", "detail", "wrong", "answer", "seconds")
            self._note({"close": {key: said[key] for key in kept}})
        self.journal.flush()
        return result
