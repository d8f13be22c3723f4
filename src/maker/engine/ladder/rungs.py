"""What happens to a step that does not decide: rungs are tried in order, and after the last the run stops.

A `Trouble` says how the vote stood, in counts alone: no answer, no text and no ground truth reach a rung. A `Rung`
returns how the step is tried again, or None (not for this case). Each place of the ladder is used at most once a
step, so the climb ends; who wants two tries of a kind lists the rung twice. A change never touches the margin k nor
the red flags: whatever is tried, a step advances only on a verdict, and the end is a named stop, never a guess.

The diagnosis, which the rungs of this module choose by, is the first of these that fits:
    unsound   the task says that the state is broken, or no answer leads on -> roll back
    refused   no valid vote, and refusals or a request that always fails    -> other words, another model
    leading   one answer is ahead beyond chance, a limit was in the way     -> more votes
    rejected  the rules refuse most samples, and they are nearly all alike  -> another model, or finer steps, at once
    flagged   most samples are flagged in another way                       -> draw again, warmer and longer
    tied      answers about equally likely                                  -> other words, finer steps, another model,
                                                                               or a look at where each of them leads

More votes of the same kind are not offered for a tie: at p = 1/2 they are a coin flip, and below it the more
votes, the surer the wrong answer. `DEFAULT` holds `more_votes` alone, and that lifts only a limit that nobody
set: the same race goes on under the same rule.

A wrong answer that a model prefers and no flag catches wins its vote, and no rung is asked: only `look_ahead(...,
wins=True)` is asked about a win too, where another answer has votes. It notices what leads to a broken state or a dead
end within so many steps, and nothing else: an error that no rule ever speaks against stays one.

Not covered: carrying a change out and journaling it (`engine/course.py`, `ahead.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maker import theory
from maker.decision.poll import Poll
from maker.decision.sample import AnyModel, Traits
from maker.errors import TaskError
from maker.journal.escalated import TOP, Change
from maker.task.task import guarded

MORE = 4  # times the votes and flagged samples of the first limit
WARMER = 0.5  # added to the temperature
LONGER = 2  # times the tokens of a reply
FARTHEST = 1000  # steps ahead
CONTESTED = "contested"  # the trouble of a vote that was won against other votes
FEW_TEXTS = 0.1  # of the samples: so few distinct texts are "nearly all alike"
REJECTIONS = ("illegal", "inconsistent")  # flags of answers that could be read and broke the rules


@dataclass(slots=True, frozen=True)
class Trouble:
    """How a step stood when its vote ended without a verdict.

    reason: "max_votes", "max_flags", "refused", "poison", "dead_end" (no answer leads on), or "contested": one has won
    and others have votes. votes: by answer, most first. flags: flagged
    samples by kind. texts: how many distinct ones. k: the margin. tried: the rungs taken at this step before.
    decided: steps of its segment before it, which can be rolled back. fixed: limits that the user has set.
    offers: what there is beside the plain vote: "paraphrases", "finer". unsound: the task's `sound` said
    that the state is broken. looked: the answers of this vote were rolled ahead before.
    """

    step: int
    reason: str
    k: int
    votes: tuple[int, ...] = ()
    flags: Mapping[str, int] = field(default_factory=dict)
    texts: int = 0
    tried: tuple[str, ...] = ()
    decided: int = 0
    fixed: frozenset[str] = frozenset()
    offers: frozenset[str] = frozenset()
    unsound: bool = False
    looked: bool = False

    @property
    def valid(self) -> int:
        """Samples that voted."""
        return sum(self.votes)

    @property
    def flagged(self) -> int:
        """Samples that did not."""
        return sum(self.flags.values())

    @property
    def leading(self) -> bool:
        """The first answer is more likely than the second, by the exact one-sided 95% bound."""
        first, second = (*self.votes, 0, 0)[:2]
        return first > second and theory.p_lower(second, first + second) > 0.5

    @property
    def diagnosis(self) -> str:
        """What kind of trouble it is; see the module."""
        if self.unsound or self.reason == "dead_end":
            return "unsound"
        if not self.valid and (self.reason == "poison" or 2 * self.flags.get("refused", 0) > self.flagged):
            return "refused"
        if self.leading:
            return "leading"
        if self.flagged > self.valid:
            rejected = sum(self.flags.get(kind, 0) for kind in REJECTIONS)
            alike = self.texts <= max(2.0, FEW_TEXTS * (self.valid + self.flagged))
            return "rejected" if 2 * rejected > self.flagged and alike else "flagged"
        return "tied"


Rung = Callable[[Trouble], Change | None]


# -- the rungs ------------------------------------------------------------------------------------------


def more_votes(trouble: Trouble) -> Change | None:
    """Lift the limit that was in the way of an answer ahead beyond chance; one that the user has set stands."""
    if trouble.diagnosis != "leading" or trouble.reason in trouble.fixed:
        return None
    return Change(more=MORE)


def refine(trouble: Trouble) -> Change | None:
    """Draw again, warmer and with room for longer replies, where most samples were flagged."""
    return Change(warmer=WARMER, longer=LONGER) if trouble.diagnosis == "flagged" else None


def reword(trouble: Trouble) -> Change | None:
    """Ask in the task's other words, if it has any."""
    return Change(paraphrase=True) if "paraphrases" in trouble.offers and _astray(trouble) else None


