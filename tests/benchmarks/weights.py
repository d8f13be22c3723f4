"""Equal votes against calibrated weights of a pool: samples and wrong decisions at the same promised success.

    python tests/benchmarks/weights.py [P,P,P]

Simulated: three models, one wrong answer for all of them, steps whose log odds are spread normally about each model's
mean, for all models alike ("common") or for each by itself ("apart"). k and weights are planned from 300 steps with a
draw of each model, for a run of 100 steps that is to be right with probability 0.9, and then voted by on 20,000 steps.
Medians of nine seeds; wrong decisions are sums over all seeds, beside what the promise allows of them.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from typing import Any

import numpy as np

from maker.errors import Infeasible
from maker.theory.draws import Draw, Seen
from maker.theory.evidence import Evidence
from maker.theory.planner import project
from maker.theory.together import by_model, shuffled
from maker.theory.votes.weights import calibrated, margin_for

RUN, TARGET, SAMPLED, VOTED, SEEDS = 100, 0.9, 300, 20_000, 9
TURNS = ["a", "b", "c"]
EQUAL = (1, 1, 1)
SPREADS = [("common", 0.0), ("common", 0.25), ("apart", 0.25), ("common", 0.5), ("apart", 0.5)]


def chances(mean: list[float], kind: str, spread: float, rng: Any) -> Any:
    """Return P(right) of each model at each step: logits spread normally, with these means of P."""
    shift = rng.standard_normal((VOTED, 1 if kind == "common" else len(mean))) * np.ones((1, len(mean)))
    normal = rng.standard_normal(20_000)

    def centre(p: float) -> float:
        low, high = -5.0, 8.0
        for _ in range(50):
            middle = (low + high) / 2
            below = (1 / (1 + np.exp(-(middle + spread * normal)))).mean() < p
            low, high = (middle, high) if below else (low, middle)
        return high

    return 1 / (1 + np.exp(-(np.array([centre(p) for p in mean]) + spread * shift)))


def planned(p: Any, rng: Any) -> tuple[int, int, tuple[int, ...]]:
    """Return k of equal votes, k of weighed ones, and the weights. Raises Infeasible as a run would."""
    chance = random.Random(int(rng.integers(1 << 30)))

    def draw(step: int, turn: int) -> Draw:
        return Draw(b"right" if chance.random() < p[step, turn] else b"wrong", None, 1, model=TURNS[turn])

    seen = [Seen(step, None, right=b"right") for step in range(SAMPLED)]
    for step in seen:
        step.draws = shuffled([draw(step.index, turn) for turn in range(3)], chance.choice)
    for step in [step for step in seen if step.erred][:20]:
        step.again = [draw(step.index, at % 3) for at in range(20)]
    looks = max(1, 5 * sum(step.erred for step in seen))
    k = project(Evidence.of(seen, looks), RUN, TARGET, own=False).k
    if k is None:
        raise Infeasible("no k reaches the target")
    models = {name: [found.n, found.wrong] for name, found in by_model(seen, TURNS, looks).items()}
    weights = calibrated(models, TURNS)
    return k, margin_for(k, models, TURNS, weights), weights


def voted(p: Any, rng: Any, k: int, weights: tuple[int, ...]) -> tuple[int, float]:
    """Return wrong decisions, and samples a step."""
    margin, drawn, open_, draw = np.zeros(len(p), int), np.zeros(len(p), int), np.arange(len(p)), 0
    while len(open_):
        right = rng.random(len(open_)) < p[open_, draw % 3]
        margin[open_] += np.where(right, weights[draw % 3], -weights[draw % 3])
        drawn[open_] += 1
        open_ = open_[np.abs(margin[open_]) < k]
        draw += 1
    return int((margin < 0).sum()), float(drawn.mean())


def main() -> None:
    """Print a line for each spread of difficulty."""
    mean = [float(p) for p in (sys.argv[1] if len(sys.argv) > 1 else "0.9,0.7,0.6").split(",")]
    for kind, spread in SPREADS:
        rows = []
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            p = chances(mean, kind, spread, rng)
            try:
                k, margin, weights = planned(p, rng)
            except Infeasible as error:
                print(f"  seed {seed}: {error}")
                continue
            rows.append((k, *voted(p, rng, k, EQUAL), margin, *voted(p, rng, margin, weights), weights))
        if not rows:
            continue
        columns = zip(*(row[:6] for row in rows), strict=True)
        k, _, samples, margin, _, fewer = (statistics.median(column) for column in columns)
        wrong, less = (sum(row[at] for row in rows) for at in (1, 4))
        allowed = -math.expm1(math.log(TARGET) / RUN) * VOTED * len(rows)
        print(
            f"{kind} {spread}: equal k = {k:g}, {samples:.2f} samples, {wrong:,} wrong; weights "
            f"{sorted({row[6] for row in rows})} k = {margin:g}, {fewer:.2f} samples, {less:,} wrong; "
            f"{allowed:,.0f} of {VOTED * len(rows):,} allowed",
            flush=True,
        )


if __name__ == "__main__":
    main()
