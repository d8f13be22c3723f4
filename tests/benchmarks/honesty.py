"""What estimates promise against what comes true, over thirteen shapes of difficulty.

Run: python tests/benchmarks/honesty.py [--quick 50] [--keep FILE] [--seconds 600] [--seed 1] [--check 25]

Each pair is a task of 20,000 steps whose error rates have a shape, estimated at default settings, and a run of it with
the k that was planned. The replies are simulated, and drawn without polls (`shaped.py`; `--check` makes the same with
them); all else of the estimate is what `maker.estimate` does at its default settings for 20,000 steps. The run is not
carried out: what it succeeds with is known, for the rates of all its steps are. Each estimate is planned for all
20,000 steps and for five of them at random, by the Beta (the default) and by the worst case.

Printed for each: how many were promised .95, and the mean success of those; how many were refused though some k would
have reached .95; how often the printed intervals hold what they are about. Leaves with 1 where the worst case promised
.95 and less than .93 came true. Copied replies are outside of what any of it covers; they are shown all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from shaped import STEPS, Line, Planned, Rates, by_engine, estimated

from maker.api.drawing.looks import Goal

SHORT, TARGET, KEPT = 5, 0.95, 0.93
MARGINS = (1, 2, 3, 4, 6, 9, 15, 30, 100, 500, 1500)  # at which it is looked whether a refused run would have passed
COPIES = 0.25
INTERVALS = ("p", "rho", "lost", "success", "samples")
GOALS = {
    (mode, steps): Goal.of(Line(), steps, TARGET, worst_case=mode == "worst")
    for mode in ("Beta", "worst") for steps in (STEPS, SHORT)
}  # fmt: skip
Shape = Callable[[np.random.Generator], Rates]


def beta(rho: float) -> Shape:
    """Return rates of mean .01 and a correlation."""
    c = (1 - rho) / rho
    return lambda rng: rng.beta(0.01 * c, 0.99 * c, STEPS)


def points(share: float) -> Shape:
    """Return rates of .6 at a share of steps, of .0016 elsewhere."""
    return lambda rng: np.where(rng.random(STEPS) < share, 0.6, 0.0016)


def bursts(rng: np.random.Generator) -> Rates:
    """Return rates of .001, of .6 at four stretches of 25 steps."""
    rates = np.full(STEPS, 0.001)
    for begin in rng.integers(0, STEPS - 25, 4):
        rates[begin : begin + 25] = 0.6
    return rates


AT, WHERE = np.arange(STEPS), np.arange(STEPS) / STEPS
SHAPES: dict[str, Shape] = {
    "all alike": lambda _: np.full(STEPS, 0.01),
    "Beta, rho = .001": beta(0.001),
    "Beta, rho = .01": beta(0.01),
    "Beta, rho = .1": beta(0.1),
    "two points, 1 in 300": points(1 / 300),
    "two points, 1 in 3,000": points(1 / 3000),
    "two points, 1 in 30,000": points(1 / 30_000),
    "late drift": lambda _: np.where(WHERE < 0.98, 0.001, 0.55),
    "smooth drift": lambda _: 0.001 + 0.55 * WHERE**40,
    "periodic": lambda _: np.where(AT % 500 == 7, 0.7, 0.001),
    "bursts": bursts,
    "one bad kind": lambda _: np.where(AT % 20 == 7, 0.3, 0.002),
    "copied replies": lambda _: np.full(STEPS, 0.01),
}


@cache
def copied_error(rate: float, k: int, copies: float) -> float:
    """P(a wrong answer wins) where each vote repeats the one before with a probability: a walk with a memory."""
    places = [(lead, last) for lead in range(1 - k, k) for last in (1, -1)]
    at = {place: i for i, place in enumerate(places)}
    matrix, wins = np.eye(len(places)), np.zeros(len(places))
    for (lead, last), i in at.items():
        for vote, fresh in ((1, rate), (-1, 1 - rate)):
            chance = copies * (vote == last) + (1 - copies) * fresh
            if (lead + vote, vote) in at:
                matrix[i, at[lead + vote, vote]] -= chance
            else:
                wins[i] += chance * (vote == 1)
    won = np.linalg.solve(matrix, wins)
    first = {vote: won[at[vote, vote]] if k > 1 else float(vote == 1) for vote in (1, -1)}
    return float(rate * first[1] + (1 - rate) * first[-1])


def errors(rates: Rates, k: int, copies: float) -> Rates:
    """P(a wrong answer wins), of each step."""
    if copies:
        return np.full(len(rates), copied_error(float(rates[0]), k, copies))
    with np.errstate(over="ignore", divide="ignore"):
        return 1 / (1 + ((1 - rates) / np.maximum(rates, 1e-300)) ** k)


def success(rates: Rates, k: int, steps: int, copies: float) -> float:
    """P(a run is right): of all its steps, or of a few that are picked at random."""
    wrong = errors(rates, k, copies)
    return float(np.prod(1 - wrong)) if steps == STEPS else float((1 - wrong.mean()) ** steps)


def votes(rates: Rates, k: int, steps: int) -> float:
    """Return the expected votes of a run."""
    odds = np.log((1 - rates) / rates)
    odds = np.where(np.abs(odds) < 1e-9, 1e-9, odds)
    return float((k * np.tanh(k * odds / 2) / np.tanh(odds / 2)).mean() * steps)


def row(found: Planned, rates: Rates, copies: float) -> dict[str, Any]:
    """Return what one estimate promised, and what holds of it. promised: what came true, None where nothing was."""
    steps, worst = found.steps, found.worst_case
    spread = rates.var() / (rates.mean() * (1 - rates.mean()))
    lost = float((rates >= 0.5).mean() * steps)
    held = {
        "p": found.p_low <= 1 - rates.mean() <= found.p_high,
        "rho": found.rho_low <= spread + 1e-9 and spread <= found.rho_high,
        "lost": worst.lost_low <= lost + 1e-9 and lost <= worst.lost_high,
    }
    said: dict[str, Any] = {"promised": None, "refused": found.k is None}
    if found.k is None:
        said["wrongly"] = any(success(rates, k, steps, copies) >= TARGET for k in MARGINS)
    else:
        realised = success(rates, found.k, steps, copies)
        if found.success.value >= TARGET:
            said["promised"] = realised
        held["success"] = found.success.low - 1e-9 <= realised <= found.success.high + 1e-9
        if found.samples is not None and not copies:
            held["samples"] = found.samples.low <= votes(rates, found.k, steps) <= found.samples.high
    return said | {"held": {name: bool(holds) for name, holds in held.items()}}


def cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line of the table, of all pairs of a shape, a mode and a length."""
    promised = [of["promised"] for of in rows if of["promised"] is not None]
    refused = [of["wrongly"] for of in rows if of["refused"]]
    held = {name: [of["held"][name] for of in rows if name in of["held"]] for name in INTERVALS}
    return [
        f"{len(promised):,} of {len(rows):,}", f"{np.mean(promised):.3f}" if promised else "",
        f"{sum(refused):,} of {len(refused):,}" if refused else "",
        *(f"{np.mean(holds):.3f}" if holds else "" for holds in held.values()),
    ]  # fmt: skip


