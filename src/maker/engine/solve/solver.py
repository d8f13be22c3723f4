"""Carries a solve out: all open decisions at once, each wave by wave, until none is open.

Live waves and replayed ones change the tree (`tree.py`) through the same code.

Not covered: what is asked and how decisions are made (`api/solve.py`, `roles.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import anyio
import anyio.abc

from maker.decision.config import Config
from maker.decision.ending import Stop, copied_too_often, stuck
from maker.decision.flags import Flag
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.pool import in_force
from maker.decision.sample import Traits
from maker.decision.step import Rules
from maker.decision.wave import Wave
from maker.engine.book import Book, result_of
from maker.engine.result import Progress, Reporter, RunResult
from maker.engine.senders import Senders
from maker.engine.solve.roles import ROLES, SCHEMAS, legal, prompt, read, templates, views
from maker.engine.solve.tree import Decision, Tree
from maker.engine.steering.orders import Steering
from maker.errors import JournalError
from maker.journal.header import HEADER_VERSION
from maker.journal.notes import Epoch, Note
from maker.journal.writer import Journal
from maker.log import log
from maker.sending.account import Account
from maker.sending.receipts import Receipts
from maker.sending.settle import settle
from maker.task.canonical import canonical, digest
from maker.task.prompt import fingerprint


def _header(tree: Tree, traits: Traits, config: Config) -> dict[str, Any]:
    """Return the first record of the journal: all that can change a decision."""
    header: dict[str, Any] = {
        "version": HEADER_VERSION, "task": "solve", "parameters": {"problem": tree.problem, "depth": tree.depth},
        "steps": None, "roles": list(ROLES), "code": "", "prompt": fingerprint(templates()), "model": traits.name,
        "simulated": traits.simulated, **config.told(),
    }  # fmt: skip
    header["run"] = "run-" + digest(canonical(header)).hex()[:16]
    return header


class Solver:
    """The state of one solve in this process. Call `carry_out` once."""

    def __init__(
        self, tree: Tree, senders: Senders, config: Config, journal: Journal, flags: tuple[Flag, ...],
        accepted: Sequence[str] = (), progress: Callable[[Progress], None] | None = None,
        interrupted: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        own = senders.own
        self.tree, self.senders, self.config = tree, senders, config
        self.traits, self.usage = own.traits, own.usage
        self.header = _header(tree, self.traits, config)
        receipts = Receipts(journal, self.usage, accepted, config.temperature)
        senders.keep_receipts(receipts)
        self.book = Book(journal, Account(self.usage, receipts if senders.paid else None), self.header)
        self.reporter = Reporter(
            progress, journal, senders, lambda: (len(tree.hashes), self.book.replayed, None), interrupted
        )
        self.steering = Steering(journal, senders, self.book.note, self.reporter, interrupted)
        assert isinstance(config.k, int), "a solve is told its k"
        self.k = config.k
        self._round = 2 * self.k - 1  # the most proposals of one round
        self._flags = flags
        self._polls: dict[int, Poll] = {}  # of open decisions that were begun
        self._begun_steps = 0
        self._stop: Stop | None = None
        self._waves: Counter[int] = Counter()
        self._turns = anyio.CapacityLimiter(self.traits.callers if self.traits.lockstep else math.inf)

    @cached_property
    def _methods(self) -> list[Method]:
        """How each role is voted on; made when the journal has said what this solve is called."""
        limits = self.senders.own.limits
        votes, flags = limits.votes_for(self.k), limits.flags_for(self.k)
        weights = in_force(self.header.get("weights", ()))
        return [
            Method.of(self.config, self.k, self._flags, (votes if "judge" in role else self._round, flags),
                      run=self.header["run"], schema=schema, weights=weights)
            for role, schema in zip(ROLES, SCHEMAS, strict=True)
        ]  # fmt: skip

    # -- the story -----------------------------------------------------------------------------

    async def carry_out(self) -> RunResult:
        """Replay, decide all that is open and all that this opens, and say how it went."""
        self.book.open(self._replay)
        self.book.replayed = len(self.tree.hashes)
        try:
            self.book.account.close_replay()
        except Stop as stop:
            self._stop = stop
        log.info("solve.open", run=self.header["run"], replayed=self.book.replayed)
        try:
            async with self.steering.taken(), self.reporter.workers() as group:
                for decision in list(self.tree.open.values()):
                    group.start_soon(self._decide, decision, group)
        except BaseException as error:
            log.info("solve.close", run=self.header["run"], stopped=type(error).__name__)
            raise
        finally:
            self.book.note_usage()
        return self.book.close(self._result())

    async def _decide(self, decision: Decision, group: anyio.abc.TaskGroup) -> None:
        """Carry one decision to its end, then set out on those that it opens.

        A stop lets the other decisions finish the wave they are in.
        """
        try:
            opened, poll = None, None
            while self._stop is None and opened is None:
                if self.steering.interrupted():
                    raise Stop("interrupted", "Run the same command to resume.")
                try:
                    poll = poll or self._ready(decision)
                    opened = await self._wave(decision, poll)
                except Stop as stop:
                    if not await self.steering.goes_on(stop):
                        raise
        except Stop as stop:
            self._stop = self._stop or stop
            return
        for following in opened or ():
            group.start_soon(self._decide, following, group)

    async def _wave(self, decision: Decision, poll: Poll) -> list[Decision] | None:
        """Take one wave, journal it, and return the decisions it opens, or None if it decides nothing."""
        async with self._turns:
            (wave,) = await settle([poll], self.senders.own.draw, self.usage)
        try:
            opened = self._advance(decision, poll, wave)
        finally:
            self.book.keep(wave)  # it is paid for, also where it ends the solve
            self.book.journal.commit_if_due()
        self.reporter.report()
        if (copied := copied_too_often(self.usage, self._begun_steps)) is not None:
            raise copied
        return opened

    def _ready(self, decision: Decision) -> Poll:
        """Return the poll of an open decision, ready to ask. Raises Stop at a limit."""
        poll = self._polls.get(decision.step)
        if poll is None:
            limits = self.senders.own.limits
            if limits.max_steps is not None and self._begun_steps >= limits.max_steps:
                raise Stop("max_steps", f"{self._begun_steps} decisions are begun, max_steps is "
                           f"{limits.max_steps}. Raise max_steps and resume.")  # fmt: skip
            if (decision.round + 1) * self._round > limits.votes_for(self.k):
                raise Stop("undecided", f"{decision}: its judge refused all of {decision.round * self._round} "
                           "proposals. Raise max_votes and resume, or take another model.", 4)  # fmt: skip
            poll = self._open(decision)
        elif poll.over and (stop := stuck(poll)):  # a limit that was not raised since
            raise _named(stop, decision)
        poll.prompt = prompt(decision.state)
        if not decision.proposes:
            poll.views = views(decision.state)
        return poll

    def _open(self, decision: Decision) -> Poll:
        role = decision.role
        rules = Rules(lambda text: read(role, text), legal)
        poll = self._polls[decision.step] = Poll.of(self._methods[role], rules, decision.step, decision.state)
        self._begun_steps += 1
        return poll

    def _advance(self, decision: Decision, poll: Poll, wave: Wave) -> list[Decision] | None:
        """Let a poll's last wave change the tree; a verdict goes into the wave. Raises Stop for one stuck."""
        answers = [reading.answer for reading in poll.readings]
        if poll.won:
            winner = poll.winner
            opened, state_digest = self.tree.decide(decision.step, answers[winner])
            wave.verdict = (winner, self.tree.hashes[decision.step], state_digest)
            self._waves[poll.waves] += 1
        elif (stop := stuck(poll)) is None:
            return None
        elif decision.proposes and stop.limit == "max_votes":
            opened = self.tree.dispute(decision.step, answers)
        else:
            raise _named(stop, decision)
        del self._polls[decision.step]
        return opened

    def _replay(self, item: Wave | Note) -> None:
        """Take what the journal holds."""
        if isinstance(item, Wave):
            self._replay_wave(item)
            self.book.account.replayed(item, self.header["run"])
        elif isinstance(item, Epoch) and not item.number:
            self.book.same_settings(item.header, "another solve, or one with other settings",
                                    "Resume with the journal's settings, or give another --journal.")  # fmt: skip

    def _replay_wave(self, wave: Wave) -> None:
        """Take a journaled wave through the code that a live one goes through, and compare."""
        where = f"{self.book.journal.path}: step {wave.step}"
        decision = self.tree.open.get(wave.step)
        if decision is None:
            raise JournalError(f"{where} was not open then. The journal does not fit this problem.")
        poll = self._polls.get(wave.step) or self._open(decision)
        poll.replay(wave)
        stored, wave.verdict = wave.verdict, None
        try:
            self._advance(decision, poll, wave)
        except Stop:
            log.debug("solve.limit", step=wave.step)  # what it means now is for `_ready` to say
        if wave.verdict != stored:
            raise JournalError(f"{where}: its verdict does not follow from its votes. Restore a copy, or start anew.")

    def _result(self) -> RunResult:
        """Say how the solve went."""
        stop, tree = self._stop, self.tree
        assert stop is not None or tree.answer is not None, "a solve ends with an answer or a stop"
        log.info("solve.close", run=self.header["run"], stopped=stop.kind if stop else None)
        return result_of(
            self.book, self.senders, stop, solved=stop is None, answer=tree.answer, steps=len(tree.hashes),
            state=tree.as_json(), wrong=None, first_wrong=None, collisions=None, waves=self._waves,
            state_digest=tree.state_digest.hex(), chain=tree.chain, seconds=self.reporter.seconds, k=self.k, segments=1,
        )  # fmt: skip


def _named(stop: Stop, decision: Decision) -> Stop:
    """Return a stop that names the role and the problem it ended."""
    return Stop(stop.kind, f"{decision}: {stop}", stop.exit_code)
