"""Next state: what a verdict changes, and what is counted of it.

`Front` holds the segments on their way (`Lane`), folds the decisions into the run's `chain`, and checks the joins.
A live step and one that is replayed from a journal advance through the same methods. `Score` compares decided steps
with the truth: asked after the vote and never before, so that nothing of it reaches a flag or a ballot.

Not covered: sampling and voting (`decision/poll.py`, `sending/dispatcher.py`), and the journal (`course.py`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from maker.decision.ending import Stop
from maker.decision.poll import Poll, Winner
from maker.errors import TaskError
from maker.journal.chain import Fold
from maker.journal.escalated import Change
from maker.task.canonical import DIGEST_SIZE, canonical, digest
from maker.task.plan import Plan, Segment
from maker.task.task import Task, guarded


@dataclass(slots=True)
class Lane:
    """One segment on its way: the next step's index and state, and the poll that decides it.

    branch: how often steps of it were rolled back. look: the look ahead that is due before the vote goes on.
    """

    segment: Segment
    index: int
    state: Any
    poll: Poll | None = None
    branch: int = 0
    look: Change | None = None


class Front:
    """How far a run has come: its lanes, its decided steps, the fold over them.

    A segment whose entry state is known is given out by `next_lane`, in step order; the others wait until their
    predecessors are finished. Exit states are kept until every successor has joined them.

    steps: decided. score: what is counted of them. last_state: the exit of the last segment, once finished. apart: the
    first steps of stretches that can be replayed each by itself.
    """

    def __init__(self, task: Task, plan: Plan) -> None:
        self.task = task
        self.plan = plan
        self.fold = Fold()
        self.steps = 0
        self.score = Score.of(task)
        self.last_state: Any = None
        self._starts = [segment.start for segment in plan.segments]
        known = all(segment.enter is not None for segment in plan.segments)
        self.apart: Sequence[int] = array("Q", self._starts) if known else (0,)
        self._lanes: dict[int, Lane] = {}  # begun and not finished, by segment
        self._finished: set[int] = set()
        self._ready = [segment.index for segment in plan.segments if segment.enter is not None]  # a heap, not given out
        self._given = 0  # segments that `next_lane` is through with
        self._missing = [len(segment.predecessors) for segment in plan.segments]  # predecessors on their way
        self._exits: dict[int, Any] = {}  # of finished segments with successors that still wait
        self._wanted = [len(after) for after in plan.successors]  # successors that have not joined an exit

    def finished(self, lane: Lane) -> bool:
        """Say whether a lane's segment is finished."""
        return lane.segment.index in self._finished

    @property
    def waiting(self) -> bool:
        """Some segment was not given out yet; if `next_lane` has none, it waits for one that is on its way."""
        return self._given < len(self.plan.segments)

    def begun(self) -> Iterable[Lane]:
        """Return the lanes that have begun and are not finished."""
        return self._lanes.values()

    def open_lanes(self) -> list[Lane]:
        """Return the lanes that `next_lane` has still to give, as far as their ends are known, in step order."""
        segments = [self.plan.segments[index] for index in sorted(self._ready)]
        lanes = [self._lane(segment) for segment in segments if segment.stop is not None]
        return [lane for lane in lanes if lane is not None]

    def next_lane(self) -> Lane | None:
        """Return the next segment to advance: one begun before a restart, or a new one; None when none is ready."""
        while self._ready:
            lane = self._lane(self.plan.segments[heappop(self._ready)])
            self._given += 1
            if lane is not None:
                return lane
        return None

    def lane_of(self, step: int) -> Lane | None:
        """Return the lane whose next step this is, or None if the step is not due."""
        lane = self.lane_in(step)
        return lane if lane is not None and lane.index == step else None

    def lane_in(self, step: int) -> Lane | None:
        """Return the lane of a step's segment, whichever step is its next; None if it is finished."""
        return self._lane(self.plan.segments[bisect_right(self._starts, step) - 1])

    def advance(self, lane: Lane, poll: Poll, state: Any, winner: Winner) -> None:
        """Move a lane to its next step, or finish its segment. Raises Stop for a join that does not hold."""
        number, hashed, state_digest = winner
        self.score.count(self.task, poll, number)
        self._move(lane, 1, hashed, state, state_digest)

    def catch_up(self, lane: Lane, score: Score, hashes: bytes, state: Any, state_digest: bytes) -> None:
        """Move a lane by steps that were decided elsewhere. Raises Stop for a join that does not hold.

        hashes: of these steps, one after another. state, state_digest: after the last of them.
        """
        self.score.add(score)
        self._move(lane, len(hashes) // DIGEST_SIZE, hashes, state, state_digest)

    def _move(self, lane: Lane, steps: int, hashes: bytes, state: Any, state_digest: bytes) -> None:
        self.fold.add(lane.index, hashes, state_digest)
        self.steps += steps
        lane.index += steps
        lane.state = state
        lane.poll = None
        stop = lane.segment.stop
        if lane.index == stop or (stop is None and self.done(state, lane.index)):
            self._finish(lane)

    def begin_anew(self) -> None:
        """Drop the ballots of all steps that are not decided."""
        for lane in self._lanes.values():
            lane.poll = lane.look = None

    def state(self) -> Any:
        """Return the state after the unbroken sequence of decided steps, if it is at hand."""
        if len(self._finished) == len(self.plan.segments):
            return self.last_state
        step = self.fold.steps
        number = bisect_right(self._starts, step) - 1
        lane = self._lanes.get(number)
        reached = [lane.state] if lane is not None and lane.index == step else []
        if number - 1 in self._exits:  # the next segment may begin with a state of its own
            reached.append(self._exits[number - 1])
        known = self.fold.state_digest
        return next((state for state in reached if not step or digest(canonical(state)) == known), None)

    def done(self, state: Any, step: int) -> bool:
        """Ask the task whether the goal is reached."""
        return bool(guarded(self.task.done, step, "done", state))

    def _lane(self, segment: Segment) -> Lane | None:
        """Return the lane of a segment, begun if it was not; None if it is finished or its entry is not known yet."""
        index = segment.index
        if index not in self._lanes and index not in self._finished and segment.enter is not None:
            self._begin(segment, segment.entry)
        return self._lanes.get(index)

    def _begin(self, segment: Segment, state: Any) -> None:
        lane = self._lanes[segment.index] = Lane(segment, segment.start, state)
        if segment.stop is None and self.done(state, segment.start):
            self._finish(lane)

    def _finish(self, lane: Lane) -> None:
        """Close a segment; begin or check the segments of which it was the last predecessor to end."""
        index = lane.segment.index
        self._finished.add(index)
        self._lanes.pop(index, None)
        if index + 1 == len(self.plan.segments):
            self.last_state = lane.state
            return
        self._exits[index] = lane.state
        for following in self.plan.successors[index]:
            self._missing[following] -= 1
            if not self._missing[following]:
                self._join(self.plan.segments[following])

    def _join(self, segment: Segment) -> None:
        """Begin a segment with what its predecessors' exits make, or compare that with its known entry."""
        before = segment.predecessors
        state = segment.joined([self._exits[index] for index in before])
        for index in before:
            self._wanted[index] -= 1
            if not self._wanted[index]:
                del self._exits[index]
        form = _canonical_form(state, segment, "join")
        if segment.enter is None:
            heappush(self._ready, segment.index)
            self._begin(segment, state)
        elif _canonical_form(segment.entry, segment, "enter") != form:
            named = ", ".join(map(str, before[:5])) + (", ..." if len(before) > 5 else "")
            raise Stop("join_mismatch", f"step {segment.start}: what segment {named} ended in does not join segment "
                       f"{segment.index}, which began with another state: a wrong step won. The run cannot be mended; "
                       "run it again with a larger k or another seed, in another journal.", 1)  # fmt: skip


def _canonical_form(state: Any, segment: Segment, method: str) -> bytes:
    try:
        return canonical(state)
    except (TypeError, ValueError) as error:
        where = f"step {segment.start}: {method} of segment {segment.index}"
        raise TaskError(f"{where} returned a state that cannot be digested: {error}") from None


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
