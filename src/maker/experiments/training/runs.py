"""The bundled model under the engine, at several temperatures: `python -m maker.experiments.training.runs`.

For each setting one run of Hanoi through the shipped engine: what the samples say of the model (p of
the first valid sample, v, rho), the k in force, the samples a step that theory predicts from them
(expected votes at margin k, over v), those it took, and how it ended. The last settings are meant to
fail: a model that is wrong on the same steps every time is lost at any k.

Not covered: the exact p of the weights (`card.py`).
"""

from __future__ import annotations

import argparse
from typing import Any

from maker import theory
from maker.api.run import run_sync
from maker.experiments.kit.study import markdown_head, markdown_row
from maker.task.load import load_task

SETTINGS: tuple[dict[str, Any], ...] = (
    {"model": "neural", "temperature": 1.4, "k": 3},
    {"model": "neural", "temperature": 1.8, "k": 3},
    {"model": "neural", "temperature": 2.2, "k": 3},
    {"model": "neural", "temperature": 1.8, "k": 3, "flags": "paper", "first_temperature": 1.8},
    {"model": "neural", "temperature": 1.8, "k": 1, "flags": "paper", "first_temperature": 1.8},
    {"model": "neural:noise=0.2", "temperature": 1.0, "k": 3},
    {"model": "neural:weights=early", "temperature": 1.0, "k": 3},
)


def main() -> None:
    """Run every setting and print one table row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--disks", type=int, default=13)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    task = load_task("hanoi", disks=options.disks, style="compact")
    columns = ("model", "T", "flags", "k", "p", "v", "rho", "samples a step, predicted", "observed", "wrong", "ended")
    print(markdown_head(columns))
    for setting in SETTINGS:
        result = run_sync(task, seed=options.seed, **setting)
        seen, k = result.observed, setting["k"]
        predicted = theory.expected_votes(seen["p"], k) / seen["v"] if seen["p"] is not None else None
        observed = result.samples / result.steps if result.steps else None
        ended = "solved" if result.solved else result.stopped or "goal not reached"
        cells = (
            setting["model"], setting["temperature"], setting.get("flags", "default"), k, seen["p"], seen["v"],
            seen["rho"], predicted, observed, result.wrong, f"{ended} after {result.steps:,} steps",
        )  # fmt: skip
        print(markdown_row(cells))


if __name__ == "__main__":
    main()
