"""The journal of a solve as the solve uses it: header, account of what was sent, glimpses, last word.

Opening a book is replaying it: the header must be that of this solve, notes go into the account, and
waves are handed on in the order in which they were written. What was sent without a wave to show for
it is noted when the solve ends, or as it comes where receipts are kept (`receipts.py`).

Not covered: what a wave means (`solve_run.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio

from maker.errors import JournalError
from maker.header import changed_fields
from maker.journal import Journal
from maker.receipts import KINDS
from maker.records import Wave, check_note, decode, encode_note, encode_wave
from maker.result import Glimpses, Progress, RunResult
from maker.settle import Dispatcher
from maker.usage import Usage

REPORT_SECONDS = 0.1
TICK_SECONDS = 0.5
_UNSHOWN = ("failed", "cancelled", "lost_in", "lost_out", "assumed")  # usage that no wave accounts for


class Book:
    """The journal of one solve, open for writing.

    decided: returns how many decisions are made. replayed: decisions that the journal held. progress: called
    with what is acknowledged, at most ten times a second.
    """

    def __init__(
        self, journal: Journal, dispatcher: Dispatcher, header: dict[str, Any], decided: Callable[[], int]
    ) -> None:
        self.journal, self.header, self.decided = journal, header, decided
        self.progress: Callable[[Progress], None] | None = None
        self.replayed = 0
        self._dispatcher, self._receipts, self._usage = dispatcher, dispatcher.receipts, dispatcher.usage
        self._booked = Usage()  # as of the last note
        self._closed: dict[str, Any] = {}  # what the solve said when it last ended
        self._begun = time.monotonic()
        self._reported = 0.0

    @property
    def seconds(self) -> float:
        """Wall seconds since the book was made."""
        return time.monotonic() - self._begun

    def open(self, take: Callable[[Wave], None]) -> None:
        """Replay the journal, or begin it; each wave goes to `take`, and then into the account.

        Raises JournalError for the journal of anything but this solve, Stop for a model that changed.
        """
        known = False
        for record in self.journal.replay():
            item = decode(record)
            if isinstance(item, Wave):
                take(item)
                self._account(item)
                continue
            check_note(item, self.journal.path)
            if "header" in item:
                self._same_solve(item["header"])
                known = True
            else:
                self._take_note(item)
        if not known and self.journal.appended:
            raise JournalError(f"{self.journal.path}: has no header. Give another --journal.")
        if not known:
            self._note({"header": self.header})
        self.replayed = self.decided()
        try:
            if self._receipts is not None:
                self._receipts.close_replay()
        finally:
            self._booked = replace(self._usage)
            self._glimpses = Glimpses(self._glimpse())

    def keep(self, wave: Wave) -> None:
        """Append a wave; it is durable soon."""
        self.journal.append(encode_wave(wave))
        self.journal.commit_if_due()

    def close_account(self) -> None:
        """Book what was sent without a wave to show for it, so that a resume counts it too."""
        unshown = {field: getattr(self._usage, field) - getattr(self._booked, field) for field in _UNSHOWN}
        if self._receipts is None and any(unshown.values()):
            self._note({"usage": unshown})

    def close(self, result: RunResult) -> None:
        """Write down how the solve ended, unless the journal says so already; commit everything."""
        if result.steps > self.replayed or not self._closed or self._closed["stopped"] != result.stopped:
            said = result.as_json()
            kept = ("solved", "stopped", "detail", "wrong", "answer", "seconds")
            self._note({"close": {key: said[key] for key in kept}})
        self.journal.flush()

    def report(self) -> None:
        """Show what is acknowledged, at most every tenth of a second."""
        now = time.monotonic()
        if self.progress is None or now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        journal = self.journal
        self.progress(self._glimpses.acknowledged(self._glimpse(), journal.appended, journal.acknowledged))

    async def tick(self) -> None:
        """Report also while nothing is decided, until cancelled: replies may take long, or a server may be down."""
        while self.progress is not None:
            await anyio.sleep(TICK_SECONDS)
            self.report()

    def _glimpse(self) -> Progress:
        usage, sender = self._usage, self._dispatcher
        return Progress(
            self.decided(), None, usage.voted + usage.flagged, usage.flagged, self.replayed, self.seconds,
            sender.out, usage.tokens, usage.cost if sender.prices else None, sender.retrying,
        )  # fmt: skip

    def _same_solve(self, stored: dict[str, Any]) -> None:
        if changed := changed_fields(stored, self.header):
            lines = "; ".join(f"{key}: journal {stored.get(key)!r}, now {self.header.get(key)!r}" for key in changed)
            raise JournalError(
                f"{self.journal.path}: this journal belongs to another solve, or one with other settings ({lines}). "
                "Resume with the journal's settings, or give another --journal."
            )

    def _take_note(self, note: dict[str, Any]) -> None:
        if "close" in note:
            self._closed = note["close"]
        elif "usage" in note:
            self._rebook(note["usage"])
        elif self._receipts is not None:
            for kind in KINDS:
                if kind in note:
                    self._receipts.replay(kind, note[kind])

    def _account(self, wave: Wave) -> None:
        """Account for a wave that an earlier process drew."""
        if self._receipts is None:
            self._usage.replay(wave)
        else:
            self._usage.book(wave)
            self._receipts.judged(self.header["run"], wave.step, wave.first, len(wave))

    def _rebook(self, unshown: dict[str, int]) -> None:
        """Count what an earlier process sent without a wave to show for it."""
        usage = self._usage
        for field in _UNSHOWN:
            setattr(usage, field, getattr(usage, field) + unshown[field])
        usage.dispatched += unshown["failed"] + unshown["cancelled"]
        usage.tokens_in += unshown["lost_in"]
        usage.tokens_out += unshown["lost_out"]

    def _note(self, note: dict[str, Any]) -> None:
        self.journal.append(encode_note(note))
        self.journal.flush()
