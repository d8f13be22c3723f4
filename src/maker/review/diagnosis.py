"""What the votes of a journal say is wrong with a run, if anything: one line, from the journal alone.

`collapsed`: the votes of its steps agree, and yet the result is wrong, more than votes that err by chance explain. More
votes repeat the answer. `under-determined`: votes do not agree, at most steps, at those where the run stopped, or at
more than chance explains; or they agree too little for their k. `healthy`: neither. The result counts as wrong where
the task says so of its last state, or of single steps; without that a journal cannot tell an answer that is wrong
every time from one that is right every time, and the line says so.

Not covered: which steps are wrong; and why (`maker check`, `maker estimate`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from maker import theory
from maker.decision.wave import FLAGGED
from maker.journal.bulk.plain import Plain
from maker.journal.steps import StoredStep

AGREED = 0.75  # of a run's votes, those for the leader of their step: fewer, and votes do not agree
BY_CHANCE = 0.001  # so many runs in which errors are chance alone look as if they were not
EXPLAINED = 0.2  # wrong steps that chance alone makes in a run: with so many a wrong result is no surprise
TWICE = 2.0  # times as often as chance: contested steps that follow each other are told from here on

Kind = Literal["healthy", "under-determined", "collapsed", "nothing to tell"]


class Diagnosis(NamedTuple):
    """What is wrong, in a word, and in a line for a person."""

    kind: Kind
    line: str


@dataclass(slots=True)
class Signs:
    """What is counted of the votes, step by step.

    steps: decided by two votes or more. votes, leading: of these and of `stuck` ones, all and those of the leader.
    agreed: steps whose first vote was for the winner. contested: with votes for two answers or more. doubted: whose
    runner-up had two votes or more. follow: contested steps right after one. stuck: open steps with contested votes.
    entropy: of the votes of contested steps, in nats, added up.
    """

    steps: int = 0
    votes: int = 0
    leading: int = 0
    agreed: int = 0
    contested: int = 0
    doubted: int = 0
    follow: int = 0
    stuck: int = 0
    entropy: float = 0.0
    _last: int = -2  # the last contested step

    def take(self, stored: StoredStep) -> None:
        """Count one step."""
        tally = stored.tally()
        if tally.total < 2:
            return
        split = len(tally.counts) > 1
        if stored.winner is None and not split:
            return
        self.votes += tally.total
        self.leading += max(tally.counts.values())
        self.entropy += tally.entropy if split else 0.0
        if stored.winner is None:
            self.stuck += 1
            return
        self.steps += 1
        self.agreed += next(one for one in stored.candidates if one not in {FLAGGED, *stored.barred}) == stored.winner
        if split:
            self.contested += 1
            self.doubted += sorted(tally.counts.values())[-2] > 1
            self.follow += self._last == stored.step - 1
            self._last = stored.step

    def take_plain(self, waves: Plain) -> None:
        """Count the steps of plain waves: all their votes are for their winners."""
        for size, steps in waves.sizes():
            if size > 1:
                self.votes += size * steps
                self.leading += size * steps
                self.steps += steps
                self.agreed += steps

    @property
    def p(self) -> float:
        """P(a vote agrees with its step): a little below what was seen, since no run shows that it is 1."""
        return (self.agreed + 1) / (self.steps + 2)


def diagnose(signs: Signs, k: int | None, close: Mapping[str, Any]) -> Diagnosis:
    """Say what the signs mean. k: the margin in force. close: what the journal says of the end, {} before it."""
    if k is None or k < 2 or signs.steps + signs.stuck == 0:
        return Diagnosis("nothing to tell", "nothing to tell: no step has two votes")
    checked = bool(close) and close.get("stopped") is None
    wrong = bool(close.get("wrong")) or (checked and not close.get("solved"))
    share, seen = signs.leading / signs.votes, _seen(signs)
    chance = _chance_of_doubt(signs.p, k)
    doubted = at_least(signs.doubted, signs.steps, chance) < BY_CHANCE
    if share < AGREED:
        said = f"under-determined: {share:.0%} of the votes are for the leader of their step{seen}: {_FINER}"
        return Diagnosis("under-determined", said + _piled(signs))
    explained = signs.steps * (1 - theory.step_success(signs.p, k)) if signs.p > 0.5 else math.inf
    if wrong and (doubted or explained < EXPLAINED):
        said = f"collapsed on wrong answers: votes agree ({share:.0%}) and the result is wrong{seen}"
        return Diagnosis("collapsed", f"{said}: more votes will not help; another model or a finer step will")
    if wrong:
        said = f"under-determined: k = {k} is little for votes of which {signs.p:.0%} agree{seen}: a larger k will help"
    elif signs.stuck:
        said = f"under-determined: {signs.stuck:,} open steps have votes for several answers{seen}: {_FINER}"
    elif doubted:
        few = f"{signs.doubted:,} steps are in doubt, {signs.steps * chance:.1f} by chance alone"
        said = f"under-determined: {few}{seen}: look at them; another model or a finer step will help"
    else:
        ends = "" if checked else "; nothing here says whether what they agree on is right"
        return Diagnosis("healthy", f"healthy: {share:.0%} of the votes agree{seen}{ends}{_piled(signs)}")
    return Diagnosis("under-determined", said + _piled(signs))


_FINER = "more votes or a finer step will help"


def _seen(signs: Signs) -> str:
    """Say how many answers contested steps are split between, in effect."""
    contested = signs.contested + signs.stuck
    if not contested:
        return ", no step is contested"
    return f", {contested:,} contested steps with {math.exp(signs.entropy / contested):.1f} answers in effect"


def _piled(signs: Signs) -> str:
    """Say that contested steps follow each other, where they do so far more than by chance."""
    if signs.contested < 2:
        return ""
    share = signs.contested / signs.steps
    times = signs.follow / (signs.contested * share)
    if times < TWICE or at_least(signs.follow, signs.contested, share) >= BY_CHANCE:
        return ""
    return (f". Contested steps follow each other {times:.1f} times as often as by chance: errors pile up, "
            "or hard steps stand together: let a step read less of what came before")  # fmt: skip


def _chance_of_doubt(p: float, k: int) -> float:
    """P(the loser has two votes or more), of two answers and votes that err by chance: more than k + 2 are cast."""
    from maker.theory.votes.walks import after_votes  # noqa: PLC0415 -- numpy

    return float(after_votes(p, k, k + 3)[k + 2])


def at_least(seen: int, n: int, chance: float) -> float:
    """P(at least so many of n) by chance."""
    if seen <= 0 or chance >= 1:
        return 1.0
    if chance <= 0:
        return 0.0
    log = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(chance)
           + (n - i) * math.log1p(-chance) for i in range(seen, min(n, seen + 2000) + 1)]  # fmt: skip
    return min(1.0, math.fsum(map(math.exp, log)))
