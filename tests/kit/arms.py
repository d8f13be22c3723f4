"""Simulated arms on common states, to see how often a worse one is dropped, and a better one.

    python tests/kit/arms.py [PAIRS]

prints it for 1,000 pairs of arms (default), with the states that were needed. Leaves with 1 where a better arm was
dropped oftener than `theory/compare.py` says.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from maker.theory.compare import ERROR, Pairs, shown_worse

LOOK = 10  # states between two looks


@dataclass
class Settled:
    """Which arms were called worse than some other, and how many states had been seen by then."""

    worse: set[str]
    states: int


def settled(rates: Sequence[float], most: int, rng: random.Random) -> Settled:
    """Ask arms with these p about common states until one is called worse than another; arms are "0", "1", ..."""
    names = [str(number) for number in range(len(rates))]
    pairs = {both: Pairs() for both in combinations(names, 2)}
    for states in range(LOOK, most + 1, LOOK):
        wrong = {name: [rng.random() >= p for _ in range(LOOK)] for name, p in zip(names, rates, strict=True)}
        for (one, other), found in pairs.items():
            found.add(zip(wrong[one], wrong[other], strict=True))
        if worse := {one for one, _ in shown_worse(pairs)}:
            return Settled(worse, states)
    return Settled(set(), most)


def main(count: int) -> int:
    """Print what came of `count` pairs of arms each; return the exit code."""
    bad = 0
    for rates, most in (((0.9, 0.7), 1000), ((0.9, 0.85), 1000), ((0.8, 0.8), 1000), ((0.95, 0.8, 0.8), 1000)):
        found = [settled(rates, most, random.Random(seed)) for seed in range(count)]
        needed = sorted(one.states for one in found if one.worse)
        wrongly = sum(any(rates[int(name)] == max(rates) for name in one.worse) for one in found)
        bad += wrongly > ERROR * count
        median = f"after {needed[len(needed) // 2]} states (median)" if needed else ""
        print(f"p = {rates}: {len(needed)} of {count} told apart {median}; a best one called worse {wrongly} times")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
