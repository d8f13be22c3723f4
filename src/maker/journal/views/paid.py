"""What each step of a run took, from its journal: calls, tokens, dollars.

Of a model over a network the reservations and receipts say it, failed calls included; a call whose reply never came is
booked at the most it can have taken, as the run's own account does. Draws without a receipt, of a model in this
process, count as their waves say.

Not covered: the model's probes, which are no step's; and draws in this process of rounds that were given up.
"""

from __future__ import annotations

import sqlite3

from maker.decision.address import ROUND
from maker.decision.race import VoteUsage
from maker.decision.wave import known
from maker.journal.notes import Batch, Note, Receipt, Reserve
from maker.journal.steps import StoredStep

_COLUMNS = "step, draw, calls, samples, tokens_in, tokens_out, assumed, cost, unpriced"
_SUMS = "sum(calls), sum(samples), sum(tokens_in), sum(tokens_out), sum(assumed), sum(cost), sum(unpriced)"


class Paid:
    """What steps took, in a table of a database. run: its name; what bears another one is none of its draws."""

    def __init__(self, db: sqlite3.Connection, run: str) -> None:
        self._db, self._run = db, run
        self._out: dict[tuple[int, int], tuple[int, float]] = {}  # tokens and dollars of calls that are out, at most
        self._any = False  # receipts
        db.execute(f"CREATE TABLE paid ({_COLUMNS})")
        db.execute("CREATE INDEX paid_by_step ON paid (step)")

    def note(self, note: Note) -> None:
        """Take the next note of the journal."""
        match note:
            case Reserve(run=self._run, step=step):
                for draw, tokens, cost in zip(note.draws, note.tokens, note.cost, strict=True):
                    again = note.batched and (step, draw) in self._out  # by a process that waits for the same batch
                    if not again:  # hedged, or of a process that was killed: one reply settles one of them
                        self._lose(step, draw)
                        self._add(step, draw, calls=1)
                    self._out[step, draw] = tokens, cost
            case Batch(run=self._run, given_up=True):
                for step, draw in note.draws:
                    self._lose(step, draw)
            case Receipt(address=at) if at.run == self._run:
                self._any = True
                self._out.pop((at.step, at.draw), None)
                self._add(at.step, at.draw, 0, int(note.sample is not None), *note.spent[:4], free=note.free)

    def drawn(self, stored: StoredStep) -> None:
        """Take a step of the journal, whose notes came before: its draws that no receipt has counted."""
        had = "SELECT draw FROM paid WHERE step = ? AND samples"
        paid = {draw for (draw,) in self._db.execute(had, (stored.step,))} if self._any else ()
        for draw, tokens in enumerate(zip(stored.tokens_in, stored.tokens_out, strict=True), stored.round * ROUND):
            if draw not in paid:
                self._add(stored.step, draw, 1, 1, *(known(count) or 0 for count in tokens))

    def close(self) -> None:
        """Book the calls that are out still, as nobody will see their replies."""
        for step, draw in list(self._out):
            self._lose(step, draw)

    def of(self, step: int) -> tuple[VoteUsage, float | None]:
        """Return what a step took, and its dollars: None where some reply has no price."""
        found = self._db.execute(f"SELECT {_SUMS} FROM paid WHERE step = ?", (step,)).fetchone()  # noqa: S608 -- ours
        calls, samples, tokens_in, tokens_out, assumed, cost, unpriced = (figure or 0 for figure in found)
        return VoteUsage(calls, samples, tokens_in, tokens_out, assumed), None if unpriced else float(cost)

    def _lose(self, step: int, draw: int) -> None:
        if (most := self._out.pop((step, draw), None)) is not None:
            self._add(step, draw, 0, 0, 0, 0, *most)

    def _add(
        self, step: int, draw: int, calls: int, samples: int = 0, tokens_in: int = 0, tokens_out: int = 0,
        assumed: int = 0, cost: float = 0.0, *, free: bool = False,
    ) -> None:  # fmt: skip
        unpriced = not (cost or free) and bool(tokens_in or tokens_out or assumed)
        row = (step, draw, calls, samples, tokens_in, tokens_out, assumed, cost, unpriced)
        self._db.execute("INSERT INTO paid VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
