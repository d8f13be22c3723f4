"""Where a run stands: its decided steps, its settings, its account; and how it moves.

A `Course` moves by waves: live ones, which it journals, and those of a journal, which it replays, both
through the same code. So a resumed run is where the first one was, or the journal is refused. Settings that
were changed on purpose begin a new epoch: what is decided stands, open steps begin anew with seeds of their own.

Not covered: what to do next (`run.py`), and sampling (`settle.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from maker.account import Account
from maker.advance import Front, Lane
from maker.calibrate import Calibration, calibrate
from maker.config import Config
from maker.errors import JournalError
from maker.flags import Flag
from maker.header import changed_fields, check_header, latest_header, make_header
from maker.journal import Journal
from maker.log import log
from maker.plan import Plan
from maker.poll import Method, Poll
from maker.prompt import render, views
from maker.records import Wave, check_note, decode, encode_note, encode_wave
from maker.settle import Dispatcher, undecided
from maker.stop import Stop
from maker.task import Rules, Step, Task, seed_key


class Course:
    """One run: task, plan, settings, and all that follows from its journal so far.

    front: the decided steps. method: how steps are voted on, None until k is known. header: the run's
    settings; epoch: how often they were changed on purpose; accepted: those that may differ from the journal's.
    usage: the account, resumes included. replayed: steps that were decided before this process. sampled: steps
    that samples were drawn on. closed: what the run said when it last ended. stop: what ends it.
    """

    def __init__(
        self, task: Task, dispatcher: Dispatcher, config: Config, journal: Journal, plan: Plan,
        flags: tuple[Flag, ...], accepted: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.task, self.dispatcher, self.config = task, dispatcher, config
        self.limits, self.usage, self.receipts = dispatcher.limits, dispatcher.usage, dispatcher.receipts
        self.journal, self.plan, self.flags, self.accepted = journal, plan, flags, accepted
        self.account = Account(self.usage, self.receipts)
        self.front = Front(task, plan)
        self.rules = Rules.of(task)
        self.header = make_header(task, dispatcher.model, config)
        self.method: Method | None = None
        self.calibration: Calibration | None = None
        self.epoch = self.opened = self.sampled = self.replayed = 0
        self.closed: dict[str, Any] = {}
        self.stop: Stop | None = None
        self.aside: dict[int, Stop] = {}  # by step: those that did not decide and hold up no other
        self._latest: dict[str, Any] = {}  # the header of the journal's last epoch

    # -- one step -------------------------------------------------------------------------------

    def ready(self, lane: Lane) -> Poll:
        """Return the poll of a lane's next step, with what it needs to ask."""
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
        self.opened += 1
        self.sampled += 1
        return poll

    def commit(self, lane: Lane, wave: Wave) -> None:
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

    def settled_before(self, lane: Lane) -> bool:
        """Close a race that the journal holds to its end: commit a verdict that could not be drawn then.

        Raises Stop for one that met a limit which was not raised since.
        """
        poll = lane.poll
        if poll is None or poll.outcome is None:
            return False
        if poll.outcome.winner is None:
            for stop in self.give_up(poll, undecided(poll)):
                raise stop
            return True
        self.commit(lane, Wave(lane.index, poll.drawn))
        return True

    def give_up(self, poll: Poll, stop: Stop) -> list[Stop]:
        """Return what ends the run at a step that does not decide: nothing, where no other step needs its result."""
        if not self.plan.independent:
            return [stop]
        self.aside[poll.step.index] = stop
        return []

    def first_aside(self) -> Stop:
        """Return the stop of a run whose other steps are all decided."""
        first = self.aside[min(self.aside)]
        return Stop(first.kind, f"{len(self.aside)} of {self.plan.steps} steps are without a verdict, the others are "
                    f"decided. The first: {first}", first.exit_code)  # fmt: skip

    # -- replay ---------------------------------------------------------------------------------

    def replay(self) -> None:
        """Bring the run to where the journal ends; a new journal gets its header. Raises JournalError."""
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
        try:
            self.account.close_replay()
        except Stop as stop:
            self.stop = self.stop or stop
        self.replayed = self.front.steps
        if not known:
            self.note({"header": self.header})
        log.info("run.open", run=self.header["run"], replayed=self.replayed, records=self.journal.acknowledged)

    def _replay_note(self, note: dict[str, Any]) -> None:
        if "calibration" in note:
            self._calibrated(Calibration(**note["calibration"]))
        elif "close" in note:
            self.closed = note["close"]
        elif "epoch" in note:
            self._latest = note["epoch"]["header"]
            self._enter_epoch(self._latest)
        else:
            self.account.take(note)

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
        self.note({"epoch": {"number": self.epoch + 1, "changed": changed, "header": self.header}})
        log.warning("run.epoch", run=self.header["run"], number=self.epoch + 1, changed=changed)
        self._enter_epoch(self.header)

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
            self.account.replayed(wave, self.header["run"])
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
            self.stop = self.stop or stop

    def _set_k(self, k: int) -> None:
        config, limits = self.config, self.limits
        self.method = Method(
            self.header["run"], seed_key(config.seed, self.epoch), k, limits.votes_for(k), limits.flags_for(k),
            self.flags, config.temperature, config.first_temperature, config.token_cap, config.keep_samples,
            getattr(self.task, "schema", None),
        )  # fmt: skip

    async def choose_k(self) -> None:
        """Calibrate and journal the result. Raises Infeasible when no k can reach the target."""
        before = self.account.snapshot()
        try:
            found = await calibrate(self.task, self.dispatcher, self.config, self.flags, self.rules)
        except BaseException:
            self.account.forfeit(before)
            raise
        self.calibration = replace(found, k=found.choose(self.plan.steps, self.config.target))
        self.note({"calibration": self.calibration.as_note()})
        self.sampled += found.draws
        self._set_k(self.calibration.k)

    def _calibrated(self, found: Calibration) -> None:
        """Take over the calibration of an earlier process."""
        self.calibration = found
        self.sampled += found.draws
        self.account.calibrated(found, self.header["run"])
        self._set_k(found.k)

    # -- notes -----------------------------------------------------------------------------------

    def note(self, note: dict[str, Any]) -> None:
        """Journal a note, and make it durable."""
        self.journal.append(encode_note(note))
        self.journal.flush()

    def note_usage(self) -> None:
        """Book what was sent without a wave to show for it, so that a resume counts it too."""
        if unshown := self.account.unshown():
            self.note(unshown)
