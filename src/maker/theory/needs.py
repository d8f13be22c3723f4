"""Samples -> tokens, money, time: what a planned run takes, each with its 95% interval.

The ends of a product hold both intervals, so it covers more often than 95 of 100 times. Token means have
intervals by the normal law, which skewed lengths and few replies make too narrow.

Not covered: retries, discounts of cached tokens, and a server that is slower or faster than it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from maker import theory
from maker.theory.evidence import Evidence
from maker.theory.planner import Amount, Projection

BATCH_SHARE = 0.5  # of the price of a call by itself, that one in a batch costs
_MOST_WAVES_K = 50  # beyond it the waves of a step are not worked out


@dataclass(slots=True, frozen=True)
class Needs:
    """What a run takes; None where it cannot be known, and all of the run where no k is planned.

    samples, tokens (in and out), cost (US dollars), seconds: of the whole run. tokens_in, tokens_out: of a reply.
    """

    samples: Amount | None
    tokens_in: Amount | None
    tokens_out: Amount | None
    tokens: Amount | None
    cost: Amount | None
    seconds: Amount | None

    @classmethod
    def of(
        cls, plan: Projection, found: Evidence, tokens_in: Sequence[int | None], tokens_out: Sequence[int | None],
        latencies: Sequence[float | None], prices: Any, pace: float, *, parallel: bool,
    ) -> Needs:  # fmt: skip
        """Work out the needs of a plan.

        tokens_in, tokens_out, latencies (seconds): of the replies that were drawn, at `pace` wall seconds each; None
        where one did not say. prices: US dollars per million tokens, `input` and
        `output`, or None. parallel: the run can send samples of many steps at once, as the drawing did.
        """
        told, written = mean(tokens_in), mean(tokens_out)
        samples = plan.samples
        tokens = cost = None
        if samples and told and written:
            tokens = samples * (told + written)
            if prices is not None:
                cost = samples * (told.times(prices.input / 1e6) + written.times(prices.output / 1e6))
        seconds = _seconds(plan, found, latencies, samples, pace, parallel=parallel)
        return cls(samples, told, written, tokens, cost, seconds)

    def in_batches(self) -> Needs:
        """Return the needs of the same run where samples come in batches: at half the price, whenever they come."""
        return replace(self, cost=None if self.cost is None else self.cost.times(BATCH_SHARE), seconds=None)


def plain(number: float) -> float | None:
    """Return a number as JSON has it: no infinity."""
    return number if math.isfinite(number) else None


def _seconds(
    plan: Projection, found: Evidence, latencies: Sequence[float | None], samples: Amount | None, pace: float,
    *, parallel: bool,
) -> Amount | None:  # fmt: skip
    """Return wall seconds: samples at this pace where steps run side by side, else wave after wave."""
    if samples is None or plan.k is None:
        return None
    known = [latency for latency in latencies if latency is not None]
    if parallel or not known or plan.k > _MOST_WAVES_K:
        return samples.times(pace)
    waves = [theory.expected_waves(p, plan.k) for p in (found.p, found.p_high, found.p_low)]
    return Amount(*waves).times(plan.steps * math.fsum(known) / len(known))


def mean(counts: Sequence[int | None]) -> Amount | None:
    """Return the mean with its 95% interval by the normal law; None where not every reply had a figure."""
    known = [count for count in counts if count is not None]
    if len(known) < len(counts) or len(known) < 2:
        return None
    mean = math.fsum(known) / len(known)
    deviation = math.sqrt(math.fsum((count - mean) ** 2 for count in known) / (len(known) - 1))
    half = 1.96 * deviation / math.sqrt(len(known))
    return Amount(mean, max(0.0, mean - half), mean + half)
