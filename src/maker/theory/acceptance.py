"""Acceptance sampling: how many decisions of a finished run are wrong, by a random sample of them that was judged.

Decisions lie in strata, the contested ones first, and each stratum in kinds. Of a stratum so many are asked for, and
of each of its kinds that share, rounded up: every decision has a known chance to be drawn, and no kind is left out.
`bounds` are exact for finite strata, whatever is wrong and wherever: of W wrong decisions, each drawn with chance f or
more, few are seen as seldom as in W independent draws at most (hypergeometric counts are sums of independent ones, and
sums of these are the likeliest to be small when all are alike). What rounding added counts for the upper bound alone.

A sample may be looked at while it grows, when a bound is asked for: at sizes that are fixed beforehand and double. The
last look may be wrong half as often as all together, each earlier one half as often as the next, so the bounds of
every look hold together.

Sources: Hoeffding 1956 (sums of unlike trials); Vatutin & Mikhailov 1982 (hypergeometric counts as such sums).
A judge that misses a wrong decision with a chance sees so much fewer of them: each is drawn and seen with the product
of both, and the bound is that of so much smaller a share.

Not covered: how often a judge errs (`api/audit/known.py`), and decisions picked by anything but chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maker.theory.votes.bounds import _tail

FIRST_LOOK = 32  # decisions at the first look, or more
_CONTESTED = 8  # of what is left to ask for, a contested stratum gets one part of so many, or its share if that is more


@dataclass(slots=True, frozen=True)
class Stratum:
    """What is known of some decisions. size: how many there are. asked: of these, before rounding by kind.

    drawn: judged, rounded up. wrong: of the drawn ones, those that may be wrong. sure: of those that rounding did not
    add, those that are known to be wrong.
    """

    size: int
    asked: int
    drawn: int
    wrong: int = 0
    sure: int = 0

    def high(self, alpha: float, missed: float = 0.0) -> int:
        """Return the most wrong decisions that it may have; more are there with probability `alpha` at most.

        missed: P(a wrong decision that was drawn is not seen to be wrong), at most.
        """
        share = self.asked / self.size * (1 - missed)
        return _last(
            self.wrong, self.size if missed else self.wrong + self.size - self.drawn,
            lambda w: w * share < self.wrong + 1 or _tail(self.wrong, w, share) > alpha,
        )  # fmt: skip

    def low(self, alpha: float) -> int:
        """Return the fewest wrong decisions that it must have; fewer are there with probability `alpha` at most."""
        share = self.asked / self.size
        if share == 1:
            return self.sure
        below = _last(
            self.sure - 1, self.size,
            lambda w: w * share <= self.sure - 1 and _tail(w - self.sure, w, 1 - share) <= alpha,
        )  # fmt: skip
        return below + 1


@dataclass(slots=True, frozen=True)
class Look:
    """A size of the whole sample at which its bounds are taken, and how often these may be wrong, on either side."""

    sample: int
    alpha: float


def allotted(sizes: Sequence[int], sample: int) -> list[int]:
    """Return how many decisions to ask for in each stratum, the most contested first; the last gets what is left.

    Raises ValueError for more than there are. Never fewer for a larger sample.
    """
    left, there = sample, sum(sizes)
    if not 0 <= sample <= there:
        raise ValueError(f"sample must be from 0 to {there}, got {sample}: there are no more decisions")
    given = []
    for size in sizes[:-1]:
        given.append(min(size, max(left // _CONTESTED, left * size // max(there, 1))))
        left, there = left - given[-1], there - size
    return [*given, left]


def rounded(size: int, asked: int, of: int) -> tuple[int, int]:
    """Return how many of a kind to draw where `asked` of a stratum of `of` decisions are: rounded down, and up."""
    return size * asked // of, -(-size * asked // of)


def bounds(strata: Sequence[Stratum], alpha: float, missed: float = 0.0) -> tuple[int, int]:
    """Return the fewest and the most wrong decisions in all strata; either is missed with probability `alpha` at most.

    A stratum's part of alpha is as large as its share in the bound; one that was judged whole needs none. missed: by
    a judge, as for `Stratum.high`; one that sees too few wrong ones cannot see too many.
    """
    there = [stratum for stratum in strata if stratum.size]
    if any(stratum.drawn == 0 for stratum in there):
        return 0, sum(stratum.size for stratum in there)
    unknown = [stratum.size / stratum.asked if missed or stratum.drawn < stratum.size else 0.0 for stratum in there]
    parts = [alpha * weight / (sum(unknown) or 1) for weight in unknown]
    found = sum(stratum.low(part) for stratum, part in zip(there, parts, strict=True))
    return found, sum(stratum.high(part, missed) for stratum, part in zip(there, parts, strict=True))


def looks(sample: int, confidence: float, *, once: bool) -> list[Look]:
    """Return when a sample of at most this size is looked at, and what each look may spend. once: at its end alone."""
    alpha = 1 - confidence
    sizes = [sample]
    while not once and sizes[-1] // 2 >= FIRST_LOOK:
        sizes.append(sizes[-1] // 2)
    spent = [alpha / 2 ** (number + 1) for number in range(len(sizes))]
    spent[-1] *= 2  # the first look has what is left
    return [Look(size, part) for size, part in zip(reversed(sizes), reversed(spent), strict=True)]


def enough(sizes: Sequence[int], most_wrong: float, confidence: float) -> int:
    """Return a sample that shows at half its size, if nothing is wrong there, that at most so many decisions are.

    The other half is for a run in which a few are. With the kinds unknown: some more are drawn where there are many.
    """
    there = sum(sizes)

    def shown(sample: int) -> bool:
        given = allotted(sizes, sample)
        strata = [Stratum(size, asked, asked) for size, asked in zip(sizes, given, strict=True)]
        return bounds(strata, (1 - confidence) / 4)[1] <= most_wrong

    return min(there, 2 * (_last(0, there - 1, lambda sample: not shown(sample)) + 1))


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the last of the numbers above `low`, up to `high`, that something holds for, or `low` itself.

    It holds for all up to that one.
    """
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
