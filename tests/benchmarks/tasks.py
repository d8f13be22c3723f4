"""Two hundred problems of each kind with a simulated model: how many come out exact, and at what cost.

Run: python tests/benchmarks/tasks.py [--problems 200] [--seed 1]

Every micro-step is answered right with p = .97, the margin is k = "auto" for a target of .9999. The numbers are
drawn here, and results are graded here with Python's integers and sorted lists, not by the tasks. Votes are the
samples without those of the calibration; expected is theory.expected_votes(p, k) summed over the steps. The
interval of a share is exact (Clopper and Pearson, 95%).
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from typing import Any

import maker
from maker import theory

P, TARGET = 0.97, 0.9999


def problem(kind: str, drawn: random.Random) -> tuple[Any, Any]:
    """Return a task of a kind with new numbers, and its exact answer."""
    if kind.startswith("sorting"):
        numbers = [drawn.randrange(-10_000, 10_000) for _ in range(500)]
        return maker.load_task("sorting", numbers=numbers), sorted(numbers)
    digits = int(kind.rsplit(" ", 1)[1])
    x, y = (drawn.randrange(10 ** (digits - 1), 10**digits) for _ in "xy")
    return maker.load_task("multiplication", x=x, y=y), x * y


def measure(kind: str, problems: int, seed: int) -> None:
    """Solve the problems and print one line."""
    drawn, margins = random.Random(f"{kind}/{seed}"), Counter[int]()
    exact = steps = votes = wrong = 0
    expected, begun = 0.0, time.perf_counter()
    for number in range(problems):
        task, answer = problem(kind, drawn)
        result = maker.run_sync(task, model=f"oracle:p={P},seed={number}", target=TARGET, seed=number)
        exact += result.solved and type(result.answer) is type(answer) and result.answer == answer
        assert result.calibration is not None and result.k is not None and result.wrong is not None
        margins[result.k] += 1
        steps, wrong = steps + result.steps, wrong + result.wrong
        votes += result.samples - result.calibration["draws"]
        expected += result.steps * theory.expected_votes(P, result.k)
    low, high = (bound(problems - exact, problems, 0.975) for bound in (theory.p_lower, theory.p_upper))
    print(
        f"{kind:20} exact {exact} of {problems} (95%: {low:.4f} to {high:.4f})  wrong steps {wrong} of {steps:,}  "
        f"votes {votes:,}, expected {expected:,.0f}, ratio {votes / expected:.4f}  "
        f"k {dict(sorted(margins.items()))}  {time.perf_counter() - begun:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"simulated model, p = {P} a micro-step, target {TARGET}, seed {options.seed}")
    for each in ("multiplication 5", "multiplication 6", "multiplication 10", "sorting 500"):
        measure(each, options.problems, options.seed)
