"""Distributions of steps' error rates with given moments, at random or all of a grid, to hold bounds against.

    python tests/kit/shapes.py 100000

draws so many distributions and counts those outside the bounds of `theory/votes/bounds.py`, and as many more for those
of `theory/votes/program.py`.
"""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any

import numpy as np

from maker.theory.votes.bounds import lost_share, step_error
from maker.theory.votes.program import Program, available

MOMENTS = [
    (mean, mean * mean + rho * mean * (1 - mean))
    for mean in (1e-4, 0.0022, 0.03, 0.2, 0.4, 0.55, 0.9) for rho in (1e-4, 0.01, 0.1, 0.4, 0.7, 0.95)
]  # fmt: skip
MARGINS = (1, 2, 3, 7, 30)
ROUNDING = 1e-9


def weights(atoms: Any, m1: float, m2: float) -> tuple[Any, Any]:
    """Return those rows of three different atoms that can have both moments, and their weights."""
    x, y, z = atoms.T
    shares = np.stack(
        [(m2 - m1 * (b + c) + b * c) / ((a - b) * (a - c)) for a, b, c in ((x, y, z), (y, x, z), (z, x, y))], axis=1
    )
    there = (shares >= 0).all(axis=1)
    return atoms[there], shares[there]


def error(q: Any, k: int) -> Any:
    """P(a wrong answer wins at a margin of k), for an array of error rates."""
    with np.errstate(over="ignore", divide="ignore"):
        return 1 / (1 + ((1 - q) / np.maximum(q, 1e-300)) ** k)


def drawn(m1: float, m2: float, count: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return random distributions of three atoms with these moments: one below, one at or about 1/2, one anywhere."""
    found: list[tuple[Any, Any]] = []
    while sum(len(atoms) for atoms, _ in found) < count:
        ends = rng.random((20 * count, 3)) ** rng.choice([0.3, 1, 3, 10], (20 * count, 3))
        ends[:, 0] *= m1
        ends[::2, 1] = 0.5 + rng.choice([0, 1e-3, 0.1], len(ends[::2])) * rng.random(len(ends[::2]))
        ends[::3, 2] = rng.choice([0.0, 1.0], len(ends[::3]))
        found.append(weights(ends, m1, m2))
    return np.concatenate([a for a, _ in found])[:count], np.concatenate([w for _, w in found])[:count]


def outside(atoms: Any, shares: Any, m1: float, m2: float) -> int:
    """Return how many distributions lie outside a bound."""
    low, high = lost_share(m1, m2)
    lost = (shares * (atoms >= 0.5)).sum(axis=1)
    bad = (lost < low - ROUNDING) | (lost > high + ROUNDING)
    for k in MARGINS:
        bad |= (shares * error(atoms, k)).sum(axis=1) > step_error(m1, m2, k) * (1 + 1e-6) + ROUNDING
    return int(bad.sum())


def everywhere(m1: float, m2: float, places: int) -> tuple[Any, Any]:
    """Return all distributions of three atoms of a grid (and just under 1/2) that have these moments."""
    grid = [*(i / places for i in range(places + 1)), 0.5 - 1e-9]
    return weights(np.array(list(itertools.combinations(grid, 3))), m1, m2)


def tails(atoms: Any, shares: Any, r: int) -> Any:
    """Return P(at least 1, 2, ..., r of r draws wrong) of each distribution."""
    ways = [(shares * math.comb(r, i) * atoms**i * (1 - atoms) ** (r - i)).sum(axis=1) for i in range(r + 1)]
    return np.cumsum(np.stack(ways[::-1], axis=1), axis=1)[:, ::-1][:, 1:]


def beyond(count: int, r: int, rng: np.random.Generator) -> int:
    """Return how many of random distributions of three atoms lie outside the bounds of the program, r draws a step.

    They are taken by the score, and the program is told how far their tails reach, and no more.
    """
    found = 0
    for first in range(0, count, 2000):
        m1, m2 = MOMENTS[first // 2000 % len(MOMENTS)]
        atoms, shares = drawn(m1, m2, min(2000, count - first), rng)
        seen = tails(atoms, shares, r)
        for middle in np.quantile(seen[:, -1], (0.1, 0.5, 0.9)):
            near = np.argsort(abs(seen[:, -1] - middle))[: len(seen) // 3]
            program = Program([(float(of.min()), float(of.max())) for of in seen[near].T])
            low, high = program.lost()
            lost = (shares[near] * (atoms[near] >= 0.5)).sum(axis=1)
            bad = (lost < low - ROUNDING) | (lost > high + ROUNDING)
            for k in MARGINS:
                bad |= (shares[near] * error(atoms[near], k)).sum(axis=1) > program.step_error(k) + ROUNDING
            found += int(bad.sum())
    return found


def main() -> None:
    """Count."""
    count = int(sys.argv[1])
    each = -(-count // len(MOMENTS))
    rng = np.random.default_rng(0)
    found = sum(outside(*drawn(m1, m2, each, rng), m1, m2) for m1, m2 in MOMENTS)
    print(f"{each * len(MOMENTS):,} distributions of {len(MOMENTS)} pairs of moments: {found} outside")
    if available():
        for r in (3, 5):
            print(f"{count:,} distributions of which {r} moments are known: {beyond(count, r, rng)} outside")


if __name__ == "__main__":
    main()
