"""Decomposition: a DAG of segments whose steps unfold lazily.

A segment can begin when its entry state is known: at once where `enter` gives it beforehand, else when its
predecessors are finished and `join` makes it of their exits. Where both are there, the run compares them, and a
mismatch ends it.

The order of the steps is a topological order of the DAG: predecessors have smaller numbers. The last
segment is the one sink; its exit is the last state of the run. Only segments are nodes (a million-node
chain costs 763 MB); their steps unfold one by one.

Known entry states are knowledge given by the decomposer. One segment, the strictly sequential chain,
needs none.

Not covered: whether entry states and joins are right. A wrong entry state shows as a join that does not
hold; a wrong join of an entry that nobody knew shows only in the last state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from maker.errors import TaskError
from maker.task.task import Task, guarded

if TYPE_CHECKING:
    import networkx


DEFAULT_SEGMENTS = 1024


@dataclass(slots=True, frozen=True)
class Segment:
    """Steps `start` to `stop` - 1 of the run (`stop` None, in the last segment only: until the task is done).

    enter: gives the state before step `start`, None where it is not known beforehand. after: the indices of
    the predecessors, None for the segment before (the chain). join: makes the entry state of the
    predecessors' exit states, which it gets in the order of `after`; with one predecessor None means its exit as it is.
    """

    index: int
    start: int
    stop: int | None
    enter: Callable[[int], Any] | None = None
    after: tuple[int, ...] | None = None
    join: Callable[[Sequence[Any]], Any] | None = None

    @property
    def predecessors(self) -> tuple[int, ...]:
        """The segments whose exits make this one's entry."""
        if self.after is not None:
            return self.after
        return (self.index - 1,) if self.index else ()

    @property
    def entry(self) -> Any:
        """The state before the first step, computed when asked. Raises TaskError where `enter` does or is None."""
        if self.enter is None:
            raise TaskError(f"segment {self.index}: its entry state is known only when its predecessors are finished")
        return guarded(self.enter, self.start, "entry state", self.start)

    def joined(self, exits: Sequence[Any]) -> Any:
        """Return the entry state that the predecessors' exits make. Raises TaskError when `join` raises."""
        return exits[0] if self.join is None else guarded(self.join, self.start, "join", exits)