def finer(trouble: Trouble) -> Change | None:
    """Let the task split the step, if it can."""
    return Change(finer=True) if "finer" in trouble.offers and _astray(trouble) else None


def another_model(model: AnyModel) -> Rung:
    """Return the rung that asks another model: one that was made, or the name of one."""
    name = Traits.name_of(model)

    def rung(trouble: Trouble) -> Change | None:
        """Ask another model."""
        return Change(model=name) if _astray(trouble) else None

    return _named(rung, f"another_model({name})", model)


def look_ahead(steps: int, top: int = TOP, *, wins: bool = False) -> Rung:
    """Return the rung that rolls the `top` foremost answers of a vote so many steps on, and takes votes from dead ends.

    Each is applied, and the model is asked for the steps that follow: three draws each, of which the most frequent
    legal answer is applied in turn. That roll falls where the task's `sound` speaks against a state on the way, where
    all draws of a step are illegal, or where the task ends short of its goal; and the answer falls with the third of
    its rolls. Then it has no votes any more, and the race goes on between the others under the same k. Where a step
    brings no legal answer for another reason, or none falls, nothing changes. Where all fall, the state before was
    broken: `go_back`, or the end of the ladder.
    wins: look also where an answer has won and another one has votes, before the win counts. steps: 1 to 1,000.
    top: 2 or more. Raises TaskError for others.
    """
    for name, number, least in (("steps", steps, 1), ("top", top, 2)):
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= FARTHEST:
            raise TaskError(f"look_ahead: {name} = {number!r}: give a whole number from {least} to {FARTHEST:,}")

    def rung(trouble: Trouble) -> Change | None:
        """Look where the foremost answers lead, once a vote."""
        able = len(trouble.votes) > 1 and not trouble.looked and trouble.diagnosis != "unsound"
        return Change(ahead=steps, top=top) if able and (wins or trouble.reason != CONTESTED) else None

    named = _named(rung, f"look_ahead({steps})")
    named.wins = wins  # type: ignore[attr-defined]
    return named


def go_back(steps: int) -> Rung:
    """Return the rung that gives up the last `steps` decided steps of the segment and plans them again.

    steps: 1 or more; no more than the segment has are given up. Raises TaskError for less.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise TaskError(f"go_back: steps = {steps!r}: give a whole number of 1 or more")

    def rung(trouble: Trouble) -> Change | None:
        """Roll back where the state is broken, or nothing else was of use."""
        able = trouble.decided and (trouble.diagnosis == "unsound" or trouble.tried)
        return Change(back=min(steps, trouble.decided)) if able else None

    return _named(rung, f"go_back({steps})")


DEFAULT: tuple[Rung, ...] = (more_votes,)


def _astray(trouble: Trouble) -> bool:
    """Say whether asking differently could help: not where the state is broken, nor where more votes will do."""
    return trouble.diagnosis != "unsound" and (trouble.diagnosis != "leading" or bool(trouble.tried))


def _named(rung: Rung, name: str, model: AnyModel | None = None) -> Rung:
    rung.__name__ = name
    rung.model = model  # type: ignore[attr-defined]
    return rung


# -- the climb ------------------------------------------------------------------------------------------


def asked_of_wins(ladder: Sequence[Rung]) -> tuple[Rung, ...]:
    """Return the rungs that are asked about wins that other answers have votes against."""
    return tuple(rung for rung in ladder if getattr(rung, "wins", False))


def rung_name(rung: Rung) -> str:
    """Return a rung's name, as the journal knows it."""
    return str(getattr(rung, "__name__", type(rung).__name__))


