"""The decisions of a run, in strata, and those of them that are drawn to be judged.

A step belongs to the stratum of the votes that its answer had against it, and to a kind where the task names kinds. Of
each kind in a stratum the decisions have one order of chance, made of the seed, the run and the step, and a sample is
the first of each. So the same call draws the same, a larger sample begins with every smaller one, and there is one list
of all decisions of which every sample is the beginning.

The journal is read twice, along the states of the run: to count, and to take what was drawn.
Not covered: steps that are open, and those that a rollback left behind.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from maker.journal.steps import StoredStep
from maker.journal.story import Story
from maker.journal.views.states import States
from maker.task.canonical import digest
from maker.task.task import Task, guarded
from maker.theory.acceptance import allotted, rounded

STRATA = ("2 or more votes against", "1 vote against", "no vote against")  # the contested ones first
MOST_KINDS = 20  # told apart; the rarer ones are one more
OTHER_KINDS = "other kinds"
Cell = tuple[int, str]  # a stratum, and a kind in it


@dataclass(slots=True, frozen=True)
class Decision:
    """A decision to be judged. number: its place in the order of its kind and stratum, from 0.

    least: the smallest sample that holds it. state: before the step. answer: as the task reads it; text: that gave it
    first. votes: for it.
    """

    step: int
    stratum: int
    kind: str
    number: int
    least: int
    state: Any
    answer: Any
    text: str
    votes: int
    against: int


class Decisions:
    """The decided steps of a run. sizes: how many there are in each stratum; cells: in each kind of each.

    Raises TaskError for a task that is not the journal's, JournalError for a journal that cannot be followed.
    """

    def __init__(self, story: Story, task: Task, seed: int) -> None:
        self._story, self._task, self._seed = story, task, seed
        self._steps: dict[Cell, array[int]] = {}
        states = States(story, task)
        kinds: Counter[str] = Counter()
        for stored in story.steps():
            state = states.before(stored)
            if stored.winner is not None:
                kind = self._kind(state, stored.step)
                kinds[kind] += 1
                self._steps.setdefault((stratum_of(stored.votes[1]), kind), array("Q")).append(stored.step)
        self._told = {kind for kind, _ in kinds.most_common(MOST_KINDS)}
        for stratum, kind in [cell for cell in self._steps if cell[1] not in self._told]:
            self._steps.setdefault((stratum, OTHER_KINDS), array("Q")).extend(self._steps.pop((stratum, kind)))
        self.cells = {cell: len(steps) for cell, steps in sorted(self._steps.items())}
        self.sizes = [sum(n for (own, _), n in self.cells.items() if own == at) for at in range(len(STRATA))]

    def shares(self, sample: int) -> dict[Cell, tuple[int, int]]:
        """Return how many decisions of each kind a sample holds: rounded down, and up."""
        return {cell: self._share(cell, sample) for cell in self.cells}

    def drawn(self, sample: int) -> list[Decision]:
        """Return the decisions of a sample, in the order in which growing samples come to hold them."""
        numbers: dict[int, int] = {}
        for cell, (_, count) in self.shares(sample).items():
            first = nsmallest(count, self._steps[cell], key=self._chance)
            numbers |= {step: number for number, step in enumerate(first)}
        states, taken = States(self._story, self._task), []
        for stored in self._story.steps():
            state = states.before(stored)
            if stored.step in numbers and stored.winner is not None:
                taken.append(self._decision(stored, state, numbers[stored.step]))
        return sorted(taken, key=lambda decision: (decision.least, decision.stratum, decision.step))

    def _decision(self, stored: StoredStep, state: Any, number: int) -> Decision:
        """Return a decided step with all that a judge may need."""
        text, (votes, against) = stored.answer(stored.winner or 0), stored.votes
        kind = self._kind(state, stored.step)
        cell = (stratum_of(against), kind if kind in self._told else OTHER_KINDS)
        return Decision(
            stored.step, *cell, number, self._least(cell, number), state,
            guarded(self._task.parse, stored.step, "parse", text), text, votes, against,
        )  # fmt: skip

    def _least(self, cell: Cell, number: int) -> int:
        """Return the smallest sample that holds a decision."""
        return bisect_left(range(sum(self.sizes)), number + 1, key=lambda sample: self._share(cell, sample)[1])

    def _share(self, cell: Cell, sample: int) -> tuple[int, int]:
        """Return how many decisions of a kind a sample holds: rounded down, and up."""
        stratum = cell[0]
        return rounded(self.cells[cell], allotted(self.sizes, sample)[stratum], self.sizes[stratum])

    def _kind(self, state: Any, step: int) -> str:
        """Return the kind of a step; "" where the task names none."""
        return str(guarded(self._task.kind, step, "kind", state, step)) if hasattr(self._task, "kind") else ""

    def _chance(self, step: int) -> bytes:
        """Return where chance puts a step."""
        return digest(f"{self._seed}/{self._story.latest['run']}/{step}".encode("utf-8", "surrogatepass"))


def stratum_of(against: int) -> int:
    """Return the stratum of a decided step: by the votes that its answer had against it."""
    return len(STRATA) - 1 - min(against, len(STRATA) - 1)
