"""What a journal keeps of steps that did not decide: how each was tried again, what was seen ahead, what was given up.

Not covered: which change is taken, and why (`engine/ladder/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from maker.decision.address import ATTEMPTS, ROUND
from maker.decision.wave import Wave
from maker.errors import JournalError
from maker.journal.records import count

TOP = 2  # answers that are rolled ahead, where nothing else is said


@dataclass(slots=True, frozen=True)
class Change:
    """How a step is tried again. What is not named stays as the run has it, k and the red flags always.

    more: times the limits of votes and flagged samples. warmer: added to the temperature. longer: times the
    tokens that a reply may have. paraphrase: ask in the task's views. model: the name of another one. finer:
    let the task split the step. back: decided steps of the segment to give up first, and to plan again. ahead: steps
    to roll the `top` foremost answers on.
    """

    more: int = 1
    warmer: float = 0.0
    longer: int = 1
    paraphrase: bool = False
    model: str | None = None
    finer: bool = False
    back: int = 0
    ahead: int = 0
    top: int = TOP

    @property
    def goes_on(self) -> bool:
        """The race goes on with the votes that it has; otherwise it begins anew, with draws of its own."""
        return self == Change(more=self.more, ahead=self.ahead, top=self.top)

    def as_note(self) -> dict[str, Any]:
        """Return what differs from a plain vote, as the journal keeps it."""
        plain = asdict(Change())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}


@dataclass(slots=True, frozen=True)
class Escalation:
    """One change at one step: the branch and attempt that it begins, the rung, the trouble, and what is changed."""

    step: int
    branch: int
    attempt: int
    rung: str
    reason: str
    change: Change

    @classmethod
    def of(cls, note: dict[str, Any]) -> Escalation:
        """Return what a journaled note says. Raises JournalError for one that contradicts itself."""
        said = note["escalation"]
        try:
            step, branch, attempt = (count(said[name]) for name in ("step", "branch", "attempt"))
            change = Change(**said["change"])
            sound = 0 <= change.back <= step and min(change.more, change.longer) >= 1
            sound = sound and change.ahead >= 0 and change.top >= 1
        except (TypeError, ValueError, KeyError) as error:
            raise JournalError(f"an escalation note contradicts itself: {error!r}. It is damaged or forged.") from None
        if not sound:
            raise JournalError(f"an escalation note contradicts itself: {said}. It is damaged or forged.")
        return cls(step, branch, attempt, str(said["rung"]), str(said["reason"]), change)

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return {"escalation": asdict(self) | {"change": self.change.as_note()}}

    @property
    def round(self) -> int:
        """The number of the round that begins."""
        return self.branch * ATTEMPTS + self.attempt

    @property
    def steps(self) -> range:
        """The steps that begin anew with it; none where the race goes on."""
        if self.change.goes_on:
            return range(0)
        return range(self.step - self.change.back, self.step + 1)


class Abandoned:
    """What rollbacks have left behind: it stays in the journal, is paid for, and counts no more. False for nothing.

    That is known from the notes alone, whatever the order in which waves are read.
    """

    def __init__(self, escalations: Iterable[Escalation] = ()) -> None:
        self._spans = [(found.steps.start, found.step, found.branch) for found in escalations if found.change.back]

    def __bool__(self) -> bool:
        return bool(self._spans)

    def __contains__(self, wave: Wave) -> bool:
        """Say whether a wave counts no more."""
        return self.covers(wave.step, wave.first // ROUND)

    def covers(self, step: int, number: int) -> bool:
        """Say whether a round of a step counts no more."""
        return any(first <= step <= last and number // ATTEMPTS < begun for first, last, begun in self._spans)

    def knows(self, found: Escalation) -> bool:
        """Say whether a rollback is one of those known beforehand."""
        return (found.steps.start, found.step, found.branch) in self._spans


STANDS, FALLS, UNKNOWN = "stands", "falls", "unknown"  # how a roll ends


@dataclass(slots=True, frozen=True)
class Rolled:
    """One answer of a step, rolled ahead: its number among the candidates, how that ended, and what was drawn.

    waves: in their order, each at the step that it was drawn for.
    """

    candidate: int
    end: str
    waves: list[Wave]

    @classmethod
    def of(cls, said: dict[str, Any]) -> Rolled:
        """Return what a journaled look says of one answer."""
        if said["end"] not in (STANDS, FALLS, UNKNOWN):
            raise ValueError(f"a roll that ended {said['end']!r:.60}")
        return cls(count(said["candidate"]), said["end"], list(map(_wave_of, said["waves"])))


@dataclass(slots=True, frozen=True)
class Ahead:
    """What came of looking ahead at a step: its round, and how each of its foremost answers went on."""

    step: int
    round: int
    rolls: list[Rolled]

    @classmethod
    def of(cls, note: dict[str, Any]) -> Ahead:
        """Return what a journaled note says. Raises ValueError, TypeError or LookupError for nonsense."""
        said = note["ahead"]
        return cls(count(said["step"]), count(said["round"]), list(map(Rolled.of, said["rolls"])))

    def as_note(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        rolls = [{"candidate": roll.candidate, "end": roll.end, "waves": list(map(_as_note, roll.waves))}
                 for roll in self.rolls]  # fmt: skip
        return {"ahead": {"step": self.step, "round": self.round, "rolls": rolls}}

    def run(self, run: str, candidate: int) -> str:
        """Return the name under which the draws for one answer are addressed."""
        return ahead_run(run, self.step, candidate)

    @property
    def fallen(self) -> list[int]:
        """The candidates that lose their votes: none where some roll says nothing."""
        if any(roll.end == UNKNOWN for roll in self.rolls):
            return []
        return [roll.candidate for roll in self.rolls if roll.end == FALLS]


def ahead_run(run: str, step: int, candidate: int) -> str:
    """Return the name under which draws ahead of a step are addressed: no two of a run ever bear the same address."""
    return f"{run}/ahead of {step}/{candidate}"


def _as_note(wave: Wave) -> dict[str, Any]:
    texts = [raw.decode("utf-8", "surrogatepass") for _, raw in wave.texts]  # all whole
    return {"step": wave.step, "first": wave.first, "draws": wave.draws, "texts": texts, "extras": wave.extras}


def _wave_of(said: dict[str, Any]) -> Wave:
    draws = [int(number) for number in said["draws"]]
    if len(draws) % 4 or any(number < -1 for number in draws):
        raise ValueError("draws of four numbers each")
    texts = [(True, str(text).encode("utf-8", "surrogatepass")) for text in said["texts"]]
    extras = {count(int(place)): dict(facts) for place, facts in said["extras"].items()}
    return Wave(count(said["step"]), count(said["first"]), draws, texts, extras)
