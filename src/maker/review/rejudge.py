"""Stored draws judged again, under other flags or another parser, as far as the store allows.

What digests allow, exactly. A draw whose text is stored, or is the text of another stored one, is judged like
a new sample. Without its text a draw is flagged when its tokens or its finish reason are enough for that; under
another parser nothing else can be said of it. Under the recorded parser a flagged draw stays flagged when all
recorded flags are asked again, or the one that spoke, or when its kind says that nobody could read it; and a vote
counts again when the flags that were not asked before need only its answer, which is known. Else the draw is
`Unreadable`. A flag is known by its name: one of yours that borrows a built-in kind is taken for it. Where a run
did not look for copies and kept no ids, none is seen now; `Judge.notes` say so.

States are rebuilt by replaying the recorded winners through the task's own code.

Not covered: counting (`revote.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from maker.decision.address import ROUND
from maker.decision.config import MOST_VOTES
from maker.decision.ending import Stop
from maker.decision.flags import (
    BUILT_IN,
    Flag,
    RedFlag,
    ambiguous,
    chain,
    copied,
    flag_name,
    illegal,
    inconsistent,
    judge,
    malformed,
    over_long,
    refused,
    truncated,
)
from maker.decision.method import Method
from maker.decision.poll import Poll, conclude
from maker.decision.sample import Sample
from maker.decision.step import Rules, Step
from maker.decision.wave import FLAGGED
from maker.engine.front import Front, Lane
from maker.errors import InternalError, JournalError, TaskError
from maker.journal.notes import Epoch
from maker.journal.steps import StoredStep
from maker.task.plan import plan_of
from maker.task.task import Task

_BLIND = (
    "the run did not look for copies and kept no ids and log-probabilities of samples whose texts it did not keep: "
    "they are counted as if none of them was a copy"
)
_BY_ANSWER = frozenset((ambiguous, malformed, illegal, inconsistent))  # equal answers get equal verdicts
_BY_FACTS = frozenset((truncated, over_long))  # with the tokens known, no text is needed
_UNREADABLE = frozenset(("malformed", "ambiguous"))  # kinds that only a reply without an answer gets


class Unreadable(Exception):
    """A ballot hangs on a text of which only the digest is stored."""


class Policy:
    """Other flags, or another parser, beside the settings that one epoch of a run had."""

    def __init__(self, epoch: Epoch, flags: str | Sequence[Flag] | None) -> None:
        self.epoch = epoch
        recorded = flag_names(epoch.header)
        self.flags = _chain(flags, recorded)
        names = frozenset(map(flag_name, self.flags))
        self.all_kept = names >= frozenset(recorded)  # what was flagged is flagged again
        self.kept = names.intersection(recorded) & BUILT_IN.keys()  # a built-in kind is its flag's name
        self.added = [flag for flag in self.flags if flag_name(flag) not in recorded]
        self.limits = epoch.header["token_cap"], epoch.header["long_answer"]
        self.blind = copied in self.added and epoch.header.get("keep_samples") != "all"


class Judge:
    """Judges the steps of a run anew, each in the state to which the recorded winners lead.

    task: whose code rebuilds the states. header: the run's. flags: "default", "paper", "none", a list of
    callables, or None for those that each epoch had. parse: another parser, None for the task's. `notes` say
    what the store cannot show whatever the step. Raises TaskError for flags that do not fit.
    """

    def __init__(
        self,
        task: Task,
        header: Mapping[str, Any],
        flags: str | Sequence[Flag] | None,
        parse: Callable[[str], Any] | None,
    ) -> None:
        self.parse = parse
        self.notes: list[str] = []
        self._flags = flags
        self._policy: Policy | None = None
        self._front = Front(task, plan_of(task, header["segments"]))
        self._rules = Rules.of(task)

    def under(self, epoch: Epoch) -> Policy:
        """Return what holds in an epoch."""
        if self._policy is None or self._policy.epoch is not epoch:
            self._policy = Policy(epoch, self._flags)
            if self._policy.blind and _BLIND not in self.notes:
                self.notes.append(_BLIND)
        return self._policy

    def judged(self, steps: Iterable[StoredStep]) -> Iterator[Judged]:
        """Yield each step with its state, ready to be judged, and go on by its recorded winner.

        Raises JournalError where a step does not fit, or the task's code gives another result.
        """
        for stored in steps:
            lane = self._front.lane_of(stored.step)
            if lane is None:
                raise JournalError(f"step {stored.step} is not the next one of its segment: the journal does not fit "
                                   "this task's plan.")  # fmt: skip
            policy = self.under(stored.epoch)
            token_cap, long_answer = policy.limits
            step = Step(stored.step, lane.state, self._rules, token_cap * stored.longer, long_answer, {}, 0.0)
            epoch = stored.epoch
            method = Method("", b"", epoch.k or 1, MOST_VOTES, MOST_VOTES, (), 0.0, None, 1, 1, table=epoch.table,
                            weights=epoch.weights)  # fmt: skip
            poll = Poll(step, method, first=stored.round * ROUND)
            for number, wave in enumerate(stored.waves):
                if stored.barred and number == stored.bar:
                    poll.bar(stored.barred)
                if len(wave):
                    poll.replay(wave)
            if self.parse is not None:
                step = replace(step, rules=replace(self._rules, parse=self.parse), readings={})
            yield Judged(policy, self.parse is not None, stored, step)
            if stored.winner is not None:
                self._advance(lane, poll, stored)

    def _advance(self, lane: Lane, poll: Poll, stored: StoredStep) -> None:
        try:
            state, winner = conclude(poll)
        except (InternalError, Stop) as error:
            raise JournalError(f"step {stored.step}: the verdict does not follow from the votes: {error}") from None
        if winner != stored.waves[-1].verdict:
            raise JournalError(f"step {stored.step}: the task's code gives another result than when the journal was "
                               "written. Give the code that wrote it.")  # fmt: skip
        with suppress(Stop):  # a join that did not hold ended the run; what is stored can be counted all the same
            self._front.advance(lane, poll, state, winner)


class Recorded:
    """The ballots of one step as the run judged them; a candidate's number is its key."""

    def __init__(self, stored: StoredStep) -> None:
        self.stored = stored
        self.dropped: Counter[str] = Counter()  # recorded votes that are flagged now, by kind
        self.admitted = 0  # the reverse

    def ballots(self) -> Iterator[bytes | None]:
        """Yield the ballots in draw order."""
        return self.stored.ballots()

    def recorded(self) -> bytes | None:
        """Return the vote key of the recorded winner."""
        return b"%d" % (self.stored.winner or 0)

    def text(self, key: bytes) -> str:
        """Return the text that first gave an answer."""
        return self.stored.answer(int(key))


