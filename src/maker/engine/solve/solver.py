"""Carries a solve out: all open decisions at once, each wave by wave, until none is open.

`Solver` opens its book (`book.py`), which replays the journal, grows the tree (`tree.py`)
with every decision, and ends with a RunResult. Live waves and replayed ones change the tree through
the same `_advance`.

Not covered: what is asked and how decisions are made (`api/solve.py`, `roles.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any

import anyio
import anyio.abc

from maker.decision.address import seed_key
from maker.decision.config import Config
from maker.decision.ending import Stop, copied_too_often, poisoned, undecided
from maker.decision.flags import Flag
from maker.decision.method import Method
from maker.decision.poll import Poll
from maker.decision.sample import Traits
from maker.decision.step import Rules, Step
from maker.decision.wave import Wave
from maker.engine.result import Progress, Reporter, RunResult
from maker.engine.senders import Senders
from maker.engine.solve.book import Book
from maker.engine.solve.roles import ROLES, SCHEMAS, legal, prompt, read, templates, views
from maker.engine.solve.tree import Decision, Tree
from maker.errors import JournalError, first_error
from maker.journal.header import HEADER_VERSION
from maker.journal.writer import Journal
from maker.log import log
from maker.sending.dispatcher import Dispatcher, settle
from maker.task.canonical import canonical, digest
from maker.task.prompt import fingerprint


def _header(tree: Tree, traits: Traits, config: Config) -> dict[str, Any]:
    """Return the first record of the journal: all that can change a decision."""
    header: dict[str, Any] = {
        "version": HEADER_VERSION, "task": "solve", "parameters": {"problem": tree.problem, "depth": tree.depth},
        "steps": None, "roles": list(ROLES), "code": "", "prompt": fingerprint(templates()), "model": traits.name,
        "simulated": traits.simulated, **config.model_dump(mode="json"),
    }  # fmt: skip
    header["run"] = "run-" + digest(canonical(header)).hex()[:16]
    return header


class Solver:
    """The state of one solve in this process. Call `carry_out` once."""

    def __init__(
        self, tree: Tree, dispatcher: Dispatcher, config: Config, journal: Journal, flags: tuple[Flag, ...],
        progress: Callable[[Progress], None] | None = None, interrupted: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        self.tree, self.dispatcher, self.config = tree, dispatcher, config
        self.traits, self.limits = dispatcher.traits, dispatcher.limits
        self.interrupted = interrupted
        self.header = _header(tree, self.traits, config)
        self.book = Book(journal, dispatcher, self.header, lambda: len(tree.hashes))
        self.reporter = Reporter(
            progress, journal, Senders(dispatcher), lambda: (len(tree.hashes), self.book.replayed, None)
        )
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
        return [self._method(role) for role in range(len(ROLES))]

    def _method(self, role: int) -> Method:
        config, limits = self.config, self.limits
        votes = limits.votes_for(self.k) if "judge" in ROLES[role] else self._round
        return Method(
            self.header["run"], seed_key(config.seed), self.k, votes, limits.flags_for(self.k), self._flags,
            config.temperature, None, config.token_cap, schema=SCHEMAS[role],
        )  # fmt: skip

    # -- the story -----------------------------------------------------------------------------

    async def carry_out(self) -> RunResult:
        """Replay, decide all that is open and all that this opens, and say how it went."""
        try:
            self.book.open(self._replay)
        except Stop as stop:
            self._stop = stop
        log.info("solve.open", run=self.header["run"], replayed=self.book.replayed)
        try:
            await self._decide_all()
        finally:
            self.book.close_account()
        return self._result()

    async def _decide_all(self) -> None:
        try:
            async with anyio.create_task_group() as ticking:
                if not self.traits.lockstep:
                    ticking.start_soon(self.reporter.tick)
                async with anyio.create_task_group() as group:
                    for decision in list(self.tree.open.values()):
                        group.start_soon(self._decide, decision, group)
                ticking.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            error = first_error(errors)
            raise error from error.__cause__

    async def _decide(self, decision: Decision, group: anyio.abc.TaskGroup) -> None:
        """Carry one decision to its end, then set out on those that it opens.

        A stop lets the other decisions finish the wave they are in.
        """
        try:
            poll = self._ready(decision)
            opened: list[Decision] | None = None
            while self._stop is None and opened is None:
                if self.interrupted is not None and self.interrupted():
                    raise Stop("interrupted", "Run the same command to resume.")
                opened = await self._wave(decision, poll)
        except Stop as stop:
            self._stop = self._stop or stop
            return
        for following in opened or ():
            group.start_soon(self._decide, following, group)

    async def _wave(self, decision: Decision, poll: Poll) -> list[Decision] | None:
        """Take one wave, journal it, and return the decisions it opens, or None if it decides nothing."""
        async with self._turns:
            (wave,) = await settle([poll], self.dispatcher)
        try:
            opened = self._advance(decision, poll, wave)
        finally:
            self.book.keep(wave)  # it is paid for, also where it ends the solve
        self.reporter.report()
        if poll.flags and (poison := poisoned(poll)):
            raise _named(poison, decision)
        if (copied := copied_too_often(self.dispatcher.usage, self._begun_steps)) is not None:
            raise copied
        return opened

    def _ready(self, decision: Decision) -> Poll:
        """Return the poll of an open decision, ready to ask. Raises Stop at a limit."""
        poll = self._polls.get(decision.step)
        if poll is None:
            if self.limits.max_steps is not None and self._begun_steps >= self.limits.max_steps:
                raise Stop("max_steps", f"{self._begun_steps} decisions are begun, max_steps is "
                           f"{self.limits.max_steps}. Raise max_steps and resume.")  # fmt: skip
            if (decision.round + 1) * self._round > self.limits.votes_for(self.k):
                raise Stop("undecided", f"{decision}: its judge refused all of {decision.round * self._round} "
                           "proposals. Raise max_votes and resume, or take another model.", 4)  # fmt: skip
            poll = self._open(decision)
        elif poll.outcome is not None:  # a limit that was not raised since
            raise _named(undecided(poll), decision)
        poll.prompt = prompt(decision.state)
        if not decision.proposes:
            poll.views = views(decision.state)
        return poll

    def _open(self, decision: Decision) -> Poll:
        role = decision.role
        rules = Rules(lambda text: read(role, text), legal)
        step = Step(decision.step, decision.state, rules, self.config.token_cap, self.config.long_answer)
        poll = self._polls[decision.step] = Poll(step, self._methods[role])
        self._begun_steps += 1
        return poll

    def _advance(self, decision: Decision, poll: Poll, wave: Wave) -> list[Decision] | None:
        """Let a poll's last wave change the tree; a verdict goes into the wave. Raises Stop for one undecided."""
        outcome = poll.outcome
        if outcome is None:
            return None
        answers = [reading.answer for reading in poll.readings]
        if outcome.winner is not None:
            winner = poll.winner
            opened, state_digest = self.tree.decide(decision.step, answers[winner])
            wave.verdict = (winner, self.tree.hashes[decision.step], state_digest)
            self._waves[poll.waves] += 1
        elif decision.proposes and outcome.limit == "max_votes":
            opened = self.tree.dispute(decision.step, answers)
        else:
            raise _named(undecided(poll), decision)
        del self._polls[decision.step]
        return opened

    def _replay(self, wave: Wave) -> None:
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
        """Say how the solve went; everything it counts is committed first."""
        stop, tree, book = self._stop, self.tree, self.book
        usage, receipts = self.dispatcher.usage, self.dispatcher.receipts
        assert stop is not None or tree.answer is not None, "a solve ends with an answer or a stop"
        log.info("solve.close", run=self.header["run"], stopped=stop.kind if stop else None)
        result = RunResult(
            solved=stop is None, answer=tree.answer, steps=len(tree.hashes), state=tree.as_json(), usage=usage,
            wrong=None, first_wrong=None, collisions=None, samples=usage.voted + usage.flagged,
            flagged=usage.flagged, flags=dict(usage.flags), waves=self._waves, stopped=stop.kind if stop else None,
            detail=str(stop or ""), exit_code=stop.exit_code if stop else 0, journal=book.journal.path,
            state_digest=tree.state_digest.hex(), chain=tree.chain, replayed=book.replayed,
            seconds=self.reporter.seconds, k=self.k, segments=1, simulated=self.header["simulated"],
            model=self.header["model"],
            cost=usage.cost if self.dispatcher.prices else None,
            independence=receipts.independence if receipts and not self.header["simulated"] else "",
            _book=book.journal if book.journal.path is None else None,
        )  # fmt: skip
        book.close(result)
        return result


def _named(stop: Stop, decision: Decision) -> Stop:
    """Return a stop that names the role and the problem it ended."""
    return Stop(stop.kind, f"{decision}: {stop}", stop.exit_code)
