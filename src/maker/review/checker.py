"""Every step of a run counted again, one ballot at a time, with code of its own.

Checked are: that each verdict follows from its recorded ballots; that each winning answer is legal and leads to the
recorded state; that segments join; that the last state is the goal; and, where the task has one, its independent
checker on the whole sequence. An `Audit` says what was found.

Not covered: the record chain (`journal/database.py`), and the tree of a solve (`solve.py`).
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from maker.decision.address import round_of
from maker.decision.wave import FLAGGED, Wave, step_hash
from maker.errors import JournalError, TaskError
from maker.journal.notes import Calibration, Epoch, Note
from maker.journal.records import SENSELESS, senseless
from maker.journal.story import Story, Summary
from maker.task.canonical import canonical, digest, jsonable
from maker.task.load import journaled_task
from maker.task.plan import Plan, Segment
from maker.task.task import Task

MOST_SEGMENTS = 2**20  # a forged number must not exhaust the memory


@dataclass(slots=True)
class Audit:
    """What `verify` found. `problem` is None when every check held; `checked` lists the checks made.

    complete: all steps are decided. solved: complete, every check held, the goal is reached, and no step is known to
    be wrong.
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


class Failed(Exception):
    """A check that does not hold."""


def check(story: Story, task: Task | None, progress: Callable[[int, int], None] | None, expect: str | None) -> Audit:
    """Re-check the journal of a run; the arguments are those of `verify`, and so is what it raises."""
    summary = story.summary()
    try:
        checker = Checker(
            summary, task or journaled_task(summary.header, "the journal's task is {!r}, which"), progress
        )
    except SENSELESS as error:
        raise senseless(story.path, "the header", error) from error
    problem = None
    complete, reached, answer = False, False, None
    try:
        for item in expected(story, expect):
            checker.take(item)
        checker.checked += ["expected hash"] if expect else []
        checker.joins()
        complete, last = checker.end()
        if complete:
            checker.sequence()
            reached = checker.task.done(last)
            if reached:
                answer = checker.task.answer(last)
    except Failed as failed:
        problem = str(failed)
    finally:
        checker.close()
    solved = problem is None and reached and not checker.wrong
    return Audit(summary, solved, complete, checker.wrong, answer, checker.checked, problem)


def expected(story: Story, expect: str | None) -> Iterator[Wave | Note]:
    """Yield what a journal holds. Raises Failed at its end if `expect` was the hash of none of its records."""
    found = expect is None
    for head, item in story.events():
        found = found or head.hex() == expect
        yield item
    if not found:
        raise Failed(f"its record chain never had the hash {expect}: an older copy, or it was rewritten")


@contextmanager
def findings(step: int) -> Iterator[None]:
    """Make whatever the block raises a finding about a step; a TaskError goes on as it is."""
    try:
        yield
    except (Failed, TaskError):
        raise
    except Exception as error:
        raise Failed(f"step {step}: {type(error).__name__}: {error}") from error


@dataclass(slots=True)
class Race:
    """The recount of one round of a decision, one ballot at a time.

    name: what is decided, for messages. first: what each candidate said first, entered by whoever counts.
    """

    name: str
    k: int | None
    round: int = 0
    votes: Counter[int] = field(default_factory=Counter)
    first: dict[int, Any] = field(default_factory=dict)
    texts: list[bytes | None] = field(default_factory=list)

    def ballots(self, wave: Wave) -> Iterator[tuple[int, bytes | None]]:
        """Count a wave; yield for each draw the candidate, or FLAGGED, and the text of a vote where it is stored."""
        self.texts += [raw if full else None for full, raw in wave.texts]
        for candidate, number in zip(wave.draws[0::4], wave.draws[1::4], strict=True):
            if self.margin() >= (self.k or 1):
                raise Failed(f"{self.name}: samples were drawn after the vote was decided")
            if candidate != FLAGGED:
                self.votes[candidate] += 1
            yield candidate, None if candidate == FLAGGED else self.texts[number]

    def margin(self) -> int:
        """Return the votes of the leader minus those of the runner-up."""
        first, second = ([*sorted(self.votes.values(), reverse=True), 0, 0])[:2]
        return first - second

    def won_by(self, winner: int) -> bool:
        """Say whether a candidate leads by exactly k."""
        return self.margin() == self.k and self.votes[winner] == max(self.votes.values())


