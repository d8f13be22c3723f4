"""What is counted of decided steps: waves, and how they compare with the truth.

Asked after the vote and never before; nothing here reaches a flag or a ballot.

Not covered: samples and tokens (`usage.py`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from maker.canonical import canonical
from maker.poll import Poll
from maker.task import Task, guarded


@dataclass(slots=True)
class Score:
    """Counts of decided steps.

    waves: steps by the number of waves they took. wrong: those that differ from the truth, None where the task
    has none; first_wrong: steps whose first valid sample differs from it; collisions: steps whose first two both do.
    """

    wrong: int | None = None
    first_wrong: int = 0
    collisions: int = 0
    waves: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, task: Task) -> Score:
        """Return an empty score."""
        return cls(0 if hasattr(task, "truth") else None)

    def count(self, task: Task, poll: Poll, winner: int) -> None:
        """Count a decided step. winner: the number of the answer that won. Raises TaskError when `truth` does."""
        self.waves[poll.waves] += 1
        if self.wrong is None:
            return
        step = poll.step
        truth = guarded(task.truth, step.index, "truth", step.state, step.index)  # type: ignore[attr-defined]
        reading = poll.readings[winner]
        right = reading.answer == truth or reading.key == canonical(truth)
        if right and len(poll.readings) == 1:
            return
        self.wrong += not right
        key = reading.key if right else canonical(truth)
        first_two = [candidate for candidate in poll.order if candidate >= 0][:2]
        missed = [poll.readings[candidate].key != key for candidate in first_two]
        self.first_wrong += missed[0]
        self.collisions += len(missed) == 2 and all(missed)

    def add(self, other: Score) -> None:
        """Add what was counted elsewhere."""
        if self.wrong is not None:
            self.wrong += other.wrong or 0
        self.first_wrong += other.first_wrong
        self.collisions += other.collisions
        self.waves.update(other.waves)
