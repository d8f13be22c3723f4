"""Decomposition: a DAG of segments whose steps unfold lazily.

A `Segment` is a run of consecutive steps with a known entry state. A `Plan` joins segments in a
networkx DAG: an edge says that the one's exit state is the other's entry state, and the run checks
it. Only segments are nodes (a million-node chain costs 763 MB); their steps unfold one by one.

Segments are knowledge given by the decomposer. One segment, the strictly sequential chain, always
works and needs none.

Not covered: whether the entry states are right. A wrong one shows as a join that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maker.errors import TaskError
from maker.task import Task, guarded

if TYPE_CHECKING:
    import networkx

DEFAULT_SEGMENTS = 1024


@dataclass(slots=True, frozen=True)
class Segment:
    """Steps `start` to `stop` - 1 of the run (`stop` None: until the task is done)."""

    index: int
    start: int
    stop: int | None
    enter: Callable[[int], Any]

    @property
    def entry(self) -> Any:
        """The state before the segment's first step, computed when asked."""
        return self.enter(self.start)


class Plan:
    """Segments in order of their steps, and the DAG that joins them.

    `enter` gives the state before any step, None where the plan knows only its first.
    """

    def __init__(self, segments: Sequence[Segment], enter: Callable[[int], Any] | None = None) -> None:
        self.segments = tuple(segments)
        self.enter = enter

    @classmethod
    def chain(cls, steps: int, enter: Callable[[int], Any], segments: int = DEFAULT_SEGMENTS) -> Plan:
        """Cut `steps` steps into at most `segments` segments of nearly equal length.

        steps: total number of steps. enter: gives the state before any step, by its index.
        Raises TaskError for fewer than one step or segment.
        """
        if steps < 1 or segments < 1:
            raise TaskError(f"a plan needs at least one step and one segment, not {steps} and {segments}")
        count = min(steps, segments)
        cuts = [steps * i // count for i in range(count + 1)]
        return cls([Segment(i, cuts[i], cuts[i + 1], enter) for i in range(count)], enter)

    @classmethod
    def sequential(cls, steps: int | None, initial_state: Callable[[], Any]) -> Plan:
        """Return the plan of one segment, which needs no knowledge of the path."""
        return cls([Segment(0, 0, steps, lambda _: initial_state())])

    @property
    def steps(self) -> int | None:
        """Steps of the whole plan, None when only the task can tell."""
        return self.segments[-1].stop

    @property
    def graph(self) -> networkx.DiGraph:
        """The plan as a networkx DAG, made when asked: nodes are segment indices, edges are joins."""
        import networkx as nx  # noqa: PLC0415 -- `import maker` stays light

        graph = nx.DiGraph()
        for segment in self.segments:
            graph.add_node(segment.index, segment=segment)
        nx.add_path(graph, range(len(self.segments)))
        return graph


def plan_of(task: Task, segments: int | None) -> Plan:
    """Return the task's plan in the number of segments asked for, or the sequential one.

    segments: None means 1,024 where the task has a plan, else 1. Raises TaskError where they do not fit.
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
    return plan
