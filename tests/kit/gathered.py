"""Evidence as tests need it: counted by hand, or drawn from steps of known rates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from maker.engine.probe import AGAIN, ROUNDS
from maker.theory.draws import CLEARED
from maker.theory.evidence import Evidence

# Errors up to which a step is clear, after each round of further draws.
CLEAR = [
    max(w for w in range(n // 2) if sum(math.comb(n, i) for i in range(w + 1)) <= CLEARED * 2**n)
    for n in range(AGAIN, AGAIN * ROUNDS + 1, AGAIN)
]


def exceeding(counts: Any) -> list[int]:
    """How many counts are above 0, above 1, ..."""
    return [int((np.asarray(counts) > i).sum()) for i in range(int(max(counts, default=0)))]


def evidence(
    wrong: int, n: int, again: tuple[tuple[int, int], ...] = (), *, flagged: int = 0, lost: tuple[Any, ...] = (),
    suspects: int | None = None, rival: int = 0, pairs: int = 0, collisions: int = 0,
) -> Evidence:  # fmt: skip
    """Evidence of one draw a step, of which `wrong` were wrong, and of (wrong, of) further draws on some of these."""
    totals = [(1 + more, 1 + of) for more, of in again] + [(1, 1)] * (wrong - len(again)) + [(0, 1)] * (n - wrong)
    bad, of = np.array([w for w, _ in totals]), np.array([m for _, m in totals])
    errors = sum(w for w, _ in again)
    return Evidence(
        n=n, wrong=wrong, asked=n + flagged, dropped=flagged, pairs=pairs, collisions=collisions, wrongs=exceeding(bad),
        rights=exceeding(of - bad), valids=exceeding(of), suspects=wrong - len(again) if suspects is None else suspects,
        power=0.5, lost=[list(item) for item in lost], rival=rival or errors, errors=errors,
    )  # fmt: skip


def simulated(p: float, rho: float, steps: int, repeats: int, most: int, rng: np.random.Generator) -> Evidence:
    """Evidence of steps whose own error rates are Beta-distributed; up to `most` erring ones drawn 20 times more."""
    c = (1 - rho) / rho if rho else 0.0
    q = 1 - rng.beta(p * c, (1 - p) * c, steps) if rho else np.full(steps, 1 - p)
    first = rng.random((steps, repeats)) < q[:, None]
    wrong, n = first.sum(1), np.full(steps, repeats)
    erred = np.flatnonzero(wrong)[:most]
    wrong[erred] += rng.binomial(20, q[erred])
    n[erred] += 20
    return Evidence(
        n=steps, wrong=int(first[:, 0].sum()), asked=steps, dropped=0, pairs=steps if repeats > 1 else 0,
        collisions=int(first[:, :2].all(1).sum()) if repeats > 1 else 0, wrongs=exceeding(wrong),
        rights=exceeding(n - wrong), valids=exceeding(n), suspects=0, power=0.5, lost=[], rival=1, errors=1,
    )  # fmt: skip


def probed(q: Any, rng: np.random.Generator) -> Evidence:
    """Evidence as an estimate gathers it: two draws on steps of these error rates, five rounds more on unclear ones."""
    first = rng.random((len(q), 2)) < q[:, None]
    erred = np.flatnonzero(first.any(axis=1))
    suspects = [at for at in erred if not any(
        wrong <= CLEAR[looks] for looks, wrong in enumerate(np.cumsum(rng.binomial(AGAIN, q[at], ROUNDS)))
    )]  # fmt: skip
    found = evidence(int(first[:, 0].sum()), len(q), suspects=len(suspects), pairs=len(q),
                     collisions=int(first.all(axis=1).sum()))  # fmt: skip
    return replace(found, power=(1 - CLEARED) * 0.75)
