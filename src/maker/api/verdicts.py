"""The verdicts of a run whose steps are items, in item order.

They are read from the journal when asked for, through an index in a temporary file: in item order
whatever the order of decision, and without holding them in memory. The index is as of its first use.

An item without a verdict has no answer: `answers` gives one for each item or raises, so that answers
cannot slip against their items.

Not covered: running and resuming (`map.py`).
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from maker.api.answers import Reader
from maker.decision.address import ROUND
from maker.decision.race import Tally, Verdict
from maker.decision.wave import FLAGGED, Wave
from maker.engine.result import RunResult, verdicts_of
from maker.errors import Undecided
from maker.journal.database import read_records
from maker.journal.records import decode

T = TypeVar("T")

_TABLE = "CREATE TABLE waves (number INTEGER PRIMARY KEY, step INTEGER, decided INTEGER, record BLOB)"
_IN_ORDER = "SELECT record FROM waves ORDER BY step, number"
_BEGIN_ANEW = "DELETE FROM waves WHERE step NOT IN (SELECT step FROM waves WHERE decided)"


class Verdicts(Generic[T]):
    """What was decided about each item, read from the journal when asked for.

    Iterating gives the verdicts there are, in item order; `verdict.step` is the item's position, and
    `len` is their number. result: the RunResult of the run behind it.
    """

    def __init__(self, result: RunResult, items: int, reader: Reader[T]) -> None:
        self.result = result
        self._items = items
        self._reader = reader
        self._db: sqlite3.Connection | None = None

    @property
    def stopped(self) -> str | None:
        """What ended it early: None, or the name of the stop; `result.detail` says what to do."""
        return self.result.stopped

    def __len__(self) -> int:
        return int(self._index.execute("SELECT count(*) FROM waves WHERE decided").fetchone()[0])

    def __iter__(self) -> Iterator[Verdict[T]]:
        rows = self._index.execute(_IN_ORDER)
        for verdict in verdicts_of((record for (record,) in rows), self._reader.parse, self.result.abandoned):
            yield self._reader.verdict(verdict)

    def __getitem__(self, position: int) -> Verdict[T]:
        """Return the verdict on one item, by its position from 0.

        Raises IndexError for no item's position; Undecided, with the item's tally, where there is none yet.
        """
        if not 0 <= position < self._items:
            raise IndexError(f"there is no item {position}, only 0 to {self._items - 1}")
        rows = self._index.execute("SELECT record FROM waves WHERE step = ? ORDER BY number", (position,))
        records = [record for (record,) in rows]
        for verdict in verdicts_of(records, self._reader.parse, self.result.abandoned):
            return self._reader.verdict(verdict)
        raise self._undecided(position, records)

    def __repr__(self) -> str:
        return f"<Verdicts on {self.result.steps} of {self._items} items, stopped: {self.stopped}>"

    def answers(self) -> Iterator[T]:
        """Return the answer to each item, in item order. Raises Undecided if any item has none."""
        for position in self.missing():
            self[position]
        return (verdict.answer for verdict in self)

    def missing(self) -> Iterator[int]:
        """Yield the positions of the items without a verdict, in order."""
        due = 0
        for (position,) in self._index.execute("SELECT step FROM waves WHERE decided ORDER BY step"):
            yield from range(due, position)
            due = position + 1
        yield from range(due, self._items)

    @property
    def _index(self) -> sqlite3.Connection:
        """The waves of the journal by item, in a temporary file, made when first asked for."""
        if self._db is None:
            db = sqlite3.connect("", check_same_thread=False)
            weakref.finalize(self, db.close)
            db.execute(_TABLE)
            for record in self._records():
                wave = decode(record)
                if isinstance(wave, Wave):
                    if wave in self.result.abandoned:
                        continue
                    row = (wave.step, wave.verdict is not None, record)
                    db.execute("INSERT INTO waves (step, decided, record) VALUES (?, ?, ?)", row)
                elif "epoch" in wave:  # items that were not decided begin anew
                    db.execute(_BEGIN_ANEW)
            db.execute("CREATE INDEX by_step ON waves (step)")
            self._db = db
        return self._db

    def _records(self) -> Iterator[bytes]:
        if self.result.journal is not None:
            return read_records(self.result.journal)
        assert self.result._book is not None, "a run without a file keeps its journal open"
        return self.result._book.reader()

    def _undecided(self, position: int, records: Sequence[bytes]) -> Undecided:
        """Return the error of an item without a verdict, with what was counted of it."""
        tally = Tally()
        texts: list[bytes] = []
        for wave in [decode(record) for record in records]:
            assert isinstance(wave, Wave), "only waves are in the index"
            if not wave.first % ROUND:  # a step that is tried again is counted anew
                tally, texts = Tally(), []
            texts += [raw for _, raw in wave.texts]
            for candidate, text in zip(wave.draws[0::4], wave.draws[1::4], strict=True):
                ballot = None if candidate == FLAGGED else b"%d" % candidate
                tally.add(ballot)
                if ballot is not None and ballot not in tally.answers:
                    tally.answers[ballot] = self._reader.parse(texts[text].decode("utf-8", "surrogatepass"))
        message = f"item {position} has no verdict, the run stopped: {self.stopped}. {self.result.detail}"
        return Undecided(message, tally=self._reader.tally(tally), step=position, limit=self.stopped or "")
