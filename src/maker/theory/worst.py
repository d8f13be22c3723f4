"""What holds of a run whatever the shape of difficulty: lost steps, success at a margin, and the margin that promises.

Nothing guarantees that difficulty is spread as a Beta. `worst_case` bounds what *every* distribution of the steps' own
error rates does that fits what was seen, the sampling error included: all of it together at 95%. `promised_k` finds a
margin at which that bound reaches a target.

Not covered: steps unlike all that were sampled, a model that changes, and draws that depend on one another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from maker import theory
from maker.theory.evidence import Evidence
from maker.theory.votes.bounds import Range, lost_share, step_error, widest
from maker.theory.votes.mixture import MOST_K
from maker.theory.votes.program import Program, available, sampled

LEAST, MOST = 0.995, 0.99  # confidence of the ends of each moment, and (MOST) of what repeated draws and lost ...
# ... steps show: six statements, of which one in twenty times one is wrong
_EACH = 30  # margins from the wanted one up are tried one by one, further ones by and by
UNCLEARED = 0.97  # a step that is right half the time is cleared at one of five looks more often than at one look


@dataclass(slots=True, frozen=True)
class WorstCase:
    """What holds whatever the shape of difficulty, all of it together at 95%.

    lost_low, lost_high: steps of the whole run, in expectation, that are wrong at least every other time: one rival
    wins those at any k, or tosses a coin for them. success_low: the least P(every step is won by the right answer),
    at the planned k; 0 without one. by: what says so of lost_high, for a person.
    """

    lost_low: float
    lost_high: float
    success_low: float
    by: str


class _Moments:
    """The closed form, for one draw a step or two."""

    def __init__(self, found: Evidence) -> None:
        self._m1 = rates(found.wrong, found.n)
        self._m2 = rates(found.collisions, found.pairs) if found.pairs else (0.0, 1.0)
        self.by = "the first two moments" if found.pairs else "the mean alone, one draw a step"

    def lost(self) -> Range:
        """Return the least and the largest share of lost steps."""
        return max(0.0, 2 * self._m2[0] - self._m1[1]), lost_share(*widest(self._m1, self._m2, None))[1]

    def step_error(self, k: int) -> float:
        """Return the largest error of a step."""
        return step_error(*widest(self._m1, self._m2, k), k)


def _bounds(found: Evidence) -> tuple[_Moments | Program, str]:
    """Return what bounds shapes that fit the evidence, and by which moments: more than two where they are known."""
    if found.tails and found.tails[0] and available():
        return Program(sampled(found.tails)), f"the first {len(found.tails) - 1} moments"
    closed = _Moments(found)
    return closed, closed.by


def worst_case(found: Evidence, steps: int, k: int | None, *, own: bool) -> WorstCase:
    """Bound what any shape of difficulty that fits the evidence does to a run at a margin of k.

    own: the sampled steps are steps of that run, so that a lost one is lost there too.
    """
    bounds, by = _bounds(found)
    least, share = bounds.lost()
    redrawn = (1 - theory.p_lower(found.suspects, found.n, MOST)) / (found.power * UNCLEARED)
    if redrawn < share:
        share, by = redrawn, "draws repeated on steps that erred"
    low = max(steps * least, float(len(found.lost)) if own else 0.0)
    return WorstCase(low, max(low, share * steps), 0.0 if k is None else success(bounds.step_error(k), steps), by)


def promised_k(found: Evidence, steps: int, target: float, near: int) -> int | None:
    """Return a k at which a run succeeds with `target` whatever the shape: the least from `near` up, or one below.

    None where no k promises it. More votes do not always promise more: a step that is wrong just over half the time is
    lost the surer the more votes it gets. It is for one rival, and so for any: several share what one would have.
    """
    bounds, _ = _bounds(found)
    above = sorted({near, *range(near, near + _EACH), *(near + round(_EACH * 1.2**i) for i in range(20))})
    tried = [k for k in above if k <= MOST_K] + list(range(near - 1, 0, -1))[:MOST_K]
    return next((k for k in tried if success(bounds.step_error(k), steps) >= target), None)


def clean_draws(steps: int, target: float, k: int) -> float:
    """Return how many steps, all clean in one draw, would promise the target at a margin of k."""
    clean = 1e-6  # an upper end of the mean for which the least success is worked out; both are proportional
    each = step_error(*widest((0.0, clean), (0.0, 1.0), k), k) / clean
    return math.log(1 - MOST) * each * steps / math.log(target)


def success(error: float, steps: int) -> float:
    """Return P(every step is won by the right answer), at an error of a step."""
    return math.exp(steps * math.log1p(-error)) if error < 1 else 0.0


def rates(count: int, n: int) -> Range:
    """Return the ends of a rate of errors, of which `count` were seen in n draws."""
    return 1 - theory.p_upper(count, n, LEAST), 1 - theory.p_lower(count, n, MOST)