def models_of(ladder: Sequence[Rung]) -> dict[str, AnyModel]:
    """Return the other models that rungs may ask, by the name that their changes bear."""
    models = [getattr(rung, "model", None) for rung in ladder]
    return {Traits.name_of(model): model for model in models if model is not None}


def make_ladder(ladder: Sequence[Rung] | None) -> tuple[Rung, ...]:
    """Return the rungs to use, None for the default. Raises TaskError for what is not a list of callables."""
    if ladder is None:
        return DEFAULT
    if isinstance(ladder, str) or not isinstance(ladder, Sequence) or not all(map(callable, ladder)):
        raise TaskError(f"ladder = {ladder!r}: give a list of rungs, such as [maker.ladder.more_votes, ...], or []")
    return tuple(ladder)


def climb(ladder: Sequence[Rung], trouble: Trouble) -> tuple[str, Change] | None:
    """Return the next rung that has something to try, and its change; None when the ladder ends.

    Rungs up to the last one that was tried at this step are passed over. Raises TaskError for a rung that
    raises or returns anything but a Change or None.
    """
    names = [rung_name(rung) for rung in ladder]
    at = 0
    for tried in trouble.tried:
        if tried in names[at:]:
            at = names.index(tried, at) + 1
    for name, rung in zip(names[at:], ladder[at:], strict=True):
        change = guarded(rung, trouble.step, f"rung {name}", trouble)
        if change is not None:
            _check(change, trouble, name)
            return name, change
    return None


def _check(change: object, trouble: Trouble, name: str) -> None:
    """Raise TaskError for a change that changes nothing, or that cannot be made."""
    where = f"step {trouble.step}: rung {name}"
    if not isinstance(change, Change) or change == Change():
        raise TaskError(f"{where} returned {change!r}: give a Change of something, or None")
    possible = change.more >= 1 and change.longer >= 1 and math.isfinite(change.warmer)
    possible = possible and (not change.ahead or (0 < change.ahead <= FARTHEST and change.top > 1 and change.goes_on))
    if not possible or not 0 <= change.back <= trouble.decided:
        raise TaskError(f"{where}: {change!r} is out of range; {trouble.decided} steps can be given up")
    for what, wanted in (("paraphrases", change.paraphrase), ("finer", change.finer)):
        if wanted and what not in trouble.offers:
            raise TaskError(f"{where}: the task has no {what}(state, step)")


def trouble_of(poll: Poll, reason: str, **known: Any) -> Trouble:
    """Return how a poll without a verdict stands. known: what the poll does not know (tried, fixed, offers, ...)."""
    votes = tuple(sorted(poll.tally.counts.values(), reverse=True))
    known["looked"] = poll.looked
    return Trouble(poll.step.index, reason, poll.method.k, votes, dict(poll.flags), poll.texts, **known)


_REMEDIES = {
    "unsound": "The state before it is broken: an earlier step went wrong. Roll back (go_back), or run again.",
    "refused": "The model declines to answer. Reword the step, or ask another model.",
    "leading": "One answer is well ahead: more votes would decide it. Raise the limit and resume.",
    "rejected": "The rules refuse most samples, which are alike; more are no help. Ask another model, or split it.",
    "flagged": "Most samples are flagged. Make the format easier, allow longer replies, or ask another model.",
    "tied": "More votes of the same kind would be a coin flip. Reword the step, split it, or ask another model.",
}


def describe(trouble: Trouble) -> str:
    """Return one line for the stop at the end of the ladder: what was tried, what it looks like, what to do."""
    tried = f"Tried in vain: {', '.join(trouble.tried)}. " if trouble.tried else ""
    return f"{tried}Diagnosis: {trouble.diagnosis}. {_REMEDIES[trouble.diagnosis]}"
