"""Exact one-sided bounds of a rate seen in n trials.

Source: Clopper & Pearson 1934. Not covered: trials that depend on one another.
"""

from __future__ import annotations

import math

from maker.theory.checked import inside, whole
from maker.theory.equations import _MOST_SAMPLES


def p_lower(wrong: int, n: int, confidence: float = 0.95) -> float:
    """Exact one-sided lower bound of p = P(right), from raw samples: the p to plan k with.

    wrong: 0..n of the samples were wrong. n: 1..10,000,000 independent samples, taken before any vote.
    confidence: 0.5 up to, not including, 1. Returns 0..1; 0 when all were wrong.
    Raises ValueError outside these ranges.
    Equation: the p at which P(at most `wrong` wrong of n) = 1 - confidence, Clopper & Pearson 1934.
    """
    wrong, n = _counts(wrong, n)
    return 1.0 - _rate_upper(wrong, n, _confidence(confidence))


def p_upper(wrong: int, n: int, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of p = P(right); with p_lower, both at 0.975, a two-sided 95% interval.

    All as for p_lower; 1 when none was wrong. The p at which P(at most n - wrong right) = 1 - confidence.
    """
    wrong, n = _counts(wrong, n)
    return _rate_upper(n - wrong, n, _confidence(confidence))


def _rate_upper(seen: int, n: int, confidence: float) -> float:
    """Solve for the rate q at which P(at most `seen` of n) = 1 - confidence."""
    alpha = 1.0 - confidence
    low, high = seen / n, 1.0  # seen is a median at q = seen/n: the tail is at least 1/2 there, alpha at most
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _tail(seen, n, middle) > alpha else (low, middle)
    return high


def _tail(seen: int, n: int, q: float) -> float:
    """P(at most `seen` of n) at a rate q >= seen/n, where the terms only fall from `seen` down to 0."""
    log_ways = math.lgamma(n + 1) - math.lgamma(seen + 1) - math.lgamma(n - seen + 1)
    total = term = 1.0
    for i in range(seen, 0, -1):
        term *= i * (1 - q) / ((n - i + 1) * q)
        total += term
        if term < 1e-17 * total:
            break
    return math.exp(log_ways + seen * math.log(q) + (n - seen) * math.log1p(-q)) * total


def _confidence(value: object) -> float:
    number = inside("confidence", value)
    if number < 0.5:
        raise ValueError(f"confidence must be 0.5 or more, got {value!r}: below it this is no bound")
    return number


def _counts(wrong: object, n: object) -> tuple[int, int]:
    samples, misses = whole("n", n), whole("wrong", wrong, least=0)
    if samples > _MOST_SAMPLES:
        raise ValueError(f"n must be at most {_MOST_SAMPLES:,}, got {samples}: a bound from fewer is as good")
    if misses > samples:
        raise ValueError(f"wrong must be at most n = {samples}, got {misses}: count raw samples once each")
    return misses, samples
