"""Bounds that hold whatever is not known: of a rate seen in n trials, and of steps of which two moments are known.

`p_lower` and `p_upper` are exact for every rate. `lost_share` and `step_error` hold for *every* distribution of the
steps' own error rates q_s that has the two moments m1 = E[q_s] and m2 = E[q_s^2], and are sharp: some distribution
reaches them. Two labelled draws on each of many steps tell these two moments, and no more: m1 is the share of wrong
first draws, m2 that of pairs with both wrong. `widest` finds where, in a region of moments, the bounds are largest.

Sources: Clopper & Pearson 1934; Cantelli 1928 (his two atoms, where both are inside [0, 1]); Liu, arXiv 2605.03379
(what two draws a step identify). Not covered: trials that depend on one another, and moments beyond the second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache

from maker.theory.votes.checked import inside, whole
from maker.theory.votes.equations import MOST_SAMPLES

_LOST = 0.5  # error rate from which on a step is lost to one rival
_GRID = 200  # places at which a bound is tried before the best is refined

Range = tuple[float, float]


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


@lru_cache(1 << 14)  # the same counts are asked about again and again, at each look and for each side
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
    if samples > MOST_SAMPLES:
        raise ValueError(f"n must be at most {MOST_SAMPLES:,}, got {samples}: a bound from fewer is as good")
    if misses > samples:
        raise ValueError(f"wrong must be at most n = {samples}, got {misses}: count raw samples once each")
    return misses, samples


# -- steps of which two moments are known --------------------------------------------------------------


def lost_share(m1: float, m2: float) -> Range:
    """Return the least and the largest share of steps with an error rate of 1/2 or more, given both moments.

    m1, m2: of the error rate, m1^2 <= m2 <= m1. The largest has atoms at 1/2 and below it (Cantelli's) or, where
    the lower one would be negative, at 0, 1/2 and 1. The least is that of the rest, mirrored.
    """
    return 1 - _at_half(1 - m1, 1 - 2 * m1 + m2), _at_half(m1, m2)


def _at_half(m1: float, m2: float) -> float:
    """Return the largest share at 1/2 or more."""
    if m2 > m1 / 2 or m1 >= _LOST:
        return max(0.0, min(1.0, 3 * m1 - 2 * m2))
    variance = max(0.0, m2 - m1 * m1)
    return variance / (variance + (_LOST - m1) ** 2)


@lru_cache(1 << 12)  # runs of several lengths, and the same margins again, are planned by the same moments
def step_error(m1: float, m2: float, k: int) -> float:
    """Return the largest P(a wrong answer wins a step) at a margin of k, one rival, given both moments.

    It has two atoms, or three of which two are 0 and 1; all of these are tried.
    """
    variance = max(0.0, m2 - m1 * m1)
    if variance <= 1e-12 * m1 or m1 >= 1:
        return _won(m1, k)
    middle, least = min(m2 / m1, 1.0), (m1 - m2) / (1 - m1)

    def two(y: float) -> float:
        weight = variance / (variance + (y - m1) ** 2)
        return weight * _won(y, k) + (1 - weight) * _won(max(0.0, m1 - variance / (y - m1)), k)

    def three(y: float) -> float:
        return (m1 - m2) / (y * (1 - y)) * _won(y, k) + (m2 - m1 * y) / (1 - y)

    found = two(_top(two, middle, 1.0))
    if 0 < least < middle < 1:
        found = max(found, three(_top(three, least, middle)))
    return min(1.0, found)


def widest(m1: Range, m2: Range, k: int | None) -> Range:
    """Return the moments in a region at which the largest `step_error` at k, or `lost_share` (k = None), is largest.

    Both are concave in the moments. With m2 alone bounded, the best distribution has one atom beside 0, where
    (the error) / q^2 is largest; with m1 alone, where (the error) / q is.
    """
    steep, flat = (_LOST, _LOST) if k is None else _places(k)
    first = min(max(m2[1] / steep, m1[0]), m1[1])
    return first, min(max(first * flat, m2[0]), m2[1])


@cache
def _places(k: int) -> Range:
    """Return where (the error at k) / q^2, and / q, are largest."""
    return _top(lambda q: _won(q, k) / (q * q), 1e-6, 1.0), _top(lambda q: _won(q, k) / q, 1e-6, 1.0)


def _won(q: float, k: int) -> float:
    """Return P(a wrong answer wins) where it has the share q of votes; `step_success` without its checks."""
    if q <= 0 or q >= 1:
        return float(q >= 1)
    lead = k * (math.log1p(-q) - math.log(q))
    return 1 / (1 + math.exp(lead)) if lead < 700 else 0.0


def _top(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function is largest: the best place of a grid, refined between its neighbours."""
    places = [low + (high - low) * i / _GRID for i in range(_GRID + 1)]
    at = max(range(_GRID + 1), key=lambda i: function(places[i]))
    found = peak(function, places[max(at - 1, 0)], places[min(at + 1, _GRID)])
    return max(places[at], found, key=function)


def peak(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one peak has it, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-5 * high:
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2
