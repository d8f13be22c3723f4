"""The decomposition: segments that tile the steps, joined in a DAG, unfolding lazily."""

import itertools

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.errors import TaskError
from maker.task.plan import DEFAULT_SEGMENTS, Plan, Segment, Walk

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


# -- branches --------------------------------------------------------------------------------------------


def seg(index, start, stop, after=None, join=sum, enter=None):
    """Return a segment; one without predecessors knows its entry and has nothing to join."""
    root = after == () or (after is None and index == 0)
    return Segment(index, start, stop, enter or ((lambda step: step) if root else None), after, None if root else join)


DIAMOND = (seg(0, 0, 2), seg(1, 2, 5, (0,)), seg(2, 5, 6, (0,)), seg(3, 6, 9, (1, 2)))


def test_the_graph_shows_branches_and_joins():
    """Edges lead from predecessors to successors, whether named or the segment before."""
    assert list(Plan(DIAMOND).graph.edges) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert Plan(DIAMOND).successors == ((1, 2), (3,), (3,), ())
    assert Plan([seg(0, 0, 1), seg(1, 1, 2, ()), seg(2, 2, None, (1, 0))]).successors == ((2,), (2,), ())
    assert DIAMOND[3].joined([4, 5]) == 9
    assert seg(1, 1, 2, (0,), None).joined([7]) == 7


@pytest.mark.parametrize(
    ("segments", "match"),
    [
        ([], "at least one segment"),
        ([seg(0, 0, 2), seg(2, 2, 4)], "segment 2 stands at place 1"),
        ([seg(0, 1, 2)], "begins at step 1, not 0"),
        ([seg(0, 0, 0)], "segment 0 has no steps"),
        ([seg(0, 0, 2), seg(1, 3, 4)], "gap between segments 0 and 1: step 2 is due and 3 is next"),
        ([seg(0, 0, 2), seg(1, 1, 4)], "overlap between segments 0 and 1: step 2 is due and 1 is next"),
        ([seg(0, 0, None), seg(1, 2, 4)], "segment 0 has no stop"),
        ([seg(0, 0, 2), seg(1, 2, 4, (0, 7))], "segment 1 comes after 7, and there is no such segment"),
        ([seg(0, 0, 2), seg(1, 2, 4, (-1,))], "comes after -1"),
        ([seg(0, 0, 2), seg(1, 2, 4, ("0",))], "comes after '0'"),
        ([seg(0, 0, 2), seg(1, 2, 4, (True,))], "comes after True"),
        ([seg(0, 0, 2), seg(1, 2, 4, (0, 0))], "segment 1 names a predecessor twice"),
        ([seg(0, 0, 1), seg(1, 1, 2, (2,)), seg(2, 2, 3, (1,)), seg(3, 3, 4, (2,))], "cyclic: segments 1 -> 2 -> 1 "),
        ([seg(0, 0, 1), seg(1, 1, 2, (1,))], "cyclic: segments 1 -> 1 "),
        ([seg(0, 0, 1), seg(1, 1, 2, (2,)), seg(2, 2, 3, (0,))], "segment 1 comes after segment 2, whose steps have"),
        ([Segment(0, 0, 2)], "segment 0 has no predecessors and no `enter`"),
        ([Segment(0, 0, 2, lambda step: step, (), sum)], "segment 0 has a `join` and nothing to join"),
        ([seg(0, 0, 1), seg(1, 1, 2, ()), seg(2, 2, 3, (0, 1), None)], "segment 2 has 2 predecessors and no `join`"),
        ([seg(0, 0, 1), seg(1, 1, 2, ()), seg(2, 2, 3, (0,))], "no segment comes after segment 1"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(segments, match):
    """Gaps, overlaps, cycles, unknown or late predecessors, loose ends: a TaskError says which and where."""
    with pytest.raises(TaskError, match=match):
        Plan(segments)


@exactly
@given(st.integers(1, 12), st.data())
def test_a_cycle_is_named_as_it_is(count, data):
    """Whatever the edges, a plan is made exactly where networkx too finds a DAG in step order, with one sink."""
    named = st.lists(st.integers(0, count - 1), unique=True, max_size=3).map(tuple)
    edges = [data.draw(named) for _ in range(count)]
    segments = [seg(i, i, i + 1, after) for i, after in enumerate(edges)]
    graph = nx.DiGraph([(before, i) for i, after in enumerate(edges) for before in after])
    graph.add_nodes_from(range(count))
    sinks = [i for i in graph if not graph.out_degree(i)]
    in_order = all(before < i for before, i in graph.edges)
    if in_order and sinks == [count - 1]:
        assert nx.utils.graphs_equal(nx.DiGraph(Plan(segments).graph.edges), nx.DiGraph(graph.edges))
    else:
        with pytest.raises(TaskError) as refused:
            Plan(segments)
        assert ("cyclic" in str(refused.value)) == (not nx.is_directed_acyclic_graph(graph))


def test_what_a_join_raises_names_the_step():
    """A join or an entry that raises is a TaskError with the step; an entry nobody knows cannot be asked for."""
    broken = Segment(1, 4, 6, lambda step: 1 // 0, (0,), lambda exits: exits[5])
    with pytest.raises(TaskError, match="step 4: join raised IndexError"):
        broken.joined([1])
    with pytest.raises(TaskError, match="step 4: entry state raised ZeroDivisionError"):
        _ = broken.entry
    with pytest.raises(TaskError, match="segment 1: its entry state is known only when"):
        _ = DIAMOND[1].entry


def test_a_walk_takes_the_steps_in_order_and_joins_them():
    """A walk goes through branches one after another, and begins each with what its predecessors ended in."""
    walk, seen = Walk(Plan(DIAMOND)), []
    for step in range(9):
        assert walk.index == step
        seen.append(walk.state)
        walk.take(walk.state + 10**step)
    assert seen == [0, 1, 11, 111, 1111, 11, 111122, 1111122, 11111122]
    assert (walk.index, walk.state) == (9, 111111122)


def test_a_walk_shows_the_joins_and_not_the_known_entries():
    """Where an entry is known and predecessors exist, the walk follows the join."""
    walk = Walk(Plan([seg(0, 0, 1), seg(1, 1, None, (0,), enter=lambda step: 99)]))
    walk.take(5)
    assert walk.state == 5
    walk.take(6)
    assert (walk.index, walk.state) == (2, 6)
