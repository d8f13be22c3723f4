"""The worst part of a run, planned by itself: a kind of step, or a stretch of the task, that errs more than the rest.

A run wins only if all its parts do, and has one k: that of its worst part, planned as if all steps were of it, or that
of the others where these need more. A part counts only where it is worse beyond chance: a kind by
`kinds.worst`, a stretch by `drift.stretch`.

Not covered: what only a plurality wins, and parts of fewer than 30 steps; they do not change k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from maker.theory.draws import Seen
from maker.theory.evidence import Evidence
from maker.theory.planner import ENOUGH, Projection, project, shown
from maker.theory.uneven.drift import stretch, within
from maker.theory.uneven.kinds import worst
from maker.theory.worst import worst_case


@dataclass(slots=True, frozen=True)
class Part:
    """What was seen of a part that is worse than the rest, and of the rest. what: which steps, for a person.

    kind: its name; "" for a stretch. ends: its first and last step; None for a kind.
    """

    found: Evidence
    others: Evidence
    kind: str = ""
    ends: tuple[int, int] | None = None

    @property
    def what(self) -> str:
        """Say which steps these are."""
        if self.ends is None:
            return f"of the kind {self.kind}"
        first, last = self.ends
        return f"{first:,} to {last:,}" if first <= last else f"up to {last:,} and from {first:,}"

    @classmethod
    def of(cls, note: dict[str, Any]) -> Part:
        """Return what a journaled note says."""
        found, others = (Evidence(**side) for side in note["apart"])
        return cls(found, others, note.get("kind", ""), tuple(note["steps"]) if "steps" in note else None)

    def as_note(self) -> dict[str, Any]:
        """Return it as a journal keeps it."""
        which = {"kind": self.kind} if self.ends is None else {"steps": list(self.ends)}
        return {**which, "apart": [side.as_note() for side in (self.found, self.others)]}


def parts(seen: Sequence[Seen], looks: int) -> list[Part]:
    """Return the kind and the stretch that are worse than the others beyond chance, where there are such.

    looks: at most how many times any step was judged to be lost.
    """
    found = []
    if kind := worst(seen):
        same = [step.kind == kind for step in seen]
        found.append(Part(_of(seen, same, True, looks), _of(seen, same, False, looks), kind=kind))
    if ends := stretch(seen):
        same = [within(step.index, ends) for step in seen]
        found.append(Part(_of(seen, same, True, looks), _of(seen, same, False, looks), ends=ends))
    return found


def _of(seen: Sequence[Seen], same: Sequence[bool], side: bool, looks: int) -> Evidence:
    return Evidence.of([step for step, its in zip(seen, same, strict=True) if its == side], looks)


def planned(
    evidence: Evidence, found: Sequence[Part], steps: int, target: float, *, own: bool = True, worst: bool = False
) -> Projection:  # fmt: skip
    """Plan a run as `project` does, its worst parts by themselves; what holds whatever the shape is of all its steps.

    With `worst` no part changes anything: that bound holds for parts of any kind. Raises as `project` does.
    """
    plan = project(evidence, steps, target, own=own, worst=worst)
    if worst or not found:
        return plan
    plans = [_with(plan, part, evidence, own=own) for part in found]
    none = 0.0 if plan.k is None else math.inf  # a part may say why errors cluster, or may forbid what the mean allows
    return max(plans, key=lambda plan: plan.k or none)


def _with(plan: Projection, part: Part, evidence: Evidence, *, own: bool) -> Projection:
    """Return the plan with the k of the part or of the others, the larger one, and success as of the worse one."""
    worse = f"Steps {part.what} err more than the others, beyond chance"
    if part.found.n < ENOUGH:
        return replace(plan, reason=f"{plan.reason} {worse}, but only {part.found.n} were seen: draw on more steps.")
    if part.others.n < ENOUGH:
        return plan
    sides = [project(side, plan.steps, plan.target, own=own) for side in (part.found, part.others)]
    if any(side.by != "majority" for side in (plan, *sides)):
        return plan
    first = max(sides, key=lambda side: math.inf if side.k is None else side.k)
    which = "the others, which need more"
    if first is sides[0]:
        which = "that kind" if part.kind else "that stretch"
    reason = f"{worse}: planned as if all steps were of {which}."
    bound = worst_case(evidence, plan.steps, first.k, own=own)
    if first.k is None:
        return replace(first, reason=f"{reason} {first.reason}", worst_case=bound)
    shares = [side.asked / (part.found.asked + part.others.asked) for side in (part.found, part.others)]
    samples = [side.samples.times(share * first.k / side.k)
               for side, share in zip(sides, shares, strict=True) if side.samples and side.k]  # fmt: skip
    success = min(side.success for side in sides)
    said = shown(evidence, plan.steps, plan.target, first.k, "majority", success, bound)
    return replace(
        first, why=reason, reason=f"{reason} {first.why} {said}", samples=samples[0] + samples[1], success=success,
        success_low=min(success, bound.success_low), success_high=max(side.success_high for side in sides),
        proven=bound.success_low >= plan.target, worst_case=bound,
    )  # fmt: skip
