"""Rounds: how a step's draws are numbered when it is tried again, and which of a journal's draws count.

A step that is tried in another way begins a *round*: a race of its own, with draws and seeds of its own. Its draws
are numbered on from ROUND times its number, so that the number of a draw tells its round, and no two draws of a
step ever bear the same number. When steps are rolled back, their segment begins a new *branch*; what
earlier branches hold of those steps is abandoned: it stays in the journal, is paid for, and counts no more.

`Escalation` is the note of one such change. `Abandoned` says what rollbacks have left behind: known from the
notes alone, whatever the order in which waves are read.

Not covered: which change is made (`ladder.py`), and making it (`escalate.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from maker.errors import JournalError
from maker.ladder import Change
from maker.records import NOTE, Wave, decode

ROUND = 1 << 16  # draws that one round can have: more than votes and flags may be
ATTEMPTS = 1 << 6  # rounds of a step in one branch; round 0 is the plain vote
BRANCHES = 1 << 10  # of a segment; draws are numbered in 32 bits

_MARK = b'{"escalation"'


class RolledBack(Exception):
    """Steps were rolled back: what follows from the journal must be read anew, knowing that."""


@dataclass(slots=True, frozen=True)
class Escalation:
    """One change at one step: the branch and attempt that it begins, the rung, the trouble, and what is changed."""

    step: int
    branch: int
    attempt: int
    rung: str
    reason: str
    change: Change

    @classmethod
    def of(cls, note: dict[str, Any]) -> Escalation:
        """Return what a journaled note says. Raises JournalError for one that contradicts itself."""
        said = note["escalation"]
        try:
            step, branch, attempt = (int(said[name]) for name in ("step", "branch", "attempt"))
            change = Change(**said["change"])
            sound = min(branch, attempt) >= 0 and 0 <= change.back <= step and min(change.more, change.longer) >= 1
        except (TypeError, ValueError, KeyError) as error:
            raise JournalError(f"an escalation note contradicts itself: {error!r}. It is damaged or forged.") from None
        if not sound:
            raise JournalError(f"an escalation note contradicts itself: {said}. It is damaged or forged.")
        return cls(step, branch, attempt, str(said["rung"]), str(said["reason"]), change)

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return {"escalation": {
            "step": self.step, "branch": self.branch, "attempt": self.attempt, "rung": self.rung,
            "reason": self.reason, "change": self.change.as_note(),
        }}  # fmt: skip

    @property
    def round(self) -> int:
        """The number of the round that begins."""
        return self.branch * ATTEMPTS + self.attempt

    @property
    def steps(self) -> range:
        """The steps that begin anew with it; none where the race goes on."""
        if self.change.goes_on:
            return range(0)
        return range(self.step - self.change.back, self.step + 1)


class Abandoned:
    """What rollbacks have left behind. False when there was none."""

    def __init__(self, escalations: Iterable[Escalation] = ()) -> None:
        self._spans = [(found.steps.start, found.step, found.branch) for found in escalations if found.change.back]

    @classmethod
    def of(cls, records: Iterable[bytes]) -> Abandoned:
        """Return what all rollbacks of a journal leave behind. Raises JournalError for a damaged note."""
        found = []
        for record in records:
            if record[0] == NOTE and record.startswith(_MARK, 1):
                note = decode(record)
                assert isinstance(note, dict), "a note is an object"
                found.append(Escalation.of(note))
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self._spans)

    def __contains__(self, wave: Wave) -> bool:
        """Say whether a wave counts no more."""
        branch = wave.first // (ROUND * ATTEMPTS)
        return any(first <= wave.step <= last and branch < begun for first, last, begun in self._spans)

    def knows(self, found: Escalation) -> bool:
        """Say whether a rollback is one of those known beforehand."""
        return (found.steps.start, found.step, found.branch) in self._spans


def round_of(draw: int) -> int:
    """Return the round to which a draw belongs, by its number."""
    return draw // ROUND
