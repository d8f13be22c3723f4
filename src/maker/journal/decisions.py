"""What a journal of decisions holds beside any other: for each decision its name, and what was asked.

Such a journal has no plan: a vote is added to it when somebody asks (`engine/decisions.py`). Its decisions are its
steps, numbered in the order in which they were begun; each is announced by a note.

Not covered: what became of a decision, which is in its waves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from maker.errors import JournalError
from maker.journal.records import SENSELESS, count
from maker.journal.story import Story

TASK = "decisions"  # in the header


@dataclass(slots=True, frozen=True)
class Decision:
    """One decision. step: its name, as the user gives it; number: among the journal's, from 0.

    question: a digest of all that was asked; reads: what tells how replies were read.
    """

    step: str | int
    number: int
    question: str
    reads: dict[str, Any]

    @classmethod
    def of(cls, note: object) -> Decision | None:
        """Return what a journaled note says; None for a note of another kind. Raises JournalError for a senseless one.

        note: as the journal's reader gives those whose kind it does not know.
        """
        if not isinstance(note, dict) or "decision" not in note:
            return None
        try:
            said = note["decision"]
            step, question, reads = said["step"], said["question"], said["reads"]
            if type(step) not in (str, int) or not isinstance(question, str) or not isinstance(reads, dict):
                raise TypeError(f"step = {step!r:.60}, question = {question!r:.60}")
            return cls(step, count(said["number"]), question, reads)
        except SENSELESS as error:
            raise JournalError(f"a decision note contradicts itself: {error!r}. It is damaged or forged.") from None

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return {"decision": asdict(self)}


def is_decisions(header: Mapping[str, Any]) -> bool:
    """Say whether a journal is one of decisions."""
    return header.get("task") == TASK


def decisions_in(story: Story) -> Iterator[Decision]:
    """Yield the decisions of a journal, in order. Raises JournalError where they are not numbered so."""
    names: set[str | int] = set()
    for _, item in story.events():
        found = Decision.of(item)
        if found is None:
            continue
        if found.number != len(names) or found.step in names:
            raise JournalError(f"{story.path}: decision {found.step!r} is number {found.number} after {len(names)} "
                               "others, or stands there twice. It is damaged or forged.")  # fmt: skip
        names.add(found.step)
        yield found
