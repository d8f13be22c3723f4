"""What graded draws say of flags, lengths and how far answers spread.

All of it is about first-round draws, flagged ones that can still be read included: only those tell whether a
flag drops right answers or wrong ones. Rates come with exact 95% intervals and n; draws of one step are taken
as independent, so where rho is large the intervals are too narrow.

A flag or a cap pays when the run gets cheaper: samples a step are k(p) / (v (2p - 1)), Meyerson et al. 2025,
with p and v after it; k(p) unrounded, so that it is proportional to 1 / ln(p / (1-p)).

Not covered: flags in another order. A sample belongs to the first flag of the chain that spoke.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from maker import theory
from maker.theory.draws import Draw, Seen
from maker.theory.evidence import SIDE

BINS = 8  # of lengths, at most, each as many times longer as the one before
CAPS = 64  # lengths, at most, that are tried as a cap


@dataclass(slots=True, frozen=True)
class Rate:
    """Errors among n draws, with the exact 95% interval of their rate (None where n = 0)."""

    n: int
    wrong: int

    @property
    def low(self) -> float | None:
        """The lower end."""
        return 1 - theory.p_upper(self.wrong, self.n, SIDE) if self.n else None

    @property
    def high(self) -> float | None:
        """The upper end."""
        return 1 - theory.p_lower(self.wrong, self.n, SIDE) if self.n else None

    def as_json(self) -> dict[str, Any]:
        """Return counts, rate and interval."""
        return {"n": self.n, "wrong": self.wrong, "error": self.wrong / self.n if self.n else None,
                "error_low": self.low, "error_high": self.high}  # fmt: skip


@dataclass(slots=True, frozen=True)
class FlagEffect:
    """What one flag did: count and share of all draws; errors among those it dropped that can be read.

    pays: without it the run would be dearer; None where none of them can be read (they have no vote
    anyway) or p is not above 1/2.
    """

    count: int
    share: float
    dropped: Rate
    pays: bool | None


@dataclass(slots=True, frozen=True)
class Lengths:
    """Errors by length in tokens: (from, to, errors), and the cap that would make the run cheapest.

    cap: None unless errors above it are shown to be more frequent than below it (both at 97.5%).
    """

    bins: list[tuple[int, int, Rate]]
    cap: int | None


@dataclass(slots=True, frozen=True)
class Entropy:
    """Vote entropy of the steps that were drawn again: of how many, and its mean in nats.

    Near 0 the votes of a step agree, rightly or wrongly; near ln 2 two answers share them.
    """

    steps: int
    mean: float

    @property
    def answers(self) -> float:
        """The effective number of different answers, e to the entropy."""
        return math.exp(self.mean)


def flag_effects(seen: Sequence[Seen]) -> dict[str, FlagEffect]:
    """Return the effect of every flag that dropped something, the most frequent first."""
    graded = list(_graded(seen))
    valid = _rate([bool(wrong) for draw, wrong in graded if draw.flag is None])
    effects = {}
    for flag, count in Counter(draw.flag for draw, _ in graded if draw.flag is not None).most_common():
        dropped = _rate([wrong for draw, wrong in graded if draw.flag == flag and wrong is not None])
        without = Rate(valid.n + dropped.n, valid.wrong + dropped.wrong)
        costs = relative_samples(valid, len(graded)), relative_samples(without, len(graded))
        pays = costs[0] < costs[1] if dropped.n and min(costs) < math.inf else None
        effects[str(flag)] = FlagEffect(count, count / len(graded), dropped, pays)
    return effects


def lengths(seen: Sequence[Seen]) -> Lengths:
    """Return errors by length, over all draws that can be read, and the best cap."""
    readable = sorted((draw.tokens, wrong) for draw, wrong in _graded(seen) if wrong is not None)
    if not readable:
        return Lengths([], None)
    shortest, longest = max(readable[0][0], 1), readable[-1][0]
    edges = [shortest * (longest / shortest) ** (i / BINS) for i in range(1, BINS)]
    bins = [list(part) for _, part in groupby(readable, key=lambda reply: bisect.bisect_left(edges, reply[0]))]
    shown = [(part[0][0], part[-1][0], _rate([wrong for _, wrong in part])) for part in bins]
    return Lengths(shown, _best_cap(readable, sum(len(step.draws) for step in seen)))


def entropy(seen: Sequence[Seen]) -> Entropy | None:
    """Return how far the answers of erring steps spread, over their repeated draws; None where none were repeated."""
    entropies = []
    for step in seen:
        counts = Counter(draw.key for draw in step.again if draw.flag is None)
        if counts:
            n = counts.total()
            entropies.append(math.fsum(-c / n * math.log(c / n) for c in counts.values()) + 0.0)
    return Entropy(len(entropies), math.fsum(entropies) / len(entropies)) if entropies else None


def _graded(seen: Sequence[Seen]) -> Iterator[tuple[Draw, bool | None]]:
    """Yield every draw of the first round with whether it was wrong, None where it cannot be read."""
    for step in seen:
        for draw in step.draws:
            yield draw, None if draw.key is None else draw.key != step.right


def _rate(wrong: Sequence[bool]) -> Rate:
    return Rate(len(wrong), sum(wrong))


def relative_samples(valid: Rate, draws: int) -> float:
    """Return the samples of a step, up to a factor: 1 / (v (2p - 1) ln(p / (1-p))); inf at p <= 1/2.

    valid: errors among those of `draws` draws that could vote.
    """
    p = (valid.n - valid.wrong + 0.5) / (valid.n + 1)
    if p <= 0.5 or not valid.n:
        return math.inf
    return draws / valid.n / ((2 * p - 1) * math.log(p / (1 - p)))


def _best_cap(readable: Sequence[tuple[int, bool]], draws: int) -> int | None:
    """Return the length to cut replies off at, if errors beyond it are shown to be more frequent than below."""
    best, cheapest = None, math.inf
    caps = sorted({tokens for tokens, _ in readable})
    for cap in {*caps[:: math.ceil(len(caps) / CAPS)], caps[-1]}:
        below, above = (_rate([w for tokens, w in readable if (tokens <= cap) == under]) for under in (True, False))
        written = math.fsum(min(tokens, cap) for tokens, _ in readable)
        cost = relative_samples(below, draws) * written
        shown = above.low is not None and below.high is not None and above.low > below.high
        if cost < cheapest and (shown or cap == caps[-1]):
            best, cheapest = cap, cost
    return None if best == caps[-1] else best
