"""The journal of a solve as the solve uses it: header, account of what was sent, last word.

Opening a book is replaying it: the header must be that of this solve, notes go into the account, and
waves are handed on in the order in which they were written. What was sent without a wave to show for
it is noted when the solve ends, or as it comes where receipts are kept (`sending/receipts.py`).

Not covered: what a wave means (`solver.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from maker.decision.wave import Wave
from maker.engine.result import RunResult
from maker.errors import JournalError
from maker.journal.header import changed_fields, differences
from maker.journal.notes import check_note
from maker.journal.records import decode, encode_note, encode_wave
from maker.journal.writer import Journal
from maker.sending.account import Account
from maker.sending.dispatcher import Dispatcher


class Book:
    """The journal of one solve, open for writing.

    decided: returns how many decisions are made. replayed: decisions that the journal held.
    """

    def __init__(
        self, journal: Journal, dispatcher: Dispatcher, header: dict[str, Any], decided: Callable[[], int]
    ) -> None:
        self.journal, self.header, self.decided = journal, header, decided
        self.replayed = 0
        self.account = Account(dispatcher.usage, dispatcher.receipts)
        self._closed: dict[str, Any] = {}  # what the solve said when it last ended

    def open(self, take: Callable[[Wave], None]) -> None:
        """Replay the journal, or begin it; each wave goes to `take`, and then into the account.

        Raises JournalError for the journal of anything but this solve, Stop for a model that changed.
        """
        known = False
        for record in self.journal.replay():
            item = decode(record)
            if isinstance(item, Wave):
                take(item)
                self.account.replayed(item, self.header["run"])
                continue
            check_note(item, self.journal.path)
            if "header" in item:
                self._same_solve(item["header"])
                known = True
            elif "close" in item:
                self._closed = item["close"]
            else:
                self.account.take(item)
        if not known and self.journal.appended:
            raise JournalError(f"{self.journal.path}: has no header. Give another --journal.")
        if not known:
            self._note({"header": self.header})
        self.replayed = self.decided()
        self.account.close_replay()

    def keep(self, wave: Wave) -> None:
        """Append a wave; it is durable soon."""
        self.journal.append(encode_wave(wave))
        self.journal.commit_if_due()

    def close_account(self) -> None:
        """Book what was sent without a wave to show for it, so that a resume counts it too."""
        if unshown := self.account.unshown():
            self._note(unshown)

    def close(self, result: RunResult) -> None:
        """Write down how the solve ended, unless the journal says so already; commit everything."""
        if result.steps > self.replayed or not self._closed or self._closed["stopped"] != result.stopped:
            said = result.as_json()
            kept = ("solved", "stopped", "detail", "wrong", "answer", "seconds")
            self._note({"close": {key: said[key] for key in kept}})
        self.journal.flush()

    def _same_solve(self, stored: dict[str, Any]) -> None:
        if changed := changed_fields(stored, self.header):
            lines = differences(stored, self.header, changed)
            raise JournalError(
                f"{self.journal.path}: this journal belongs to another solve, or one with other settings ({lines}). "
                "Resume with the journal's settings, or give another --journal."
            )
        self.header["run"] = stored["run"]  # an older version made another name of the same settings

    def _note(self, note: dict[str, Any]) -> None:
        self.journal.append(encode_note(note))
        self.journal.flush()
