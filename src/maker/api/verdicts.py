"""The verdicts of a run whose steps are items, in item order.

They are read from the journal when asked for, through an index in a temporary file: in item order
whatever the order of decision, and without holding them in memory. The index is as of its first use.

Not covered: running and resuming (`map.py`).
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from maker.api.answers import Reader
from maker.decision.race import Tally, Verdict
from maker.engine.result import RunResult
from maker.errors import Undecided
from maker.journal.records import decode, encode_wave
from maker.journal.steps import StoredStep, steps_of
from maker.journal.story import Story

T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class FailedItem:
    """An item without a verdict in a map that is through: its position, why, and how its votes stood."""

    item: int
    reason: str
    tally: Tally


class Verdicts(Generic[T]):
    """What was decided about each item, read from the journal when asked for.

    Iterating gives the verdicts there are, in item order; `verdict.step` is the item's position, and
    `len` is their number. result: the RunResult of the run behind it.

    It is not copied to another process (pickled): give list(verdicts), or the journal's path and the call of map.

    An item that stays undecided, is refused or cannot be answered does not end the others: it is in `failed`, and the
    map is through all the same. The same call asks about those items once more.
    """

    def __init__(self, result: RunResult, items: int, reader: Reader[T]) -> None:
        self.result = result
        self._items = items
        self._reader = reader
        self._db: sqlite3.Connection | None = None

    @property
    def stopped(self) -> str | None:
        """What ended it early, a limit or a lost server: None, or its name; `result.detail` says what to do."""
        return None if self.result.failed else self.result.stopped

    @property
    def failed(self) -> list[FailedItem]:
        """The items that have no verdict though the map is through, in order."""
        return [FailedItem(item, _of_item(why), self._tally(item)) for item, why in self.result.failed.items()]

    def __len__(self) -> int:
        return int(self._index.execute("SELECT count(DISTINCT step) FROM waves WHERE decided").fetchone()[0])

    def __iter__(self) -> Iterator[Verdict[T]]:
        for stored in self._steps("decided"):
            yield self._reader.verdict(stored.verdict(self._reader.parse))

    def __getitem__(self, position: int) -> Verdict[T]:
        """Return the verdict on one item, by its position from 0.

        Raises IndexError for no item's position; Undecided, with the item's tally, where there is none yet.
        """
        if not 0 <= position < self._items:
            raise IndexError(f"there is no item {position}, only 0 to {self._items - 1}")
        stored = next(self._steps("step = ?", position), None)
        if stored is not None and stored.winner is not None:
            return self._reader.verdict(stored.verdict(self._reader.parse))
        stopped, why = self.result.stopped, self.result.failed.get(position)
        message = f"item {position} has no verdict"
        message += f": {_of_item(why)}" if why else f", the run stopped: {stopped}. {self.result.detail}"
        raise Undecided(message, tally=self._tally(position), step=position, limit=stopped or "")

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("Verdicts read their journal when asked, and are not copied to another process. Give it "
                        "list(verdicts), or the journal's path and the call of map.")  # fmt: skip

    def __repr__(self) -> str:
        failed = f", {len(self.result.failed)} failed" if self.result.failed else ""
        return f"<Verdicts on {self.result.steps} of {self._items} items{failed}, stopped: {self.stopped}>"

    def _tally(self, position: int) -> Tally:
        """Return how the votes on one item stand."""
        stored = next(self._steps("step = ?", position), None)
        return self._reader.tally(stored.named(self._reader.parse) if stored is not None else Tally())

    def answers(self) -> Iterator[T]:
        """Return the answer to each item, in item order. Raises Undecided if any has none, so that no answer slips."""
        for position in self.missing():
            self[position]
        return (verdict.answer for verdict in self)

    def missing(self) -> Iterator[int]:
        """Yield the positions of the items without a verdict, in order."""
        due = 0
        for (position,) in self._index.execute("SELECT DISTINCT step FROM waves WHERE decided ORDER BY step"):
            yield from range(due, position)
            due = position + 1
        yield from range(due, self._items)

    @property
    def _index(self) -> sqlite3.Connection:
        """The waves of the journal that count, by item, in a temporary file, made when first asked for."""
        if self._db is None:
            journal = self.result.journal or self.result._book
            assert journal is not None, "a run without a file keeps its journal open"
            db = sqlite3.connect("", check_same_thread=False)
            weakref.finalize(self, db.close)
            db.execute("CREATE TABLE waves (step INTEGER, decided INTEGER, record BLOB)")
            for stored in Story(journal).steps():
                rows = [(stored.step, stored.winner is not None, encode_wave(wave)) for wave in stored.waves]
                db.executemany("INSERT INTO waves VALUES (?, ?, ?)", rows)
            db.execute("CREATE INDEX by_step ON waves (step)")
            self._db = db
        return self._db

    def _steps(self, which: str, *values: int) -> Iterator[StoredStep]:
        """Yield the steps of some waves, which come in item order."""
        rows = self._index.execute(f"SELECT record FROM waves WHERE {which} ORDER BY step, rowid", values)  # noqa: S608
        return steps_of(decode(record) for (record,) in rows)


def _of_item(why: str) -> str:
    """Return what a stop says of a step, in the words of a map."""
    return why.replace("step ", "item ", 1)