class Judged(Recorded):
    """The ballots of one step under other flags or another parser."""

    def __init__(self, policy: Policy, reparsed: bool, stored: StoredStep, step: Step) -> None:
        super().__init__(stored)
        self._policy, self._reparsed, self._step = policy, reparsed, step
        self._by_key: dict[bytes, str] = {}

    def ballots(self) -> Iterator[bytes | None]:
        """Judge draw after draw. Raises Unreadable at one whose text is needed and not stored."""
        stored = self.stored
        earlier: list[Sample] = []
        for draw, candidate in enumerate(stored.candidates):
            text = self._text(draw)
            sample = stored.sample(draw, text)
            if stored.led_nowhere(draw):
                key = None
            elif text is not None or stored.silent(draw):
                red = judge(sample, self._step, earlier, self._policy.flags)
                key = self._ballot(draw, red, text)
            else:
                key = self._unseen(draw, sample)
            if key is not None:
                self._by_key.setdefault(key, text if text is not None else stored.answer(candidate))
                self.admitted += candidate == FLAGGED
            earlier.append(sample)
            yield key

    def recorded(self) -> bytes | None:
        """Return the vote key that the recorded winner has now, None where it can no longer be read."""
        return self._step.read(self.stored.answer(self.stored.winner or 0)).key

    def text(self, key: bytes) -> str:
        """Return the text that gave it first."""
        return self._by_key[key]

    @cached_property
    def _texts(self) -> dict[bytes, str]:
        return self.stored.texts_by_digest()

    def _text(self, draw: int) -> str | None:
        """Return a draw's text, also where its digest is that of a text of the step which is stored."""
        text = self.stored.text(draw)
        if text is None and not self.stored.silent(draw):
            text = self._texts.get(self.stored.digest(draw))
        return text

    def _unseen(self, draw: int, sample: Sample) -> bytes | None:
        """Judge a draw without its text, where what is stored of it allows."""
        by, stored = self._policy, self.stored
        if red := self._flagged_by_facts(sample):
            return self._ballot(draw, red, None)
        candidate = stored.candidates[draw]
        if self._reparsed:
            raise Unreadable
        if candidate == FLAGGED:
            kind = stored.flag(draw)
            refusal = kind == "refused" and sample.finish_reason != "content_filter"  # then it cannot be read either
            if by.all_kept or kind in by.kept or kind in _UNREADABLE or refusal:
                return None
            raise Unreadable
        # What the recorded flags let pass they let pass again; the others may look at the answer and the facts.
        for flag in by.added:
            if flag not in _BY_ANSWER and not (flag in _BY_FACTS and sample.tokens_out is not None):
                raise Unreadable
        twin = replace(sample, text=stored.answer(candidate))
        red = judge(twin, self._step, (), [flag for flag in by.added if flag in _BY_ANSWER])
        return self._ballot(draw, red, twin.text)

    def _ballot(self, draw: int, red: RedFlag | None, text: str | None) -> bytes | None:
        """Return the ballot of a judged draw; a vote that is lost by it is counted under its flag."""
        if red is None:
            return self._step.read(text).key
        if self.stored.candidates[draw] != FLAGGED:
            self.dropped[red.kind] += 1
        return None

    def _flagged_by_facts(self, sample: Sample) -> RedFlag | None:
        """Return what a flag says that needs no text."""
        by_facts = [truncated, over_long] if sample.tokens_out is not None else [truncated]
        if sample.finish_reason == "content_filter":
            by_facts.append(refused)
        asked = (flag(sample, self._step, ()) for flag in by_facts if flag in self._policy.flags)
        return next((red for red in asked if red is not None), None)


def _chain(flags: str | Sequence[Flag] | None, recorded: Sequence[str]) -> tuple[Flag, ...]:
    """Return the flags meant. Raises TaskError for unknown ones, and for recorded ones that are the user's own."""
    if flags == "none":
        return ()
    if flags is not None:
        return chain(None if flags == "default" else flags)
    own = [name for name in recorded if name not in BUILT_IN]
    if own:
        raise TaskError(f"the run's flag {own[0]!r} is not built in: give flags as a list of callables")
    return tuple(BUILT_IN[name] for name in recorded)


def flag_names(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the flags that a run had."""
    return tuple(map(str, header.get("flags", ())))