class Plan:
    """Segments in order of their steps, and the DAG that joins them.

    `enter` gives the state before any step, None where the plan does not know it. `independent`: no segment needs
    another's result, so the run goes on round one that does not decide. `successors` are, by
    segment, those that it is a predecessor of. Raises TaskError for segments that do not tile the steps,
    unknown predecessors, a cycle, predecessors that come later, an entry state that nothing gives, and
    segments that do not lead to the last one.
    """

    def __init__(
        self, segments: Sequence[Segment], enter: Callable[[int], Any] | None = None, *, independent: bool = False
    ) -> None:
        self.segments = tuple(segments)
        self.enter = enter
        self.independent = independent
        _check_tiling(self.segments)
        _check_edges(self.segments)
        following: list[list[int]] = [[] for _ in self.segments]
        for segment in self.segments:
            for before in segment.predecessors:
                following[before].append(segment.index)
        self.successors = tuple(tuple(after) for after in following)
        loose = next((index for index, after in enumerate(self.successors[:-1]) if not after), None)
        if loose is not None:
            raise TaskError(
                f"plan: no segment comes after segment {loose}, so its exit state would be lost. "
                "Name it in the `after` of another; only the last segment has no successor."
            )

    @classmethod
    def chain(
        cls, steps: int, enter: Callable[[int], Any], segments: int = DEFAULT_SEGMENTS, *, independent: bool = False
    ) -> Plan:
        """Cut `steps` steps into at most `segments` segments of nearly equal length.

        steps: total number of steps. enter: gives the state before any step, by its index.
        Raises TaskError for fewer than one step or segment.
        """
        if steps < 1 or segments < 1:
            raise TaskError(f"a plan needs at least one step and one segment, not {steps} and {segments}")
        count = min(steps, segments)
        cuts = [steps * i // count for i in range(count + 1)]
        return cls([Segment(i, cuts[i], cuts[i + 1], enter) for i in range(count)], enter, independent=independent)

    @classmethod
    def sequential(cls, steps: int | None, initial_state: Callable[[], Any]) -> Plan:
        """Return the plan of one segment, which needs no knowledge of the path."""
        return cls([Segment(0, 0, steps, lambda _: initial_state())])

    @property
    def steps(self) -> int | None:
        """Steps of the whole plan, None when only the task can tell."""
        return self.segments[-1].stop

    def state_at(self, step: int) -> Any:
        """Return the state before any step, where the plan knows it. Raises TaskError where `enter` does or is None."""
        if self.enter is None:
            raise TaskError(f"step {step}: the plan does not know the state before it")
        return guarded(self.enter, step, "entry state", step)

    @property
    def graph(self) -> networkx.DiGraph:
        """The plan as a networkx DAG, made when asked: nodes are segment indices, edges are joins."""
        import networkx as nx  # noqa: PLC0415 -- `import maker` stays light

        graph = nx.DiGraph()
        for segment in self.segments:
            graph.add_node(segment.index, segment=segment)
        graph.add_edges_from((index, other) for index, after in enumerate(self.successors) for other in after)
        return graph


class Walk:
    """A plan's steps in the order of their numbers, one at a time, as a single worker would take them.

    index, state: of the next step; at the end `plan.steps` and the last state. Entry states come from the
    joins wherever there are predecessors, so that the walk shows where a known one differs.
    """

    def __init__(self, plan: Plan) -> None:
        self._segments = iter(plan.segments)
        self._segment = next(self._segments)
        self._exits: dict[int, Any] = {}
        self.index = 0
        self.state = self._segment.entry

    def take(self, state: Any) -> None:
        """Go on to the next step; `state` is the one that the step at `index` led to."""
        self.index += 1
        self.state = state
        if self.index == self._segment.stop:
            self._exits[self._segment.index] = state
            self._segment = following = next(self._segments, self._segment)
            if following.start == self.index:
                exits = [self._exits[before] for before in following.predecessors]
                self.state = following.joined(exits) if exits else following.entry


def plan_of(task: Task, segments: int | None) -> Plan:
    """Return the task's plan in the number of segments asked for, or the sequential one.

    segments: None means 1,024 where the task has a plan, else 1. A plan of branches has as many as it has, and may not
    be asked for others. Raises TaskError where they do not fit.
    """
    make = getattr(task, "plan", None)
    steps = guarded(lambda: task.steps, None, "steps")
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise TaskError(f"steps = {steps!r}: give a whole number of 1 or more, or None")
    if segments is not None and segments < 1:
        raise TaskError(f"segments = {segments}: give 1 or more")
    if segments == 1 or make is None:
        if segments not in (None, 1):
            raise TaskError(f"segments = {segments}: this task has no plan(), only 1 segment is possible")
        return Plan.sequential(steps, task.initial_state)
    plan = guarded(make, None, "plan", segments or DEFAULT_SEGMENTS)
    if not isinstance(plan, Plan):
        raise TaskError(f"plan returned {type(plan).__name__}, not a maker.Plan")
    if plan.steps != steps:
        raise TaskError(f"the plan has {plan.steps} steps and the task {steps}: they must be the same")
    count, branching = len(plan.segments), any(segment.after is not None for segment in plan.segments)
    if segments is not None and (count > segments or (branching and count < segments)):
        raise TaskError(f"this plan has {count} branches whatever is asked; leave --segments out")
    return plan


def _check_tiling(segments: Sequence[Segment]) -> None:
    """Raise TaskError unless the segments are numbered in order and follow one another from step 0."""
    if not segments:
        raise TaskError("a plan needs at least one segment")
    for place, segment in enumerate(segments):
        if segment.index != place:
            raise TaskError(f"plan: segment {segment.index} stands at place {place}: number segments by their place")
        if segment.stop is not None and segment.stop <= segment.start:
            raise TaskError(f"plan: segment {place} has no steps: start {segment.start}, stop {segment.stop}")
    if segments[0].start != 0:
        raise TaskError(f"plan: the first segment begins at step {segments[0].start}, not 0")
    for before, segment in pairwise(segments):
        if before.stop is None:
            raise TaskError(f"plan: segment {before.index} has no stop; only the last segment may end by `done`")
        if segment.start != before.stop:
            what = "gap" if segment.start > before.stop else "overlap"
            raise TaskError(
                f"plan: {what} between segments {before.index} and {segment.index}: "
                f"step {before.stop} is due and {segment.start} is next"
            )


def _check_edges(segments: Sequence[Segment]) -> None:
    """Raise TaskError for edges that make no DAG in step order, and for entry states that nothing gives."""
    for segment in segments:
        for other in segment.predecessors:
            if isinstance(other, bool) or not isinstance(other, int) or not 0 <= other < len(segments):
                raise TaskError(f"plan: segment {segment.index} comes after {other!r}, and there is no such segment")
    for segment in segments:
        place, before = segment.index, segment.predecessors
        if len(set(before)) < len(before):
            raise TaskError(f"plan: segment {place} names a predecessor twice: {before}")
        if not before and segment.enter is None:
            raise TaskError(f"plan: segment {place} has no predecessors and no `enter`: its entry state is not known")
        if not before and segment.join is not None:
            raise TaskError(f"plan: segment {place} has a `join` and nothing to join")
        if len(before) > 1 and segment.join is None:
            raise TaskError(f"plan: segment {place} has {len(before)} predecessors and no `join`")
        if any(other >= place for other in before):
            try:
                TopologicalSorter({segment.index: segment.predecessors for segment in segments}).prepare()
            except CycleError as error:
                cycle = " -> ".join(map(str, error.args[1]))
                raise TaskError(f"plan: cyclic: segments {cycle} wait for one another") from None
            raise TaskError(
                f"plan: segment {place} comes after segment {max(before)}, whose steps have larger numbers. "
                "Number the steps so that predecessors come first."
            )
