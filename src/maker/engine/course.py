"""Where a run stands: its decided steps, its settings, its account; and how it moves.

A `Course` moves by waves: live ones, which it journals, and those of a journal, which it replays, both through the
same code, or as that would (`replay.py`). So a resumed run is where the first one was, or the journal is refused.
Settings changed on purpose begin a new epoch: what is decided stands, open steps begin anew with seeds of their own.

Rolled-back steps a Course cannot take back: it is `rolled_back`, and another one is made from the journal.

Not covered: what to do next (`loop.py`), and sampling (`sending/dispatcher.py`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from maker.decision.address import ROUND
from maker.decision.config import Config
from maker.decision.ending import Stop, stuck
from maker.decision.flags import Flag
from maker.decision.method import Method
from maker.decision.poll import Poll, conclude
from maker.decision.pool import Weights, turns_of
from maker.decision.step import Rules
from maker.decision.wave import Wave
from maker.engine.book import Book
from maker.engine.calibrate import calibrate, chosen
from maker.engine.front import Front, Lane
from maker.engine.ladder.ahead import Lookout
from maker.engine.ladder.escalations import Escalations
from maker.engine.ladder.rungs import Rung, describe
from maker.engine.outset import Outset
from maker.engine.replay import take_plain
from maker.engine.senders import Senders
from maker.errors import JournalError
from maker.journal.escalated import Abandoned, Ahead, Change, Escalation
from maker.journal.header import changed_fields, check_header, make_header, with_more
from maker.journal.notes import Calibration, Epoch, Note
from maker.journal.story import Story
from maker.journal.writer import Journal
from maker.log import log
from maker.sending.account import Account
from maker.sending.receipts import Receipts
from maker.task.plan import Plan
from maker.task.prompt import render
from maker.task.task import Task
from maker.theory.votes.tables import Table


class Course:
    """One run: task, plan, settings, and all that follows from its journal so far.

    front: the decided steps. method: how steps are voted on, None until k is known. header: the run's
    settings; epoch: how often they were changed on purpose; accepted: those that may differ from the journal's.
    usage: the account, resumes included. sampled: rounds that samples were drawn in. stop: what ends the run.
    abandoned: what the rollbacks in the journal leave behind, as far as they are known; rolled_back: there is another.
    """

    def __init__(
        self, task: Task, senders: Senders, config: Config, journal: Journal, plan: Plan, flags: tuple[Flag, ...],
        accepted: tuple[str, ...] = (), ladder: tuple[Rung, ...] = (), abandoned: Abandoned | None = None,
    ) -> None:  # fmt: skip
        self.task, self.senders, self.config = task, senders, config
        self.dispatcher = dispatcher = senders.own
        self.usage = dispatcher.usage
        self.journal, self.plan, self.flags, self.accepted = journal, plan, flags, accepted
        self.receipts = Receipts(journal, self.usage, accepted, config.temperature)
        senders.keep_receipts(self.receipts)
        self.account = Account(self.usage, self.receipts, paid=not dispatcher.traits.lockstep)
        self.header = make_header(task, dispatcher.model, config)
        self.book = Book(journal, self.account, self.header)
        self.front = Front(task, plan)
        self.escalations = Escalations(task, ladder, dispatcher.limits, plain=dispatcher.traits.needs_truth)
        self.abandoned = abandoned or Abandoned()
        self.rules = Rules.of(task)
        self.lookout = Lookout(task, self.rules, self.account)
        self.method: Method | None = None
        self.calibration: Calibration | None = None
        self.epoch = self.opened = self.sampled = 0
        self.rolled_back = False
        self.stop: Stop | None = None
        self.aside: dict[int, Stop] = {}  # by step: those that did not decide and hold up no other
        self.outset: Outset | None = None  # of a map
        self._latest: dict[str, Any] = {}  # the header of the journal's last epoch

    # -- one step -------------------------------------------------------------------------------

    def ready(self, lane: Lane) -> bool:
        """Make a lane's next step ready to ask; say whether it has draws to make.

        None are made where a look ahead is due first, nor where a journal holds the race to its end: its verdict is
        committed now. Raises as `escalate` does, for a step that met a limit which was not raised since.
        """
        poll = lane.poll or self._open(lane)
        if lane.look is not None:
            return False
        if poll.won:
            self.commit(lane, Wave(lane.index, poll.next))
            return False
        if poll.flags and not poll.over and (stop := stuck(poll)):
            trouble = self.escalations.trouble(lane, stop.limit)  # the process before may have died at this point
            if self.escalations.next(lane, trouble) is not None:
                self.escalate(lane, stop)
        while not self.rolled_back and lane.poll is not None and lane.poll.over:  # also if max_votes < k
            self.in_trouble(lane)
            if lane.index in self.aside or lane.look is not None:
                return False
        if self.rolled_back:
            return False
        assert lane.poll is not None, "a step that is not decided has a poll"
        if lane.poll.prompt is None:
            self.senders.word(self.task, lane, self.escalations, paraphrase=self.config.paraphrase)
        return True

    def _open(self, lane: Lane) -> Poll:
        self.opened += 1
        return self._begin_round(lane)

    def _begin_round(self, lane: Lane) -> Poll:
        """Begin a race for a lane's next step, in the way that it is to be tried now."""
        assert self.method is not None, "k is chosen before the first step"
        method, first = self.escalations.method(self.method, lane, self.config, self.epoch)
        if self.receipts.ahead:
            asked = partial(render, self.task, lane.state, lane.index)
            self.receipts.adopt(self.header["run"], lane.index, asked)
        poll = lane.poll = Poll.of(method, self.rules, lane.index, lane.state, first=first)
        lane.look = None
        self.sampled += 1
        return poll

    def commit(self, lane: Lane, wave: Wave) -> None:
        """Journal a live wave; if it decided the step, with its verdict, and advance the lane.

        Where the ladder doubts a win, a look ahead is due before the win counts.
        """
        poll = lane.poll
        assert poll is not None, "a wave belongs to a poll"
        if self.receipts.known:
            self.receipts.judged(self.header["run"], wave.step, wave.first, len(wave))
        if self.outset is not None and len(wave):
            self.outset.look(poll)
        doubt = self.escalations.doubt(lane) if poll.won else None
        if not poll.won or doubt is not None:
            if len(wave):
                self.book.keep(wave)
            if doubt is not None:
                self._climb(doubt, lane)
            return
        try:
            state, wave.verdict = conclude(poll)
        finally:
            self.book.keep(wave)  # its samples are kept even if the task's code fails here
        self.front.advance(lane, poll, state, wave.verdict)
        self.receipts.passed(self.header["run"], wave.step)

    # -- a step that does not decide ------------------------------------------------------------------

    def in_trouble(self, lane: Lane) -> None:
        """Try a step in another way whose last wave brought it to a limit. Raises as `escalate` does."""
        if lane.poll is not None and (stop := stuck(lane.poll)):
            self.escalate(lane, stop)

    def escalate(self, lane: Lane, stop: Stop) -> None:
        """Take the next rung, journal it, and begin what it changes.

        At the end of the ladder a step that no other one needs is put aside, and any other raises `stop`, with what
        was tried and a diagnosis. Where steps were given up, the course has come to its end. Raises TaskError from
        rungs and from the task's `sound`.
        """
        trouble = self.escalations.trouble(lane, stop.limit)
        found = self.escalations.next(lane, trouble)
        if found is None:
            end = Stop(stop.kind, f"{stop} {describe(trouble)}", stop.exit_code, step=lane.index)
            if not self.plan.independent:
                raise end
            self.aside[lane.index] = end
            return
        self._climb(found, lane)

    def _climb(self, found: Escalation, lane: Lane) -> None:
        """Journal a change, and begin it."""
        self.book.note(found.as_note())
        log.warning("run.escalation", step=found.step, rung=found.rung, reason=found.reason, change=found.change)
        if found.change.back:
            self.rolled_back = True
        else:
            self._take(found, lane)

    async def look_ahead(self, lane: Lane) -> None:
        """Take the look ahead that is due at a lane's step, and journal it. Raises as `draw` and `escalate` do."""
        sender = self.senders.of(self.escalations.change(lane.index), lane.index)
        found, asked = await self.lookout.look(lane, sender)
        self.sampled += asked
        self.book.note(found.as_note())
        self.in_trouble(lane)

    def _take(self, found: Escalation, lane: Lane | None) -> None:
        """Begin what a journaled change changes. lane: that of its step, None where that was given up since."""
        self.escalations.take(found)
        for step in found.steps:
            self.receipts.forget_step(self.header["run"], step)
        if lane is None or lane.poll is None:
            return
        if found.change.ahead:
            lane.look = found.change
        elif found.change.goes_on:
            self.escalations.go_on(lane)
        else:
            self._begin_round(lane)

    def _roll_back(self, found: Escalation) -> None:
        """Take a rollback that the journal holds: what it abandons was not decided in this replay."""
        lane, read = self.front.lane_in(found.step), self.journal.appended  # a step that was decided has a record
        ahead = lane is None or lane.index > found.steps.start
        if lane is None or ahead or not self.abandoned.knows(found) or found.change.back > read:
            raise JournalError(f"{self.journal.path}: step {found.step} is rolled back to step {found.steps.start}, "
                               "which is not possible. The journal does not fit this task's plan.")  # fmt: skip
        self._take(found, None)
        lane.branch, lane.poll = found.branch, None

    # -- replay ---------------------------------------------------------------------------------

    def replay(self) -> None:
        """Bring the run to where the journal ends; a new journal gets its header. Raises JournalError.

        Accepted changes begin a new epoch. Its rollbacks have to be known beforehand.
        """
        if not self.book.open(self._replay, partial(take_plain, self)):
            self._vote_by(self.header)
        else:
            self._check(self._latest)
            if changed := changed_fields(self._latest, self.header):
                self.book.note({"epoch": {"number": self.epoch + 1, "changed": changed, "header": self.header}})
                log.warning("run.epoch", run=self.header["run"], number=self.epoch + 1, changed=changed)
                self._enter_epoch(self.header)
        try:
            self.account.close_replay()
        except Stop as stop:
            self.stop = self.stop or stop
        self.book.replayed = self.front.steps
        if self.plan.independent:
            self.outset = Outset(self.usage, self.plan.steps or 0)
        log.info("run.open", run=self.header["run"], replayed=self.front.steps, records=self.journal.acknowledged)

    def _replay(self, item: Wave | Note) -> None:
        """Take what the journal holds."""
        match item:
            case Wave():
                self._replay_wave(item)
            case Epoch(number=0):
                self._same_run(item.header)
            case Epoch():
                if (item.header["steps"] or 0) > (self.plan.steps or 0):
                    self._check(item.header)
                self._latest = item.header
                self._enter_epoch(item.header)
            case Calibration():
                self._calibrated(item)
            case Ahead():
                void = self.abandoned.covers(item.step, item.round)
                lane = self.front.lane_of(item.step)
                self.sampled += self.lookout.replay(item, self.header["run"], None if void else lane, void=void)
            case Escalation(change=Change(back=0)):
                self._take(item, self.front.lane_of(item.step))
            case Escalation():
                self._roll_back(item)

    def _same_run(self, stored: dict[str, Any]) -> None:
        """Take the journal's header. Raises JournalError unless what differs from it now is accepted."""
        self._latest = stored
        if changed_fields(stored, self.header):  # a later epoch may agree; if not, say so before the replay
            self._check(Story(self.journal).latest)
        self.header["run"] = stored["run"]
        self._vote_by(stored)

    def _check(self, stored: dict[str, Any]) -> None:
        check_header(with_more(stored, self.header, self.task), self.header, self.journal.path, self.accepted)

    def _enter_epoch(self, header: dict[str, Any]) -> None:
        """Go on under other settings: steps that are not decided begin anew, with seeds of their own."""
        self.epoch += 1
        self.method = None
        self.front.begin_anew()
        self.escalations.begin_anew()
        self.receipts.forget()
        self._vote_by(header)

    def _replay_wave(self, wave: Wave) -> None:
        """Take a journaled wave through the code that a live one goes through, and compare."""
        where = f"{self.journal.path}: step {wave.step}"
        if self.method is None:
            raise JournalError(f"{where} was drawn before k was known: the journal is damaged or forged.")
        if self.abandoned and wave in self.abandoned:
            self.sampled += wave.first % ROUND == 0
            self.receipts.adopt(self.header["run"], wave.step, None)
            self.account.replayed(wave, self.header["run"])
            return
        lane = self.front.lane_of(wave.step)
        if lane is None:
            raise JournalError(f"{where} is not the next one of its segment. The journal does not fit this task's "
                               "plan.")  # fmt: skip
        poll = lane.poll or self._open(lane)
        if len(wave):
            poll.replay(wave)
            self.account.replayed(wave, self.header["run"])
        if wave.verdict is None:
            return
        if not poll.won:
            raise JournalError(f"{where}: the verdict does not follow from the votes.")
        try:
            state, winner = conclude(poll)
            if winner != wave.verdict:
                raise JournalError(f"{where}: the task's code gives another result than when the journal was written. "
                                   "Is the code random, or was it changed? Resume with the same code.")  # fmt: skip
            self.front.advance(lane, poll, state, winner)
            self.receipts.passed(self.header["run"], wave.step)
        except Stop as stop:  # it ended the run when it was live, and does so again
            self.stop = self.stop or stop

    def _vote_by(self, header: dict[str, Any]) -> None:
        if isinstance(k := header["k"], int) and not isinstance(weights := header.get("weights", ()), str):
            self._set_k(k, tuple(weights))

    def _set_k(self, k: int, weights: Weights, table: Table | None = None) -> None:
        limits = self.dispatcher.limits
        self.method = Method.of(
            self.config, k, self.flags, (limits.votes_for(k), limits.flags_for(k)),
            run=self.header["run"], epoch=self.epoch, schema=getattr(self.task, "schema", None), table=table,
            tools=getattr(self.task, "tools", None), weights=weights,
        )  # fmt: skip

    async def choose_k(self) -> None:
        """Calibrate and journal the result. Raises Infeasible when no k can reach the target."""
        before = self.account.snapshot()
        try:
            found = await calibrate(self.task, self.dispatcher, self.config, self.flags, self.rules)
        except BaseException:
            self.account.forfeit(before)
            raise
        self.calibration = chosen(found, self.plan.steps, self.config, turns_of(self.header["model"]))
        self.book.note({"calibration": self.calibration.as_note()})
        self.sampled += found.draws
        self._set_k(self.calibration.k, self.calibration.by_turn(), self.calibration.margins())

    def _calibrated(self, found: Calibration) -> None:
        """Take over the calibration of an earlier process."""
        self.calibration = found
        self.sampled += found.draws
        self.account.calibrated(found, self.header["run"])
        self._set_k(found.k, found.by_turn(), found.margins())
