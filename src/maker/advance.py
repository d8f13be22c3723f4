"""Next state: what a verdict changes.

`Front` holds the segments on their way (`Lane`), applies winning answers through the task's own code,
folds the decisions into the run's `chain`, and checks the joins. A live step and one that is replayed
from a journal advance through the same methods.

Not covered: sampling and voting (`poll.py`, `settle.py`), and the journal (`run.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from maker.canonical import canonical, digest
from maker.errors import TaskError
from maker.fold import Fold, step_hash
from maker.plan import Plan, Segment
from maker.poll import Poll
from maker.score import Score
from maker.stop import Stop
from maker.task import Task, guarded

if TYPE_CHECKING:
    from maker.stretch import Stretch

Winner = tuple[int, bytes, bytes]  # candidate number, step hash, state digest


@dataclass(slots=True)
class Lane:
    """One segment on its way: the next step's index and state, and the poll that decides it.

    branch: how often steps of it were rolled back.
    """

    segment: Segment
    index: int
    state: Any
    poll: Poll | None = None
    branch: int = 0


def decide(poll: Poll) -> tuple[Any, Winner]:
    """Return a decided poll's next state and verdict. Raises Stop for a winner that the rules do not allow."""
    number = poll.winner
    reading = poll.readings[number]
    key = reading.key
    assert key is not None, "a winner has a vote key"
    if not poll.step.allows(reading):
        raise Stop("illegal", f"step {poll.step.index}: the answer that won is against the rules and no flag caught "
                   f"it: {reading.answer!r}. Use the default flags.", 1)  # fmt: skip
    state = poll.step.after(reading)
    try:
        state_digest = digest(canonical(state))
    except (TypeError, ValueError) as error:
        raise TaskError(f"step {poll.step.index}: apply returned a state that cannot be digested: {error}") from None
    return state, (number, step_hash(poll.step.index, key, state_digest), state_digest)


class Front:
    """How far a run has come: its lanes, its decided steps, the fold over them.

    A segment whose entry state is known is given out by `next_lane`, in step order; the others wait until their
    predecessors are finished. Exit states are kept until every successor has joined them.

    steps: decided. score: what is counted of them. last_state: the exit of the last segment, once finished.
    """

    def __init__(self, task: Task, plan: Plan) -> None:
        self.task = task
        self.plan = plan
        self.fold = Fold()
        self.steps = 0
        self.score = Score.of(task)
        self.last_state: Any = None
        self._starts = [segment.start for segment in plan.segments]
        self._lanes: dict[int, Lane] = {}  # begun and not finished, by segment
        self._finished: set[int] = set()
        self._ready = [segment.index for segment in plan.segments if segment.enter is not None]  # a heap, not given out
        self._given = 0  # segments that `next_lane` is through with
        self._missing = [len(segment.predecessors) for segment in plan.segments]  # predecessors on their way
        self._exits: dict[int, Any] = {}  # of finished segments with successors that still wait
        self._wanted = [len(after) for after in plan.successors]  # successors that have not joined an exit

    @property
    def complete(self) -> bool:
        """Every segment is finished."""
        return len(self._finished) == len(self.plan.segments)

    def finished(self, lane: Lane) -> bool:
        """Say whether a lane's segment is finished."""
        return lane.segment.index in self._finished

    @property
    def waiting(self) -> bool:
        """Some segment was not given out yet; if `next_lane` has none, it waits for one that is on its way."""
        return self._given < len(self.plan.segments)

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
            if lane is not None and not self.finished(lane):
                return lane
        return None

    def lane_of(self, step: int) -> Lane | None:
        """Return the lane whose next step this is, or None if the step is not due."""
        lane = self._lane(self.plan.segments[bisect_right(self._starts, step) - 1])
        return lane if lane is not None and lane.index == step and not self.finished(lane) else None

    def lane_in(self, step: int) -> Lane | None:
        """Return the lane of a step's segment, whichever step is its next; None if it is finished."""
        return self._lane(self.plan.segments[bisect_right(self._starts, step) - 1])

    def advance(self, lane: Lane, poll: Poll, state: Any, winner: Winner) -> None:
        """Move a lane to its next step, or finish its segment. Raises Stop for a join that does not hold."""
        number, hashed, state_digest = winner
        self.score.count(self.task, poll, number)
        self._move(lane, 1, hashed, state, state_digest)

    def catch_up(self, lane: Lane, stretch: Stretch, state: Any) -> None:
        """Move a lane by steps that were decided elsewhere. Raises Stop for a join that does not hold.

        state: that after the last of them.
        """
        self.score.add(stretch.score)
        self._move(lane, stretch.steps, stretch.hashes, state, stretch.state_digest)

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
            lane.poll = None

    def state(self) -> Any:
        """Return the state after the unbroken sequence of decided steps, if it is at hand."""
        if self.complete:
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
        lane = self._lanes.get(segment.index)
        if lane is None and segment.enter is not None and segment.index not in self._finished:
            lane = self._begin(segment, segment.entry)
        return lane

    def _begin(self, segment: Segment, state: Any) -> Lane:
        lane = self._lanes[segment.index] = Lane(segment, segment.start, state)
        if segment.stop is None and self.done(state, segment.start):
            self._finish(lane)
        return lane

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
