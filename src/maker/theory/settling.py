"""Which further draws would settle what an estimate leaves open: on how many steps, how often on each, at what cost.

Worked out for errors that go on as they were seen: at the same rate, and in both of two draws as often. Where none were
seen, none are to be.

Not covered: more than two draws a step, and that what comes will be as what came; it is a size, not a promise.
"""

from __future__ import annotations

from dataclasses import dataclass

from maker.theory.evidence import Evidence
from maker.theory.votes.bounds import step_error, widest
from maker.theory.votes.equations import MOST_SAMPLES
from maker.theory.worst import rates, success


@dataclass(slots=True, frozen=True)
class Settling:
    """The fewest draws that would show the target whatever the shape: on `steps` steps, `repeats` times on each.

    samples: replies, flagged ones included. cost: US dollars (None without prices); seconds: at the estimate's pace.
    """

    steps: int
    repeats: int
    samples: float
    cost: float | None
    seconds: float

    @classmethod
    def of(
        cls, found: Evidence, steps: int, target: float, k: int, *, each: float | None, pace: float
    ) -> Settling | None:  # fmt: skip
        """Return what would settle a run planned with k; None where ten million steps would not.

        each, pace: dollars and seconds of a reply.
        """
        ways = [(needed, repeats) for repeats in (1, 2) if (needed := _needed(found, steps, target, k, repeats))]
        if not ways:
            return None
        needed, repeats = min(ways, key=lambda way: way[0] * way[1])
        samples = needed * repeats / found.v
        return cls(needed, repeats, samples, None if each is None else each * samples, pace * samples)


def _needed(found: Evidence, steps: int, target: float, k: int, repeats: int) -> int | None:
    """Return how many steps would show it, drawn on so often; None where ten million do not."""
    both = found.collisions / found.pairs if found.pairs else 0.0

    def shown(n: int) -> bool:
        m1 = rates(round(n * found.wrong / found.n), n)
        m2 = rates(round(n * both), n) if repeats == 2 else (0.0, 1.0)
        return any(success(step_error(*widest(m1, m2, margin), margin), steps) >= target for margin in {k, 1})

    low, high = 0, MOST_SAMPLES
    if not shown(high):
        return None
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if middle > 0 and shown(middle) else (middle, high)
    return high
