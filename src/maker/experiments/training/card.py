"""The tables of the model card, measured exactly: `python -m maker.experiments.training.card`.

It reports p (the mean of p_s), rho (the variance of p_s over p (1 - p)), and the share of lost steps (p_s < 1/2), and
writes the tables between the marks in `docs/model-card.md`.

Not covered: what flags and votes make of it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from maker.experiments.kit.exact import measure, summary
from maker.models.neural.bundled import build, weight_file

_MARKS = ("<!-- measured: written by maker.experiments.training.card -->", "<!-- end of measured -->")


def _row(*cells: object) -> str:
    return "| " + " | ".join(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"


def tables(weights: str, steps: int, fewer: int, temperatures: Sequence[float], seed: int) -> Iterator[str]:
    """Yield the lines of the tables for one weight file."""
    sampler = build(weights)
    number, p = measure(sampler, 20, steps, temperatures, seed)
    yield f"### Weights `{weights}`: {len(number):,} of the 1,048,575 steps of the 20-disk path"
    yield ""
    yield _row("temperature", "p", "rho", "share with p_s < 1/2", "smallest p_s", "steps with p_s < .9")
    yield "|---|---|---|---|---|---|"
    for i, temperature in enumerate(temperatures):
        s = summary(p[i])
        yield _row(temperature, s["p"], s["rho"], s["lost"], s["least"], int((p[i] < 0.9).sum()))
    yield ""
    worst = np.argsort(p[0])[:5]
    yield f"Hardest steps found, p_s at temperature {temperatures[0]}: " + ", ".join(
        f"{number[i]} ({p[0, i]:.3g})" for i in worst
    )
    yield ""
    yield f"Other towers, temperature {temperatures[0]} (all steps, or {fewer:,} of them and step 0):"
    yield ""
    yield _row("disks", "steps", "p", "share with p_s < 1/2", "smallest p_s")
    yield "|---|---|---|---|---|"
    for disks in range(3, 20):
        s = summary(measure(sampler, disks, fewer, temperatures[:1], seed)[1][0])
        yield _row(disks, s["steps"], s["p"], s["lost"], s["least"])
    yield ""


def curve() -> Iterator[str]:
    """Yield the training curve as a table, from the file beside the weights."""
    path = weight_file(None)[0].with_name("curve.json")
    rows = [row for row in json.loads(path.read_text())["curve"] if "path_p" in row]
    yield "### Training curve (`curve.json` beside the weights; loss with mined states in the batch)"
    yield ""
    yield _row("step", "seconds", "loss", "p on the 20-disk path", "share with p_s < 1/2 there")
    yield "|---|---|---|---|---|"
    for row in rows:
        yield _row(row["step"], row["seconds"], row["loss"], row["path_p"], row["path_lost"])
    yield ""


def main() -> None:
    """Measure and write the tables into the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--card", type=Path, default=Path("docs/model-card.md"))
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--fewer", type=int, default=10_000)
    parser.add_argument("--early-steps", type=int, default=20_000)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 1.3, 1.6])
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    began = time.perf_counter()
    lines = [*tables("neural", a.steps, a.fewer, a.temperatures, a.seed)]
    lines += [*tables("early", a.early_steps, a.fewer // 10, a.temperatures, a.seed), *curve()]
    before, _, rest = a.card.read_text().partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    a.card.write_text(before + "\n".join([_MARKS[0], "", *lines, _MARKS[1]]) + after)
    print(f"measured in {time.perf_counter() - began:.0f} s, written to {a.card}")


if __name__ == "__main__":
    main()
