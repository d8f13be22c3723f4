"""One decision, voted on and kept in a journal that holds others: each is addressed by a name.

The first vote begins the journal. A decision that it holds is counted again from its votes, and nothing is asked; one
that was under way goes on, with the votes and the samples that were paid for. The same name with another question
is refused, and so is a vote with other settings than the journal's.

Of other decisions the account alone is brought back: it, and the limits of calls, tokens and cost, are of the
whole journal. A change of the server's model is noted and accepted, as decisions do not depend on each other.

Not covered: several decisions at once (a journal is open for one vote at a time), and taking a decision back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from maker.decision.config import Config
from maker.decision.ending import Stop, stuck
from maker.decision.poll import Poll, conclude
from maker.decision.sample import Traits
from maker.decision.wave import Wave
from maker.engine.book import Book
from maker.engine.senders import Senders
from maker.errors import JournalError
from maker.journal.decisions import TASK, Decision
from maker.journal.header import HEADER_VERSION
from maker.journal.notes import Close, Epoch, Note
from maker.journal.writer import Journal
from maker.sending.account import Account
from maker.sending.receipts import Receipts
from maker.task.canonical import canonical, digest
from maker.task.prompt import fingerprint

_ACCEPTED = ("model", "fingerprint")  # of a server, which may change between decisions

Begin = Callable[[str, int], Poll]  # the name of the run and the number of the decision -> its poll


def _header(traits: Traits, config: Config) -> dict[str, Any]:
    """Return the first record of the journal: the settings that hold for all its decisions."""
    header: dict[str, Any] = {
        "version": HEADER_VERSION, "task": TASK, "parameters": {}, "steps": None, "code": "",
        "prompt": fingerprint(TASK), "model": traits.name, "simulated": traits.simulated,
        **config.told(), "paraphrase": False,
    }  # fmt: skip  # wordings are part of the question
    header["run"] = "run-" + digest(canonical(header)).hex()[:16]
    return header


class Decisions:
    """A journal of decisions, open for one vote: `open` it, then `decide`."""

    def __init__(self, senders: Senders, config: Config, journal: Journal) -> None:
        own = senders.own
        self.senders = senders
        self.header = _header(own.traits, config)
        self.receipts = Receipts(journal, own.usage, _ACCEPTED, config.temperature)
        senders.keep_receipts(self.receipts)
        self.account = Account(own.usage, self.receipts, paid=not own.traits.lockstep)
        self.book = Book(journal, self.account, self.header)
        self._names: list[Decision] = []
        self._waves: dict[int, list[Wave]] = {}  # of the decision that is asked for, and of those without a verdict
        self._decided = False

    def open(self, step: str | int, question: bytes, reads: dict[str, Any], begin: Begin) -> Poll:
        """Return the poll of a decision with the votes that the journal holds. begin: makes it, without any.

        reads: what tells how replies are read. Raises JournalError where the name stands for another question, and
        for a journal of something else.
        """
        asked = digest(question).hex()
        self.book.open(lambda item: self._replay(item, step))
        self.account.close_replay()
        known = next((one for one in self._names if one.step == step), None)
        if known is None:
            known = Decision(step, len(self._names), asked, reads)
            self._names.append(known)
            self.book.note(known.as_note())
        if (known.question, known.reads) != (asked, reads):
            raise JournalError(
                f"{self.book.journal.path}: step {step!r} was another question, or its answers were read otherwise. "
                "Give this one another step=, or another journal."
            )
        poll = begin(self.header["run"], known.number)
        for wave in self._waves.pop(known.number, []):
            self._recount(poll, wave)
        return poll

    async def decide(self, poll: Poll) -> None:
        """Take waves until the vote is decided, or stuck; of one that the journal holds decided, none.

        Raises Stop where a limit ends it. On failure or cancellation the journal keeps all that was acknowledged.
        """
        if self._decided:
            return
        began = time.monotonic()
        stop: Stop | None = None
        try:
            if poll.won:  # the process before died at this point
                self._keep(poll, Wave(poll.step.index, poll.next))
            while poll.open:
                (wave,) = await self.senders.settle([poll], self.senders.own)
                self.receipts.judged(self.header["run"], wave.step, wave.first, len(wave))
                self._keep(poll, wave)
            stop = stuck(poll)
        except Stop as end:
            stop = end
            raise
        finally:
            self.book.note_usage()
            self._close(stop, poll, time.monotonic() - began)

    def _recount(self, poll: Poll, wave: Wave) -> None:
        """Count a wave that the journal holds."""
        if len(wave):
            poll.replay(wave)
        if wave.verdict is None:
            return
        if not poll.won or conclude(poll)[1] != wave.verdict:
            raise JournalError(f"{self.book.journal.path}: step {wave.step}: the verdict does not follow from the "
                               "votes, or replies are read otherwise now.")  # fmt: skip
        self._decided = True

    def _keep(self, poll: Poll, wave: Wave) -> None:
        try:
            if poll.won:
                _, wave.verdict = conclude(poll)
        finally:
            self.book.keep(wave)

    def _close(self, stop: Stop | None, poll: Poll, seconds: float) -> None:
        """Write down how the journal stands."""
        through = poll.won and not self._waves
        note = Close(through, stop.kind if stop else None, str(stop or ""), None, str(len(self._names)), seconds)
        self.book.note({"close": asdict(note)})

    def _replay(self, item: Wave | Note, step: str | int) -> None:
        """Take what the journal holds."""
        if isinstance(item, Wave):
            self.account.replayed(item, self.header["run"])
            self._waves.setdefault(item.step, []).append(item)
            if item.verdict is not None and self._names[item.step].step != step:
                del self._waves[item.step]
        elif isinstance(item, Epoch) and not item.number:
            self.book.same_settings(item.header, "votes with other settings",
                                    "Vote with the journal's settings, or give another journal.")  # fmt: skip
        elif (found := Decision.of(item)) is not None:
            self._names.append(found)
