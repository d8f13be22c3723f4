"""Every step of a run counted again, with code of its own: one ballot at a time, but where all are for one answer.

Checked are: that the waves of a step follow from each other and are in the round that the notes begin; that each vote
whose text is stored says what its candidate says; that each verdict follows from its recorded ballots; that each
winning answer is legal and leads to the recorded state; that segments join; that the last state is the goal, as the
closing note claims; and, where the task has one, its independent checker on the whole sequence. An `Audit` says what
was found.

Not covered: the record chain (`journal/database.py`), the tree of a solve (`solve.py`), whether a flag was right
(`rejudge.py`), and what a run paid: notes of what was sent are not recounted.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from maker.decision.address import round_of
from maker.decision.wave import FLAGGED, Wave, step_hash
from maker.errors import JournalError, TaskError
from maker.journal.bulk.plain import Run
from maker.journal.escalated import Ahead, Escalation
from maker.journal.notes import Epoch, Note
from maker.journal.records import SENSELESS, senseless
from maker.journal.story import Story, Summary
from maker.review.checking.ahead import recount_ahead
from maker.review.checking.recount import Failed, Race, Said, findings, unanimous
from maker.review.checking.runs import take_run
from maker.review.checking.settings import Settings
from maker.review.checking.winners import Winners
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


def check(
    story: Story, task: Task | None, progress: Callable[[int, int], None] | None, expect: str | None, *,
    reads: bool = True,
) -> Audit:  # fmt: skip
    """Re-check the journal of a run; the arguments are those of `verify`, and so is what it raises.

    reads: the task can read replies; else texts alone are compared, and step hashes taken as they are.
    """
    summary = story.summary()
    try:
        task = task or journaled_task(summary.header, "the journal's task is {!r}, which")
        checker = Checker(summary, task, progress, reads=reads)
    except SENSELESS as error:
        raise senseless(story.path, "the header", error) from error
    problem = None
    complete, reached, answer = False, False, None
    try:
        for item in story.in_turn(checker.apart):
            checker.take(item)
        expected(story, expect)
        checker.checked += ["expected hash"] if expect else []
        checker.joins()
        complete, last = checker.end()
        if complete:
            checker.sequence()
            reached = checker.task.done(last)
            if reached:
                answer = checker.task.answer(last)
        checker.close_note(reached, answer)
    except Failed as failed:
        problem = str(failed)
    finally:
        checker.close()
    solved = problem is None and reached and not checker.wrong
    return Audit(summary, solved, complete, checker.wrong, answer, checker.checked, problem)


def expected(story: Story, expect: str | None) -> None:
    """Raise Failed if `expect` was the hash of none of a journal's records."""
    if expect is not None and not story.had(expect):
        raise Failed(f"its record chain never had the hash {expect}: an older copy, or it was rewritten")


