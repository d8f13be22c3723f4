"""The tables of the model card, measured exactly: `python -m maker.experiments.training.card --edition neural-1`.

It reports p (the mean of p_s), rho (the variance of p_s over p (1 - p)), and the share of lost steps (p_s < 1/2), and
writes the tables between the marks of the edition in `docs/model-card.md`.

Not covered: what flags and votes make of it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from maker.experiments.kit.exact import measure, summary
from maker.experiments.kit.hanoi_data import HELD_OUT
from maker.experiments.kit.study import markdown_head, markdown_row
from maker.models.neural.bundled import build, weight_file
from maker.models.neural.sampler import Sampler

_END = "<!-- end of measured -->"
#: of each edition: its weight files, and its training curve beside them
_EDITIONS = {"neural-1": (("neural", "early"), "curve.json"), "neural-2": (("neural-2",), "curve-2.json")}


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table under its title, as lines."""
    return [title, "", markdown_head(columns), *(markdown_row(row, 6) for row in rows), ""]


def tables(weights: str, steps: int, fewer: int, temperatures: Sequence[float], seed: int) -> list[str]:
    """Return the lines of the tables for one weight file."""
    sampler = build(weights)
    held = [disks for disks in HELD_OUT if disks <= sampler.vocabulary.disks]
    rest = sorted(set(range(3, sampler.vocabulary.disks + 1)) - set(held))
    others = [(disks, summary(measure(sampler, disks, fewer, temperatures[:1], seed)[1][0])) for disks in rest]
    return [
        *(line for disks in held for line in _path(sampler, weights, disks, steps, temperatures, seed)),
        *_table(
            f"Other towers, temperature {temperatures[0]} (all steps, or {fewer:,} of them and step 0):",
            ("disks", "steps", "p", "share with p_s < 1/2", "smallest p_s"),
            [(disks, s["steps"], s["p"], s["lost"], s["least"]) for disks, s in others],
        ),
    ]


def _path(
    sampler: Sampler, weights: str, disks: int, steps: int, temperatures: Sequence[float], seed: int
) -> Iterator[str]:
    """Yield the lines of a path that is held out: its table and its hardest steps."""
    number, p = measure(sampler, disks, steps, temperatures, seed)
    found = [summary(row) for row in p]
    worst = ", ".join(f"{number[i]} ({p[0, i]:.3g})" for i in np.argsort(p[0])[:5])
    yield from _table(
        f"### Weights `{weights}`: {len(number):,} of the {(1 << disks) - 1:,} steps of the {disks}-disk path",
        ("temperature", "p", "rho", "share with p_s < 1/2", "smallest p_s", "steps with p_s < .9"),
        [(temperature, s["p"], s["rho"], s["lost"], s["least"], int((row < 0.9).sum()))
         for temperature, s, row in zip(temperatures, found, p, strict=True)],
    )  # fmt: skip
    yield from (f"Hardest steps found, p_s at temperature {temperatures[0]}: {worst}", "")


def curve(edition: str) -> list[str]:
    """Return the training curve as a table, from the file beside the weights."""
    names, file = _EDITIONS[edition]
    path = weight_file(names[0])[0].with_name(file)
    return _table(
        f"### Training curve (`{file}` beside the weights; loss with mined states in the batch)",
        ("step", "seconds", "loss", "p on the longest path", "share with p_s < 1/2 there"),
        [(row["step"], row["seconds"], row["loss"], row["path_p"], row["path_lost"])
         for row in json.loads(path.read_text())["curve"] if "path_p" in row],
    )  # fmt: skip


def written(card: str, edition: str, lines: Sequence[str]) -> str:
    """Return the card with `lines` between the marks of the edition; raise ValueError if it has none."""
    mark = f"<!-- measured {edition}: written by maker.experiments.training.card -->"
    before, found, rest = card.partition(mark)
    if not found or _END not in rest:
        raise ValueError(f"the card has no part between {mark!r} and {_END!r}")
    return before + "\n".join([mark, "", *lines, ""]) + rest[rest.index(_END) :]


def main() -> None:
    """Measure and write the tables into the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--edition", choices=sorted(_EDITIONS), required=True)
    parser.add_argument("--card", type=Path, default=Path("docs/model-card.md"))
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--fewer", type=int, default=10_000)
    parser.add_argument("--early-steps", type=int, default=20_000)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 1.3, 1.6])
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    began = time.perf_counter()
    finished, *early = _EDITIONS[a.edition][0]
    lines = tables(finished, a.steps, a.fewer, a.temperatures, a.seed)
    for weights in early:
        lines += tables(weights, a.early_steps, a.fewer // 10, a.temperatures, a.seed)
    a.card.write_text(written(a.card.read_text(), a.edition, [*lines, *curve(a.edition)]))
    print(f"measured in {time.perf_counter() - began:.0f} s, written to {a.card}")


if __name__ == "__main__":
    main()