class Checker:
    """Checks one record after another; each step with code that the engine does not share."""

    def __init__(self, summary: Summary, task: Task, progress: Callable[[int, int], None] | None) -> None:
        self.task = task
        self.k: int | None = None
        self._summary = summary
        self.wrong = 0 if hasattr(task, "truth") else None
        self.checked = ["record chain", "verdicts follow from ballots", "transitions legal", "states and hashes"]
        self._progress = progress
        self._plan = self._make_plan()
        self._starts = [segment.start for segment in self._plan.segments]
        self._at: dict[int, tuple[int, Any]] = {}  # by segment: next step and its state
        self._open: dict[int, Race] = {}
        self._steps = 0
        self._winners = sqlite3.connect("")  # winning texts by step, on disk: a million do not fit in memory
        self._winners.execute("CREATE TABLE winners (step INTEGER PRIMARY KEY, text BLOB)")

    def close(self) -> None:
        """Drop what was kept on the disk."""
        self._winners.close()

    def _make_plan(self) -> Plan:
        count = self._summary.header["segments"]
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

    def take(self, item: Wave | Note) -> None:
        """Check one wave; follow k."""
        match item:
            case Epoch():
                self._open.clear()  # steps that are not decided begin anew
                self.k = self.k if item.k is None else item.k
            case Calibration():
                self.k = item.k
            case Wave():
                with findings(item.step):
                    self.wave(item)

    def wave(self, wave: Wave) -> None:
        """Count a wave's ballots one at a time; check the verdict it claims. What was rolled back is passed over."""
        if self._summary.abandoned and wave in self._summary.abandoned:
            return
        race = self._open.get(wave.step)
        if race is None or race.round != round_of(wave.first):
            race = self._open[wave.step] = Race(f"step {wave.step}", self.k, round_of(wave.first))
        for candidate, text in race.ballots(wave):
            if candidate != FLAGGED:
                race.first.setdefault(candidate, text)
        if wave.verdict is None:
            return
        winner, hashed, state_digest = wave.verdict
        if not race.won_by(winner):
            raise Failed(f"{race.name}: the verdict does not follow from the votes {dict(race.votes)}")
        self._distinct(wave.step, race)
        del self._open[wave.step]
        self._step(wave.step, race.first[winner], hashed, state_digest)

    def _distinct(self, step: int, race: Race) -> None:
        """Check that the candidates are different answers, as their votes were counted apart."""
        if len(race.votes) > 1:
            keys = {canonical(self._read(text or b"")) for text in race.first.values()}
            if len(keys) != len(race.votes):
                raise Failed(f"step {step}: two candidates are the same answer")

    def _step(self, step: int, text: bytes | None, hashed: bytes, state_digest: bytes) -> None:
        """Check one decided step: it is the next of its segment, legal, and leads where it says."""
        if text is None:
            raise Failed(f"step {step}: the text of the winning answer is missing")
        number = bisect_right(self._starts, step) - 1
        due, state = self._at.get(number) or (self._starts[number], self._entry(step, self._plan.segments[number]))
        if step != due:
            raise Failed(f"step {step} was decided where step {due} was due")
        answer = self._read(text)
        if not self.task.legal(state, answer):
            raise Failed(f"step {step}: the winning answer is illegal: {answer!r}")
        after = self.task.apply(state, answer)
        if digest(canonical(after)) != state_digest or step_hash(step, canonical(answer), state_digest) != hashed:
            raise Failed(f"step {step}: the recorded hashes are not those of the answer and its state")
        if self.wrong is not None:
            self.wrong += canonical(self.task.truth(state, step)) != canonical(answer)  # type: ignore[attr-defined]
        self._at[number] = (step + 1, after)
        self._steps += 1
        if hasattr(self.task, "check"):
            self._winners.execute("INSERT INTO winners VALUES (?, ?)", (step, text))
        if self._progress and self._steps % 4096 == 0:
            self._progress(self._steps, self._summary.steps)

    def _read(self, text: bytes) -> Any:
        return self.task.parse(text.decode("utf-8", "surrogatepass"))

    def _entry(self, step: int, segment: Segment) -> Any:
        """Return the state in which a segment begins, joined from its predecessors where it is not known."""
        if segment.enter is not None:
            return segment.entry
        late = next((before for before in segment.predecessors if not self._finished(before)), None)
        if late is not None:
            raise Failed(f"step {step} was decided before segment {late} was finished, which it follows from")
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
                raise Failed(
                    f"step {segment.start}: a state at the join of segment {segment.index}: {error}"
                ) from error
            if not holds:
                raise Failed(f"step {segment.start}: segment {before[-1]} does not join segment {segment.index}")
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
        try:
            texts = self._winners.execute("SELECT text FROM winners ORDER BY step")
            complaint = self.task.check(self._read(text) for (text,) in texts)
        except Exception as error:
            raise Failed(f"independent checker raised {type(error).__name__}: {error}") from error
        if complaint is not None and self.wrong in (0, None):
            raise Failed(f"independent checker: {complaint}")
        self.checked.append("independent checker" + ("" if complaint is None else f" (says: {complaint})"))
