"""The journal of a map in its items: in their order, why some have no verdict, and what was flagged.

What is counted takes one reading of the journal. The order is made in a temporary file, not in memory, when somebody
asks for steps. No task code runs: answers are the texts that first gave them, and fields are looked for in those that
are JSON. It is as of the moment when it is made.

Not covered: what is no item's but the run's (`story.py`).
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from maker.decision.ending import in_common, standing
from maker.decision.race import VoteUsage
from maker.decision.wave import FLAGGED
from maker.journal.bulk.plain import Plain
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


@dataclass(slots=True)
class _Counts:
    """What is counted of a map. decided: the positions with a verdict; open: how many without one have draws."""

    decided: array[int] = field(default_factory=lambda: array("q"))
    open: int = 0
    examples: dict[str, str] = field(default_factory=dict)
    paid: tuple[int, int, int] = (0, 0, 0)
    free: tuple[int, int, int] = (0, 0, 0)
    dollars: float = 0.0
    free_calls: int = 0

    def note(self, note: Note) -> None:
        """Count what a call took."""
        if isinstance(note, Receipt):
            tokens_in, tokens_out, assumed, cost, _ = note.spent
            self.paid = _added(self.paid, (tokens_in, tokens_out, assumed))
            self.dollars += cost
            self.free_calls += note.free
        elif isinstance(note, Unshown):
            self.free = _added(self.free, (note.lost_in, note.lost_out, note.assumed))

    def add_plain(self, waves: Plain) -> None:
        """Count what the steps of plain waves hold."""
        self.free = _added(self.free, (waves.tokens_in or 0, waves.tokens_out or 0, 0))
        self.decided.frombytes(waves.steps.tobytes())

    def add(self, stored: StoredStep) -> None:
        """Count what a step holds."""
        self.free = _added(self.free, (told(stored.tokens_in) or 0, told(stored.tokens_out) or 0, 0))
        if stored.winner is None:
            self.open += 1
        else:
            self.decided.append(stored.step)
        for draw, candidate in enumerate(stored.candidates) if stored.flagged else ():
            if candidate == FLAGGED:
                kind = stored.flag(draw)
                if kind not in self.examples and (text := stored.text(draw)) is not None:
                    self.examples[kind] = shortened(text)


class ByItem:
    """The steps of a journal in item order.

    journal: its file, one that is open, or what was read of either. Raises JournalError for a file that is missing,
    damaged or foreign, here or when its records are looked at.
    """

    def __init__(self, journal: str | Path | Journal | Story) -> None:
        self._story = journal if isinstance(journal, Story) else Story(journal)

    @cached_property
    def _counts(self) -> _Counts:
        counts = _Counts()
        for stored in self._story.steps(counts.note, counts.add_plain):
            counts.add(stored)
        counts.decided = array("q", sorted(set(counts.decided)))
        return counts

    @cached_property
    def _db(self) -> sqlite3.Connection:
        """Their waves, by step."""
        db = sqlite3.connect("", check_same_thread=False)
        weakref.finalize(self, db.close)
        db.execute("CREATE TABLE waves (step INTEGER, decided INTEGER, record BLOB)")
        self._took = took = Paid(db, str(self._story.latest.get("run")))
        for stored in self._story.steps(took.note):
            took.drawn(stored)
            decided = stored.winner is not None
            for wave in stored.waves:
                db.execute("INSERT INTO waves VALUES (?, ?, ?)", (stored.step, decided, encode_wave(wave)))
        took.close()
        db.execute("CREATE INDEX by_step ON waves (step)")
        return db

    @property
    def decided(self) -> int:
        """How many items have a verdict."""
        return len(self._counts.decided)

    @property
    def examples(self) -> dict[str, str]:
        """A flagged reply of each kind, shortened, where the journal has its text."""
        return self._counts.examples

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Tokens in, tokens out, and at most so many that nobody reported."""
        counts = self._counts  # receipts count what the waves count too
        return counts.paid if any(counts.paid) else counts.free

    @property
    def cost(self) -> float | None:
        """Dollars; None where no reply had a price."""
        counts = self._counts
        return counts.dollars if counts.dollars or counts.free_calls else None

    def steps(self, which: str = "1", *values: int) -> Iterator[StoredStep]:
        """Yield the steps in item order. which: a condition in SQL on step and decided, values: what it leaves open."""
        rows = self._db.execute(f"SELECT step, record FROM waves WHERE {which} ORDER BY step, rowid", values)  # noqa: S608
        for _, waves in groupby(rows, itemgetter(0)):
            yield from steps_of(decode(record) for _, record in waves)

    def took(self, step: int) -> tuple[VoteUsage, float | None]:
        """Return what one item took, its failed calls included, and its dollars: None where some reply has no price."""
        assert self._db, "what an item took is read with its waves"
        return self._took.of(step)

    def missing(self, items: int) -> Iterator[int]:
        """Yield the positions without a verdict, of so many items, in order."""
        due = 0
        for position in self._counts.decided:
            yield from range(due, position)
            due = position + 1
        yield from range(due, items)

    def failures(self, k: int | None) -> Iterator[tuple[int, str]]:
        """Yield the items that were asked about and have no verdict, each with the reason. k: the margin."""
        for stored in self.steps("NOT decided") if self._counts.open else ():
            if stored.winner is None and stored.candidates:
                yield stored.step, _why(stored, k)


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
