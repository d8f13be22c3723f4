"""The journal of one run as its engine uses it: header, account of what was sent, last word.

What was sent without a wave to show for it is noted when the run ends, or as it comes where receipts are kept
(`sending/receipts.py`). Runs, maps and solves have the same book.

Not covered: what a wave or a note means (`course.py`, `solve/solver.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from maker.decision.ending import Stop
from maker.decision.wave import Wave
from maker.engine.result import RunResult
from maker.engine.senders import Senders
from maker.errors import JournalError
from maker.journal.bulk.plain import side_by_side
from maker.journal.header import changed_fields, differences
from maker.journal.notes import Close, Epoch, Note, note_of
from maker.journal.records import SENSELESS, WAVE, decode, encode_note, encode_wave, senseless
from maker.journal.writer import Journal
from maker.sending.account import Account


class Book:
    """The journal of one run, open for writing.

    header: the run's settings. replayed: steps that were decided before this process. closed: what the run said when
    it last ended, None if it never did, or if samples came after that.
    """

    def __init__(self, journal: Journal, account: Account, header: dict[str, Any]) -> None:
        self.journal, self.account, self.header = journal, account, header
        self.replayed = 0
        self.closed: Close | None = None

    def open(
        self, take: Callable[[Wave | Note], None], quick: Callable[[list[bytes]], Iterable[int]] | None = None
    ) -> bool:
        """Replay the journal in the order in which it was written, or begin it; say whether it holds a run already.

        take: gets each wave, and each note that the account has no use for. quick: gets records, of waves side by side
        or a single note, and says one after another which of them `take` has to get; it sees to the others itself.
        Raises JournalError for what makes no sense, and what these raise.
        """
        known, begun, place = False, 0, 0
        try:
            for records in side_by_side(self.journal.replay()):
                for place in quick(records) if quick else range(len(records)):
                    known = self._read(records[place], take) or known
                if records[0][0] == WAVE:
                    self.closed = None
                begun += len(records)
        except SENSELESS as error:
            raise senseless(self.journal.path, f"record {begun + place}", error) from error
        if not known and self.journal.appended:
            raise JournalError(f"{self.journal.path}: has no header. Give another --journal.")
        if not known:
            self.note({"header": self.header})
        return known

    def _read(self, record: bytes, take: Callable[[Wave | Note], None]) -> bool:
        """Take one record; say whether it is the header."""
        read = decode(record)
        item = read if isinstance(read, Wave) else note_of(read, self.journal.path)
        if isinstance(item, Close):
            self.closed = item
        elif isinstance(item, Wave) or not self.account.take(item):
            take(item)
        return isinstance(item, Epoch) and not item.number

    def same_settings(self, stored: dict[str, Any], others: str, remedy: str) -> None:
        """Take over the run's name from the header that the journal holds. Raises JournalError for other settings.

        others: whose the journal is then; remedy: what to do.
        """
        if changed := changed_fields(stored, self.header):
            told = differences(stored, self.header, changed)
            raise JournalError(f"{self.journal.path}: this journal belongs to {others} ({told}). {remedy}")
        self.header["run"] = stored["run"]  # an older version made another name of the same settings

    def keep(self, wave: Wave) -> None:
        """Append a wave; it is durable soon."""
        self.closed = None
        self.journal.append(encode_wave(wave))

    def note(self, note: dict[str, Any]) -> None:
        """Append a note, and make it durable."""
        self.journal.append(encode_note(note))
        self.journal.flush()

    def note_usage(self) -> None:
        """Book what was sent without a wave to show for it, so that a resume counts it too."""
        if unshown := self.account.unshown():
            self.note(unshown)

    def close(self, result: RunResult) -> RunResult:
        """Write down how the run ended, unless the journal says so already; commit everything."""
        if self.closed is None or self.closed.stopped != result.stopped or result.steps > self.replayed:
            said = result.as_json()
            self.note({"close": {name: said[name] for name in Close.__slots__}})
        self.journal.flush()
        return result


def result_of(book: Book, senders: Senders, stop: Stop | None, **own: Any) -> RunResult:
    """Return how a run went. stop: what ended it early. own: the fields that differ from one kind of run to another."""
    usage, receipts, journal = book.account.usage, book.account.receipts, book.journal
    observable = receipts is not None and senders.paid and not senders.simulated
    detail = " ".join(filter(None, (str(stop or ""), senders.left)))
    told: dict[str, Any] = {
        "stopped": stop.kind if stop else None, "detail": detail, "exit_code": stop.exit_code if stop else 0,
        "usage": usage, "samples": usage.voted + usage.flagged, "flagged": usage.flagged, "flags": dict(usage.flags),
        "journal": journal.path, "replayed": book.replayed, "model": book.header["model"],
        "simulated": senders.simulated, "cost": senders.cost,
        "independence": receipts.independence if receipts is not None and observable else "",
        "_book": journal if journal.path is None else None,
    }  # fmt: skip
    return RunResult(**told | own)
