"""What a journal proves, from the file alone.

`summarise` counts what a journal says without running any task code. `verify` re-checks it with
code of its own: the record chain; that each verdict follows from its recorded ballots, counted one
at a time; that each winning answer is legal and leads to the recorded state; that segments join; that
the last state is the goal; and, where the task has one, its independent checker on the whole sequence.

Not covered: whether the samples really came from a model, and a journal rewritten from the start
(compare its `head` with one that you kept).
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maker.canonical import canonical, digest
from maker.errors import InternalError, JournalError, TaskError
from maker.fold import Fold, step_hash
from maker.journal import read_chain, read_records
from maker.load import journaled_task
from maker.plan import Plan, Segment
from maker.records import FLAGGED, SENSELESS, Wave, check_note, decode, senseless
from maker.result import jsonable
from maker.rounds import Abandoned, Escalation, RolledBack, round_of
from maker.task import Task

MOST_SEGMENTS = 2**20  # a forged number must not exhaust the memory


@dataclass(slots=True)
class Summary:
    """What a journal says of its run, counted from its records without running any code.

    `close` is what the run said when it last ended, {} when it is still going or was killed. `head` is the hash
    of the newest record, which covers all before it, as 32 hex digits. steps, waves and fold are those of the
    verdicts that count; samples and flags are all. abandoned: what rollbacks left behind.
    """

    header: dict[str, Any] = field(default_factory=dict)
    k: int | None = None
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
        }  # fmt: skip


def summarise(journal: str | Path) -> Summary:
    """Return what a journal says. Raises JournalError for a file that is missing, damaged or foreign."""
    try:
        return _summary(journal, Abandoned())
    except RolledBack:
        return _summary(journal, Abandoned.of(read_records(journal)))


def _summary(journal: str | Path, abandoned: Abandoned) -> Summary:
    """Return what a journal says. Raises RolledBack for a rollback that is not among those known beforehand."""
    summary = Summary(abandoned=abandoned)
    open_waves: Counter[tuple[int, int]] = Counter()  # by step and round
    try:
        for head, record in read_chain(journal):
            summary.head, summary.records = head.hex(), summary.records + 1
            item = decode(record)
            if isinstance(item, Wave):
                summary.close = {}
                _count(summary, item, open_waves)
            else:
                check_note(item, journal)
                _note(summary, item)
                _escalated(summary, item)
                if "epoch" in item:
                    open_waves.clear()
    except SENSELESS as error:
        raise senseless(journal, f"record {summary.records - 1}", error) from error
    if not summary.header:
        raise JournalError(f"{journal}: holds no run yet.")
    return summary


def _escalated(summary: Summary, note: dict[str, Any]) -> None:
    if "escalation" in note:
        found = Escalation.of(note)
        if found.change.back and not summary.abandoned.knows(found):
            raise RolledBack
        summary.escalations[found.rung] += 1


def _count(summary: Summary, wave: Wave, open_waves: Counter[tuple[int, int]]) -> None:
    summary.samples += len(wave)
    lost = wave.draws[0::4].count(FLAGGED)
    if lost:
        summary.flagged += lost
        summary.flags.update(facts["flag"] for facts in wave.extras.values() if "flag" in facts)
    if summary.abandoned and wave in summary.abandoned:
        return
    place = (wave.step, round_of(wave.first))
    open_waves[place] += len(wave) > 0
    if wave.verdict is not None:
        summary.steps += 1
        summary.waves[open_waves.pop(place)] += 1
        try:
            summary.fold.add(wave.step, wave.verdict[1], wave.verdict[2])
        except InternalError as error:
            raise JournalError(f"the journal contradicts itself: {error}") from None


def _note(summary: Summary, note: dict[str, Any]) -> None:
    header = note.get("header") or note.get("epoch", {}).get("header")
    if header is not None:
        summary.header = header
        if summary.header["k"] != "auto":
            summary.k = summary.header["k"]
    elif "calibration" in note:
        summary.calibration = note["calibration"]
        summary.k = note["calibration"]["k"]
        summary.samples += note["calibration"]["draws"]
        summary.flagged += note["calibration"]["draws"] - note["calibration"]["valid"]
        summary.flags.update(note["calibration"]["flags"])
    elif "close" in note:
        summary.close = note["close"]


@dataclass(slots=True)
class Audit:
    """What `verify` found. `problem` is None when every check held; `checked` lists the checks made.

    complete: all steps are decided. solved: complete, every check held and the goal is reached.
    """

    summary: Summary
    solved: bool
    complete: bool
    wrong: int | None
    answer: Any
    checked: list[str]
    problem: str | None

    @property
    def exit_code(self) -> int:
        """0 solved, 1 finished without the goal, 3 not finished, 6 a check failed."""
        if self.problem is not None:
            return 6
        return 0 if self.solved else 1 if self.complete else 3

    def as_json(self) -> dict[str, Any]:
        """Return the object that `maker verify --json` prints."""
        return {
            **self.summary.as_json(), "solved": self.solved, "wrong": self.wrong, "answer": jsonable(self.answer),
            "complete": self.complete, "checked": self.checked, "problem": self.problem,
        }  # fmt: skip


class _Failed(Exception):
    """A check that does not hold."""


def verify(
    journal: str | Path,
    task: Task | None = None,
    progress: Callable[[int, int], None] | None = None,
    expect: str | None = None,
) -> Audit:
    """Re-check a journal from the file alone.

    task: needed when the journal's task is not a built-in one, since no code named by a journal is
    ever loaded. progress: called now and then with the steps checked and those there are. expect: a `head`
    that this journal once had; it still has it, or more, unless it is an older copy or was rewritten.
    Returns an Audit. Raises JournalError for a file that cannot be read, TaskError for a missing task.
    """
    summary = summarise(journal)
    if task is None and "roles" in summary.header:  # a solve, whose tree is grown again
        from maker.solve_audit import recheck  # noqa: PLC0415 -- it stands on this module

        return recheck(journal, expect).audit
    try:
        checker = _Checker(
            summary, task or journaled_task(summary.header, "the journal's task is {!r}, which"), progress
        )
    except SENSELESS as error:
        raise senseless(journal, "the header", error) from error
    problem = None
    complete, reached, answer = False, False, None
    expected = expect is None
    try:
        for head, record in read_chain(journal):
            expected = expected or head.hex() == expect
            item = decode(record)
            if isinstance(item, Wave):
                checker.take(item)
            else:
                checker.note(item)  # in the summary it made sense
        if not expected:
            raise _Failed(f"its record chain never had the hash {expect}: an older copy, or it was rewritten")
        checker.checked += ["expected hash"] if expect else []
        checker.joins()
        complete, last = checker.end()
        if complete:
            checker.sequence()
            reached = checker.task.done(last)
            if reached:
                answer = checker.task.answer(last)
    except _Failed as failed:
        problem = str(failed)
    finally:
        checker.close()
    solved = problem is None and complete and reached
    return Audit(summary, solved, complete, checker.wrong, answer, checker.checked, problem)


class _Checker:
    """Checks one record after another; each step with code that the engine does not share."""

    def __init__(self, summary: Summary, task: Task, progress: Callable[[int, int], None] | None) -> None:
        self.task = task
        self.k: int | None = None
        self._abandoned = summary.abandoned
        self.header = summary.header
        self._total = summary.steps
        self.wrong = 0 if hasattr(task, "truth") else None
        self.checked = ["record chain", "verdicts follow from ballots", "transitions legal", "states and hashes"]
        self._progress = progress
        self._plan = self._make_plan()
        self._starts = [segment.start for segment in self._plan.segments]
        self._at: dict[int, tuple[int, Any]] = {}  # by segment: next step and its state
        self._open: dict[int, _Race] = {}
        self._steps = 0
        self._winners = sqlite3.connect("")  # winning texts by step, on disk: a million do not fit in memory
        self._winners.execute("CREATE TABLE winners (step INTEGER PRIMARY KEY, text BLOB)")
        self._batch: list[tuple[int, bytes]] = []

    def close(self) -> None:
        self._winners.close()

    def _make_plan(self) -> Plan:
        count = self.header["segments"]
        if count > MOST_SEGMENTS:
            raise JournalError(f"the header claims {count} segments; more than {MOST_SEGMENTS} are not checked")
        if count == 1:
            return Plan.sequential(self.task.steps, self.task.initial_state)
        plan: Plan = self.task.plan(count)  # type: ignore[attr-defined]
        if len(plan.segments) != count:
            raise TaskError(
                f"the journal's plan has {count} segments; asked for so many the task gives {len(plan.segments)}"
            )
        return plan

    def note(self, note: dict[str, Any]) -> None:
        """Follow k; a new epoch begins the steps anew that are not decided."""
        if "epoch" in note:
            self._open.clear()
        header = note.get("header") or note.get("epoch", {}).get("header")
        if header is not None and header["k"] != "auto":
            self.k = header["k"]
        elif "calibration" in note:
            self.k = note["calibration"]["k"]

    def take(self, wave: Wave) -> None:
        """Check one wave; whatever the task's code raises at it is a finding."""
        try:
            self.wave(wave)
        except (_Failed, TaskError):
            raise
        except Exception as error:
            raise _Failed(f"step {wave.step}: {type(error).__name__}: {error}") from error

    def wave(self, wave: Wave) -> None:
        """Count a wave's ballots one at a time; check the verdict it claims. What was rolled back is passed over."""
        if self._abandoned and wave in self._abandoned:
            return
        race = self._open.get(wave.step)
        if race is None or race.round != round_of(wave.first):
            race = self._open[wave.step] = _Race(round_of(wave.first))
        race.texts += [raw if full else None for full, raw in wave.texts]
        for position, candidate in enumerate(wave.draws[0::4]):
            if race.margin() >= (self.k or 1):
                raise _Failed(f"step {wave.step}: samples were drawn after the vote was decided")
            race.drawn += 1
            if candidate != FLAGGED:
                race.votes[candidate] = race.votes.get(candidate, 0) + 1
                race.first.setdefault(candidate, wave.draws[4 * position + 1])
        if wave.verdict is None:
            return
        winner, hashed, state_digest = wave.verdict
        if race.margin() != self.k or race.votes.get(winner) != max(race.votes.values()):
            raise _Failed(f"step {wave.step}: the verdict does not follow from the votes {race.votes}")
        self._distinct(wave.step, race)
        del self._open[wave.step]
        self._step(wave.step, race.texts[race.first[winner]], hashed, state_digest)

    def _distinct(self, step: int, race: _Race) -> None:
        """Check that the candidates are different answers, as their votes were counted apart."""
        if len(race.votes) > 1:
            texts = [race.texts[number] for number in race.first.values()]
            keys = {canonical(self.task.parse((text or b"").decode("utf-8", "surrogatepass"))) for text in texts}
            if len(keys) != len(race.votes):
                raise _Failed(f"step {step}: two candidates are the same answer")

    def _step(self, step: int, text: bytes | None, hashed: bytes, state_digest: bytes) -> None:
        """Check one decided step: it is the next of its segment, legal, and leads where it says."""
        if text is None:
            raise _Failed(f"step {step}: the text of the winning answer is missing")
        number = bisect_right(self._starts, step) - 1
        due, state = self._at.get(number) or (self._starts[number], self._entry(step, self._plan.segments[number]))
        if step != due:
            raise _Failed(f"step {step} was decided where step {due} was due")
        answer = self.task.parse(text.decode("utf-8", "surrogatepass"))
        if not self.task.legal(state, answer):
            raise _Failed(f"step {step}: the winning answer is illegal: {answer!r}")
        after = self.task.apply(state, answer)
        if digest(canonical(after)) != state_digest or step_hash(step, canonical(answer), state_digest) != hashed:
            raise _Failed(f"step {step}: the recorded hashes are not those of the answer and its state")
        if self.wrong is not None:
            self.wrong += canonical(self.task.truth(state, step)) != canonical(answer)  # type: ignore[attr-defined]
        self._at[number] = (step + 1, after)
        self._steps += 1
        if hasattr(self.task, "check"):
            self._batch.append((step, text))
            if len(self._batch) == 4096:
                self._store()
        if self._progress and self._steps % 4096 == 0:
            self._progress(self._steps, self._total)

    def _store(self) -> None:
        self._winners.executemany("INSERT INTO winners VALUES (?, ?)", self._batch)
        self._batch = []

    def _entry(self, step: int, segment: Segment) -> Any:
        """Return the state in which a segment begins, joined from its predecessors where it is not known."""
        if segment.enter is not None:
            return segment.entry
        late = next((before for before in segment.predecessors if not self._finished(before)), None)
        if late is not None:
            raise _Failed(f"step {step} was decided before segment {late} was finished, which it follows from")
        return segment.joined([self._at[before][1] for before in segment.predecessors])

    def _finished(self, number: int) -> bool:
        return number in self._at and self._at[number][0] == self._plan.segments[number].stop

    def joins(self) -> None:
        """Check that what finished segments end in joins the known state in which a segment begins."""
        edges = 0
        for segment in self._plan.segments:
            before = segment.predecessors
            edges += len(before)
            if segment.enter is None or not before or not all(map(self._finished, before)):
                continue
            try:
                holds = canonical(segment.joined([self._at[n][1] for n in before])) == canonical(segment.entry)
            except (TypeError, ValueError) as error:
                raise _Failed(
                    f"step {segment.start}: a state at the join of segment {segment.index}: {error}"
                ) from error
            if not holds:
                raise _Failed(f"step {segment.start}: segment {before[-1]} does not join segment {segment.index}")
        self.checked.append(f"{edges} joins")

    def end(self) -> tuple[bool, Any]:
        """Say whether every step is decided, and the last state."""
        last = self._plan.segments[-1]
        at = self._at.get(last.index)
        if at is None:
            return False, None
        finished = all(segment.stop is None or self._finished(segment.index) for segment in self._plan.segments)
        if last.stop is None:
            finished = finished and self.task.done(at[1])
        self.checked.append("goal")
        return finished, at[1]

    def sequence(self) -> None:
        """Run the task's independent checker over the winning answers in step order."""
        if not hasattr(self.task, "check"):
            return
        self._store()
        try:
            complaint = self.task.check(self._actions())
        except Exception as error:
            raise _Failed(f"independent checker raised {type(error).__name__}: {error}") from error
        if complaint is not None and self.wrong in (0, None):
            raise _Failed(f"independent checker: {complaint}")
        self.checked.append("independent checker" + ("" if complaint is None else f" (says: {complaint})"))

    def _actions(self) -> Iterator[Any]:
        with closing(self._winners.execute("SELECT text FROM winners ORDER BY step")) as rows:
            for (text,) in rows:
                yield self.task.parse(text.decode("utf-8", "surrogatepass"))


@dataclass(slots=True)
class _Race:
    """The recount of one round of a step."""

    round: int
    votes: dict[int, int] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)  # each candidate's first text
    texts: list[bytes | None] = field(default_factory=list)
    drawn: int = 0

    def margin(self) -> int:
        counts = sorted(self.votes.values(), reverse=True)
        return 0 if not counts else counts[0] - (counts[1] if len(counts) > 1 else 0)
