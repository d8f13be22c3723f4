"""Who edits: a simulated editor, as true as measured replies of a real model were, or any language model.

The simulated editor does to each record what was measured of its kind of edit (`data/fidelity.csv`, which says of
whom and where: right, slipped, misshapen or lost): slipped is a value that is wrong in a record of the right form,
which no flag sees; misshapen one whose form is wrong; lost one that is not there. P(right) is (seen + 1/2) / (n + 1),
so that no edit is taken for perfect where few replies were seen. `fidelity` says what stands for what was not measured.

Not covered: errors that hang together, in a document or over draws: each record of each reply is by itself.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from maker.experiments.kit.speaker import Speaker
from maker.experiments.relaying.documents import Record, edits, written

DATA = Path(__file__).with_name("data") / "fidelity.csv"
FATES = ("right", "slipped", "misshapen", "lost")
_CHARACTERS = 4  # of a token, where nobody counts them
_ROOM, _EACH = 60, 120  # tokens of a reply beside its records, and of each: room for one over several lines


@dataclass(slots=True, frozen=True)
class Job:
    """A request to edit. unit: "ledger", "record" or "question". right: makes what is right, records or a text.

    prompt: text or messages. many: records in the reply, 0 of a question.
    """

    unit: str
    form: str
    kind: str
    prompt: Any
    right: Callable[[], list[Record] | str]
    many: int


class Reply(NamedTuple):
    """What came back, and the tokens read and written for it."""

    text: str
    tokens: int


Editor = Callable[[Sequence[Job]], list[Reply]]


class Fidelity(NamedTuple):
    """The chance of each fate of a record, and whether it was measured of just this kind of edit."""

    chances: tuple[float, ...]  # as FATES
    measured: bool


def _of(counts: Sequence[int]) -> Fidelity:
    """Return the chances that counts give, see the head of this file."""
    p, wrong = (counts[0] + 0.5) / (sum(counts) + 1), sum(counts[1:])
    rest = [(one + 0.5 / 3) / (wrong + 0.5) for one in counts[1:]]
    return Fidelity((p, *((1 - p) * share for share in rest)), measured=True)


@functools.cache
def _counts() -> dict[tuple[str, str, str], Fidelity]:
    with DATA.open(newline="") as file:
        return {(row["unit"], row["form"], row["kind"]): _of([int(row[fate]) for fate in FATES])
                for row in csv.DictReader(file)}  # fmt: skip


@functools.cache
def fidelity(unit: str, form: str, kind: str) -> Fidelity:
    """Return what a kind of edit does to a record.

    What was not measured: of a record it is right when all its small questions are; in a ledger each record fares as it
    would by itself. What is wrong is then as often slipped as misshapen or lost.
    """
    known = _counts().get((unit, form, kind))
    if known is not None:
        return known
    if unit == "ledger":
        return fidelity("record", form, kind)._replace(measured=False)
    p = math.prod(fidelity("question", "JSON", small).chances[0] for small in edits(form).questions(kind))
    return Fidelity((p, *[(1 - p) / 3] * 3), measured=False)


class SimulatedEditor:
    """Edits as truly as was measured; a seed decides which records go wrong."""

    name = "simulated editor"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 3))

    def __call__(self, jobs: Sequence[Job]) -> list[Reply]:
        """Bring a reply to each job."""
        replies = []
        for job in jobs:
            chances = np.cumsum(fidelity(job.unit, job.form, job.kind).chances)
            right = job.right()
            each = self._rng.random(1 if isinstance(right, str) else len(right))
            fates = np.searchsorted(chances, each * chances[-1], side="right")
            if isinstance(right, str):
                text = right if fates[0] == 0 else slip(right) if fates[0] == 1 else "?"
            else:
                text = written([_met(one, FATES[fate]) for one, fate in zip(right, fates, strict=True)
                                if FATES[fate] != "lost"], job.form)  # fmt: skip
            replies.append(Reply(text, (len(str(job.prompt)) + len(text)) // _CHARACTERS))
        return replies


def _met(record: Record, fate: str) -> Record:
    """Return what a fate makes of a record; one without fields has nothing left to spoil."""
    names = [name for name in record if name != "id"]
    if fate == "right" or not names:
        return record
    if fate == "slipped":
        return {**record, names[-1]: slip(record[names[-1]])}
    return {name: value for name, value in record.items() if name != names[-1]}


def slip(value: Any) -> Any:
    """Return a value that is a little wrong, of the same form; of an object the last one is."""
    if isinstance(value, dict):
        key = list(value)[-1]
        return {**value, key: slip(value[key])}
    if isinstance(value, int):
        return value + 1
    return value[:-1] + str((int(value[-1]) + 1) % 10) if value[-1:].isdigit() else f"{value}s"


class ModelEditor(Speaker):
    """A language model that edits."""

    def __call__(self, jobs: Sequence[Job]) -> list[Reply]:
        """Bring a reply to each job."""
        samples = self.replies([job.prompt for job in jobs], [_ROOM + _EACH * job.many for job in jobs])
        return [Reply(one.text or "", (one.tokens_in or 0) + (one.tokens_out or 0)) for one in samples]
