"""A problem that the model splits itself, each decision by vote; the tree of problems at the end.

With a model of your own: `maker solve "46 * 37" --model http://127.0.0.1:8080/v1#name --journal solve.db`,
then `maker show solve.db --tree`.
"""

import json
from typing import Any

import maker
from maker.testing import ScriptedModel


def reply(request: maker.Request) -> str:
    """Stand in for a model: it splits by the last digit, and miscalculates now and then."""
    asked = json.loads(request.prompt.splitlines()[-1])
    x, y = asked["problem"].split(" * ")
    if asked["role"] == "decomposer":
        parts = {"p1": f"{x} * {y[:-1]}", "p2": f"{x} * {y[-1]}", "compose": "10 * answer1 + answer2"}
        return json.dumps({"split": parts if len(y) > 1 else None})
    if asked["role"] == "solver":
        right = 10 * int(asked["answer1"]) + int(asked["answer2"]) if "compose" in asked else int(x) * int(y)
        return json.dumps({"answer": str(right + (request.seed % 10 == 0))})
    right_one = [item["number"] for item in asked["candidates"] if item["proposal"] == {"answer": str(int(x) * int(y))}]
    return json.dumps({"choice": right_one[0] if right_one else 0})


def show(problem: dict[str, Any], indent: int = 0) -> None:
    """Print a problem with its parts below it."""
    print("   " * indent + f"{problem['problem']} = {problem['answer']}")
    for part in problem["parts"]:
        show(part, indent + 1)


if __name__ == "__main__":
    result = maker.solve_sync("4608 * 427", model=ScriptedModel(reply), k=3)
    print(f"{result.answer} in {result.steps} decisions and {result.samples} samples (a simulated model)")
    show(result.state)
