"""What estimates promise against what comes true, over thirteen shapes of difficulty.

Run: python tests/benchmarks/honesty.py [--quick 50] [--seed 1]

Each pair is a task of 20,000 steps whose error rates have a shape, estimated at default settings, and a run of it with
the k that was planned. The replies are simulated, and all else of the estimate is what `maker.estimate` does. The run
is not carried out: what it succeeds with is known, for the rates of all its steps are. Each estimate is planned for all
20,000 steps and for five of them at random, by the Beta (the default) and by the worst case.

Printed for each: how many were promised .95, and the mean success of those; how many were refused though some k would
have reached .95; how often the printed intervals hold what they are about. Leaves with 1 where the worst case promised
.95 and less than .93 came true. Copied replies are outside of what any of it covers; they are shown all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

import maker
from maker.api.estimate import ESTIMATE_EPOCH, Estimate, _draw, _summed
from maker.api.opened import opened
from maker.decision.sample import Failure, Request, Sample
from maker.decision.step import Rules
from maker.engine.probe import Probe

STEPS, SHORT, TARGET, KEPT = 20_000, 5, 0.95, 0.93
MARGINS = (1, 2, 3, 4, 6, 9, 15, 30, 100, 500, 1500)  # at which it is looked whether a refused run would have passed
COPIES = 0.25
INTERVALS = ("p", "rho", "lost", "success", "samples")
Rates = Any  # numpy's array of error rates
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


class Line:
    """A task whose answers are its step numbers; every twentieth step is of another kind."""

    name, steps, goal = "line", STEPS, STEPS

    def initial_state(self) -> int:
        return 0

    def prompt(self, state: int, step: int) -> str:
        return str(state)

    def parse(self, text: str) -> int:
        return int(text)

    def legal(self, state: int, action: int) -> bool:
        return True

    def apply(self, state: int, action: int) -> int:
        return state + 1

    def truth(self, state: int, step: int) -> int:
        return step

    def kind(self, state: int, step: int) -> str:
        return "rare" if step % 20 == 7 else "common"

    def done(self, state: int) -> bool:
        return state >= STEPS

    def plan(self, segments: int | None = None) -> maker.Plan:
        return maker.Plan.chain(STEPS, lambda step: step, segments or 1)


@dataclass
class Simulated:
    """A model that errs at each step with its rate, always in the same way; a share of its replies are copies."""

    rates: Rates
    copies: float
    name: str = "shaped"
    simulated: bool = True
    lockstep: bool = True
    last: dict[int, str] = field(default_factory=dict)

    async def draw(self, requests: Sequence[Request]) -> list[Sample | Failure]:
        """Answer by the seeds of the requests."""
        return [Sample(self._reply(request)) for request in requests]

    def _reply(self, request: Request) -> str:
        step = request.address.step
        copied, wrong = np.random.default_rng(request.seed).random(2)
        if step not in self.last or copied >= self.copies:
            self.last[step] = str(-1 if wrong < self.rates[step] else step)
        return self.last[step]


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


async def estimated(rates: Rates, copies: float, seed: int) -> dict[tuple[str, int], Estimate]:
    """Draw once, and plan for both lengths by both modes."""
    task = Line()
    async with opened(
        maker.estimate, Simulated(rates, copies), {"seed": seed}, task=task, target=TARGET, segments=STEPS
    ) as (senders, config, flags):  # fmt: skip
        probe = Probe(task, senders.own, config, flags, Rules.of(task), name="estimate", epoch=ESTIMATE_EPOCH)
        stopped = await _draw(probe, 1000, 2)
        return {
            (mode, steps): _summed(probe, config.model_copy(update={"worst_case": mode == "worst"}), steps, stopped)
            for mode in ("Beta", "worst") for steps in (STEPS, SHORT)
        }  # fmt: skip


@dataclass
class Tally:
    """What was seen of a shape, a mode and a length."""

    pairs: int = 0
    promised: list[float] = field(default_factory=list)
    refused: int = 0
    wrongly: int = 0
    held: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    def add(self, found: Estimate, rates: Rates, copies: float) -> None:
        """Take one pair."""
        steps = found.steps
        self.pairs += 1
        self.held["p"].append(found.p_low <= 1 - rates.mean() <= found.p_high)
        spread = rates.var() / (rates.mean() * (1 - rates.mean()))
        self.held["rho"].append(found.rho_low <= spread + 1e-9 and spread <= found.rho_high)
        lost, worst = float((rates >= 0.5).mean() * steps), found.worst_case
        self.held["lost"].append(worst.lost_low <= lost + 1e-9 and lost <= worst.lost_high)
        if found.k is None:
            self.refused += 1
            self.wrongly += any(success(rates, k, steps, copies) >= TARGET for k in MARGINS)
            return
        realised = success(rates, found.k, steps, copies)
        if found.success.value >= TARGET:
            self.promised.append(realised)
        self.held["success"].append(found.success.low - 1e-9 <= realised <= found.success.high + 1e-9)
        if found.samples is not None and not copies:
            self.held["samples"].append(found.samples.low <= votes(rates, found.k, steps) <= found.samples.high)

    def row(self) -> str:
        """Return its cells of the table."""
        cells = [f"{len(self.promised)} of {self.pairs}", f"{np.mean(self.promised):.3f}" if self.promised else ""]
        cells.append(f"{self.wrongly} of {self.refused}" if self.refused else "")
        cells += [f"{np.mean(self.held[name]):.2f}" if self.held[name] else "" for name in INTERVALS]
        return " | ".join(cells)


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", type=int, default=1000, metavar="PAIRS", help="of each shape, instead of 1,000")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    broken: list[tuple[str, str, int]] = []
    day = datetime.datetime.now(tz=datetime.UTC).date()
    print(f"{day}, {options.quick} pairs a shape, seed {options.seed}\n")
    columns = ("shape", "mode", "steps", "promised .95", "came true", "refused, would have passed", *INTERVALS)
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for number, (name, shape) in enumerate(SHAPES.items()):
        copies = COPIES if name == "copied replies" else 0.0
        tallies: dict[tuple[str, int], Tally] = defaultdict(Tally)
        for pair in range(options.quick):
            rates = shape(np.random.default_rng([options.seed, number, pair]))
            for at, found in asyncio.run(estimated(rates, copies, options.seed * 1_000_000 + pair)).items():
                tallies[at].add(found, rates, copies)
        for (mode, steps), tally in tallies.items():
            print(f"| {name} | {mode} | {steps:,} | {tally.row()} |", flush=True)
            if tally.promised and np.mean(tally.promised) < KEPT and not copies:
                broken.append((name, mode, steps))
    said = "; ".join(f"{name}, {mode}, {steps:,} steps" for name, mode, steps in broken) or "none"
    print(f"\nPromised .95, came true below {KEPT}: {said}. {time.monotonic() - begun:.0f} s")
    return int(any(mode == "worst" for _, mode, _ in broken))


if __name__ == "__main__":
    sys.exit(main())
