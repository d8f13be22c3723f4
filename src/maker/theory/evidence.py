"""What draws on a sample of steps say: p, v, rho, lost steps, rivals, each with its exact or likelihood interval.

`Evidence` sums up what was seen at many steps (`draws.py`) in counts that fit into a note of a journal; every
figure is derived from those counts.

p and v come from one draw a step, so that their Clopper-Pearson intervals hold whatever the correlation.
rho comes from all draws, those repeated on steps that erred included: the likelihood of a Beta-binomial
does not mind that the errors themselves chose where to draw again. Its interval covers rho in about 95
of 100 estimates (tests/theory/test_evidence.py); with no error seen it is 0 to 1, because nothing is known.

Not covered: errors of several steps that come together (a bad server hour), and shapes other than Beta.
Sources: Clopper & Pearson 1934; Skellam 1948 (the likelihood); Wilks 1938 (its interval); collisions as in
Meyerson et al. 2025, arXiv 2511.09030.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from maker import theory
from maker.theory.draws import CLEARED, Seen
from maker.theory.votes.bounds import peak

SIDE = 0.975  # confidence of each side of a 95% interval
_CUTOFF = 3.841  # of twice the log-likelihood ratio: chi-square, for many erring steps; with m of them ...
_FEW = 8.0  # ... 3.841 + 8 / m, chosen by simulation: with it the interval covers rho when m is 3 as well
_GRID = [0.0, *(1e-4 * (0.99 / 1e-4) ** (i / 24) for i in range(25))]  # of rho, to find the best one near


@dataclass(slots=True, frozen=True)
class Lost:
    """A step where a wrong answer comes oftener than the right one: how often each came after it had erred."""

    step: int
    wrong: int
    right: int

    @property
    def p_high(self) -> float:
        """Upper 97.5% bound of P(right) among the two: no k gives the step a better chance."""
        return theory.p_upper(self.wrong, self.wrong + self.right, SIDE)


@dataclass(frozen=True)
class Evidence:
    """Counts from draws on a sample of steps.

    n, wrong: steps with a valid draw, and those whose first one was wrong. asked, dropped: first draws of
    all, and those that were flagged. pairs, collisions: steps with two valid draws, and those with both
    wrong. wrongs, rights, valids: at position i, steps with more than i such draws. suspects: steps that
    erred and were not cleared. power: P(a lost step errs in its first draws), a lower bound.
    lost: steps shown to be lost, as (step, wrong, right). errors, rival: of the draws repeated on erring steps,
    the wrong ones, and those of each step's most common wrong answer. tails: where each step was drawn on more than
    twice, r times, how many have r valid draws, and how many of these at least 1, 2, ..., r wrong ones; else empty.
    """

    n: int
    wrong: int
    asked: int
    dropped: int
    pairs: int
    collisions: int
    wrongs: list[int]
    rights: list[int]
    valids: list[int]
    suspects: int
    power: float
    lost: list[list[int]]
    rival: int
    errors: int
    tails: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, seen: Sequence[Seen], looks: int) -> Evidence:
        """Sum up. looks: at most how many times any step was judged to be lost."""
        first = [(step.voted(step.draws), step) for step in seen]
        ones = [wrong for voted, step in first for wrong in voted[: step.picked]]
        # The valid draws of a step two by two, one pair for each time it was picked.
        pairs = [p for voted, step in first for p in list(zip(voted[::2], voted[1::2], strict=False))[: step.picked]]
        totals = [(sum(wrong), len(wrong)) for wrong in (step.voted([*step.draws, *step.again]) for step in seen)]
        dropped = [draw.flag is not None for step in seen for draw in step.draws[: step.picked]]
        powers = [1 - 0.5 ** len(voted) for voted, _ in first if voted]
        return cls(
            len(ones), sum(ones), len(dropped), sum(dropped), len(pairs), sum(map(all, pairs)),
            _exceeding(wrong for wrong, _ in totals), _exceeding(n - wrong for wrong, n in totals),
            _exceeding(n for _, n in totals),
            sum(step.erred and not step.cleared for step in seen),
            (1 - CLEARED) * math.fsum(powers) / len(powers) if powers else 0.0,
            [[step.index, step.rival[1], step.rival[0]] for step in seen if step.shown_lost(looks)],
            sum(step.rival[1] for step in seen), sum(sum(step.voted(step.again)) for step in seen), _tails(seen),
        )  # fmt: skip

    def as_note(self) -> dict[str, Any]:
        """Return the counts as a journal keeps them: tails, which came later, only where there are some."""
        return {name: value for name, value in asdict(self).items() if name != "tails" or value}

    # -- p and v ---------------------------------------------------------------------------------

    @property
    def p(self) -> float:
        """P(right | valid), its posterior mean under the prior of Jeffreys: never 0 or 1, whatever was seen."""
        return (self.n - self.wrong + 0.5) / (self.n + 1)

    @property
    def p_low(self) -> float:
        """The lower end of the exact 95% interval of p."""
        return theory.p_lower(self.wrong, self.n, SIDE)

    @property
    def p_high(self) -> float:
        """The upper end of it."""
        return theory.p_upper(self.wrong, self.n, SIDE)

    @property
    def p_plan(self) -> float:
        """The exact one-sided 95% lower bound of p: the p to plan k with."""
        return theory.p_lower(self.wrong, self.n)

    @property
    def v(self) -> float:
        """P(valid): the share of first draws that no flag dropped."""
        return 1 - self.dropped / self.asked

    @property
    def v_low(self) -> float:
        """The lower end of the exact 95% interval of v."""
        return theory.p_lower(self.dropped, self.asked, SIDE)

    @property
    def v_high(self) -> float:
        """The upper end of it."""
        return theory.p_upper(self.dropped, self.asked, SIDE)

    # -- rho -------------------------------------------------------------------------------------

    @cached_property
    def rho(self) -> float:
        """The intra-class correlation of errors that fits best, 0 where no error was seen."""
        if not self.wrongs or not self.rights:
            return 0.0
        best = max(range(len(_GRID)), key=lambda i: self._profile(_GRID[i]))
        rho = peak(self._profile, _GRID[max(best - 1, 0)], _GRID[min(best + 1, len(_GRID) - 1)])
        return max(0.0, rho, key=self._profile)

    @property
    def rho_low(self) -> float:
        """The lower end of its 95% interval by likelihood ratio."""
        return self._ends[0]

    @property
    def rho_high(self) -> float:
        """The upper end of it; 1 where no error was seen."""
        return self._ends[1]

    @cached_property
    def _ends(self) -> tuple[float, float]:
        if not self.wrongs or not self.rights:
            return 0.0, 1.0
        floor = self._profile(self.rho) - self._cutoff / 2
        most = _GRID[-1]
        low = 0.0 if self._profile(0.0) >= floor else _crossing(self._profile, floor, 0.0, self.rho)
        high = 1.0 if self._profile(most) >= floor else _crossing(self._profile, floor, most, self.rho)
        return low, high

    @property
    def _cutoff(self) -> float:
        return _CUTOFF + _FEW / self.wrongs[0]

    def _profile(self, rho: float) -> float:
        """Return the log-likelihood of rho, at the mean error rate q that suits it best.

        With t = rho / (1 - rho), a step with w wrong of n has the likelihood
        prod_{i<w} (q + i t) prod_{i<n-w} (1 - q + i t) / prod_{i<n} (1 + i t), concave in q.
        """
        import numpy as np  # noqa: PLC0415 -- `import maker` stays light

        t = rho / (1 - rho)
        wrong, right, total = (np.array(count, float) for count in (self.wrongs, self.rights, self.valids))
        steps = [t * np.arange(len(count)) for count in (wrong, right, total)]
        low, high = 0.0, 1.0
        q = float(wrong[0] / (wrong[0] + right[0]))
        for _ in range(60):
            up, down = wrong / (q + steps[0]), right / (1 - q + steps[1])
            slope = float(up.sum() - down.sum())
            low, high = (q, high) if slope > 0 else (low, q)
            curve = float((up / (q + steps[0])).sum() + (down / (1 - q + steps[1])).sum())
            after = q + slope / curve  # Newton's, kept inside what is known
            after = after if low < after < high else (low + high) / 2
            if abs(after - q) <= 1e-12 * q:
                break
            q = after
        return float(
            (wrong * np.log(q + steps[0])).sum()
            + (right * np.log(1 - q + steps[1])).sum()
            - (total * np.log1p(steps[2])).sum()
        )

    # -- lost steps and rivals ---------------------------------------------------------------------

    @property
    def lost_steps(self) -> list[Lost]:
        """The steps that are shown to be lost."""
        return [Lost(*item) for item in self.lost]

    @property
    def spread_high(self) -> float:
        """Upper 97.5% bound of the share of wrong answers that are a step's most common one; 1 if too few were seen."""
        return theory.p_upper(self.errors - self.rival, self.errors, SIDE) if self.errors else 1.0


