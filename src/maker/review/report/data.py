"""What a report shows, gathered from a journal in one pass: counts, never all steps.

`collect` reads every step once and keeps sums, histograms of bounded size and the hardest steps, so a
million steps need no more memory than a thousand. It runs no task code but to tell kinds of steps. The truth is not in
a journal: `agreed` counts first valid samples that agree with the winner of their step, which says of a step that
most samples get wrong in the same way that all is well.

Not covered: what is concluded from it (`theory.py`), and how it looks (`figures.py`, `page.py`).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from maker.decision.wave import FLAGGED
from maker.journal.bulk.plain import Plain
from maker.journal.notes import Epoch, Note, Receipt
from maker.journal.records import decode_wave
from maker.journal.steps import StoredStep, steps_of, told
from maker.journal.story import Story, Summary
from maker.review.diagnosis import Signs
from maker.review.kinds import Kinds, OfKind
from maker.task.task import Task

HARDEST = 10  # steps shown with their texts
BINS = 256  # of the run, along its steps
Hardness = tuple[tuple[int, float], int, StoredStep]  # with -step, so that of equally hard steps the earlier ones stay
ENTROPY_BINS = 28
ENTROPY_WIDTH = 0.05  # nats; the last bin holds all above


@dataclass(slots=True, frozen=True)
class Span:
    """A part of the run: its middle step, mean and most samples of a step, share of them flagged."""

    step: float
    mean: float
    most: int
    flagged: float


class Along:
    """Samples and flags along the run, in at most 256 stretches of equal length."""

    def __init__(self) -> None:
        self.width = 1  # steps in a stretch
        self._stretches: dict[int, tuple[int, int, int, int]] = {}  # steps, samples, flagged, most samples of a step

    def add(self, step: int, samples: int, flagged: int) -> None:
        """Count one step."""
        self._reach(step)
        self._put(step // self.width, 1, samples, flagged, samples)

    def _reach(self, step: int) -> None:
        """Join stretches in pairs until they reach a step."""
        while step // self.width >= BINS:
            self.width *= 2
            halves, self._stretches = self._stretches, {}
            for at, half in halves.items():
                self._put(at // 2, *half)

    def _put(self, at: int, steps: int, samples: int, flagged: int, most: int) -> None:
        had = self._stretches.get(at, (0, 0, 0, 0))
        self._stretches[at] = (had[0] + steps, had[1] + samples, had[2] + flagged, max(had[3], most))

    def add_plain(self, waves: Plain) -> None:
        """Count the steps of plain waves."""
        import numpy as np  # noqa: PLC0415

        self._reach(int(waves.steps.max()))
        places, which = np.unique(waves.steps // self.width, return_inverse=True)
        most = np.zeros(len(places), np.int64)
        np.maximum.at(most, which, waves.draws)
        steps, samples = np.bincount(which), np.bincount(which, waves.draws)
        for at, counted in zip(places.tolist(), zip(steps, samples, most, strict=True), strict=True):
            self._put(at, int(counted[0]), int(counted[1]), 0, int(counted[2]))

    def points(self) -> list[Span]:
        """Return every stretch that has a step."""
        return [
            Span((at + 0.5) * self.width - 0.5, samples / steps, most, flagged / samples)
            for at, (steps, samples, flagged, most) in sorted(self._stretches.items())
        ]


@dataclass(slots=True)
class Contents:
    """What a journal holds, summed up.

    votes: decided steps by how many valid votes they took. agreed: decided steps whose first valid sample
    agrees with the winner. entropies: decided steps by entropy of their votes, in bins of .05 nats;
    unanimous: those of entropy 0. hardest: the decided steps with the most samples, hardest first.
    open: steps with samples and no verdict, the fullest first, at most as many; open_count: all of them.
    samples, flagged: of steps, without a calibration. tokens: in and out, None where the model never said.
    cost: US dollars of the calls that were settled, 0 without prices. changes: settings that were changed on
    purpose in mid-run, a list for each time. kinds: of steps, {} where the task was not given. signs: for the
    diagnosis.
    """

    summary: Summary
    votes: Counter[int] = field(default_factory=Counter)
    agreed: int = 0
    entropies: Counter[int] = field(default_factory=Counter)
    unanimous: int = 0
    along: Along = field(default_factory=Along)
    hardest: list[StoredStep] = field(default_factory=list)
    open: list[StoredStep] = field(default_factory=list)
    open_count: int = 0
    samples: int = 0
    flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float = 0.0
    changes: list[str] = field(default_factory=list)
    kinds: dict[str, OfKind] = field(default_factory=dict)
    signs: Signs = field(default_factory=Signs)

    def note(self, note: Note) -> None:
        """Take a note: what a call cost, or a change of settings."""
        match note:
            case Receipt(spent=spent):
                self.cost += spent[3]
            case Epoch(number=number, changed=changed) if number:
                self.changes.append(", ".join(changed))


def collect(
    journal: str | Path, progress: Callable[[int, int], None] | None = None, task: Task | None = None
) -> Contents:
    """Return what a journal holds, finished or not. Raises JournalError for a file that cannot be read.

    progress: called now and then with the steps read and those there are. task: the one of the journal, to tell the
    kinds of its steps; raises TaskError for one that does not fit.
    """
    story = Story(journal)
    found = Contents(story.summary())
    kinds = None if task is None else Kinds(story, task)
    hardest, fullest = list[Hardness](), list[Hardness]()

    def plain(waves: Plain) -> None:
        _count_plain(found, hardest, waves)
        if progress is not None:
            progress(found.votes.total() + found.open_count, found.summary.steps)

    for number, stored in enumerate(story.steps(found.note, plain if kinds is None else None), 1):
        tally, samples = stored.tally(), len(stored.candidates)
        found.signs.take(stored)
        if kinds is not None:
            kinds.take(stored)
        found.samples += samples
        found.flagged += tally.flagged
        found.flags += stored.flags
        found.tokens_in = _added(found.tokens_in, told(stored.tokens_in))
        found.tokens_out = _added(found.tokens_out, told(stored.tokens_out))
        hardness = ((samples, tally.entropy if tally.total else 0.0), -stored.step, stored)
        if stored.winner is None:
            found.open_count += 1
            _keep(fullest, hardness)
        else:
            _keep(hardest, hardness)
            found.votes[tally.total] += 1
            found.along.add(stored.step, samples, tally.flagged)
            if len(tally.counts) == 1:
                found.unanimous += 1
            else:
                found.entropies[min(int(tally.entropy / ENTROPY_WIDTH), ENTROPY_BINS - 1)] += 1
            first = next(candidate for candidate in stored.candidates if candidate != FLAGGED)
            found.agreed += first == stored.winner
        if progress is not None and number % 1000 == 0:
            progress(found.votes.total() + found.open_count, found.summary.steps)
    found.kinds = {} if kinds is None else kinds.found
    found.hardest = [stored for _, _, stored in sorted(hardest, reverse=True)]
    found.open = [stored for _, _, stored in sorted(fullest, reverse=True)]
    return found


def _keep(heap: list[Hardness], item: Hardness) -> None:
    """Keep a step if it is among the hardest. Step numbers differ, so steps themselves are never compared."""
    (heapq.heappush if len(heap) < HARDEST else heapq.heappushpop)(heap, item)


def _added(total: int | None, more: int | None) -> int | None:
    return total if more is None else (total or 0) + more


def _count_plain(found: Contents, hardest: list[Hardness], waves: Plain) -> None:
    """Count the steps of plain waves; those that may be among the hardest are looked at one by one."""
    import numpy as np  # noqa: PLC0415

    found.signs.take_plain(waves)
    found.samples += int(waves.draws.sum())
    found.tokens_in = _added(found.tokens_in, waves.tokens_in)
    found.tokens_out = _added(found.tokens_out, waves.tokens_out)
    found.votes.update(dict(waves.sizes()))
    found.along.add_plain(waves)
    found.unanimous += len(waves)
    found.agreed += len(waves)
    for place in np.lexsort((waves.steps, -waves.draws))[:HARDEST].tolist():
        hardness, step = (int(waves.draws[place]), 0.0), int(waves.steps[place])
        if len(hardest) < HARDEST or (hardness, -step) > hardest[0][:2]:
            (stored,) = steps_of([decode_wave(waves.record(place))])
            _keep(hardest, (hardness, -step, stored))
