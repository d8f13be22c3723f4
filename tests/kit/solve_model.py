"""A simulated model that plays the four roles of a solve on products, with faults of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from maker.decision.sample import Failure, Request, Sample
from solve_failures import Arithmetic

TRUTH = Arithmetic()


class NoisySolver:
    """Reads the last line of a prompt, and answers it rightly with probability 1 - error.

    A wrong reply is, half the time, the one wrong reply that this prompt always draws out: errors
    that repeat. ramble: the probability of a reply that is no JSON, a role's own if `roles` names it.
    A right decomposer has several right splits of longer factors, so that its proposals differ.
    """

    simulated = True
    name = "noisy solver"

    def __init__(
        self, error: float = 0.0, ramble: float = 0.0, *, roles: Sequence[str] = (), lockstep: bool = True
    ) -> None:
        self.error, self.ramble, self.rambling, self.lockstep = error, ramble, tuple(roles), lockstep
        self.requests: list[Request] = []

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Answer every request by its prompt and seed alone."""
        self.requests += requests
        return [self._sample(request.prompt, self.reply(request.prompt, request.seed)) for request in requests]

    def _sample(self, prompt: str, text: str) -> Sample:
        return Sample(text, tokens_in=len(prompt) // 4, tokens_out=len(text) // 4)

    def reply(self, prompt: str, seed: int) -> str:
        """Return the reply of one draw."""
        state = json.loads(prompt.splitlines()[-1])
        draw = random.Random(seed)
        if state["role"] in self.rambling or draw.random() < self.ramble:
            return "Let me think about this again. " * 3
        wrong = draw.random() < self.error
        if wrong and draw.random() < 0.5:
            draw = random.Random(json.dumps(state))  # the favourite mistake of this very prompt
        return json.dumps(ROLES[state["role"]](state, draw, wrong))


def decomposer(state: dict[str, Any], draw: random.Random, wrong: bool) -> dict[str, Any]:
    """Split the second factor into its higher and lower digits; what is no product is left as it is."""
    if " * " not in state["problem"] or TRUTH.truth(state["problem"]) is None or "p1" in state["problem"]:
        return {"split": None}
    x, y = (int(factor) for factor in state["problem"].split(" * "))
    digits = len(str(y))
    if digits == 1:
        return {"split": {"p1": f"{x} * 1", "p2": f"{x} * {y - 2}", "compose": "answer1 + answer2"} if wrong else None}
    scale = 10 ** draw.randrange(1, digits)
    split = {"p1": f"{x} * {y // scale}", "p2": f"{x} * {y % scale}", "compose": f"{scale} * answer1 + answer2"}
    if wrong:
        mistakes = [{"compose": f"{scale * 10} * answer1 + answer2"}, {"p2": "the result of p1, times 3"}, {"p2": "?"}]
        split |= draw.choice(mistakes)
    return {"split": split}


def right_split(problem: str, split: dict[str, str] | None) -> bool:
    """Say whether a split is right: it has parts that can be answered, and composes to the truth."""
    if split is None:
        return len(problem.split(" * ")[1]) == 1
    answers = [TRUTH.truth(split["p1"]), TRUTH.truth(split["p2"])]
    if None in answers or "p1" in split["p2"]:
        return False
    return TRUTH.compose(split["compose"], str(answers[0]), str(answers[1])) == TRUTH.truth(problem)


def solver(state: dict[str, Any], draw: random.Random, wrong: bool) -> dict[str, Any]:
    """Multiply, or compose; say "unknown" to what is neither."""
    value = due(state)
    if value == "None":
        return {"answer": "unknown"}
    return {"answer": str(int(value) + draw.choice([-10, -1, 1, 10]) if wrong else value)}


def due(state: dict[str, Any]) -> str:
    """Return what a solver should say."""
    if "compose" in state:
        return str(TRUTH.compose(state["compose"], state["answer1"], state["answer2"]))
    return str(TRUTH.truth(state["problem"]))


def judge(state: dict[str, Any], draw: random.Random, wrong: bool) -> dict[str, Any]:
    """Choose the right candidate that sorts first, or none."""
    numbers = {json.dumps(item["proposal"]): item["number"] for item in state["candidates"]}
    right = [text for text in sorted(numbers) if _right(state, json.loads(text))]
    best = numbers[right[0]] if right else 0
    others = [number for number in range(len(numbers) + 1) if number != best]
    return {"choice": draw.choice(others) if wrong else best}


def _right(state: dict[str, Any], proposal: dict[str, Any]) -> bool:
    if "split" in proposal:
        return right_split(state["problem"], proposal["split"])
    return bool(proposal["answer"] == due(state))


ROLES: dict[str, Callable[[dict[str, Any], random.Random, bool], dict[str, Any]]] = {
    "decomposer": decomposer, "decomposition judge": judge, "solver": solver, "solution judge": judge,
}  # fmt: skip


def problems(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return products of two to four digits with their exact answers."""
    draw = random.Random(seed)
    pairs = [(draw.randrange(10, 10_000), draw.randrange(10, 10_000)) for _ in range(count)]
    return [(f"{x} * {y}", str(x * y)) for x, y in pairs]