def _tails(seen: Sequence[Seen]) -> list[int]:
    """Return `Evidence.tails`: [] where r is not the same for all steps, or 2 at most; and of a pool.

    The draws of a pool's models at one step are not alike, and their number of wrong ones is no binomial's.
    """
    if any(draw.model for step in seen for draw in step.draws[:1]):
        return []
    repeats = {len(step.draws) / step.picked for step in seen}
    r = int(repeats.pop()) if len(repeats) == 1 else 0
    if r <= 2:
        return []
    wrong = [sum(voted[at : at + r]) for step in seen for voted in [step.voted(step.draws)]
             for at in range(0, len(voted) - r + 1, r)]  # fmt: skip
    return [len(wrong), *(sum(count >= j for count in wrong) for j in range(1, r + 1))]


def _exceeding(counts: Iterable[int]) -> list[int]:
    """Return, for i = 0, 1, ..., how many of the counts are above i."""
    found = Counter(counts)
    return [sum(times for count, times in found.items() if count > i) for i in range(max(found, default=0))]


def _crossing(function: Callable[[float], float], level: float, outside: float, inside: float) -> float:
    """Return where a function falls below a level, between a point outside and one inside; the outer end."""
    for _ in range(40):
        middle = (outside + inside) / 2
        outside, inside = (outside, middle) if function(middle) >= level else (middle, inside)
    return outside
