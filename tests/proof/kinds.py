"""How often a model is right, by kind of question, at the states of the bundled tasks' design `questions`.

    python tests/proof/kinds.py SERVER#MODEL [TASK ...]     # http://127.0.0.1:8080/v1#name; all tasks, or some
    python tests/proof/kinds.py --table                     # what is known so far, as a table with its intervals

Single replies, each at another state of the right path where there are so many, at temperature 0.7. Each is one line of
`$MAKER_PROOF/kinds.jsonl` (default `~/.cache/maker-proof`), written when it comes; what stands there is not asked
again, so it may be stopped at any time. `MAKER_DRAWS` says how many of a kind, 40 where it is not given. A reply is
right where the task's own parser and flags let it pass and it is the right answer. Never part of the test suite.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import maker
from proving import FOLDER, ask, interval, keep, kept

AT_ONCE, TEMPERATURE, MOST_TOKENS = 2, 0.7, 96
TASKS: dict[str, dict[str, Any]] = {
    "addition": {"x": 9081726354453627180917263544536271809172, "y": 5647382910192837465564738291019283746556},
    "multiplication": {"x": 698603, "y": 550508},
    "sorting": {"numbers": random.Random(1).sample(range(100, 1000), 60)},
    "dict-sum": {"turns": 40},
    "hanoi": {"disks": 7},
    "relay": {"records": 20, "trips": 10},
    "checkers": {"n": 6},
    "invoices": {"invoices": 40},
    "river": {"pairs": 3},
    "blocks": {"n": 40},
}


def states(task: Any, wanted: int) -> dict[str, list[tuple[Any, int]]]:
    """Return states of the right path with their steps, by kind: so many, or all there are, drawn evenly."""
    found: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    state = task.initial_state()
    for step in range(task.steps):
        found[task.kind(state, step)].append((state, step))
        state = task.apply(state, task.truth(state, step))
    drawn = random.Random(0)
    return {kind: drawn.sample(all_of, min(wanted, len(all_of))) for kind, all_of in found.items()}


def verdict(task: Any, state: Any, step: int, reply: str) -> str:
    """Say what a reply is worth: right, wrong, or flagged."""
    try:
        answer = task.parse(reply)
    except (ValueError, RecursionError):
        return "flagged"
    if not task.legal(state, answer):
        return "flagged"
    return "right" if answer == task.truth(state, step) else "wrong"


def known() -> dict[tuple[str, str, str], Counter[str]]:
    """Return what was asked: the verdicts by model, task and kind."""
    found: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for said in kept(FOLDER / "kinds.jsonl"):
        found[said["model"], said["task"], said["kind"]][said["verdict"]] += 1
    return found


def measure(model: str, name: str, draws: int) -> None:
    """Ask what was not asked yet of one task, kind by kind."""
    task: Any = maker.load_task(name, **TASKS[name], design="questions")
    label = model.partition("#")[2]
    for kind, drawn in states(task, draws).items():
        before = known()[label, name, kind].total()

        def one(number: int, kind: str = kind, drawn: list[tuple[Any, int]] = drawn) -> None:
            state, step = drawn[number % len(drawn)]
            reply = str(ask(model, task.prompt(state, step), number, TEMPERATURE, MOST_TOKENS)["reply"])
            said = {"model": label, "task": name, "kind": kind, "step": step,
                    "verdict": verdict(task, state, step, reply), "reply": reply[:200],
                    "right": task.render(task.truth(state, step))}  # fmt: skip
            keep(FOLDER / "kinds.jsonl", said)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, range(before, draws)))
        print(f"{name}, {kind}: {dict(known()[label, name, kind])}", file=sys.stderr, flush=True)


def table() -> Iterator[str]:
    """Yield the table's lines: a row for each kind of each model, with the exact 95% interval of the right ones."""
    yield "| model | task | kind | right | 95% | wrong | flagged |"
    yield "|---|---|---|---|---|---|---|"
    for (model, name, kind), verdicts in known().items():
        n, right = verdicts.total(), verdicts["right"]
        low, high = interval(right, n)
        yield (f"| {model} | {name} | {kind} | {right} of {n} | {low:.2f} to {high:.2f} | {verdicts['wrong']} | "
               f"{verdicts['flagged']} |")  # fmt: skip


def main() -> None:
    """Ask what is left to ask, task by task; print the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    model, *names = sys.argv[1:] or sys.exit(__doc__)
    for name in [] if model == "--table" else names or TASKS:
        measure(model, name, int(os.environ.get("MAKER_DRAWS", "40")))
    print("\n".join(table()))


if __name__ == "__main__":
    main()