class Checker:
    """Checks one record after another; each step with code that the engine does not share."""

    def __init__(
        self, summary: Summary, task: Task, progress: Callable[[int, int], None] | None, *, reads: bool = True
    ) -> None:
        """Begin before the first record; the arguments are those of `check`."""
        self.task = task
        self.reads = reads
        self.summary = summary
        self.wrong = 0 if hasattr(task, "truth") else None
        self.checked = ["record chain", "verdicts follow from ballots", "transitions legal", "states and hashes"]
        self.progress = progress
        self.plan = self._make_plan()
        if (claimed := summary.header["steps"]) != task.steps:
            raise JournalError(f"the header claims {claimed} steps, but its task has {task.steps}")
        starts = [segment.start for segment in self.plan.segments]
        self.settings = Settings(starts)
        known = all(segment.enter is not None for segment in self.plan.segments)
        self.apart: Sequence[int] = array("Q", starts) if known else (0,)
        self.at: dict[int, tuple[int, Any]] = {}  # by segment: next step and its state
        self.open: dict[tuple[int, int], Race] = {}  # by step and round, those that were rolled back too
        self.steps = 0
        self.winners = Winners()

    def close(self) -> None:
        """Drop what was kept on the disk."""
        self.winners.close()

    def _make_plan(self) -> Plan:
        count = self.summary.header["segments"]
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

    def take(self, item: Run | Wave | Note) -> None:
        """Check a wave, or several, or follow a note."""
        if isinstance(item, Run):
            take_run(self, item)
            return
        if isinstance(item, Wave):
            with findings(item.step):
                self.wave(item)
            return
        if isinstance(item, Escalation) and not item.change.goes_on:
            self.open.pop((item.step, self.settings.round(item.step)), None)
        self.settings.take(item)
        if isinstance(item, Ahead):
            with findings(item.step):
                self._ahead(item)
        elif isinstance(item, Epoch):
            self.open.clear()  # steps that are not decided begin anew
        elif isinstance(item, Escalation) and item.change.back:
            due = self.at.get(self.settings.segment_of(item.step), (0, None))[0]
            if due > item.steps.start:
                raise Failed(f"step {item.step}: steps that still count were rolled back")

    def _ahead(self, note: Ahead) -> None:
        """Follow a look ahead, and take the votes of the answers that fell. Of one that was rolled back, nothing."""
        if self.summary.abandoned.covers(note.step, note.round):
            return
        change, race = self.settings.look(note), self.open.get((note.step, note.round))
        if race is None or not race.votes.total():
            raise Failed(f"step {note.step} was looked ahead at before it was voted on")
        recount_ahead(note, change, race, self.task, self.due(note.step)[1])
        race.bar(note.fallen)

    def wave(self, wave: Wave) -> None:
        """Count a wave's ballots one at a time; check the verdict it claims. What was rolled back is only counted."""
        k, table, weights = self.settings.k, self.settings.table, self.settings.weights
        if k is None:
            raise Failed(f"step {wave.step} was drawn before k was known")
        place = wave.step, round_of(wave.first)
        race = self.open.get(place)
        plain = race is None and table is None and not weights and unanimous(wave, k)
        if plain and wave not in self.summary.abandoned:
            self._in_round(wave)
            self._step(*self.due(wave.step), wave, self._said(wave.texts[0][1]))
            return
        if race is None:
            widens, most = (table.widens, table.most) if table else ((), None)
            race = self.open[place] = Race(f"step {wave.step}", k, place[1], widens, most, weights)
        if self.summary.abandoned and wave in self.summary.abandoned:
            for _ in race.ballots(wave):
                pass
            if wave.verdict is not None:
                del self.open[place]
            return
        self._in_round(wave)
        number, state = self.due(wave.step)
        for candidate, text in race.ballots(wave):
            if candidate != FLAGGED and race.texts[text] is not None:
                self._vote(race, candidate, text)
        if wave.verdict is None:
            return
        winner = wave.verdict[0]
        if not race.won_by(winner):
            raise Failed(f"{race.name}: the verdict does not follow from the votes {dict(race.votes)}")
        del self.open[place]
        self._step(number, state, wave, race.first[winner])

    def _in_round(self, wave: Wave) -> None:
        if (number := round_of(wave.first)) != self.settings.round(wave.step):
            raise Failed(f"step {wave.step} was drawn in round {number}, which no note begins")

    def due(self, step: int) -> tuple[int, Any]:
        """Return the segment of a step, and the state before it. Raises Failed unless the step is its next."""
        number = self.settings.segment_of(step)
        segment = self.plan.segments[number]
        due, state = self.at.get(number) or (segment.start, self._entry(step, segment))
        if step != due:
            raise Failed(f"step {step} was voted on where step {due} was due")
        if step == segment.stop or (segment.stop is None and self.task.done(state)):
            raise Failed(f"step {step} was voted on after the end of segment {number}")
        return number, state

    def _vote(self, race: Race, candidate: int, number: int) -> None:
        """Check that the text of a vote says what its candidate said first, and no other candidate did."""
        said = race.said.get(number)
        if said is not None and race.first.get(candidate) is said:
            return  # the same text once more
        if said is None:
            said = race.said[number] = self._said(race.texts[number] or b"")
        same = [known for known, first in race.first.items() if first.key == said.key]
        if candidate not in race.first:
            if same:
                raise Failed(f"{race.name}: two candidates are the same answer")
            race.first[candidate] = said
        elif same != [candidate] and (same or self.reads):
            raise Failed(f"{race.name}: a vote for candidate {candidate} says something else")

    def _said(self, text: bytes) -> Said:
        answer = self._read(text)
        return Said(text, answer, canonical(answer) if self.reads else text)

    def _step(self, number: int, state: Any, wave: Wave, won: Said) -> None:
        """Check a decided step: the winning answer is legal, and leads where the wave says."""
        assert wave.verdict is not None, "only a decided step has a winner"
        step, (_, hashed, digested) = wave.step, wave.verdict
        if not self.task.legal(state, won.answer):
            raise Failed(f"step {step}: the winning answer is illegal: {won.answer!r}")
        after = self.task.apply(state, won.answer)
        if digest(canonical(after)) != digested or (self.reads and step_hash(step, won.key, digested) != hashed):
            raise Failed(f"step {step}: the recorded hashes are not those of the answer and its state")
        if self.wrong is not None:
            truth = self.task.truth(state, step)  # type: ignore[attr-defined]
            self.wrong += won.answer != truth and won.key != canonical(truth)
        self.at[number] = (step + 1, after)
        if hasattr(self.task, "check"):
            self.winners.add(step, won.text)
        self.decided(1)

    def decided(self, steps: int) -> None:
        """Count steps, and say so now and then."""
        before, self.steps = self.steps, self.steps + steps
        if self.progress and self.steps // 4096 > before // 4096:
            self.progress(self.steps, self.summary.steps)

    def _read(self, text: bytes) -> Any:
        return self.task.parse(text.decode("utf-8", "surrogatepass"))

    def _entry(self, step: int, segment: Segment) -> Any:
        """Return the state in which a segment begins, joined from its predecessors where it is not known."""
        if segment.enter is not None:
            return segment.entry
        late = next((before for before in segment.predecessors if not self._finished(before)), None)
        if late is not None:
            raise Failed(f"step {step} was decided before segment {late} was finished, which it follows from")
        return segment.joined([self.at[before][1] for before in segment.predecessors])

    def _finished(self, number: int) -> bool:
        return number in self.at and self.at[number][0] == self.plan.segments[number].stop

    def joins(self) -> None:
        """Check that what finished segments end in joins the known state in which a segment begins."""
        edges = 0
        for segment in self.plan.segments:
            before = segment.predecessors
            edges += len(before)
            if segment.enter is None or not before or not all(map(self._finished, before)):
                continue
            try:
                holds = canonical(segment.joined([self.at[n][1] for n in before])) == canonical(segment.entry)
            except (TypeError, ValueError) as why:
                raise Failed(f"step {segment.start}: a state at the join of segment {segment.index}: {why}") from why
            if not holds:
                raise Failed(f"step {segment.start}: segment {before[-1]} does not join segment {segment.index}")
        self.checked.append(f"{edges} joins")

    def end(self) -> tuple[bool, Any]:
        """Say whether every step is decided, and the last state."""
        last = self.plan.segments[-1]
        at = self.at.get(last.index)
        if at is None and last.stop is None and last.enter is not None:
            at = (last.start, last.entry)  # done before the first step, perhaps
        if at is None:
            return False, None
        finished = all(segment.stop is None or self._finished(segment.index) for segment in self.plan.segments)
        if last.stop is None:
            finished = finished and self.task.done(at[1])
        self.checked.append("goal")
        return finished, at[1]

    def close_note(self, reached: bool, answer: Any) -> None:
        """Check that a run which says it ended well did, with the answer and the wrong steps that it says."""
        close, said = self.summary.close, jsonable(answer)
        if not close.get("solved"):
            return
        told = isinstance(answer, int | str) or not isinstance(said, str)  # else its text may differ from call to call
        same = not told or json.dumps(said) == json.dumps(close["answer"])
        if not reached or not same or (self.wrong is not None and close["wrong"] not in (None, self.wrong)):
            raise Failed("the closing note says solved, with an answer or a number of wrong steps that does not follow")

    def sequence(self) -> None:
        """Run the task's independent checker over the winning answers in step order."""
        if not hasattr(self.task, "check"):
            return
        try:
            complaint = self.task.check(map(self._read, self.winners.in_order()))
        except Exception as error:
            raise Failed(f"independent checker raised {type(error).__name__}: {error}") from error
        if complaint is not None and self.wrong in (0, None):
            raise Failed(f"independent checker: {complaint}")
        self.checked.append("independent checker" + ("" if complaint is None else f" (says: {complaint})"))
