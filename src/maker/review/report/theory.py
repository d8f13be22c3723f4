"""Predicted against observed: what the formulas say of a run, beside what its journal shows.

Two predictions: *planned*, from the calibration that the run made before its first step; and *at the run's
own p*, the formulas at the rate with which first valid samples agreed with the winner. The second is no
forecast; it asks whether one p for every step and independent samples describe the run. A run that needs
clearly more votes than it says has harder steps, or copies.

Agreement is not truth, so no probability of a right run is read off it: that comes from the plan alone, whose
samples were graded as the calibration says.

Not covered: how long races take (`theory/walks.py`), more than two answers, rho, and whether the winners were right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from maker import theory
from maker.review.report.data import Contents

LARGEST_K = 40  # above it the sums over paths take too long for a picture
MOST = 10_000_000  # observations that the exact interval takes
SURE = 0.975  # each end of a two-sided 95% interval

Interval = tuple[float, float]


@dataclass(slots=True, frozen=True)
class Value:
    """A number, its 95% interval where it has one, and how many observations it comes from."""

    value: float
    interval: Interval | None = None
    n: int | None = None


@dataclass(slots=True, frozen=True)
class Comparison:
    """One quantity: planned, by theory at the run's own p, and observed; None where it is not known."""

    name: str
    planned: Value | None
    fitted: Value | None
    observed: Value | None


def share(hits: int, n: int) -> Value | None:
    """Return a share with its exact 95% interval (Clopper and Pearson 1934); None of nothing.

    Above ten million observations the interval is that of as many fewer: wider by less than a digit shown.
    """
    if n == 0:
        return None
    part = -(-n // MOST)
    missed, seen = (n - hits) // part, n // part
    low, high = theory.p_lower(missed, seen, SURE), theory.p_upper(missed, seen, SURE)
    return Value(hits / n, (min(low, hits / n), max(high, hits / n)), n)


def own_p(found: Contents) -> Value | None:
    """Return the share of first valid samples that agree with the winner; None where k = 1 makes it empty."""
    if found.summary.k in (None, 1):
        return None
    return share(found.agreed, found.summary.steps)


def compare(found: Contents) -> list[Comparison]:
    """Return the quantities of which there is something to say."""
    summary, k = found.summary, found.summary.k
    if k is None:
        return []
    calibration = summary.calibration
    planned_p = planned_v = None
    if calibration:
        planned_p = share(calibration["valid"] - calibration["wrong"], calibration["valid"])
        planned_v = share(calibration["valid"], calibration["draws"])
    p, v = own_p(found), share(found.samples - found.flagged, found.samples)
    total = summary.header.get("steps")
    rows = [
        Comparison("p: first valid samples that agree with the winner", planned_p, None, p),
        Comparison("v, valid among samples", planned_v, None, v),
        Comparison("votes a step", _votes(planned_p, k), _votes(p, k), _mean_votes(found)),
        Comparison("samples a step", _samples(planned_p, planned_v, k), _samples(p, v, k), _mean_samples(found)),
        Comparison("steps undecided after round 1", _undecided(planned_p, planned_v, k), _undecided(p, v, k),
                   share(summary.steps - summary.waves[1], summary.steps)),
    ]  # fmt: skip
    if isinstance(total, int):
        rows.append(Comparison("P(the whole run is right)", _success(planned_p, k, total), None, None))
    return [row for row in rows if row.planned or row.fitted or row.observed]


def _votes(p: Value | None, k: int) -> Value | None:
    """Return the expected votes of a step, over the interval of p (the fewer, the further p is from 1/2)."""
    if p is None or p.interval is None:
        return None
    ends = [theory.expected_votes(end, k) for end in p.interval]
    most = float(k) * k if p.interval[0] <= 0.5 <= p.interval[1] else max(ends)
    return Value(theory.expected_votes(p.value, k), (min(ends), most))


def _samples(p: Value | None, v: Value | None, k: int) -> Value | None:
    votes = _votes(p, k)
    if votes is None or v is None or votes.interval is None or v.interval is None or not v.interval[0]:
        return None
    return Value(votes.value / v.value, (votes.interval[0] / v.interval[1], votes.interval[1] / v.interval[0]))


def _undecided(p: Value | None, v: Value | None, k: int) -> Value | None:
    if p is None or v is None:
        return None
    return Value(1 - (p.value * v.value) ** k - ((1 - p.value) * v.value) ** k)


def _success(p: Value | None, k: int, steps: int) -> Value | None:
    if p is None or p.interval is None or steps < 1:
        return None
    low, high = (theory.run_success(end, k, steps) for end in p.interval)
    return Value(theory.run_success(p.value, k, steps), (low, high))


def _mean_votes(found: Contents) -> Value | None:
    """Return the mean votes of a decided step with the usual interval of a mean."""
    n = sum(found.votes.values())
    if n == 0:
        return None
    mean = sum(votes * steps for votes, steps in found.votes.items()) / n
    if len(found.votes) == 1:  # all alike: no spread to estimate an interval from
        return Value(mean, None, n)
    spread = math.sqrt(sum(steps * (votes - mean) ** 2 for votes, steps in found.votes.items()) / (n - 1))
    reach = 1.96 * spread / math.sqrt(n)
    return Value(mean, (mean - reach, mean + reach), n)


def _mean_samples(found: Contents) -> Value | None:
    """Return the samples of a decided step; open steps count with theirs, for they were paid for."""
    steps = found.summary.steps
    return Value(found.samples / steps, None, steps) if steps else None
