"""The journal of a map in its items: in their order, why some have no verdict, and what was flagged.

The order is made in a temporary file, not in memory. No task code runs: answers are the texts that first gave them,
and fields are looked for in those that are JSON. It is as of the moment when it is made.

Not covered: what is no item's but the run's (`story.py`).
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from maker.decision.ending import in_common, standing
from maker.decision.race import VoteUsage
from maker.decision.wave import FLAGGED
from maker.journal.notes import Note, Receipt, Unshown
from maker.journal.records import decode, encode_wave
from maker.journal.steps import StoredStep, steps_of, told
from maker.journal.story import Story
from maker.journal.views.paid import Paid
from maker.journal.writer import Journal
from maker.task.alike import shortened

THROUGH = frozenset({"undecided", "poison_step"})  # how a map ends that could do no more about the items it left


def is_map(header: Mapping[str, Any]) -> bool:
    """Say whether a run is a map: one whose steps are items."""
    return header.get("task") == "map" and "prompts" in (header.get("parameters") or {})


class ByItem:
    """The steps of a journal in item order.

    journal: its file, or one that is open. examples: a flagged reply of each kind, shortened, where the journal has
    its text. tokens: in, out, and at most so many that nobody reported; cost: dollars, None where no reply had a price.
    Raises JournalError for a file that is missing, damaged or foreign.
    """

    def __init__(self, journal: str | Path | Journal) -> None:
        self.examples: dict[str, str] = {}
        self._paid = self._free = (0, 0, 0)
        self._dollars, self._free_calls = 0.0, 0
        self._db = db = sqlite3.connect("", check_same_thread=False)
        weakref.finalize(self, db.close)
        db.execute("CREATE TABLE waves (step INTEGER, decided INTEGER, record BLOB)")
        story = Story(journal)
        self._took = Paid(db, str(story.latest.get("run")))
        for stored in story.steps(self._note):
            rows = [(stored.step, stored.winner is not None, encode_wave(wave)) for wave in stored.waves]
            db.executemany("INSERT INTO waves VALUES (?, ?, ?)", rows)
            self._count(stored)
            self._took.drawn(stored)
        self._took.close()
        db.execute("CREATE INDEX by_step ON waves (step)")
        self.tokens = self._paid if any(self._paid) else self._free  # receipts count what the waves count too
        self.cost = self._dollars if self._dollars or self._free_calls else None

    @property
    def decided(self) -> int:
        """How many items have a verdict."""
        return int(self._db.execute("SELECT count(DISTINCT step) FROM waves WHERE decided").fetchone()[0])

    def steps(self, which: str = "1", *values: int) -> Iterator[StoredStep]:
        """Yield the steps in item order. which: a condition in SQL on step and decided, values: what it leaves open."""
        rows = self._db.execute(f"SELECT step, record FROM waves WHERE {which} ORDER BY step, rowid", values)  # noqa: S608
        for _, waves in groupby(rows, itemgetter(0)):
            yield from steps_of(decode(record) for _, record in waves)

    def took(self, step: int) -> tuple[VoteUsage, float | None]:
        """Return what one item took, its failed calls included, and its dollars: None where some reply has no price."""
        return self._took.of(step)

    def missing(self, items: int) -> Iterator[int]:
        """Yield the positions without a verdict, of so many items, in order."""
        due = 0
        for (position,) in self._db.execute("SELECT DISTINCT step FROM waves WHERE decided ORDER BY step"):
            yield from range(due, position)
            due = position + 1
        yield from range(due, items)

    def failures(self, k: int | None) -> Iterator[tuple[int, str]]:
        """Yield the items that were asked about and have no verdict, each with the reason. k: the margin."""
        for stored in self.steps("NOT decided"):
            if stored.winner is None and stored.candidates:
                yield stored.step, _why(stored, k)

    def _note(self, note: Note) -> None:
        """Count what a call took."""
        self._took.note(note)
        if isinstance(note, Receipt):
            tokens_in, tokens_out, assumed, cost, _ = note.spent
            self._paid = _added(self._paid, (tokens_in, tokens_out, assumed))
            self._dollars += cost
            self._free_calls += note.free
        elif isinstance(note, Unshown):
            self._free = _added(self._free, (note.lost_in, note.lost_out, note.assumed))

    def _count(self, stored: StoredStep) -> None:
        """Count what a step holds."""
        self._free = _added(self._free, (told(stored.tokens_in) or 0, told(stored.tokens_out) or 0, 0))
        for draw, candidate in enumerate(stored.candidates):
            if candidate == FLAGGED:
                kind = stored.flag(draw)
                if kind not in self.examples and (text := stored.text(draw)) is not None:
                    self.examples[kind] = shortened(text)


def _added(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _why(stored: StoredStep, k: int | None) -> str:
    """Return why an item has no verdict: how its votes stand, and what its replies have in common."""
    draws = range(len(stored.candidates))
    answers = [_fields(stored.answer(candidate)) for candidate in range(len(stored.first))]
    called = all(stored.facts.get(draw, {}).get("finish") == "tool_calls" for draw in draws)
    common = in_common(answers, [stored.text(draw) for draw in draws], called=called)
    return f"undecided after {standing(stored.tally().counts.values(), stored.flags, k)}.{common}"


def _fields(text: str) -> Any:
    """Return the record that an answer's text is, or the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
