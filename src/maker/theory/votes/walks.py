"""Races of two answers, exactly: no sampling, only the walk of the lead.

The lead (votes for the right answer minus votes for the rival) moves by one with each vote; the race
ends at k or -k: Wald's sequential test (Meyerson et al. 2025, arXiv 2511.09030), its paths added up. `ending_at`,
`after_votes` and `after_waves` give the share of races that end or are still open: the theory beside what is measured.

Not covered: more than two answers, and steps with a p of their own (`mixture.py`). numpy is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def after_votes(p: float, k: int, most: int) -> Floats:
    """Return P(undecided after n votes) for n = 0 .. most. p: P(a vote is right). k: margin that decides."""
    return np.array([lead.sum() for lead in islice(_leads(p, k), most + 1)])


def ending_at(p: float, k: int, most: int) -> Floats:
    """Return P(a race takes exactly n votes) for n = 0 .. most; p and k as in `after_votes`."""
    return np.array([0.0, *(p * lead[-1] + (1 - p) * lead[0] for lead in islice(_leads(p, k), most))])


def _leads(p: float, k: int) -> Iterator[Floats]:
    """Yield the shares of races still open at the leads -k+1 .. k-1, after 0, 1, 2, ... votes."""
    lead = np.zeros(2 * k - 1)
    lead[k - 1] = 1.0
    while True:
        yield lead
        lead = p * np.concatenate([[0.0], lead[:-1]]) + (1 - p) * np.concatenate([lead[1:], [0.0]])


def after_waves(p: float, v: float, k: int, most: int) -> Floats:
    """Return P(undecided after w waves) for w = 0 .. most.

    A wave draws k - margin replies, each valid with probability v, so that it can just decide.
    """
    step = np.array([v * (1 - p), 1 - v, v * p])
    spread = [np.ones(1)]  # the change of the lead by n replies, from -n to n
    for _ in range(k):
        spread.append(np.convolve(spread[-1], step))
    lead = np.zeros(2 * k + 1)  # leads -k .. k
    lead[k] = 1.0
    left = [1.0]
    for _ in range(most):
        moved = np.zeros_like(lead)
        moved[0], moved[-1] = lead[0], lead[-1]
        for at in range(1 - k, k):
            need = k - abs(at)
            moved[k + at - need : k + at + need + 1] += lead[k + at] * spread[need]
        lead = moved
        left.append(float(lead[1:-1].sum()))
    return np.array(left)
