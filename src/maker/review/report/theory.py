"""Predicted against observed: what the formulas say of a run, beside what its journal shows.

Two predictions: *planned*, from the calibration that the run made before its first step; and *at the run's
own p*, the formulas at the rate with which first valid samples agreed with the winner. The second is no
forecast; it asks whether one p for every step and independent samples describe the run. A run that needs
clearly more votes than it says has harder steps, or copies.

Agreement is not truth, so no probability of a right run is read off it: that comes from the plan alone, whose
samples were graded as the calibration says.

Where margins widen by a table, or votes of a pool weigh differently, there are no predictions, but for p and v.

Not covered: the length of races (`theory/votes/walks.py`), more than two answers, rho, and whether winners were right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from maker import theory
from maker.review.report.data import Contents

LARGEST_K = 40  # above it the sums over paths take too long for a picture
MOST = 10_000_000  # observations that the exact interval takes
SURE = 0.975  # each end of a two-sided 95% interval
PREDICTED = ("votes a step", "samples a step", "steps undecided after round 1")

Interval = tuple[float, float]


@dataclass(slots=True, frozen=True)
class Value:
    """A number, its 95% interval where it has one, and how many observations it comes from."""

    value: float
    interval: Interval | None = None
    n: int | None = None

    @property
    def ends(self) -> Interval:
        """The ends of the interval; the number itself where it has none."""
        return self.interval or (self.value, self.value)


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
    seen, steps = summary.calibration, summary.steps
    planned_p = share(seen["valid"] - seen["wrong"], seen["valid"]) if seen else None
    planned_v = share(seen["valid"], seen["draws"]) if seen else None
    p, v = own_p(found), share(found.samples - found.flagged, found.samples)
    constant = None if summary.table or summary.weights else k
    observed = (
        _mean_votes(found),
        Value(found.samples / steps, None, steps) if steps else None,  # those of open steps too: they were paid for
        share(steps - summary.waves[1], steps),
    )
    rows = [
        Comparison("p: first valid samples that agree with the winner", planned_p, None, p),
        Comparison("v, valid among samples", planned_v, None, v),
        *map(Comparison, PREDICTED, _predicted(planned_p, planned_v, constant), _predicted(p, v, constant), observed),
    ]
    total = summary.header.get("steps")
    if constant and isinstance(total, int) and total > 0 and planned_p:
        low, high = (theory.run_success(end, constant, total) for end in planned_p.ends)
        success = Value(theory.run_success(planned_p.value, constant, total), (low, high))
        rows.append(Comparison("P(the whole run is right)", success, None, None))
    return [row for row in rows if row.planned or row.fitted or row.observed]


def _predicted(p: Value | None, v: Value | None, k: int | None) -> Sequence[Value | None]:
    """Return what is `PREDICTED`, over the intervals of p and v (the fewer votes, the further p is from 1/2).

    k: None where the margin is not constant: then nothing is.
    """
    if p is None or v is None or k is None or not v.ends[0]:
        return [None] * len(PREDICTED)
    low, high = p.ends
    fewest, most = sorted(theory.expected_votes(end, k) for end in p.ends)
    if low <= 0.5 <= high:
        most = float(k) * k
    votes = theory.expected_votes(p.value, k)
    return (
        Value(votes, (fewest, most)),
        Value(votes / v.value, (fewest / v.ends[1], most / v.ends[0])),
        Value(1 - (p.value * v.value) ** k - ((1 - p.value) * v.value) ** k),
    )


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
