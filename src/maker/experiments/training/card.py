"""The tables of the model card, measured exactly: `python -m maker.experiments.training.card`.

It reports p (the mean of p_s), rho (the variance of p_s over p (1 - p)), and the share of lost steps (p_s < 1/2), and
writes the tables between the marks in `docs/model-card.md`.

Not covered: what flags and votes make of it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from maker.experiments.kit.exact import measure, summary
from maker.experiments.kit.study import markdown_head, markdown_row
from maker.models.neural.bundled import build, weight_file

_MARKS = ("<!-- measured: written by maker.experiments.training.card -->", "<!-- end of measured -->")


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table under its title, as lines."""
    return [title, "", markdown_head(columns), *(markdown_row(row, 6) for row in rows), ""]


def tables(weights: str, steps: int, fewer: int, temperatures: Sequence[float], seed: int) -> list[str]:
    """Return the lines of the tables for one weight file."""
    sampler = build(weights)
    number, p = measure(sampler, 20, steps, temperatures, seed)
    found = [summary(row) for row in p]
    others = [(disks, summary(measure(sampler, disks, fewer, temperatures[:1], seed)[1][0])) for disks in range(3, 20)]
    worst = ", ".join(f"{number[i]} ({p[0, i]:.3g})" for i in np.argsort(p[0])[:5])
    return [
        *_table(
            f"### Weights `{weights}`: {len(number):,} of the 1,048,575 steps of the 20-disk path",
            ("temperature", "p", "rho", "share with p_s < 1/2", "smallest p_s", "steps with p_s < .9"),
            [(temperature, s["p"], s["rho"], s["lost"], s["least"], int((row < 0.9).sum()))
             for temperature, s, row in zip(temperatures, found, p, strict=True)],
        ),
        f"Hardest steps found, p_s at temperature {temperatures[0]}: {worst}",
        "",
        *_table(
            f"Other towers, temperature {temperatures[0]} (all steps, or {fewer:,} of them and step 0):",
            ("disks", "steps", "p", "share with p_s < 1/2", "smallest p_s"),
            [(disks, s["steps"], s["p"], s["lost"], s["least"]) for disks, s in others],
        ),
    ]  # fmt: skip


def curve() -> list[str]:
    """Return the training curve as a table, from the file beside the weights."""
    path = weight_file(None)[0].with_name("curve.json")
    return _table(
        "### Training curve (`curve.json` beside the weights; loss with mined states in the batch)",
        ("step", "seconds", "loss", "p on the 20-disk path", "share with p_s < 1/2 there"),
        [(row["step"], row["seconds"], row["loss"], row["path_p"], row["path_lost"])
         for row in json.loads(path.read_text())["curve"] if "path_p" in row],
    )  # fmt: skip


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
