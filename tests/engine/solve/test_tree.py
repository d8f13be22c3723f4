"""The tree of problems: what is open follows from what was decided."""

from __future__ import annotations

import random
from typing import Any

import networkx as nx
import pytest

from maker.api.solve import MAX_DEPTH
from maker.engine.solve.roles import DECOMPOSER, DECOMPOSITION_JUDGE, SOLUTION_JUDGE, SOLVER
from maker.engine.solve.tree import Tree, address

ATOMIC = {"split": None}


def split(problem: str) -> dict[str, Any]:
    """Return the split of a text into halves."""
    half = len(problem) // 2
    return {"split": {"p1": problem[:half], "p2": problem[half:], "compose": "answer1 answer2"}}


def right(decision: Any) -> dict[str, Any]:
    """Return what a role says that spells texts backwards, part by part."""
    state = decision.state
    if decision.role == DECOMPOSER:
        return split(state["problem"]) if len(state["problem"]) > 1 else ATOMIC
    return {"answer": state["answer2"] + state["answer1"] if "compose" in state else state["problem"][::-1]}


def grown(problem: str, depth: int, seed: int) -> Tree:
    """Return a tree whose open decisions were made in a random order."""
    draw, tree = random.Random(seed), Tree(problem, depth)
    while tree.open:
        decision = draw.choice(sorted(tree.open.values(), key=lambda d: d.step))
        tree.decide(decision.step, right(decision))
    return tree


def test_the_order_of_decisions_does_not_matter():
    """Whatever branch is faster, tree, digest and chain are the same."""
    trees = [grown("abcdefg", 5, seed) for seed in range(20)]
    assert {tree.answer for tree in trees} == {"gfedcba"}
    assert len({(tree.chain, tree.state_digest, str(tree.as_json())) for tree in trees}) == 1


def test_parts_are_open_together_and_their_problem_only_after_both():
    """Both parts of a split are open at once; the composition opens when the later of them is answered."""
    tree = Tree("abcd", 1)
    opened, _ = tree.decide(address(1, 0, DECOMPOSER), split("abcd"))
    assert [(d.number, d.role) for d in opened] == [(2, SOLVER), (3, SOLVER)] and list(tree.open.values()) == opened
    assert tree.decide(opened[1].step, {"answer": "dc"})[0] == []
    (composed,) = tree.decide(opened[0].step, {"answer": "ba"})[0]
    assert composed.state == {
        "role": "solver", "problem": "abcd", "p1": "ab", "answer1": "ba", "p2": "cd", "answer2": "dc",
        "compose": "answer1 answer2", "refused": [],
    }  # fmt: skip


def test_the_graph_is_a_dag_of_problems():
    """Each problem waits for exactly its parts; the graph has no cycle and one end, the first problem."""
    tree = grown("abcdefgh", 5, 0)
    assert nx.is_directed_acyclic_graph(tree.graph)
    assert [n for n in tree.graph if tree.graph.out_degree(n) == 0] == [1]
    assert all(list(tree.graph.successors(n)) == [n // 2] for n in tree.graph if n > 1)
    assert [node.number for node in tree.nodes()] == list(range(1, 16))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_problems_at_the_depth_limit_are_answered_at_once(depth):
    """No problem deeper than the limit exists, and none at the limit is offered for decomposition."""
    tree = grown("abcdefgh", depth, 0)
    assert max(node.depth for node in tree.nodes()) == depth
    assert tree.answer == "hgfedcba"
    assert not any(step & 3 == DECOMPOSER and tree.node(step >> 18).depth == depth for step in tree.hashes)


def test_a_judge_chooses_among_the_proposals():
    """A dispute closes the proposals and opens their judge; its choice by number decides for the problem."""
    tree = Tree("ab", 5)
    (judge,) = tree.dispute(address(1, 0, DECOMPOSER), [ATOMIC, split("ab")])
    assert judge.step == address(1, 0, DECOMPOSITION_JUDGE) and "refused" not in judge.state
    assert [item["number"] for item in judge.state["candidates"]] == [1, 2]
    assert list(tree.open.values()) == [judge]
    opened, _ = tree.decide(judge.step, {"choice": 2})
    assert [decision.state["problem"] for decision in opened] == ["a", "b"]


def test_refused_proposals_stay_refused_in_later_rounds():
    """When the judge says none, a new round begins that shows and refuses all candidates refused so far."""
    tree = Tree("ab", 0)
    for nth in range(3):
        step = address(1, nth, SOLVER)
        assert [item["answer"] for item in tree.open[step].state["refused"]] == [str(i) for i in range(2 * nth)]
        tree.dispute(step, [{"answer": str(2 * nth)}, {"answer": str(2 * nth + 1)}])
        tree.decide(address(1, nth, SOLUTION_JUDGE), {"choice": 0})
    assert tree.answer is None and len(tree.hashes) == 3


def test_addresses_fit_a_record_and_are_never_shared():
    """The deepest problem in its last round fits 64 bits; no two decisions have one step."""
    assert address(2 ** (MAX_DEPTH + 1) - 1, 2**16 - 1, 3) < 2**64
    steps = {address(n, r, role) for n in range(1, 20) for r in range(20) for role in range(4)}
    assert len(steps) == 19 * 20 * 4


def test_different_decisions_have_different_chains():
    """One other answer anywhere changes the chain and the digest."""
    tree, other = grown("abcd", 5, 0), Tree("abcd", 5)
    while other.open:
        decision = next(iter(other.open.values()))
        reply = right(decision)
        other.decide(decision.step, {"answer": "x"} if decision.number == 4 and decision.role == SOLVER else reply)
    assert other.chain != tree.chain and other.state_digest != tree.state_digest
