"""The tree of problems that a solve grows, one decision after another.

Pure: which decisions are open follows from those that were made, whatever their order. A problem
is decomposed, its two parts are solved, and its answer is composed from theirs; an atomic one, and
one at the depth limit, is answered at once. The problems are the nodes of a networkx DAG, with an
edge from each part to the problem that waits for it; whatever waits for nothing is open.

Every decision begins with proposals. A `dispute` over them opens that of their judge, and where it refuses all of them
proposals begin again, one *round* on (`api/solve.py` says when).

Addresses: the first problem has number 1, the parts of problem n have 2n and 2n + 1; the step of a
decision is (n << 18) | (round << 2) | role, the same in every run of the same problem.

Not covered: asking and counting (`api/solve.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from maker.decision.wave import step_hash
from maker.engine.solve.roles import DECOMPOSER, DECOMPOSITION_JUDGE, ROLES, SOLVER, numbered
from maker.task.canonical import canonical, digest

if TYPE_CHECKING:
    import networkx


_NODE, _ROUND = 18, 2  # bits below them in a step


def address(number: int, nth: int, role: int) -> int:
    """Return the step of a decision: problem number, round from 0, role."""
    return number << _NODE | nth << _ROUND | role


@dataclass(slots=True)
class Node:
    """One problem: its number, its depth, and what is decided of it.

    decomposed: whether `split` is decided (None: atomic). answer: None until it is decided. refused:
    what judges refused, by the role that proposed it.
    """

    number: int
    problem: str
    depth: int
    decomposed: bool = False
    split: dict[str, str] | None = None
    answer: str | None = None
    refused: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the node alone, as plain values."""
        return {"number": self.number, "problem": self.problem, "decomposed": self.decomposed, "split": self.split,
                "answer": self.answer}  # fmt: skip


@dataclass(slots=True, frozen=True)
class Decision:
    """What is asked of one role about one problem, in one round of proposals.

    state: what the role sees, and all that flags see. candidates: what a judge chooses from.
    """

    number: int
    round: int
    role: int
    state: dict[str, Any]
    candidates: tuple[dict[str, Any], ...] = ()

    @property
    def step(self) -> int:
        """Where its draws belong."""
        return address(self.number, self.round, self.role)

    @property
    def proposes(self) -> bool:
        """Whether its candidates may go to a judge."""
        return self.role in (DECOMPOSER, SOLVER)

    def __str__(self) -> str:
        problem = self.state["problem"]
        shown = problem if len(problem) <= 60 else problem[:57] + "..."
        return f"{ROLES[self.role]} of problem {self.number} ({shown!r})"


