"""The decomposition: segments that tile the steps, joined in a DAG, unfolding lazily."""

import itertools

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.errors import TaskError
from maker.plan import DEFAULT_SEGMENTS, Plan

exactly = settings(derandomize=True, max_examples=100, deadline=None)


@exactly
@given(st.integers(1, 2**64), st.integers(1, 300))
def test_segments_tile_the_steps(steps, segments):
    """Segments follow one another without gap from 0 to the last step, none is empty, lengths differ by at most 1."""
    plan = Plan.chain(steps, lambda step: step, segments)
    cuts = [segment.start for segment in plan.segments] + [plan.segments[-1].stop]
    lengths = [after - before for before, after in itertools.pairwise(cuts)]
    assert [segment.stop for segment in plan.segments] == cuts[1:]
    assert (cuts[0], cuts[-1], plan.steps) == (0, steps, steps)
    assert len(plan.segments) == min(steps, segments)
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1
    assert [segment.index for segment in plan.segments] == list(range(len(plan.segments)))


@pytest.mark.parametrize("segments", [1, 2, 7, DEFAULT_SEGMENTS])
def test_the_graph_is_a_chain_of_segments(segments):
    """The networkx graph is a DAG: one node a segment, one edge a join, in order of the steps."""
    plan = Plan.chain(5000, lambda step: step, segments)
    graph = plan.graph
    assert nx.is_directed_acyclic_graph(graph)
    assert list(graph.edges) == [(i, i + 1) for i in range(segments - 1)]
    assert [graph.nodes[i]["segment"] for i in range(segments)] == list(plan.segments)


def test_entry_states_are_computed_when_asked():
    """Making a plan of a million steps computes no state; asking a segment computes its own alone."""
    asked = []
    plan = Plan.chain(2**20 - 1, lambda step: asked.append(step) or f"state {step}")
    assert asked == []
    assert plan.segments[3].entry == f"state {plan.segments[3].start}"
    assert asked == [plan.segments[3].start]
    assert len(plan.segments) == DEFAULT_SEGMENTS


@pytest.mark.parametrize("steps", [1, 100, None])
def test_the_sequential_plan_needs_no_knowledge(steps):
    """One segment from the initial state to the end, whose place may be unknown, always works."""
    plan = Plan.sequential(steps, lambda: ["start"])
    (segment,) = plan.segments
    assert (segment.start, segment.stop, segment.entry, plan.steps) == (0, steps, ["start"], steps)
    assert plan.enter is None
    assert list(plan.graph.nodes) == [0]
    assert not plan.graph.edges


@pytest.mark.parametrize(("steps", "segments"), [(0, 1), (-1, 1), (1, 0), (5, -2)])
def test_a_plan_of_nothing_is_refused(steps, segments):
    """Fewer than one step or one segment is a TaskError that gives both numbers."""
    with pytest.raises(TaskError, match=f"{steps} and {segments}"):
        Plan.chain(steps, lambda step: step, segments)


def test_a_segment_cannot_be_changed():
    """Segments are frozen: a plan is knowledge, not working state."""
    with pytest.raises(AttributeError):
        Plan.chain(3, lambda step: step, 2).segments[0].stop = 9
