"""Where a solve went wrong, by code: five classes of failure, for experiments.

    malformed                 a reply that cannot be read or is not possible; a part or a composition that says nothing
    not independent           a part refers to the other part or to its answer
    wrong composition         right answers of the parts, composed as told, do not answer the problem
    atomic miscalculation     a problem without parts has a wrong answer
    composed miscalculation   the answer is not what the composition makes of the parts' answers

What follows from a wrong part alone is inherited and not a failure of its own. An `Arbiter` knows
the truth; it is asked after the fact and never by flags or votes. `Arithmetic` is one.

Not covered: judges (their reply is malformed or none of these), and splits that are right but useless.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any, Literal, Protocol

from maker.engine.solve.roles import DECOMPOSER, ROLES, SOLVER, legal, read
from maker.engine.solve.tree import Tree

Failure = Literal[
    "malformed", "not independent", "wrong composition", "atomic miscalculation", "composed miscalculation"
]

_REFERENCE = re.compile(
    r"\b(p[12]|answer ?[12]|(the |that )?(first|second|other|previous|above) (part|problem|subproblem|answer|result)"
    r"|(answer|result) (of|to|from) (the )?(p[12]|first|second|other|previous|above)|answer above|result above)\b",
    re.IGNORECASE,
)
_EXPRESSION = re.compile(r"[(\d-][\d\s()+*×-]*")
_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
}  # fmt: skip
_LONGEST = 4000  # characters of an expression; the numbers of longer ones may be too long to print


class Arbiter(Protocol):
    """Who knows the truth about problems of one kind."""

    def truth(self, problem: str) -> str | None:
        """Return the right answer, or None for a text that is no problem of this kind."""
        ...

    def compose(self, rule: str, answer1: str, answer2: str) -> str | None:
        """Return what a composition makes of two answers, or None if it cannot be followed."""
        ...


class Arithmetic:
    """The truth about sums, differences and products of whole numbers, exact at any size.

    A problem is read as the longest expression in its text, a composition likewise, with answer1 and
    answer2 in it.
    """

    def truth(self, problem: str) -> str | None:
        """Return the value of the expression in a problem."""
        found = max(_EXPRESSION.findall(problem), key=len, default="")
        return _value(found)

    def compose(self, rule: str, answer1: str, answer2: str) -> str | None:
        """Return the value of a composition; its answers must be whole numbers."""
        for name, answer in (("answer1", answer1), ("answer2", answer2)):
            if not re.fullmatch(r"-?\d+", answer):
                return None
            rule = rule.replace(name, f"({answer})")
        return self.truth(rule)


def classify(state: dict[str, Any], text: str, arbiter: Arbiter) -> Failure | None:
    """Return the failure of one reply to a role, None for a good one.

    state: what the role was shown (`Decision.state`, or a request's `state`).
    """
    role = ROLES.index(state["role"])
    try:
        reply = read(role, text)
    except (ValueError, RecursionError):
        return "malformed"
    if not legal(state, reply):
        return "malformed"
    if role == DECOMPOSER:
        return None if reply["split"] is None else _of_split(state["problem"], reply["split"], arbiter)
    return _of_answer(state, reply["answer"], arbiter) if role == SOLVER else None


def failures(tree: Tree, arbiter: Arbiter) -> dict[int, list[Failure]]:
    """Return what failed in a tree of decided problems, by problem number; only problems with failures."""
    found: dict[int, list[Failure]] = {}
    for node in tree.nodes():
        state: dict[str, Any] = {"problem": node.problem}
        here: list[Failure | None] = []
        if node.split is not None:
            parts = [tree.node(2 * node.number), tree.node(2 * node.number + 1)]
            state |= {"compose": node.split["compose"], "answer1": parts[0].answer, "answer2": parts[1].answer}
            here.append(_of_split(node.problem, node.split, arbiter))
        if node.answer is not None:
            here.append(_of_answer(state, node.answer, arbiter))
        if any(here):
            found[node.number] = [failure for failure in here if failure is not None]
    return found


def _of_split(problem: str, split: dict[str, str], arbiter: Arbiter) -> Failure | None:
    if any(_REFERENCE.search(split[part]) for part in ("p1", "p2")):
        return "not independent"
    answer1, answer2 = arbiter.truth(split["p1"]), arbiter.truth(split["p2"])
    if answer1 is None or answer2 is None:
        return "malformed"
    composed = arbiter.compose(split["compose"], answer1, answer2)
    if composed is None:
        return "malformed"
    return None if composed == arbiter.truth(problem) else "wrong composition"


def _of_answer(state: dict[str, Any], answer: str, arbiter: Arbiter) -> Failure | None:
    """Judge an answer; where nothing right can be said, the failure is the one that made the problem."""
    if "compose" not in state:
        due = arbiter.truth(state["problem"])
        return None if due in (None, answer) else "atomic miscalculation"
    due = arbiter.compose(state["compose"], state["answer1"], state["answer2"])
    return None if due in (None, answer) else "composed miscalculation"


def _value(expression: str) -> str | None:
    """Return the exact value of an expression of whole numbers, None for anything else."""
    if len(expression) > _LONGEST:
        return None
    try:
        return str(_evaluated(ast.parse(expression.replace("×", "*").strip(), mode="eval").body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evaluated(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluated(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_evaluated(node.left), _evaluated(node.right))
    raise ValueError("not a sum, difference or product of whole numbers")
