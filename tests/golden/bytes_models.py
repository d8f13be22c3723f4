"""The models of the pinned journals: deterministic, by the request alone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import maker
from maker.testing import ScriptedModel

Script = Callable[[maker.Request], Any]


class Prices:
    """What a paid model costs, as `usage.Prices` would say it."""

    input, output, cached = 1.0, 10.0, 0.5

    def cost(self, tokens_in: int, tokens_out: int, cached: int = 0) -> float:
        return ((tokens_in - cached) * self.input + cached * self.cached + tokens_out * self.output) / 1e6


class Paid:
    """A model over a network, as the engine sees one: called with single requests, or with `n` of one step."""

    lockstep = False
    prices = Prices()

    def __init__(self, script: Script, *, name: str = "paid", n: int = 1, mark: Script | None = None) -> None:
        self.script, self.name, self.mark = script, name, mark
        if n > 1:
            self.n = n

    async def draw(self, requests: Sequence[maker.Request]) -> list[Any]:
        """Answer all requests of a call."""
        return [self._reply(request) for request in requests]

    def _reply(self, request: maker.Request) -> Any:
        text = self.script(request)
        if isinstance(text, (maker.Sample, maker.Failure)):
            return text
        at = request.address
        return maker.Sample(
            text, 100 + at.step, 7, "stop", f"{self.name}-{at.step}-{at.draw}", -1.25 - at.draw / 8, "m-1", 0.25,
            self.mark(request) if self.mark else None, 3 if at.draw % 4 == 3 else None,
        )  # fmt: skip


def scripted(script: Any, *, name: str = "pinned", lockstep: bool = True, simulated: bool = False) -> ScriptedModel:
    """Return a model in this process."""
    made = ScriptedModel(script, lockstep=lockstep)
    made.name, made.simulated = name, simulated
    return made


def right(request: maker.Request) -> str:
    """Answer a step of a count rightly."""
    return str(request.address.step + 1)


def noisy(request: maker.Request) -> maker.Sample:
    """Answer a step of a count: mostly right, sometimes wrong, sometimes not at all; with all that a sample may say."""
    at = request.address
    rng = random.Random(f"pinned/{at.step}/{at.draw}")
    text = rng.choice(
        [right(request)] * 6 + [str(at.step + 2), f" {right(request)}", "I'm sorry, I can't", "7 \u2713 \ud800"]
    )
    finish = rng.choice(["stop"] * 8 + ["length", None])
    tokens = rng.choice([(9, 2), (9, 2), (9, 2), (None, None), (12, 800)])
    return maker.Sample(text, *tokens, finish, f"r{at.step}-{at.draw}", None, "m-1", 0.001)


def at_steps(hard: dict[int, Script], other: Script = right) -> Script:
    """Return a script that does as told at some steps, and as another one does elsewhere."""
    return lambda request: hard.get(request.address.step, other)(request)


def truthful(task: Any, share: float = 0.9) -> Script:
    """Return a script that answers a task with a truth, wrongly now and then."""

    def script(request: maker.Request) -> str:
        step = request.address.step
        slip = random.Random(f"pinned/{request.seed}").random() > share
        return str((task.truth(request.state, step) + slip) % 1009)

    return script


# -- the four roles of a solve -------------------------------------------------------------------------------------


def solving(request: maker.Request) -> str:
    """Play a role of a solve of a product: mostly rightly, so that proposals differ and judges are asked."""
    state = json.loads(request.prompt.splitlines()[-1])
    draw = random.Random(f"pinned/{request.seed}")
    if draw.random() < 0.05:
        return "Let me think about this again. " * 3
    wrong = draw.random() < 0.15
    return json.dumps(_ROLES[state["role"]](state, draw, wrong))


def _decompose(state: dict[str, Any], draw: random.Random, wrong: bool) -> dict[str, Any]:
    x, y = (int(factor) for factor in state["problem"].split(" * "))
    digits = len(str(y))
    if digits == 1:
        return {"split": {"p1": f"{x} * 1", "p2": f"{x} * 1", "compose": "answer1 + answer2"} if wrong else None}
    scale = 10 ** draw.randrange(1, digits)
    by = scale * 10 if wrong else scale
    return {"split": {"p1": f"{x} * {y // scale}", "p2": f"{x} * {y % scale}", "compose": f"{by} * answer1 + answer2"}}


def _solve(state: dict[str, Any], draw: random.Random, wrong: bool) -> dict[str, Any]:
    return {"answer": str(int(_due(state)) + draw.choice([-10, -1, 1, 10]) if wrong else _due(state))}


def _judge(state: dict[str, Any], draw: random.Random, wrong: bool) -> dict[str, Any]:
    numbers = {json.dumps(item["proposal"]): item["number"] for item in state["candidates"]}
    good = [text for text in sorted(numbers) if _good(state, json.loads(text))]
    best = numbers[good[0]] if good else 0
    return {"choice": draw.choice([n for n in range(len(numbers) + 1) if n != best]) if wrong else best}


def _good(state: dict[str, Any], proposal: dict[str, Any]) -> bool:
    if "answer" in proposal:
        return bool(proposal["answer"] == _due(state))
    split = proposal["split"]
    if split is None:
        return len(state["problem"].split(" * ")[1]) == 1
    parts = [_product(split[name]) for name in ("p1", "p2")]
    return _composed(split["compose"], *parts) == _product(state["problem"])


def _due(state: dict[str, Any]) -> str:
    if "compose" in state:
        return str(_composed(state["compose"], int(state["answer1"]), int(state["answer2"])))
    return str(_product(state["problem"]))


def _product(problem: str) -> int:
    x, y = problem.split(" * ")
    return int(x) * int(y)


def _composed(rule: str, answer1: int, answer2: int) -> int:
    by = int(rule.split(" * ", maxsplit=1)[0]) if " * " in rule else 1
    return by * answer1 + answer2


_ROLES: dict[str, Callable[[dict[str, Any], random.Random, bool], dict[str, Any]]] = {
    "decomposer": _decompose, "decomposition judge": _judge, "solver": _solve, "solution judge": _judge,
}  # fmt: skip
