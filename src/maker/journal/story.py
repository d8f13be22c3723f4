"""The one reading of a journal: what it holds as types, its steps, its verdicts, and what it says in sum.

No task code runs, but for a parser that is given. What makes no sense under a sound record chain is a JournalError
here: whoever stands on a `Story` need not look out for it.

Not covered: whether it is true (`review/checking/verify.py`).
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from maker import theory
from maker.decision.address import round_of
from maker.decision.pool import Weights, turns_of
from maker.decision.race import Verdict
from maker.decision.sample import Sample
from maker.decision.wave import FLAGGED, Wave
from maker.errors import InternalError, JournalError
from maker.journal.bulk.group import Group
from maker.journal.bulk.plain import Plain, Run, in_bulk, in_turn
from maker.journal.chain import Fold
from maker.journal.database import Known, read_groups
from maker.journal.escalated import Abandoned, Ahead, Escalation
from maker.journal.notes import Calibration, Close, Epoch, Note, Receipt, Takes, note_of
from maker.journal.records import NOTE, decode
from maker.journal.steps import StoredStep, steps_of
from maker.journal.writer import Journal
from maker.theory.votes.tables import Table

_SCANNED = tuple(b'%c{"%s"' % (NOTE, kind) for kind in (b"header", b"epoch", b"escalation"))
_ESCALATION = _SCANNED[-1]

LITTLE = 0.5  # of an independent vote: what one more must be worth, or it is better spent otherwise


@dataclass(slots=True)
class Summary:
    """What a journal says of its run, counted from its records without running any code.

    `close` is what the run said when it last ended, {} when it is still going or was killed. `head` is the hash
    of the newest record, which covers all before it, as 32 hex digits. k: the margin, or the least one of `table`.
    steps, waves and fold are those of the verdicts that count; samples and flags are all. abandoned: what rollbacks
    left behind. takes: what models were found to take, by name; served: the name that a server last said it used, by
    the model asked ("": the run's own). sources: paid samples by server, where several answer for one model.
    pooled: judged samples by model, and flagged ones of these, where the run's model is a pool; weights: of its turns,
    () where every vote is one.
    """

    header: dict[str, Any] = field(default_factory=dict)
    k: int | None = None
    table: Table | None = None
    calibration: dict[str, Any] | None = None
    steps: int = 0
    samples: int = 0
    flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    waves: Counter[int] = field(default_factory=Counter)
    fold: Fold = field(default_factory=Fold)
    close: dict[str, Any] = field(default_factory=dict)
    head: str = ""
    records: int = 0
    escalations: Counter[str] = field(default_factory=Counter)
    abandoned: Abandoned = field(default_factory=Abandoned)
    takes: dict[str, dict[str, Any]] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    pooled: dict[str, tuple[int, int]] = field(default_factory=dict)
    weights: Weights = ()
    _turns: list[str] = field(default_factory=list, repr=False)  # of the pool in force
    _elsewhere: set[tuple[int, int]] = field(default_factory=set, repr=False)  # rounds of steps that ask another model
    _open: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)  # waves by step and round

    def take(self, item: Wave | Note) -> None:
        """Count what comes next in the journal. Raises JournalError for a step that is decided twice."""
        match item:
            case Wave():
                self._count(item)
            case Epoch():
                self._open.clear()
                self._turns = turns_of(item.header.get("model"))
                chosen = self.k, self.table, self.weights
                self.k, self.table, self.weights = chosen if item.k is None else (item.k, None, item.weights)
            case Calibration():
                self.calibration, self.k, self.table = item.as_note(), item.k, item.margins()
                self.weights = item.by_turn()
                self.samples += item.draws
                self.flagged += item.draws - item.valid
                self.flags.update(item.flags)
            case Escalation():
                self.escalations[item.rung] += 1
                self._elsewhere.update((step, item.round) for step in item.steps if item.change.model)
            case Ahead():
                for roll in item.rolls:
                    for wave in roll.waves:
                        self._drawn(wave)
            case Takes(model, takes):
                self.takes[model] = takes
            case Receipt(asked=asked, sample=Sample(model=said, source=source)):
                if isinstance(said, str):
                    self.served[asked] = said
                if isinstance(source, str):
                    self.sources[source] += 1
            case Close():
                self.close = {name: getattr(item, name) for name in Close.__slots__}

    def take_plain(self, waves: Plain) -> None:
        """Count plain waves. Raises as `take`."""
        self.close = {}
        self.samples += int(waves.draws.sum())
        for size, count in waves.sizes() if self._turns else ():
            for draw in range(size):
                name = self._turns[draw % len(self._turns)]
                drawn, dropped = self.pooled.get(name, (0, 0))
                self.pooled[name] = drawn + count, dropped
        self.steps += len(waves)
        self.waves[1] += len(waves)
        for step, hashes, state_digest in waves.runs():
            self._fold(step, hashes, state_digest)

    @property
    def effective(self) -> tuple[float, float] | None:
        """Mean votes of a decided step, and how many independent ones these are worth; None where rho is not known.

        rho is that of the calibration, which knows it where it saw errors.
        """
        found = self.calibration
        if not self.steps or not found or not found.get("erred") or found["rho_high"] >= 1:
            return None
        votes = (self.samples - self.flagged - found["valid"]) / self.steps
        return votes, theory.effective_votes(votes, found["rho"])

    @property
    def worth(self) -> str:
        """What the votes of a step are worth, in a line for a person; "" where that is not known."""
        if self.effective is None or self.calibration is None:
            return ""
        votes, effective = self.effective
        one_more = theory.effective_votes(votes + 1, self.calibration["rho"]) - effective
        said = f"{votes:.2f} votes a step are worth {effective:.2f} independent ones, one more is worth {one_more:.2f}"
        return said + (": another model or wording is worth more" if one_more < LITTLE else "")

    def _count(self, wave: Wave) -> None:
        if self.close:
            self.close = {}
        self._drawn(wave)
        if self.abandoned and wave in self.abandoned:
            return
        place = (wave.step, round_of(wave.first))
        waves = self._open.pop(place, 0) + bool(wave.draws)
        if wave.verdict is None:
            self._open[place] = waves
        else:
            self.steps += 1
            self.waves[waves] += 1
            self._fold(wave.step, wave.verdict[1], wave.verdict[2])

    def _fold(self, step: int, hashes: bytes, state_digest: bytes) -> None:
        try:
            self.fold.add(step, hashes, state_digest)
        except InternalError as error:
            raise JournalError(f"the journal contradicts itself: {error}") from None

    def _drawn(self, wave: Wave) -> None:
        self.samples += len(wave.draws) // 4
        if self._turns and (wave.step, round_of(wave.first)) not in self._elsewhere:
            for draw, candidate in enumerate(wave.draws[0::4], wave.first):
                name = self._turns[draw % len(self._turns)]
                drawn, dropped = self.pooled.get(name, (0, 0))
                self.pooled[name] = drawn + 1, dropped + (candidate == FLAGGED)
        if FLAGGED in wave.draws:
            self.flagged += wave.draws[0::4].count(FLAGGED)
            self.flags.update(str(facts["flag"]) for facts in wave.extras.values() if "flag" in facts)

    @property
    def pooled_rows(self) -> list[tuple[str, str]]:
        """What each model of a pool has given, a row each for a person."""
        return [(f"samples of {name}", f"{drawn:,}, {lost:,} flagged") for name, (drawn, lost) in self.pooled.items()]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker show --json` prints."""
        return {
            "run": self.header.get("run"), "task": self.header.get("task"), "parameters": self.header.get("parameters"),
            "model": self.header.get("model"), "simulated": self.header.get("simulated"), "k": self.k,
            "solved": bool(self.close.get("solved")), "steps": self.steps, "total": self.header.get("steps"),
            "samples": self.samples, "flagged": self.flagged, "flags": dict(self.flags),
            "wrong": self.close.get("wrong"), "answer": self.close.get("answer"),
            "state_digest": self.fold.state_digest.hex(), "chain": self.fold.chain,
            "escalations": dict(self.escalations),
            "stopped": self.close.get("stopped", "running or killed"), "seconds": self.close.get("seconds"),
            "segments": self.header.get("segments"), "records": self.records, "head": self.head,
            **({"table": {"k": self.table.k, **self.table.as_note()}} if self.table else {}),
            **({"weights": list(self.weights)} if self.weights else {}),
            **({"pooled": {name: {"samples": drawn, "flagged": lost} for name, (drawn, lost) in self.pooled.items()}}
               if self.pooled else {}),
        }  # fmt: skip


def rolled_back(journal: Journal) -> Abandoned:
    """Return what the rollbacks in a journal left behind, before it is replayed.

    No hash is checked, and what cannot be read is passed over: the replay will say so.
    """
    found: list[Escalation] = []
    with suppress(JournalError):
        for group in journal.groups(hashed=False):
            said = (_sense(record, journal.path) for record in _that_begin(group, (_ESCALATION,)))
            found.extend(item for item in said if isinstance(item, Escalation))
    return Abandoned(found)


class Story:
    """A journal, as it is when this is made: what is appended later is not read.

    journal: its file, or one that is open. Raises JournalError for a file that is missing, damaged or foreign.
    path: as given. latest: the header of the last epoch, {} where there is none. abandoned: what rollbacks left
    behind. records: how many there are, head: the hash of the newest. These take one scan, which checks every hash and
    decodes next to nothing; each of the methods reads the journal once more, and takes the hashes as they were found.
    """

    def __init__(self, journal: str | Path | Journal) -> None:
        self.path = journal.path if isinstance(journal, Journal) else journal
        self._journal = journal
        self.latest: dict[str, Any] = {}
        self._weighed = False  # whether draws of some epoch count as other numbers of votes than one
        self.head, self.records = b"", 0
        escalations = []
        ends: list[array[int]] = []
        for group in self._groups(None):
            ends.append(array("I", group.ends))
            self.head, self.records = group.head, group.first + len(group.ends)
            for record in _that_begin(group, _SCANNED):
                match _sense(record, self.path):
                    case Epoch(header):
                        self.latest = header
                        self._weighed |= "weights" in header
                    case Escalation() as found:
                        escalations.append(found)
        self.abandoned, self._ends = Abandoned(escalations), ends

    def events(self) -> Iterator[tuple[bytes, Wave | Note]]:
        """Yield what the journal holds, each with the hash of its record. Raises JournalError for a senseless one."""
        return ((head, _sense(record, self.path)) for group in self._known() for head, record in group)

    def in_turn(self, starts: Sequence[int] = (0,)) -> Iterator[Run | Wave | Note]:
        """Yield what `events` does, in the same order, but plain waves of consecutive steps together.

        starts: first steps of stretches that do not need each other: between two notes they may come one by one.
        """
        return in_turn(self._known(), partial(_sense, path=self.path), starts)

    def steps_in_turn(self) -> Iterator[Run | StoredStep]:
        """Yield what `steps` does, in the same order, but runs of plain waves in the place of their steps."""
        if self.abandoned or self._weighed:
            return self.steps()
        return steps_of(self.in_turn())

    def had(self, head: str) -> bool:
        """Say whether a record of it has this hash, as 32 hex digits."""
        return any(known.hex() == head for group in self._known() for known, _ in group)

    def steps(
        self, note: Callable[[Note], None] | None = None, plain: Callable[[Plain], None] | None = None
    ) -> Iterator[StoredStep]:
        """Yield its steps, with what was rolled back left out, as `steps_of` does.

        plain: called with plain waves, whose steps are not yielded then.
        """
        return steps_of(_taken(self._items(bulk=plain is not None), plain), self.abandoned, note)

    def verdicts(self, parse: Callable[[str], Any] | None = None) -> Iterator[Verdict[Any]]:
        """Yield its verdicts in the order of decision; answers are read by `parse`, or are texts without it."""
        return (stored.verdict(parse) for stored in self.steps() if stored.winner is not None)

    def header(self) -> dict[str, Any]:
        """Return the header of the last epoch. Raises JournalError where it holds no run."""
        if not self.latest:
            raise JournalError(f"{self.path}: holds no run yet.")
        return self.latest

    def summary(
        self, step: Callable[[StoredStep], None] | None = None, plain: Callable[[Plain], None] | None = None
    ) -> Summary:
        """Return what it says of its run. Raises JournalError where it holds none.

        step: called with each of its steps, as `steps` has them, plain: with plain waves in the place of their steps;
        one reading serves all.
        """
        summary = Summary(self.header(), head=self.head.hex(), records=self.records, abandoned=self.abandoned)

        def counted() -> Iterator[Plain | Wave | Note]:
            for item in self._items(bulk=plain is not None or step is None):
                if isinstance(item, Plain):
                    summary.take_plain(item)
                else:
                    summary.take(item)
                yield item

        if step is None:
            deque(counted(), 0)
        else:
            for stored in steps_of(_taken(counted(), plain), self.abandoned):
                step(stored)
        return summary

    def _items(self, *, bulk: bool) -> Iterator[Plain | Wave | Note]:
        """Yield what the journal holds; in bulk, but where rollbacks say what counts, or draws are not votes."""
        if not bulk or self.abandoned or self._weighed:
            return (item for _, item in self.events())
        return in_bulk(self._known(), partial(_sense, path=self.path))

    def _known(self) -> Iterator[Group]:
        """Yield the groups that there were when this was made."""
        return islice(self._groups(self._ends), len(self._ends))

    def _groups(self, known: Known) -> Iterator[Group]:
        return self._journal.groups(known) if isinstance(self._journal, Journal) else read_groups(self._journal, known)


def _taken(items: Iterable[Plain | Wave | Note], plain: Callable[[Plain], None] | None) -> Iterator[Wave | Note]:
    """Yield all but plain waves, which are given to `plain`."""
    for item in items:
        if not isinstance(item, Plain):
            yield item
        elif plain is not None:
            plain(item)


def _that_begin(group: Group, beginnings: tuple[bytes, ...]) -> Iterator[bytes]:
    """Yield the records of a group that begin so; of most groups, which have these bytes nowhere, none is looked at."""
    if any(beginning in group.data for beginning in beginnings):
        yield from (record for _, record in group if record.startswith(beginnings))


def _sense(record: bytes, path: object) -> Wave | Note:
    item = decode(record)
    return item if isinstance(item, Wave) else note_of(item, path)