@dataclass(slots=True)
class Tree:
    """All problems of a solve and the decisions that are open, by step.

    problem: the first one. depth: how often it may be split over and over; at that depth problems are
    answered at once.
    """

    problem: str
    depth: int
    graph: networkx.DiGraph = field(init=False, repr=False)
    open: dict[int, Decision] = field(init=False, default_factory=dict)
    hashes: dict[int, bytes] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        import networkx as nx  # noqa: PLC0415 -- `import maker` stays light

        self.graph = nx.DiGraph()
        self._grow(1, self.problem, 0)

    def node(self, number: int) -> Node:
        """Return a problem by its number."""
        node: Node = self.graph.nodes[number]["node"]
        return node

    def nodes(self) -> Iterator[Node]:
        """Yield the problems in order of their numbers."""
        return (self.node(number) for number in sorted(self.graph))

    @property
    def answer(self) -> str | None:
        """The answer of the first problem, None while it is open."""
        return self.node(1).answer

    @property
    def chain(self) -> str:
        """One hash over all decisions in order of their steps, as 32 hex digits."""
        return digest(b"".join(hashed for _, hashed in sorted(self.hashes.items()))).hex()

    @property
    def state_digest(self) -> bytes:
        """The digest of all problems as they stand."""
        return digest(canonical([node.as_json() for node in self.nodes()]))

    def as_json(self, number: int = 1) -> dict[str, Any]:
        """Return a problem with all its parts, nested, as plain values."""
        parts = [self.as_json(part) for part in sorted(self.graph.predecessors(number))]
        return {**self.node(number).as_json(), "parts": parts}

    def dispute(self, step: int, candidates: list[dict[str, Any]]) -> list[Decision]:
        """Close proposals of which none is k ahead: open the decision of their judge, and return it."""
        proposals = self.open.pop(step)
        state = {key: value for key, value in proposals.state.items() if key != "refused"}
        state |= {"role": ROLES[proposals.role + 1], "candidates": numbered(candidates)}
        return self._open(Decision(proposals.number, proposals.round, proposals.role + 1, state, tuple(candidates)))

    def decide(self, step: int, reply: dict[str, Any]) -> tuple[list[Decision], bytes]:
        """Take the winning reply of an open decision; return the decisions it opens and the node's digest."""
        decision = self.open.pop(step)
        chosen: dict[str, Any] | None = reply
        if not decision.proposes:
            chosen = decision.candidates[reply["choice"] - 1] if reply["choice"] else None
        node = self.node(decision.number)
        if chosen is None:
            opened = self._again(node, decision)
        elif decision.role in (DECOMPOSER, DECOMPOSITION_JUDGE):
            opened = self._decomposed(node, chosen["split"])
        else:
            opened = self._answered(node, chosen["answer"])
        state_digest = digest(canonical(node.as_json()))
        self.hashes[step] = step_hash(step, canonical(reply), state_digest)
        return opened, state_digest

    def _again(self, node: Node, judged: Decision) -> list[Decision]:
        """Begin a new round of proposals, in which what the judge refused is refused."""
        role = judged.role - 1
        refused = node.refused[role] = [*node.refused.get(role, []), *judged.candidates]
        state = {key: value for key, value in judged.state.items() if key != "candidates"}
        state |= {"role": ROLES[role], "refused": refused}
        return self._open(Decision(node.number, judged.round + 1, role, state))

    def _grow(self, number: int, problem: str, depth: int) -> list[Decision]:
        """Add a problem, and open its decomposition, or its answer where it may not be split."""
        node = Node(number, problem, depth, decomposed=depth >= self.depth)
        self.graph.add_node(number, node=node)
        if number > 1:
            self.graph.add_edge(number, number // 2)
        if node.decomposed:
            return self._solve(node)
        state = {"role": ROLES[DECOMPOSER], "problem": problem, "refused": []}
        return self._open(Decision(number, 0, DECOMPOSER, state))

    def _decomposed(self, node: Node, split: dict[str, str] | None) -> list[Decision]:
        node.decomposed, node.split = True, split
        if split is None:
            return self._solve(node)
        parts = enumerate((split["p1"], split["p2"]), 2 * node.number)
        return [decision for number, part in parts for decision in self._grow(number, part, node.depth + 1)]

    def _answered(self, node: Node, answer: str) -> list[Decision]:
        """Take a problem's answer, and open that of the problem that waits for it, if it waits for no other."""
        node.answer = answer
        waiting = (self.node(number) for number in self.graph.successors(node.number))
        return [decision for above in waiting for decision in self._solve(above)]

    def _solve(self, node: Node) -> list[Decision]:
        """Open the answer of a problem whose parts, if it has any, are all answered."""
        parts = [self.node(number) for number in sorted(self.graph.predecessors(node.number))]
        if any(part.answer is None for part in parts):
            return []
        state: dict[str, Any] = {"role": ROLES[SOLVER], "problem": node.problem}
        for which, part in enumerate(parts, 1):
            state |= {f"p{which}": part.problem, f"answer{which}": part.answer}
        if node.split is not None:
            state["compose"] = node.split["compose"]
        return self._open(Decision(node.number, 0, SOLVER, {**state, "refused": []}))

    def _open(self, decision: Decision) -> list[Decision]:
        self.open[decision.step] = decision
        return [decision]