class Kept:
    """What was measured, in a file of JSON lines, or in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.rows = {(name, pair): rows for name, pair, rows in map(json.loads, lines)}

    def add(self, name: str, pair: int, rows: list[dict[str, Any]]) -> None:
        """Keep a pair."""
        self.rows[name, pair] = rows
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps([name, pair, rows]) + "\n")


def printed(kept: dict[tuple[str, int], list[dict[str, Any]]], seed: int) -> int:
    """Print the table; return the exit code."""
    broken, columns = [], ("shape", "mode", "steps", "promised .95", "came true", "refused, would have passed")
    print(f"{datetime.datetime.now(tz=datetime.UTC).date()}, {len(kept):,} pairs in all, seed {seed}\n")
    print(f"| {' | '.join((*columns, *INTERVALS))} |\n{'|---' * (len(columns) + len(INTERVALS))}|")
    for name in SHAPES:
        pairs = [rows for (shape, _), rows in kept.items() if shape == name]
        for (mode, steps), rows in zip(GOALS, zip(*pairs, strict=True), strict=False):
            print(f"| {name} | {mode} | {steps:,} | {' | '.join(cells(rows))} |")
            promised = [of["promised"] for of in rows if of["promised"] is not None]
            if promised and np.mean(promised) < KEPT and name != "copied replies":
                broken.append((name, mode, steps))
    said = "; ".join(f"{name}, {mode}, {steps:,} steps" for name, mode, steps in broken) or "none"
    print(f"\nPromised .95, came true below {KEPT}: {said}.")
    return int(any(mode == "worst" for _, mode, _ in broken))


def pair_of(name: str, seed: int, pair: int) -> tuple[Rates, float, int, list[Goal]]:
    """Return what one pair is about: rates, share of copies, seed of the draws, and what is planned for."""
    rates = SHAPES[name](np.random.default_rng([seed, list(SHAPES).index(name), pair]))
    return rates, COPIES * (name == "copied replies"), seed * 1_000_000 + pair, list(GOALS.values())


def measured(name: str, seed: int, pair: int) -> list[dict[str, Any]]:
    """Return what one pair gives: a row for each mode and length."""
    about = pair_of(name, seed, pair)
    return [row(one, *about[:2]) for one in asyncio.run(estimated(*about))]


def differing(seed: int, pairs: int) -> int:
    """Return in how many pairs the engine's own polls lead to another plan than draws all at once."""
    every = [pair_of(name, seed, pair) for pair in range(pairs) for name in SHAPES]
    return sum(asyncio.run(estimated(*about)) != asyncio.run(by_engine(*about)) for about in every)


def main() -> int:
    """Measure what is not kept yet, and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", type=int, default=1000, metavar="PAIRS", help="of each shape, instead of 1,000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of what was measured; the same command goes on")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop measuring then, after whole rounds")
    parser.add_argument("--check", type=int, metavar="PAIRS", help="compare with the engine's own polls, and no more")
    options = parser.parse_args()
    if options.check:
        print(f"{differing(options.seed, options.check)} of {options.check * len(SHAPES)} pairs differ")
        return 0
    begun = time.monotonic()
    kept = Kept(options.keep)
    for pair in range(options.quick):
        if time.monotonic() - begun > options.seconds:
            break
        for name in SHAPES:
            if (name, pair) not in kept.rows:
                kept.add(name, pair, measured(name, options.seed, pair))
    return printed(kept.rows, options.seed)


if __name__ == "__main__":
    sys.exit(main())
