"""What graded draws say of each kind of step, and what that means for a plan.

A task that names the kind of a step (`kind(state, step)`) gets p, v and tokens of each kind, the worst kind first, with
some of its wrong replies. A run wins only if all its kinds do: one whose replies are mostly wrong, or have no vote at
all, forbids voting however well the others go. Where the worst one is worse than the others beyond chance, it is
planned by itself (`parts.py`).

Not covered: a margin for each kind; a run has one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from maker.theory.draws import Draw, Seen
from maker.theory.findings import Rate
from maker.theory.needs import mean
from maker.theory.planner import Amount, Projection

SHOWN_REPLIES = 3  # of a kind
LONGEST = 60  # characters of a reply that is shown
BEYOND_CHANCE = 0.025
_MUTE = 10  # replies without a vote, so many of so many, are no accident: at v = 1/2 one time in 1,000


@dataclass(slots=True, frozen=True)
class Slip:
    """A reply that was wrong, shortened, and the answer that was right, as JSON."""

    reply: str
    right: str


@dataclass(slots=True, frozen=True)
class Kind(Rate):
    """One kind of step: errors among its first valid draws, as a `Rate`; and beside them what else it takes.

    asked, dropped: first draws, and those of them that a flag dropped. tokens: of a reply (written, not read), its mean
    with the 95% interval; None where fewer than two were drawn. slips: wrong replies of different texts, three at most.
    """

    asked: int
    dropped: int
    tokens: Amount | None
    slips: list[Slip]

    @property
    def p(self) -> float | None:
        """The share of valid draws that were right; None where none was valid."""
        return 1 - self.wrong / self.n if self.n else None

    @property
    def v(self) -> Rate:
        """Draws that were dropped, as errors among all."""
        return Rate(self.asked, self.dropped)

    @property
    def hopeless(self) -> bool:
        """Whether it is shown that votes go wrong (p below 1/2 at 97.5%), or that no reply has one."""
        return self.mute or (self.low is not None and self.low > 0.5)

    @property
    def mute(self) -> bool:
        """Whether not one of enough replies could vote."""
        return self.asked == self.dropped >= _MUTE

    def as_json(self) -> dict[str, Any]:
        """Return counts, rates, intervals and slips."""
        v, tokens = self.v, self.tokens
        share = {name: None if end is None else 1 - end for name, end in
                 (("p_low", self.high), ("p_high", self.low), ("v_low", v.high), ("v_high", v.low))}  # fmt: skip
        return {
            **Rate.as_json(self), "p": self.p, "v": 1 - self.dropped / self.asked if self.asked else None, **share,
            "tokens": tokens and tokens.value, "tokens_low": tokens and tokens.low,
            "tokens_high": tokens and tokens.high, "slips": [asdict(slip) for slip in self.slips],
        }  # fmt: skip


def kinds(seen: Sequence[Seen]) -> dict[str, Kind]:
    """Return what was seen of each kind, one draw a step, the worst first; empty where the task names none."""
    steps: dict[str, list[Seen]] = defaultdict(list)
    for step in seen:
        if step.kind:
            steps[step.kind].append(step)
    found = {name: _kind(of_kind) for name, of_kind in sorted(steps.items())}
    return dict(sorted(found.items(), key=lambda item: -1.0 if item[1].p is None else item[1].p))


def _kind(steps: Sequence[Seen]) -> Kind:
    wrong = [said for step in steps for said in step.voted(step.draws)[: step.picked]]
    first = [draw for step in steps for draw in step.draws[: step.picked]]
    slips = {
        draw.text: Slip(short(draw.text), short(step.right.decode("ascii", "replace")))
        for step in steps for draw in step.draws if draw.flag is None and draw.key != step.right
    }  # fmt: skip
    return Kind(
        len(wrong), sum(wrong), len(first), sum(draw.flag is not None for draw in first),
        mean([draw.tokens for step in steps for draw in step.draws]), list(slips.values())[:SHOWN_REPLIES],
    )  # fmt: skip


def worst(seen: Sequence[Seen]) -> str:
    """Return the kind with the lowest p, where it errs more than the others beyond chance; else "".

    Beyond chance: as many errors among as many draws, picked from all at random, come once in 40 times the number of
    kinds (Fisher's exact test, one-sided, with Bonferroni's correction for having looked for the worst).
    """
    found = {name: kind for name, kind in kinds(seen).items() if kind.n}
    if len(found) < 2:
        return ""
    name, bad = next(iter(found.items()))
    n, wrong = sum(kind.n for kind in found.values()), sum(kind.wrong for kind in found.values())
    return name if _as_many_by_chance(bad, n, wrong) * len(found) <= BEYOND_CHANCE else ""


def _as_many_by_chance(kind: Rate, n: int, wrong: int) -> float:
    """P(at least as many errors among as many draws as the kind has), picked from n of which `wrong` err."""
    log_all = _log_choose(n, wrong)
    return math.fsum(
        math.exp(_log_choose(kind.n, i) + _log_choose(n - kind.n, wrong - i) - log_all)
        for i in range(kind.wrong, min(kind.n, wrong) + 1)
        if wrong - i <= n - kind.n
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def judged(plan: Projection, found: Mapping[str, Kind]) -> Projection:
    """Return a plan with what its kinds of step say: those that are mostly wrong are named, and forbid it where shown.

    Where wrong answers are spread out, a kind may be won by a plurality: then it is named only if it has no votes.
    """
    bad = [
        f"{name} (no reply of {kind.asked} could vote)" if kind.mute
        else f"{name} (p = {kind.p:.2g}, 95%: {1 - (kind.high or 0):.2g} to {1 - (kind.low or 0):.2g})"
        for name, kind in found.items()
        if kind.mute or (kind.p is not None and kind.p < 0.5 and plan.by == "majority")
    ]  # fmt: skip
    if not bad:
        return plan
    plan = replace(plan, reason=f"{plan.reason} Mostly wrong, and at no k right: steps of the kind {', '.join(bad)}.")
    if not any(kind.hopeless and (kind.mute or plan.by == "majority") for kind in found.values()):
        return plan
    return replace(plan, k=None, samples=None, success=0.0, success_low=0.0, success_high=min(0.5, plan.success_high),
                   feasible=False, proven=False)  # fmt: skip


def dropped(seen: Sequence[Seen]) -> list[Draw]:
    """Return up to three draws without a vote, of different texts: what a flag threw away."""
    draws = {draw.text: draw for step in seen for draw in step.draws if draw.flag is not None}
    return list(draws.values())[:SHOWN_REPLIES]


def short(text: str) -> str:
    """Return a text on one line, its end left out where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
