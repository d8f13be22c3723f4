"""Evidence -> margin k, success, samples, and whether voting can do it at all.

`project(evidence, steps, target)` plans for what the evidence makes likely and says what it leaves open.
k is large enough twice over: for steps all alike at the exact one-sided 95% lower bound of p, and for steps that
vary as much as the evidence says (a Beta mixture, `mixture.py`). Where p may be below 1/2 and wrong answers are
spread out, it comes from the odds against the most common one.

feasible is False only where the evidence forbids it: the bound of p is not above 1/2, a step of the run is shown to
be lost, or rho is, at the lower end of its interval, so high that lost steps keep the run from its target.
proven is True only where the target is reached whatever the shape of difficulty (`worst.py`): nothing guarantees a
Beta. With `worst` that is what k is planned by, and there is none where it cannot be promised.

Not covered: errors that come in bursts, a model that changes, and steps unlike all that were sampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from maker.errors import Infeasible
from maker.theory.evidence import Evidence, Lost
from maker.theory.votes.mixture import MOST_K, MOST_RHO, Steps
from maker.theory.worst import WorstCase, clean_draws, promised_k, worst_case

ENOUGH = 30  # valid first draws; fewer say nothing about p
SHOWN_STEPS = 5  # lost steps that a message names
_ALMOST = 1e-12  # how near p may come to 0 and 1 in a mixture
AGREED = (
    "Nothing is promised of draws that votes of the same model grade: what most of them get wrong alike stays hidden. "
    "Give the task a `truth`, or plan without the worst case."
)
_WHAT_TO_DO = "Make the steps finer, ask in other words (paraphrases), or take another model."


@dataclass(slots=True, frozen=True)
class Amount:
    """A projected quantity with the ends of its 95% interval."""

    value: float
    low: float
    high: float

    def __mul__(self, other: Amount) -> Amount:
        return Amount(self.value * other.value, self.low * other.low, self.high * other.high)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.value + other.value, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Amount:
        """Return the amount in another unit."""
        return Amount(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Projection:
    """What a run of `steps` steps would need, and whether it can reach its target.

    k: the margin to vote with, None where voting cannot do it. samples: replies of the whole run, flagged
    ones included, retries not. success: P(every step is won by the right answer)
    at the best estimate, with difficulty spread as a Beta; its ends are those of the evidence, the lower one whatever
    the shape (`worst_case`). Without a k, success is what no k passes.
    by: "majority", or "plurality" where p may be below 1/2. reason: one paragraph for a person; why: that of it
    which says where k comes from.
    """

    steps: int
    target: float
    k: int | None
    samples: Amount | None
    success: float
    success_low: float
    success_high: float
    feasible: bool
    proven: bool
    by: str
    reason: str
    worst_case: WorstCase
    why: str = ""


@dataclass(frozen=True)
class _Points:
    """The points of the evidence that a plan is made at, in order of hope.

    likely: the best estimate. careful: p at its one-sided lower bound. cautious: p at the lower end of its interval,
    rho at the upper one. hopeful: p at the upper end, rho at the lower one.
    """

    hopeful: Steps
    likely: Steps
    careful: Steps
    cautious: Steps

    @classmethod
    def of(cls, found: Evidence, spread: float) -> _Points:
        """Return the points of some evidence."""
        rho = found.rho
        ends = ((found.p_high, found.rho_low), (found.p, rho), (found.p_plan, rho), (found.p_low, found.rho_high))
        return cls(*(Steps(min(max(p, _ALMOST), 1 - _ALMOST), min(rho, MOST_RHO), spread) for p, rho in ends))


def project(
    evidence: Evidence, steps: int, target: float, *, own: bool = True, worst: bool = False
) -> Projection:  # fmt: skip
    """Plan a run of `steps` steps that shall be right as a whole with probability `target`.

    own: the sampled steps are steps of that run, so that a lost one is lost there too. worst: plan by what holds
    whatever the shape of difficulty, and plan no k where that does not reach the target. Raises Infeasible
    when hardly a sample can vote: then there is nothing to plan with. Raises ValueError for steps < 1 or a
    target that is not inside (0, 1).
    """
    if evidence.n < ENOUGH:
        raise Infeasible(
            f"only {evidence.n} of {evidence.asked} samples could vote (one a step), fewer than {ENOUGH}: too few to "
            "plan with. Look at the flags, make the answer format easier, draw on more steps, or take another model."
        )
    spread = _spread(evidence)
    points = _Points.of(evidence, spread)
    by = "majority" if spread == 1 else "plurality"
    reason = _forbidden(evidence, target, points, own=own) or (
        "" if worst else _clustered(evidence, steps, target, points)
    )
    if reason:
        return _without(evidence, steps, target, points, by, reason, own=own, feasible=False)
    k = Steps(points.careful.p, 0.0, spread).k_for(steps, target) or 1  # for steps all alike
    if worst:
        promised = promised_k(evidence, steps, target, k) if by == "majority" else None
        if promised is None:
            why = f"No k promises {target:.4g} whatever the shape of difficulty."
            plan = _without(evidence, steps, target, points, by, why, own=own, feasible=True)
            return replace(plan, reason=f"{why} {_open(evidence, steps, target, k, by, plan.worst_case.lost_high)}")
        why = f"k = {promised} is planned by the worst case, not by a Beta."
        return _planned(evidence, steps, target, points, by, promised, points.careful, why, own=own)
    tried = (points.careful, points.likely, points.hopeful)
    mixed, at = next((mixed, point) for point in tried if (mixed := point.k_for(steps, target)) is not None)
    k = max(k, mixed)
    return _planned(evidence, steps, target, points, by, k, at, _why_k(evidence, k, by), own=own)


def unseen(plan: Projection, *, worst: bool = False) -> Projection:
    """Return a plan whose draws were graded by votes of the same model: what most of them get wrong alike stays hidden.

    Then nothing bounds the lost steps, and nothing is proven: where only that would do (worst), there is no k.
    """
    bound = WorstCase(0.0, float(plan.steps), 0.0, "nothing: graded by agreement")
    plan = replace(plan, success_low=0.0, proven=False, worst_case=bound)
    if not worst or not plan.feasible:
        return plan
    return replace(plan, k=None, samples=None, reason=AGREED)


def _without(
    evidence: Evidence, steps: int, target: float, points: _Points, by: str, reason: str, *, own: bool, feasible: bool
) -> Projection:  # fmt: skip
    """Return what there is without a k: its success is what no k passes."""
    ceilings = sorted(point.ceiling(steps) for point in (points.cautious, points.likely, points.hopeful))
    return Projection(steps, target, None, None, ceilings[1], 0.0, ceilings[2], feasible=feasible, proven=False, by=by,
                      reason=reason, worst_case=worst_case(evidence, steps, None, own=own))  # fmt: skip


def _planned(
    evidence: Evidence, steps: int, target: float, points: _Points, by: str, k: int, at: Steps, why: str, *, own: bool
) -> Projection:  # fmt: skip
    """Say what a k gives. at: the point that its samples are worked out at, too. why: what chose k."""
    likely, high = (point.success(k, steps) for point in (points.likely, points.hopeful))
    worst = worst_case(evidence, steps, k, own=own)
    votes = ((points.likely, evidence.v), (points.hopeful, evidence.v_high), (at, evidence.v_low))
    samples = [steps * point.votes(k) / v for point, v in votes]
    proven = worst.success_low >= target and by == "majority"
    said = shown(evidence, steps, target, k, by, likely, worst)
    return Projection(
        steps, target, k, Amount(samples[0], min(samples), max(samples)), likely, min(likely, worst.success_low),
        max(high, likely), feasible=True,
proven=proven, by=by, reason=f"{why} {said}", why=why, worst_case=worst,
    )  # fmt: skip


def shown(
    evidence: Evidence, steps: int, target: float, k: int, by: str, likely: float, worst: WorstCase
) -> str:  # fmt: skip
    """Say what the evidence shows of a run at a margin of k, or leaves open. likely: success at the best estimate."""
    if worst.success_low >= target and by == "majority":
        return f"Proven at 95%: whatever the shape of difficulty it succeeds with at least {worst.success_low:.1%}."
    left = _open(evidence, steps, target, k, by, worst.lost_high)
    if likely >= target:
        return left
    return (
        f"At the best estimate the run succeeds with {likely:.0%}, below the target, but the evidence does not forbid "
        f"more. Draw on more steps to know. {left}"
    )


def _spread(evidence: Evidence) -> float:
    """Return the share that the most common wrong answer has of a step's wrong ones, to plan with.

    Spread-out wrong answers count only where a majority is out of reach, and then at the upper end of their share:
    the worst case, one rival with all errors, is the default.
    """
    p, spread = evidence.p_plan, evidence.spread_high
    return 1.0 if p > 0.5 or spread * (1 - p) >= p else spread


def _forbidden(evidence: Evidence, target: float, points: _Points, *, own: bool) -> str:
    """Return why the evidence forbids voting, whatever the shape, and what to do; "" where it does not."""
    seen = _seen(evidence)
    if points.careful.p <= 0.5 and points.careful.spread == 1:
        p = f"{seen}, p is {_range(evidence.p_low, evidence.p_high)} (95%)"
        if evidence.p_high > 0.5:
            return (
                f"{p}: that it is above 1/2 is not shown, and at p <= 1/2 no k helps. Make the steps finer, draw on "
                "more of them, or take another model."
            )
        return f"{p}. Voting amplifies the majority: at p <= 1/2 no k helps. {_WHAT_TO_DO}"
    lost = evidence.lost_steps
    if lost and own and math.prod(step.p_high for step in lost) < target:
        return f"{_named(lost)} lost at any k, and part of this run. {_WHAT_TO_DO}"
    return ""


def _clustered(evidence: Evidence, steps: int, target: float, points: _Points) -> str:
    """Return why difficulty that is spread smoothly forbids voting; "" where it does not."""
    hopeful = points.hopeful
    if hopeful.k_for(steps, target) is not None:
        return ""
    return (
        f"{_seen(evidence)}, and errors cluster: rho is {_range(evidence.rho_low, evidence.rho_high)} (95%). Even at "
        f"its low end {steps * hopeful.lost():.2g} of {steps:,} steps are expected to be wrong most of the time, lost "
        f"at any k. With k up to {MOST_K:,} the run succeeds with {hopeful.success(MOST_K, steps):.0%} at most, the "
        f"target is {target:.4g}. {_WHAT_TO_DO}"
    )


def _seen(evidence: Evidence) -> str:
    return f"{evidence.wrong} of {evidence.n} valid samples were wrong (one a step)"


def _why_k(evidence: Evidence, k: int, by: str) -> str:
    why = (
        f"k = {k} is planned for p = {evidence.p_plan:.5g}, its exact lower bound (95%), and rho = "
        f"{round(evidence.rho, 6):.2g}, with difficulty spread as a Beta."
    )
    if by == "majority":
        return why
    return (
        f"{why} p may be below 1/2; the right answer leads because wrong ones are spread: the most common of a step "
        f"has at most {evidence.spread_high:.0%} of them."
    )


def _open(evidence: Evidence, steps: int, target: float, k: int, by: str, missed: float) -> str:
    """Say what the evidence does not show. missed: steps that may be lost."""
    if by == "plurality":
        return "Not proven: that the right answer leads at every single step was not shown."
    sampled = "clean" if evidence.wrong == 0 else "sampled"
    draws = clean_draws(steps, target, k)
    said = (
        f"Not proven: {evidence.n:,} {sampled} steps cannot exclude a share of {missed / steps:.2g} lost ones, "
        f"{missed:,.1f} of {steps:,}. About {float(f'{draws:.2g}'):,.0f} clean ones would prove it."
    )
    return said if evidence.wrongs else f"{said} No error was seen, so rho is not known."


def _named(lost: Sequence[Lost]) -> str:
    """Name lost steps with what was seen of them."""
    named = ", ".join(f"{step.step} ({step.wrong} to {step.right})" for step in lost[:SHOWN_STEPS])
    more = f" and {len(lost) - SHOWN_STEPS} more" if len(lost) > SHOWN_STEPS else ""
    one = len(lost) == 1
    return (
        f"Step{'' if one else 's'} {named}{more} gave the same wrong answer oftener than the right one when drawn "
        f"again: {'it is' if one else 'they are'}"
    )


def _range(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"
