"""Races of two answers, exactly: no sampling, only the walk of the lead.

The lead (votes for the right answer minus votes for the rival) moves by one with each vote; the race
ends at k or -k. `after_votes` and `after_waves` give the share of races still open; `mixed_error` the
error when each step has a p of its own. They are the theory beside what is measured.

Not covered: more than two answers, and votes that depend on each other within a step.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def after_votes(p: float, k: int, most: int) -> Floats:
    """Return P(undecided after n votes) for n = 0 .. most. p: P(a vote is right). k: margin that decides."""
    lead = np.zeros(2 * k - 1)  # leads -k+1 .. k-1
    lead[k - 1] = 1.0
    left = [1.0]
    for _ in range(most):
        lead = p * np.concatenate([[0.0], lead[:-1]]) + (1 - p) * np.concatenate([lead[1:], [0.0]])
        left.append(float(lead.sum()))
    return np.array(left)


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


def beta_errors(p: float, rho: float, nodes: int = 50_000) -> tuple[Floats, Floats]:
    """Return (q, weight): error rates of a step, and the probability of each, when steps differ.

    p: mean of the steps' own p_s = 1 - q, inside 0..1. rho: intra-class correlation, inside 0..1; p_s is
    Beta(p c, (1-p) c) with c = (1-rho)/rho. The weights sum to 1 but for the rule's own error (midpoints).
    Each half of 0..1 is laid out in the variable that takes the pole at its end away: t = q^min(1, b) below
    one half, b = (1-p) c, and the mirror image above.
    """
    right, wrong = p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho
    log_beta = math.lgamma(right) + math.lgamma(wrong) - math.lgamma(right + wrong)
    t = (np.arange(nodes) + 0.5) / nodes
    rates, weights = [], []
    for near, far, low in ((wrong, right, True), (right, wrong, False)):
        power = min(1.0, near)
        x = np.maximum(0.5 * t ** (1 / power), 1e-300)  # its logarithm stays finite
        height = (near - power) * np.log(x) + (far - 1) * np.log1p(-x) - log_beta
        weights.append(np.exp(height) * 0.5**power / power / nodes)
        rates.append(x if low else 1 - x)
    return np.concatenate(rates), np.concatenate(weights)


def mixed_error(rates: Floats, weights: Floats, k: int) -> float:
    """Return P(the rival wins a step) at margin k, over steps with these error rates and weights.

    Equation: the mean of q^k / (q^k + (1-q)^k), Meyerson et al. 2025 for one step.
    """
    with np.errstate(divide="ignore", over="ignore"):
        return float((weights / (1 + ((1 - rates) / rates) ** k)).sum() / weights.sum())


def lost_share(rates: Floats, weights: Floats) -> float:
    """Return the share of steps whose error rate is above one half: what no k passes."""
    return float(weights[rates > 0.5].sum() / weights.sum())
